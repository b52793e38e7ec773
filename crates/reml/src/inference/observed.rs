//! The observed information about the variance parameters.

use crate::estimate::Optimum;
use crate::objective::{Method, Objective};
use nalgebra::DMatrix;

/// Exact Hessian at an optimum of the unprofiled criterion `log|V| + nu log(2π σ²) + pwrss/σ²`
/// (REML: `+ log|X'V⁻¹X|`), β profiled out, in ψ = (λ, σ²), λ the scaled entries of the
/// factors.
///
/// Twice its inverse is the asymptotic covariance of ψ. By symmetry, a zero column of a factor has no
/// covariance with the other parameters.
pub(crate) fn hessian(objective: &Objective<'_>, optimum: &Optimum) -> DMatrix<f64> {
    let (at, second, nu) = (&optimum.at, &optimum.second, objective.nu());
    let (d, p) = (objective.parameters.directions.len(), at.fixed.beta.len());
    let sigma2 = at.fixed.pwrss / nu;
    let d_pwrss = objective.d_pwrss(at);
    // In the entries of G and σ².
    let mut gradient = &at.d_log_det + &d_pwrss / sigma2;
    let mut inner = &second.log_det + &second.pwrss / sigma2;
    if objective.method == Method::Reml {
        inner += &second.log_det_xx;
        for (g, d_s) in gradient.iter_mut().zip(&at.d_s) {
            *g += at.fixed.xx_inverse.dot(&d_s.view((0, 0), (p, p)));
        }
    }
    // Convert to the entries of the factors, in which the boundary needs no special treatment.
    let (_, inner) = objective.parameters.chain(&optimum.scaled, &gradient, Some(&inner));
    let cross = -(objective.parameters.jacobian(&optimum.scaled).transpose() * &d_pwrss) / (sigma2 * sigma2);
    let mut hessian = DMatrix::zeros(d + 1, d + 1);
    hessian.view_mut((0, 0), (d, d)).copy_from(&inner.expect("asked for"));
    hessian.view_mut((0, d), (d, 1)).copy_from(&cross);
    hessian.view_mut((d, 0), (1, d)).copy_from(&cross.transpose());
    hessian[(d, d)] = nu / (sigma2 * sigma2);
    hessian
}
