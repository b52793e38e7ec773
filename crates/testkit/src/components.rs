//! Standard deviations, correlations and shares of variance with their standard errors, by the delta
//! method on the formulas with V, all derivatives by differences.

use crate::oracle::{Method, Problem};
use crate::oracle_derivatives::difference;
use nalgebra::DVector;

impl Problem {
    /// Per term the lower triangle by column of standard deviations (diagonal) and correlations, then σ.
    pub fn components(&self, theta: &[f64], sigma: f64) -> Vec<f64> {
        let mut out = Vec::new();
        for g in self.relative(theta) {
            for j in 0..g.nrows() {
                out.push(sigma * g[(j, j)].sqrt());
                out.extend((j + 1..g.nrows()).map(|i| g[(i, j)] / (g[(i, i)] * g[(j, j)]).sqrt()));
            }
        }
        out.push(sigma);
        out
    }

    /// Standard errors of functions of (θ, σ) at an optimum in the inside: `√(J 𝒱 J')`, 𝒱 twice the
    /// inverse Hessian of the unprofiled criterion.
    pub fn std_errors(&self, theta: &[f64], method: Method, of: impl Fn(&[f64], f64) -> Vec<f64>) -> Vec<f64> {
        let sigma = self.solve(theta, method).sigma2.sqrt();
        let hessian = self.hessian_unprofiled(theta, sigma, method);
        let covariance = hessian.try_inverse().expect("an interior optimum") * 2.0;
        let psi: Vec<f64> = theta.iter().copied().chain([sigma]).collect();
        let f = |psi: &[f64]| DVector::from_vec(of(&psi[..psi.len() - 1], psi[psi.len() - 1]));
        let columns: Vec<_> = (0..psi.len()).map(|i| difference(f, &psi, i)).collect();
        let jacobian = nalgebra::DMatrix::from_columns(&columns);
        (&jacobian * covariance * jacobian.transpose()).diagonal().map(f64::sqrt).as_slice().to_vec()
    }

    /// Variance of Xβ over the rows with divisor n - 1, rows counted by their weights.
    pub fn fixed_variance(&self, beta: &DVector<f64>) -> f64 {
        let fitted = &self.x * beta;
        let weights = self.weights.clone().unwrap_or_else(|| DVector::repeat(self.n(), 1.0));
        let (n, mean) = (self.n() as f64, weights.dot(&fitted) / weights.sum());
        let squares = fitted.map(|f| (f - mean).powi(2));
        weights.dot(&squares) / weights.sum() * n / (n - 1.0)
    }
}
