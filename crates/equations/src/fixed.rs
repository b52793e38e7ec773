//! Generalised least squares from `S = C'V⁻¹C`.

use crate::{EquationsError, Sums};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use tiers_moments::RowTotals;

/// Fixed effects at given relative covariances, in terms of the (shifted) columns of C.
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
    /// `(C'WC)_yy / pwrss`: the relative rounding error of pwrss is about 32 ε times this.
    pub loss_y: f64,
    /// The largest such ratio for the pivots of `X'V⁻¹X`, with the same meaning.
    pub loss_x: f64,
}

impl FixedEffects {
    /// Solves for β with `S = C'WC - downdate`; X consists of the columns `x` of C, y is the last column.
    ///
    /// # Errors
    /// If `S` over the columns [X, y] is not positive definite in floating point.
    pub fn new(totals: &RowTotals<'_>, sums: &Sums, x: &[usize]) -> Result<Self, EquationsError> {
        let p = x.len();
        let column = |i: usize| x.get(i).copied().unwrap_or(totals.y());
        let s = DMatrix::from_fn(p + 1, p + 1, |i, j| {
            totals.get(column(i), column(j)) - sums.downdate.get(column(i), column(j))
        });
        // The last row of the factor R of S is that of the residual: pwrss is the square of its diagonal.
        let r = Cholesky::<f64, Dyn>::new(s.clone()).ok_or(EquationsError::SingularFixedEffects)?.l();
        let loss = |j: usize| totals.get(column(j), column(j)) / r[(j, j)].powi(2);
        let factor = Cholesky::<f64, Dyn>::pack_dirty(r.view((0, 0), (p, p)).clone_owned());
        Ok(FixedEffects {
            x: x.to_vec(),
            beta: factor.solve(&s.view((0, p), (p, 1)).column(0).clone_owned()),
            xx_inverse: factor.inverse(),
            log_det_xx: 2.0 * (0..p).map(|j| r[(j, j)].ln()).sum::<f64>(),
            pwrss: r[(p, p)].powi(2),
            loss_y: loss(p),
            loss_x: (0..p).map(loss).fold(0.0, f64::max),
        })
    }

    /// Returns what stands for the fixed effects where `S` is not positive definite: β of zero, other figures
    /// NaN, and every digit lost.
    pub fn undefined(x: &[usize]) -> Self {
        let p = x.len();
        FixedEffects {
            x: x.to_vec(),
            beta: DVector::zeros(p),
            xx_inverse: DMatrix::zeros(p, p),
            log_det_xx: f64::NAN,
            pwrss: f64::NAN,
            loss_y: f64::INFINITY,
            loss_x: f64::INFINITY,
        }
    }

    /// Returns γ, the combination of the m columns of C that is the residual `y - Xβ`.
    pub fn residual(&self, m: usize) -> Vec<f64> {
        let mut gamma = vec![0.0; m];
        gamma[m - 1] = 1.0;
        self.x.iter().zip(&self.beta).for_each(|(&column, beta)| gamma[column] = -beta);
        gamma
    }
}
