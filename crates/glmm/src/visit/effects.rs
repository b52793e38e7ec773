//! Random effects of a visit's groups with their variances.

use super::directions::XMoments;
use super::hessian::Weights;
use super::{Shape, Visit};
use nalgebra::DMatrix;
use tiers_equations::reweighted::{Groups, LANES, LaneSolution, ZERO};

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
        covariance: &DMatrix<f64>,
    ) -> Vec<VisitEffects> {
        let (levels, p) = (shape.path.levels(), shape.p);
        let slopes = self.slopes(shape, groups);
        let (mut out, mut product) = (Vec::with_capacity(levels), vec![0.0; p]);
        for (k, slopes) in slopes.iter().enumerate() {
            let (r, path) = (shape.path.r(k), shape.path.path_from(k));
            let mut level = VisitEffects { modes: self.effects[k].clone(), ..VisitEffects::default() };
            for (g, d) in self.factor.covariance(k).chunks_exact(path * path).enumerate() {
                let slope = |i: usize| &slopes[(g * r + i) * p..(g * r + i + 1) * p];
                for i in 0..r {
                    for (product, column) in product.iter_mut().zip(covariance.column_iter()) {
                        *product = slope(i).iter().zip(column.iter()).map(|(s, c)| s * c).sum();
                    }
                    for j in 0..r {
                        let more: f64 = product.iter().zip(slope(j)).map(|(a, b)| a * b).sum();
                        level.conditional.push(d[i * path + j]);
                        level.prediction.push(d[i * path + j] + more);
                    }
                }
            }
            out.push(level);
        }
        out
    }

    /// `db/dβ = -D Z'WX` of each level, p numbers for each of the r coefficients of a group.
    fn slopes(&mut self, shape: &Shape, groups: &Groups<'_>) -> Vec<Vec<f64>> {
        let (levels, d, p) = (shape.path.levels(), shape.path.distinct(), shape.p);
        let mut out: Vec<Vec<f64>> = (0..levels).map(|k| vec![0.0; groups.count(k) * shape.path.r(k) * p]).collect();
        self.group_moments(shape);
        let (mut t, mut solution) = (Vec::new(), LaneSolution::default());
        for first in (0..p).step_by(LANES) {
            t.clear();
            t.resize(self.rows.ends.len() * d, ZERO);
            let moments = XMoments { moments: self.hessian.moments(), d, p, first };
            moments.add((Weights { d }.weight(0), d), -1.0, &mut t);
            self.factor.solve_lanes(&shape.path, groups, &t, &mut solution);
            for (k, out) in out.iter_mut().enumerate() {
                let (r, path) = (shape.path.r(k), shape.path.path_from(k));
                for (out, b) in out.chunks_exact_mut(r * p).zip(solution.path(k).chunks_exact(path)) {
                    for (out, b) in out.chunks_exact_mut(p).zip(b) {
                        out[first..].iter_mut().zip(b).for_each(|(out, b)| *out = *b);
                    }
                }
            }
        }
        out
    }

    /// `offset + Xβ` of each row.
    pub(crate) fn fixed(&self) -> &[f64] {
        &self.xb
    }
}
