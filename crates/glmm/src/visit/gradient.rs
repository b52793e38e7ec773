//! The exact gradient, with the derivative of `log|A|` by the modes.
//!
//! With `v_i = z_i'D z_i = Var(η_i | y)` and `c_i = v_i w'_i = d log|A| / dη_i`:
//!
//! ```text
//! v = D Z'c,   c̃ = c - W Z v,   a_g = Σ z_i s_i,   ã_g = Σ z_i c̃_i
//! df/dβ = X'(c̃ - 2 s),   Γ_k = Σ_g [H_g - a_g a_g' + (a_g ã_g' + ã_g a_g')/2],   df/dΛ_k = 2 Γ_k Λ_k
//! ```

use super::products::{add_weighted, sum_of};
use super::{Point, Shape, Sums, Visit};
use tiers_equations::reweighted::{Groups, gather};
use tiers_moments::vectorised;

impl Visit {
    /// Adds the gradient at the modes.
    pub(super) fn add_gradient(&mut self, shape: &Shape, groups: &Groups<'_>, at: &Point, sums: &mut Sums) {
        let (d, n, q) = (shape.path.distinct(), self.rows.k.len(), self.rows.ends.len());
        self.factor.covariances(&shape.path, groups);
        self.factor.reduced_covariances(&shape.path, &mut self.d);
        for v in [&mut self.variance, &mut self.c, &mut self.zv] {
            v.resize(n, 0.0);
        }
        for t in [&mut self.t_c, &mut self.t_tilde] {
            t.clear();
            t.resize(q * d, 0.0);
        }
        self.set_variances(d);
        self.factor.solve(&shape.path, groups, &at.lambda, &self.t_c, None, &mut self.solution);
        self.solution.reduced(&shape.path, &mut self.v);
        self.subtract_effect(d);
        let (x, s, c) = (&self.rows.x, &self.s, &self.c);
        let (beta, score) = (&mut sums.beta, &mut self.score);
        vectorised(
            #[inline(always)]
            || {
                score.clear();
                score.extend(c.iter().zip(s).map(|(c, s)| c - 2.0 * s));
                add_weighted(score, (x, shape.p), beta);
            },
        );
        gather(&shape.path, groups, &self.t, &mut self.a);
        gather(&shape.path, groups, &self.t_tilde, &mut self.a_tilde);
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

    /// Computes `v_i = z_i'D z_i`, `c_i = v_i w'_i`, and `Z'c` of the finest groups.
    fn set_variances(&mut self, d: usize) {
        let (rows, w1, variance, c) = (&self.rows, &self.w1, &mut self.variance, &mut self.c);
        let (covariances, t) = (&self.d, &mut self.t_c);
        vectorised(
            #[inline(always)]
            || {
                let groups = covariances.chunks_exact(d * d).zip(t.chunks_exact_mut(d));
                for (range, (covariance, t)) in rows.by_group().zip(groups) {
                    let z = &rows.z[range.start * d..range.end * d];
                    let (w1, variance, c) = (&w1[range.clone()], &mut variance[range.clone()], &mut c[range]);
                    let outs = variance.iter_mut().zip(c.iter_mut()).zip(w1);
                    if d == 1 {
                        for (((v, c), w1), z) in outs.zip(z) {
                            *v = covariance[0] * z * z;
                            *c = *v * w1;
                        }
                        t[0] = sum_of(z.len(), |i| c[i] * z[i]);
                        continue;
                    }
                    for (((v, c), w1), z) in outs.zip(z.chunks_exact(d)) {
                        *v = quadratic(covariance, z);
                        *c = *v * w1;
                        t.iter_mut().zip(z).for_each(|(t, z)| *t += *c * z);
                    }
                }
            },
        );
    }

    /// Turns c into `c̃ = c - W Z v`, and computes `Z'c̃` of the finest groups.
    fn subtract_effect(&mut self, d: usize) {
        let (rows, w, zv, c) = (&self.rows, &self.w, &mut self.zv, &mut self.c);
        let (v, t) = (&self.v, &mut self.t_tilde);
        vectorised(
            #[inline(always)]
            || {
                let groups = v.chunks_exact(d).zip(t.chunks_exact_mut(d));
                for (range, (v, t)) in rows.by_group().zip(groups) {
                    let z = &rows.z[range.start * d..range.end * d];
                    let (w, zv, c) = (&w[range.clone()], &mut zv[range.clone()], &mut c[range]);
                    let outs = zv.iter_mut().zip(c.iter_mut()).zip(w);
                    if d == 1 {
                        for (((zv, c), w), z) in outs.zip(z) {
                            *zv = z * v[0];
                            *c -= w * *zv;
                        }
                        t[0] = sum_of(z.len(), |i| c[i] * z[i]);
                        continue;
                    }
                    for (((zv, c), w), z) in outs.zip(z.chunks_exact(d)) {
                        *zv = z.iter().zip(v).map(|(z, v)| z * v).sum();
                        *c -= w * *zv;
                        t.iter_mut().zip(z).for_each(|(t, z)| *t += *c * z);
                    }
                }
            },
        );
    }
}

/// `z'Mz`.
#[inline(always)]
fn quadratic(matrix: &[f64], z: &[f64]) -> f64 {
    let d = z.len();
    (0..d).map(|a| z[a] * (0..d).map(|b| matrix[a * d + b] * z[b]).sum::<f64>()).sum()
}
