//! Generalised least squares from `S = C'V⁻¹C`.

use crate::{EquationsError, TreeSums};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use tiers_moments::Forest;

/// The fixed effects at given relative covariances, in terms of the (shifted) columns of C.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedEffects {
    /// The columns of C that are X, in the order of β.
    pub x: Vec<usize>,
    /// `β = S_xx⁻¹ S_xy`.
    pub beta: DVector<f64>,
    /// `S_xx⁻¹ = (X'V⁻¹X)⁻¹ = Cov(β)/σ²`, p×p.
    pub xx_inverse: DMatrix<f64>,
    /// `log|X'V⁻¹X|`.
    pub log_det_xx: f64,
    /// `S_yy - S_xy'β`, the penalised weighted residual sum of squares.
    pub pwrss: f64,
}

impl FixedEffects {
    /// Solves for β: `S = C'WC - downdate`, X the given columns of C, y the last one.
    pub fn new(forest: &Forest, sums: &TreeSums, x: &[usize]) -> Result<Self, EquationsError> {
        let (m, p, y) = (forest.m, x.len(), forest.m - 1);
        let s = |i: usize, j: usize| forest.cross[i * m + j] - sums.downdate.get(i, j);
        let s_xx = DMatrix::from_fn(p, p, |i, j| s(x[i], x[j]));
        let s_xy = DVector::from_fn(p, |i, _| s(x[i], y));
        let factor = Cholesky::<f64, Dyn>::new(s_xx).ok_or(EquationsError::SingularFixedEffects)?;
        let beta = factor.solve(&s_xy);
        let pwrss = s(y, y) - s_xy.dot(&beta);
        let log_det_xx = 2.0 * factor.l_dirty().diagonal().iter().map(|d| d.ln()).sum::<f64>();
        Ok(FixedEffects { x: x.to_vec(), beta, xx_inverse: factor.inverse(), log_det_xx, pwrss })
    }

    /// γ, the combination of the m columns of C that is the residual `y - Xβ`.
    pub fn residual(&self, m: usize) -> Vec<f64> {
        let mut gamma = vec![0.0; m];
        gamma[m - 1] = 1.0;
        self.x.iter().zip(&self.beta).for_each(|(&column, beta)| gamma[column] = -beta);
        gamma
    }
}
