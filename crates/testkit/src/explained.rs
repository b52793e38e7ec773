//! Proportions of explained variance (R²) and design effects, computed row by row.

use crate::oracle::{Method, Problem};
use nalgebra::DVector;

impl Problem {
    /// Marginal and conditional R² (Nakagawa and Schielzeth 2013; Johnson 2014): the variance of Xβ
    /// over the rows, the mean of the diagonal of ZΣZ', and σ². The rows are weighted.
    pub fn r_squared(&self, theta: &[f64], method: Method) -> (f64, f64) {
        let solution = self.solve(theta, method);
        let weights = self.weights.clone().unwrap_or_else(|| DVector::repeat(self.n(), 1.0));
        let mean = |values: &DVector<f64>| weights.dot(values) / weights.sum();
        let predicted = &self.x * &solution.beta;
        let around = predicted.map(|value| value - mean(&predicted));
        let n = self.n() as f64;
        let fixed = mean(&around.component_mul(&around)) * n / (n - 1.0);
        let by_row = (self.v(&self.relative(theta)).diagonal() - self.w_inv()) * solution.sigma2;
        let random = mean(&by_row);
        let total = fixed + random + solution.sigma2;
        (fixed / total, (fixed + random) / total)
    }

    /// Returns the design effect: the variance of the mean of all rows, divided by that of the same number
    /// of independent rows of the same variance. For random intercepts without weights.
    pub fn design_effect(&self, theta: &[f64]) -> f64 {
        let v = self.v(&self.relative(theta));
        let n = self.n() as f64;
        v.sum() / n / (v.trace() / n)
    }
}
