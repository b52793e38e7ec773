//! MINQUE: improved variances from one evaluation.

use crate::objective::{Evaluation, Objective, SecondDerivatives};
use nalgebra::{DMatrix, DVector};

/// Improves the covariances by MINQUE (Rao 1971) with the present ones as prior; returns scaled entries of
/// their factors.
///
/// Equates the quadratic forms `y'PV_iPy` to their expectations, which are linear in the
/// variances. The solution is consistent whatever the prior, so with much data it is near the
/// optimum. (V⁻¹ replaces P in the traces, which matters little for a start.) Returns `None`
/// where the equations have no useful solution.
pub(super) fn minque(objective: &Objective<'_>, at: &Evaluation, second: &SecondDerivatives) -> Option<Vec<f64>> {
    let d = objective.directions().len();
    let gamma = Objective::residual_combination(&at.fixed.beta);
    let g = at.covariances.entries(objective.directions());
    let traces = -&second.log_det;
    let forms = DVector::from_iterator(d, at.d_s.iter().map(|d_s| -gamma.dot(&(d_s * &gamma))));
    // The terms of the residual variance follow from V = V_0 + Σ g_i V_i.
    let with_residual = &at.d_log_det - &traces * &g;
    let n = objective.nu();
    let residual = n - 2.0 * g.dot(&at.d_log_det) + g.dot(&(&traces * &g));
    let mut system = DMatrix::zeros(d + 1, d + 1);
    system.view_mut((0, 0), (d, d)).copy_from(&traces);
    system.view_mut((0, d), (d, 1)).copy_from(&with_residual);
    system.view_mut((d, 0), (1, d)).copy_from(&with_residual.transpose());
    system[(d, d)] = residual;
    let right = DVector::from_fn(d + 1, |i, _| if i < d { forms[i] } else { at.fixed.pwrss - g.dot(&forms) });
    let variances = system.lu().solve(&right)?;
    let sigma2 = variances[d];
    if !(sigma2 > 0.0 && variances.iter().all(|v| v.is_finite())) {
        return None;
    }
    Some(objective.parameters.from_covariances(|i| variances[i] / sigma2))
}
