//! The exact gradient, with the derivative of `log|A|` by the modes.
//!
//! With `v_i = z_i'D z_i = Var(η_i | y)` and `c_i = v_i w'_i = d log|A| / dη_i`:
//!
//! ```text
//! v = D Z'c,   c̃ = c - W Z v,   a_g = Σ z_i s_i,   ã_g = Σ z_i c̃_i
//! df/dβ = X'(c̃ - 2 s),   Γ_k = Σ_g [H_g - a_g a_g' + (a_g ã_g' + ã_g a_g')/2],   df/dΛ_k = 2 Γ_k Λ_k
//! ```

use super::{Point, Shape, Sums, Visit};
use pulp::Arch;
use tiers_equations::reweighted::{Groups, gather};

impl Visit {
    /// Adds the gradient at the modes.
    pub(super) fn add_gradient(&mut self, shape: &Shape, groups: &Groups<'_>, at: &Point, sums: &mut Sums) {
        let (d, n, p) = (shape.path.distinct(), self.rows.k.len(), shape.p);
        self.factor.covariances(&shape.path, groups);
        self.factor.reduced_covariances(&shape.path, &mut self.d);
        for v in [&mut self.variance, &mut self.c, &mut self.zv] {
            v.resize(n, 0.0);
        }
        let mut t = vec![0.0; self.rows.ends.len() * d];
        let mut start = 0;
        for (g, &end) in self.rows.ends.iter().enumerate() {
            let (covariance, t) = (&self.d[g * d * d..(g + 1) * d * d], &mut t[g * d..(g + 1) * d]);
            for i in start..end {
                let z = &self.rows.z[i * d..(i + 1) * d];
                self.variance[i] = quadratic(covariance, z);
                self.c[i] = self.variance[i] * self.w1[i];
                t.iter_mut().zip(z).for_each(|(t, z)| *t += self.c[i] * z);
            }
            start = end;
        }
        self.factor.solve(&shape.path, groups, &at.lambda, &t, None, &mut self.solution);
        self.solution.reduced(&shape.path, &mut self.v);
        self.v_path.clear();
        self.v_path.extend_from_slice(self.solution.path(0));
        let mut t_tilde = vec![0.0; t.len()];
        start = 0;
        for (g, &end) in self.rows.ends.iter().enumerate() {
            let (v, t) = (&self.v[g * d..(g + 1) * d], &mut t_tilde[g * d..(g + 1) * d]);
            for i in start..end {
                let z = &self.rows.z[i * d..(i + 1) * d];
                self.zv[i] = z.iter().zip(v).map(|(z, v)| z * v).sum();
                self.c[i] -= self.w[i] * self.zv[i];
                t.iter_mut().zip(z).for_each(|(t, z)| *t += self.c[i] * z);
            }
            start = end;
        }
        let (x, s, c) = (&self.rows.x, &self.s, &self.c);
        let beta = &mut sums.beta;
        Arch::new().dispatch(|| {
            for (i, x) in x.chunks_exact(p).enumerate() {
                let factor = c[i] - 2.0 * s[i];
                beta.iter_mut().zip(x).for_each(|(g, x)| *g = x.mul_add(factor, *g));
            }
        });
        gather(&shape.path, groups, &self.t, &mut self.a);
        gather(&shape.path, groups, &t_tilde, &mut self.a_tilde);
        for k in 0..shape.path.levels() {
            let r = shape.path.r(k);
            let gamma = &mut sums.gamma[k];
            self.factor.add_precision(&shape.path, groups, k, gamma);
            for (a, t) in self.a[k].chunks_exact(r).zip(self.a_tilde[k].chunks_exact(r)) {
                for i in 0..r {
                    for j in 0..r {
                        gamma[i * r + j] += 0.5 * (a[i] * t[j] + t[i] * a[j]) - a[i] * a[j];
                    }
                }
            }
        }
    }
}

/// `z'Mz`.
#[inline(always)]
fn quadratic(matrix: &[f64], z: &[f64]) -> f64 {
    match z {
        [z] => matrix[0] * z * z,
        _ => {
            let d = z.len();
            (0..d).map(|a| z[a] * (0..d).map(|b| matrix[a * d + b] * z[b]).sum::<f64>()).sum()
        }
    }
}
