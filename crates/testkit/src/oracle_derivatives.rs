//! Derivatives of the criterion by the textbook trace formulas, and by differences.
//!
//! With V̇_i = ∂V/∂θ_i and V̈_ij = ∂²V/∂θ_i∂θ_j (Harville 1977):
//!
//! ```text
//! ∂_i log|V|                = tr(V⁻¹ V̇_i)
//! ∂_i (log|V| + log|X'V⁻¹X|) = tr(P V̇_i)
//! ∂_i y'Py                  = −y'P V̇_i P y
//! ∂_ij log|V|               = tr(V⁻¹ V̈_ij) − tr(V⁻¹ V̇_i V⁻¹ V̇_j),   REML: P in place of V⁻¹
//! ∂_ij y'Py                 = 2 y'P V̇_i P V̇_j P y − y'P V̈_ij P y
//! ```

use crate::oracle::{Method, Problem};
use nalgebra::{DMatrix, DVector};

/// One entry of θ: its term and its position in Λ_k.
#[derive(Clone, Copy, Debug)]
struct Place {
    term: usize,
    row: usize,
    col: usize,
}

impl Problem {
    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (term, t) in self.terms.iter().enumerate() {
            let r = t.z.ncols();
            for col in 0..r {
                places.extend((col..r).map(|row| Place { term, row, col }));
            }
        }
        places
    }

    /// Returns ∂V/∂θ_i for every i.
    pub fn v_dot(&self, theta: &[f64]) -> Vec<DMatrix<f64>> {
        let lambdas = self.lambdas(theta);
        let derivative = |at: Place| {
            let lambda = &lambdas[at.term];
            let mut unit = DMatrix::zeros(lambda.nrows(), lambda.ncols());
            unit[(at.row, at.col)] = 1.0;
            self.outer(at.term, &(&unit * lambda.transpose() + lambda * unit.transpose()))
        };
        self.places().into_iter().map(derivative).collect()
    }

    /// Returns ∂²V/∂θ_i∂θ_j; it is nonzero if both are in the same column of the same Λ_k.
    pub fn v_dot_dot(&self, i: usize, j: usize) -> Option<DMatrix<f64>> {
        let places = self.places();
        let (a, b) = (places[i], places[j]);
        if a.term != b.term || a.col != b.col {
            return None;
        }
        let r = self.terms[a.term].z.ncols();
        let mut second = DMatrix::zeros(r, r);
        second[(a.row, b.row)] += 1.0;
        second[(b.row, a.row)] += 1.0;
        Some(self.outer(a.term, &second))
    }

    /// Returns the exact gradient of the criterion in θ.
    pub fn gradient(&self, theta: &[f64], method: Method) -> DVector<f64> {
        let parts = self.parts(theta);
        let py = &parts.p * &self.y;
        let sigma2 = self.y.dot(&py) / self.dof(method);
        let trace_of = if method == Method::Reml { &parts.p } else { &parts.v_inv };
        let entries =
            self.v_dot(theta).into_iter().map(|v_dot| trace_of.dot(&v_dot) - py.dot(&(&v_dot * &py)) / sigma2);
        DVector::from_iterator(self.theta_len(), entries)
    }

    /// Returns the exact Hessian of the criterion in θ.
    pub fn hessian(&self, theta: &[f64], method: Method) -> DMatrix<f64> {
        let parts = self.parts(theta);
        let py = &parts.p * &self.y;
        let (pwrss, dof) = (self.y.dot(&py), self.dof(method));
        let trace_of = if method == Method::Reml { &parts.p } else { &parts.v_inv };
        let v_dot = self.v_dot(theta);
        let products: Vec<_> = v_dot.iter().map(|v| trace_of * v).collect();
        let first: Vec<_> = v_dot.iter().map(|v| -py.dot(&(v * &py))).collect();
        DMatrix::from_fn(theta.len(), theta.len(), |i, j| {
            let mut log_det = -products[i].dot(&products[j].transpose());
            let mut second = 2.0 * (&v_dot[i] * &py).dot(&(&parts.p * (&v_dot[j] * &py)));
            if let Some(v) = self.v_dot_dot(i, j) {
                log_det += trace_of.dot(&v);
                second -= py.dot(&(&v * &py));
            }
            log_det + dof * (second / pwrss - first[i] * first[j] / (pwrss * pwrss))
        })
    }

    /// Returns the gradient by central differences of the criterion, extrapolated once (Richardson).
    pub fn gradient_by_differences(&self, theta: &[f64], method: Method) -> DVector<f64> {
        let f = |t: &[f64]| DVector::from_element(1, self.criterion(t, method));
        DVector::from_iterator(theta.len(), (0..theta.len()).map(|i| difference(f, theta, i)[0]))
    }

    /// Returns the Hessian by central differences of the exact gradient, extrapolated once.
    pub fn hessian_by_differences(&self, theta: &[f64], method: Method) -> DMatrix<f64> {
        let columns: Vec<_> = (0..theta.len()).map(|i| difference(|t| self.gradient(t, method), theta, i)).collect();
        DMatrix::from_columns(&columns)
    }
}

/// Returns ∂f/∂x_i by central differences with steps h and h/2, extrapolated.
pub fn difference(f: impl Fn(&[f64]) -> DVector<f64>, x: &[f64], i: usize) -> DVector<f64> {
    let central = |h: f64| {
        let mut at = x.to_vec();
        at[i] = x[i] + h;
        let above = f(&at);
        at[i] = x[i] - h;
        (above - f(&at)) / (2.0 * h)
    };
    let h = 1e-3 * x[i].abs().max(0.1);
    (central(h / 2.0) * 4.0 - central(h)) / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Checks, Tolerance};
    use crate::simulate::{Shape, simulate_nested};

    #[test]
    fn the_trace_formulas_agree_with_differences() {
        for seed in 0..12 {
            let sample = simulate_nested(seed, &Shape::any(seed));
            let (problem, theta) = (sample.problem(), sample.theta_near_truth(seed));
            let mut checks = Checks::new(format!("seed {seed}, {} levels", sample.levels.len()));
            for method in [Method::Reml, Method::Ml] {
                let (g, h) = (problem.gradient(&theta, method), problem.hessian(&theta, method));
                checks.vector(
                    "gradient",
                    &g,
                    &problem.gradient_by_differences(&theta, method),
                    Tolerance::both(1e-6, 1e-6),
                );
                checks.matrix(
                    "hessian",
                    &h,
                    &problem.hessian_by_differences(&theta, method),
                    Tolerance::both(1e-6, 1e-6),
                );
            }
        }
    }
}
