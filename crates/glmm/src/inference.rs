//! Covariances of the estimates, from the joint Hessian in β and θ.

use crate::criterion::Criterion;
use crate::search::Optimum;
use nalgebra::DMatrix;

/// Covariances of the estimates: `2 H⁻¹`.
pub(crate) struct Inference {
    /// Covariance of β for the columns as shifted; `None` if the Hessian is not positive definite.
    pub(crate) shifted: Option<DMatrix<f64>>,
    /// Covariance of the entries of Λ (for the columns as shifted), with zeros for those that are exactly zero.
    pub(crate) lambda: Option<DMatrix<f64>>,
    /// Covariance of β and the entries of Λ together.
    pub(crate) joint: Option<DMatrix<f64>>,
}

impl Inference {
    pub(crate) fn new(criterion: &Criterion<'_>, optimum: &Optimum) -> Inference {
        let (n, p) = (criterion.len(), criterion.shape.p);
        let free: Vec<usize> = (0..n).filter(|&i| !optimum.zero[i]).collect();
        let hessian = optimum.hessian.select_rows(&free).select_columns(&free);
        let Some(cholesky) = (hessian * 0.5).cholesky() else {
            return Inference { shifted: None, lambda: None, joint: None };
        };
        let inverse = cholesky.inverse();
        let scale = |i: usize| match i.checked_sub(p) {
            None => criterion.beta_scale[i],
            Some(e) => {
                let (k, row, _) = criterion.shape.entries[e];
                criterion.parameters.scale[k][row]
            }
        };
        let mut all = DMatrix::zeros(n, n);
        for (a, &i) in free.iter().enumerate() {
            for (b, &j) in free.iter().enumerate() {
                all[(i, j)] = inverse[(a, b)] * scale(i) * scale(j);
            }
        }
        let shifted = Some(all.view((0, 0), (p, p)).into_owned());
        Inference { shifted, lambda: Some(all.view((p, p), (n - p, n - p)).into_owned()), joint: Some(all) }
    }

    /// The covariance of β, or zero if there is none.
    pub(crate) fn shifted_or_zero(&self, p: usize) -> DMatrix<f64> {
        self.shifted.clone().unwrap_or_else(|| DMatrix::zeros(p, p))
    }
}
