//! The walk of [`super::walk`] at a finest level with one random coefficient, by far the most common case,
//! at the level with by far the most groups. Every quantity of a group is a scalar times its row, and the
//! only direction needed is that of its own variance:
//!
//! ```text
//! T = 1 / (1 + n G)     Y = T N     K = G T     dY = -T n Y     dK = T²
//! dF = -T n F - Y[z_a] dG_a F_a ...              dH = -T n (Y[z] - 2 U D U') - U dD U',  U = Y[z_a]
//! ```

use super::Action;
use super::ancestors;
use super::curvature::Curvature;
use super::small::{add_scaled, dot};
use super::walk::Walk;

impl Walk<'_> {
    /// Does the work of [`Walk::up`] at the finest level.
    #[inline(always)]
    pub(super) fn up_single(&mut self) {
        let (plan, m) = (self.plan, self.plan.m);
        let (z, g) = (plan.levels[0].z[0], self.at.g[0][0]);
        let mut n = vec![0.0; m];
        for group in 0..self.tree.levels[0].groups {
            self.load(0, group, &mut n);
            let t = 1.0 / (1.0 + n[z] * g);
            self.scratch.levels[0].t[group] = t;
            for (actions, (a, ancestor)) in plan.levels[0].actions.iter().zip(ancestors(self.tree, 0, group)) {
                let size = actions.len() * m;
                let rows = &mut self.scratch.levels[a].n[ancestor * size..(ancestor + 1) * size];
                // Direction 0 is the only one of this level.
                let tangents = &mut self.tangents[a].dn[ancestor * size..(ancestor + 1) * size];
                let rows = rows.chunks_exact_mut(m).zip(tangents.chunks_exact_mut(m));
                for ((row, tangent), action) in rows.zip(actions) {
                    let (factor, d_factor) = match *action {
                        Action::None => continue,
                        Action::AddRow(_) => (t, -t * t * n[z]),
                        Action::Subtract(c) => (-n[c] * g * t, -n[c] * t * t),
                    };
                    add_scaled(row, factor, &n);
                    add_scaled(tangent, d_factor, &n);
                }
            }
        }
    }

    /// Does the work of [`Walk::down`] at the finest level.
    #[inline(always)]
    pub(super) fn down_single(&mut self, out: &mut Curvature) {
        let (plan, m) = (self.plan, self.plan.m);
        let (z, za) = (plan.levels[0].z[0], &plan.levels[0].za);
        let (mut y, mut f, mut df) = (vec![0.0; m], vec![0.0; m], vec![0.0; m]);
        let mut fs = vec![0.0; m];
        let (mut trace, mut residual, mut fixed) = (0.0, 0.0, 0.0);
        for group in 0..self.tree.levels[0].groups {
            self.load(0, group, &mut y);
            let t = self.scratch.levels[0].t[group];
            let shrink = -t * y[z];
            y.iter_mut().for_each(|y| *y *= t);
            f.copy_from_slice(&y);
            df.fill(0.0);
            for (a, ancestor) in ancestors(self.tree, 0, group) {
                let level = &plan.levels[a];
                let rows = ancestor * level.r * m..(ancestor + 1) * level.r * m;
                let gf = self.scratch.levels[a].gf[rows.clone()].chunks_exact(m);
                let dgf = self.tangents[a].dgf[rows].chunks_exact(m);
                for ((&c, gf), dgf) in level.z.iter().zip(gf).zip(dgf) {
                    add_scaled(&mut f, -y[c], gf);
                    add_scaled(&mut df, -y[c], dgf);
                }
            }
            add_scaled(&mut df, shrink, &f);
            let (d, dd) = self.d_above(0, group, 0);
            let (spread, d_spread) = (quadratic(&y, za, d), quadratic(&y, za, dd));
            trace += shrink * (y[z] - 2.0 * spread) - d_spread;
            residual += f[m - 1] * df[m - 1];
            if let Some(inverse) = self.at.s_xx_inverse {
                fs.fill(0.0);
                f[..m - 1].iter().zip(inverse.chunks_exact(m)).for_each(|(&f, row)| add_scaled(&mut fs, f, row));
                fixed += dot(&fs[..m - 1], &df[..m - 1]);
            }
        }
        out.trace[0] += trace;
        out.residual[0] += residual;
        out.fixed[0] += fixed;
    }
}

/// Returns `U D U'`, where U holds the given columns of a row.
#[inline(always)]
fn quadratic(row: &[f64], columns: &[usize], d: &[f64]) -> f64 {
    let size = columns.len();
    let mut sum = 0.0;
    for (i, &a) in columns.iter().enumerate() {
        for (j, &b) in columns.iter().enumerate() {
            sum += row[a] * d[i * size + j] * row[b];
        }
    }
    sum
}
