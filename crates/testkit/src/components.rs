//! Standard deviations, correlations and proportions of variance with their standard errors, by the
//! delta method on the formulas with V, with all derivatives by differences.

use crate::oracle::{Method, Problem, inverse_log_det};
use crate::oracle_derivatives::difference;
use nalgebra::{DMatrix, DVector};

impl Problem {
    /// Returns per term the lower triangle, by column, of standard deviations (diagonal) and correlations; then σ.
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

    /// Returns the -2 log-likelihood at β and at standard deviations, correlations and σ in the order of
    /// [`Problem::components`]; `None` if a correlation matrix is not positive definite.
    pub fn deviance_at(&self, components: &[f64], beta: &DVector<f64>) -> Option<f64> {
        let (sigma, mut entries) = (components.last()?, components.iter());
        let mut relative = Vec::new();
        for term in &self.terms {
            let r = term.z.ncols();
            let mut correlation = DMatrix::identity(r, r);
            let mut sd = DVector::zeros(r);
            for j in 0..r {
                sd[j] = *entries.next()?;
                for i in j + 1..r {
                    let value = *entries.next()?;
                    correlation[(i, j)] = value;
                    correlation[(j, i)] = value;
                }
            }
            correlation.clone().cholesky()?;
            let scale = DMatrix::from_diagonal(&(sd / *sigma));
            relative.push(&scale * correlation * &scale);
        }
        let (v_inv, log_det) = inverse_log_det(&self.v(&relative));
        let residual = &self.y - &self.x * beta;
        let constant = self.n() as f64 * (2.0 * std::f64::consts::PI * sigma * sigma).ln();
        Some(log_det + constant + residual.dot(&(v_inv * &residual)) / (sigma * sigma))
    }

    /// Returns the standard errors of functions of (θ, σ) at an interior optimum: `√(J 𝒱 J')`, where 𝒱 is
    /// twice the inverse Hessian of the unprofiled criterion.
    pub fn std_errors(&self, theta: &[f64], method: Method, of: impl Fn(&[f64], f64) -> Vec<f64>) -> Vec<f64> {
        let sigma = self.solve(theta, method).sigma2.sqrt();
        let hessian = self.hessian_unprofiled(theta, sigma, method);
        let covariance = hessian.try_inverse().expect("an interior optimum") * 2.0;
        let psi: Vec<f64> = theta.iter().copied().chain([sigma]).collect();
        let f = |psi: &[f64]| DVector::from_vec(of(&psi[..psi.len() - 1], psi[psi.len() - 1]));
        let columns: Vec<_> = (0..psi.len()).map(|i| difference(f, &psi, i)).collect();
        let jacobian = DMatrix::from_columns(&columns);
        (&jacobian * covariance * jacobian.transpose()).diagonal().map(f64::sqrt).as_slice().to_vec()
    }

    /// Returns the weighted variance of Xβ over the rows, with divisor n - 1.
    pub fn fixed_variance(&self, beta: &DVector<f64>) -> f64 {
        let fitted = &self.x * beta;
        let weights = self.weights.clone().unwrap_or_else(|| DVector::repeat(self.n(), 1.0));
        let (n, mean) = (self.n() as f64, weights.dot(&fitted) / weights.sum());
        let squares = fitted.map(|f| (f - mean).powi(2));
        weights.dot(&squares) / weights.sum() * n / (n - 1.0)
    }
}
