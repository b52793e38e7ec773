//! Satterthwaite's degrees of freedom from the exact observed information.

use super::{observed, packed};
use crate::estimate::Optimum;
use crate::objective::Objective;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use serde::{Deserialize, Serialize};

/// The terms of Satterthwaite's formula for a fit.
///
/// For a combination l, `df = 2 (l'Cl)² / g'𝒱g` with `C = Cov(β)`, `g = ∂(l'Cl)/∂ψ`, `ψ = (λ, σ²)`, λ the
/// scaled entries of the covariance factors, and `𝒱 = 2 H⁻¹` the covariance of ψ, H the Hessian of the
/// unprofiled criterion. Where a variance is zero its factor has `g = 0` by symmetry: it counts as known,
/// as in lmerTest. All quantities are those of the model's shifted columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Satterthwaite {
    #[serde(with = "packed::symmetric")]
    covariance: DMatrix<f64>,
    /// ∂C/∂ψ_i; the last one, with respect to σ², is `S_xx⁻¹`.
    #[serde(with = "packed::list")]
    derivatives: Vec<DMatrix<f64>>,
    /// 𝒱.
    #[serde(with = "packed::symmetric")]
    of_parameters: DMatrix<f64>,
}

impl Satterthwaite {
    /// Prepares the formula at an optimum.
    pub fn new(objective: &Objective<'_>, optimum: &Optimum) -> Self {
        let at = &optimum.at;
        let (d, p) = (objective.parameters.directions.len(), at.fixed.beta.len());
        let sigma2 = at.fixed.pwrss / objective.nu();
        let hessian = observed::hessian(objective, optimum);
        let jacobian = objective.parameters.jacobian(&optimum.scaled);

        let spread =
            |d_s: &DMatrix<f64>| -(&at.fixed.xx_inverse * d_s.view((0, 0), (p, p)) * &at.fixed.xx_inverse) * sigma2;
        let by_g: Vec<DMatrix<f64>> = at.d_s.iter().map(spread).collect();
        let mut derivatives: Vec<DMatrix<f64>> = (0..d)
            .map(|t| by_g.iter().enumerate().fold(DMatrix::zeros(p, p), |sum, (i, c)| sum + c * jacobian[(i, t)]))
            .collect();
        derivatives.push(at.fixed.xx_inverse.clone());
        Satterthwaite {
            covariance: packed::mirrored(&at.fixed.xx_inverse * sigma2),
            derivatives: derivatives.into_iter().map(packed::mirrored).collect(),
            of_parameters: packed::mirrored(2.0 * pseudo_inverse(&hessian)),
        }
    }

    /// `S_xx⁻¹`.
    pub(super) fn unscaled(&self) -> Option<&DMatrix<f64>> {
        self.derivatives.last()
    }

    /// Whether all parts are of p coefficients.
    pub(super) fn has_size(&self, p: usize) -> bool {
        self.covariance.nrows() == p
            && self.derivatives.iter().all(|c| c.nrows() == p)
            && self.of_parameters.nrows() == self.derivatives.len()
    }

    /// Whether the numbers are valid: finite and consistent, and C a covariance matrix.
    pub(super) fn is_sound(&self) -> bool {
        let all = [&self.covariance, &self.of_parameters].into_iter().chain(&self.derivatives);
        let finite = all.into_iter().all(|matrix| matrix.iter().all(|number| number.is_finite()));
        // C is σ² times its derivative with respect to σ².
        let proportional = self.derivatives.last().is_some_and(|last| {
            let scale = self.covariance.dot(last) / last.dot(last).max(f64::MIN_POSITIVE);
            (&self.covariance - last * scale).amax() <= 1e-9 * self.covariance.amax()
        });
        finite && proportional && super::is_covariance(&self.covariance)
    }

    /// Degrees of freedom of l'β.
    pub fn df(&self, l: &DVector<f64>) -> f64 {
        let form = |c: &DMatrix<f64>| l.dot(&(c * l));
        let variance = form(&self.covariance);
        let g = DVector::from_iterator(self.derivatives.len(), self.derivatives.iter().map(form));
        2.0 * variance * variance / g.dot(&(&self.of_parameters * &g))
    }
}

/// Inverse over the directions with curvature, after scaling rows and columns to a unit diagonal.
pub(crate) fn pseudo_inverse(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    let scale = matrix.diagonal().map(|v| if v > 0.0 { 1.0 / v.sqrt() } else { 1.0 });
    let scaled = DMatrix::from_fn(matrix.nrows(), matrix.ncols(), |i, j| matrix[(i, j)] * scale[i] * scale[j]);
    let eigen = SymmetricEigen::new(scaled);
    let inverse = eigen.eigenvalues.map(|v| if v > 1e-9 { 1.0 / v } else { 0.0 });
    let inverse = &eigen.eigenvectors * DMatrix::from_diagonal(&inverse) * eigen.eigenvectors.transpose();
    DMatrix::from_fn(matrix.nrows(), matrix.ncols(), |i, j| inverse[(i, j)] * scale[i] * scale[j])
}
