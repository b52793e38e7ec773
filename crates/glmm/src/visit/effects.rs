//! Random effects of a visit's groups with their variances.

use super::{Shape, Visit};
use nalgebra::DMatrix;
use tiers_equations::reweighted::Groups;

/// The random effects of one level of a visit, in the shifted z columns.
#[derive(Debug, Default)]
pub(crate) struct VisitEffects {
    /// Conditional modes b, r numbers a group.
    pub(crate) modes: Vec<f64>,
    /// `Var(b | y)` given β and θ, r×r a group.
    pub(crate) conditional: Vec<f64>,
    /// The same with the uncertainty of β: `D + (db/dβ) Var(β̂) (db/dβ)'`.
    pub(crate) prediction: Vec<f64>,
}

impl Visit {
    /// The random effects at the modes, after a gradient; `covariance` is that of β (for the columns of X as they
    /// are here).
    pub(crate) fn effects(
        &mut self,
        shape: &Shape,
        groups: &Groups<'_>,
        lambda: &[Vec<f64>],
        covariance: &DMatrix<f64>,
    ) -> Vec<VisitEffects> {
        let (levels, d, p) = (shape.path.levels(), shape.path.distinct(), shape.p);
        let mut out: Vec<VisitEffects> = Vec::with_capacity(levels);
        // db/dβ of each level, p numbers for each of the r coefficients of a group.
        let mut slopes: Vec<Vec<f64>> = (0..levels).map(|k| vec![0.0; groups.count(k) * shape.path.r(k) * p]).collect();
        let mut t = vec![0.0; self.rows.ends.len() * d];
        for j in 0..p {
            t.fill(0.0);
            for (g, rows) in self.rows.by_group().enumerate() {
                for i in rows {
                    let wx = self.w[i] * self.rows.x[i * p + j];
                    let z = &self.rows.z[i * d..(i + 1) * d];
                    t[g * d..(g + 1) * d].iter_mut().zip(z).for_each(|(t, z)| *t += wx * z);
                }
            }
            self.factor.solve(&shape.path, groups, lambda, &t, None, &mut self.solution);
            for (k, slopes) in slopes.iter_mut().enumerate() {
                let (r, path) = (shape.path.r(k), shape.path.path_from(k));
                for (g, b) in self.solution.path(k).chunks_exact(path).enumerate() {
                    (0..r).for_each(|i| slopes[(g * r + i) * p + j] = -b[i]);
                }
            }
        }
        for (k, slopes) in slopes.iter().enumerate() {
            let (r, path) = (shape.path.r(k), shape.path.path_from(k));
            let mut level = VisitEffects::default();
            for (g, b) in self.paths[k].chunks_exact(path).enumerate() {
                level.modes.extend_from_slice(&b[..r]);
                let d = &self.factor.covariance(k)[g * path * path..];
                let slope = DMatrix::from_row_slice(r, p, &slopes[g * r * p..(g + 1) * r * p]);
                let more = &slope * covariance * slope.transpose();
                for i in 0..r {
                    for j in 0..r {
                        level.conditional.push(d[i * path + j]);
                        level.prediction.push(d[i * path + j] + more[(i, j)]);
                    }
                }
            }
            out.push(level);
        }
        out
    }

    /// `offset + Xβ` of each row.
    pub(crate) fn fixed(&self) -> &[f64] {
        &self.xb
    }
}
