//! Steps by a model of the criterion that is quadratic in the covariances G rather than in the coordinates.
//!
//! `q(t) = g'ΔG + ΔG'HΔG/2` with `ΔG = ΛΛ' - Λ_0Λ_0'` matches the criterion's derivatives at t_0 to
//! second order, as the quadratic in the coordinates t does, and has two advantages. Where the data determine only the
//! sum of two variances, t moves along a circle but G along a straight line, so that one step covers
//! what takes dozens of straight steps in t. And where a variance is near zero, q is of fourth order
//! in t, as the criterion is.

use crate::newton::Quadratic;
use crate::parameters::Parameters;
use nalgebra::{DMatrix, DVector};

/// The model around one point.
pub(super) struct CovarianceModel<'a> {
    coordinates: &'a Parameters,
    start: DVector<f64>,
    /// The entries of G at the start.
    g: DVector<f64>,
    gradient: &'a DVector<f64>,
    hessian: &'a DMatrix<f64>,
}

/// Largest number of steps within the model, each by its quadratic approximation at that point.
const STEPS: usize = 300;

impl<'a> CovarianceModel<'a> {
    /// Builds the model at the coordinates `t` from the criterion's derivatives by the entries of G.
    pub(super) fn new(
        coordinates: &'a Parameters,
        t: &[f64],
        gradient: &'a DVector<f64>,
        hessian: &'a DMatrix<f64>,
    ) -> Self {
        let g = coordinates.covariances(t).entries(&coordinates.directions);
        CovarianceModel { coordinates, start: DVector::from_column_slice(t), g, gradient, hessian }
    }

    /// Returns a step no longer than `reach` that lowers the model, and the decrease.
    pub(super) fn step(&self, reach: f64) -> Option<(DVector<f64>, f64)> {
        let mut t = self.start.clone();
        let mut value = 0.0;
        let mut radius = 0.5 * reach;
        let mut quadratic = self.quadratic(&t);
        for _ in 0..STEPS {
            let (step, promised) = quadratic.step(radius);
            if promised <= 1e-13 {
                break;
            }
            let (part, leaves) = self.within(&t, &step, reach);
            let trial = &t + &step * part;
            let next = self.value(&trial);
            if next < value {
                (t, value) = (trial, next);
                if leaves {
                    break;
                }
                radius = if step.norm() > 0.8 * radius { 2.0 * radius } else { radius };
                quadratic = self.quadratic(&t);
            } else {
                radius = 0.25 * step.norm();
                if radius < 1e-9 * reach {
                    break;
                }
            }
        }
        (value < 0.0).then(|| (t - &self.start, -value))
    }

    /// The change of the entries of G from the start to the coordinates t.
    fn change(&self, t: &DVector<f64>) -> DVector<f64> {
        self.coordinates.covariances(t.as_slice()).entries(&self.coordinates.directions) - &self.g
    }

    fn value(&self, t: &DVector<f64>) -> f64 {
        let change = self.change(t);
        self.gradient.dot(&change) + 0.5 * change.dot(&(self.hessian * &change))
    }

    fn quadratic(&self, t: &DVector<f64>) -> Quadratic {
        let by_g = self.gradient + self.hessian * self.change(t);
        let (gradient, hessian) = self.coordinates.chain(t.as_slice(), &by_g, Some(self.hessian));
        Quadratic::new(&gradient, &hessian.expect("asked for"))
    }

    /// Returns the fraction of a step that stays within reach of the start, and whether it is below one.
    fn within(&self, t: &DVector<f64>, step: &DVector<f64>, reach: f64) -> (f64, bool) {
        let from = t - &self.start;
        if (&from + step).norm() <= reach {
            return (1.0, false);
        }
        // |from + t step| = reach
        let (a, b, c) = (step.norm_squared(), from.dot(step), from.norm_squared() - reach * reach);
        (((b * b - a * c).max(0.0).sqrt() - b) / a, true)
    }
}
