//! Minimisation of a smooth criterion: Newton's method in a trust region.
//!
//! Each step solves `min_s g's + s'Hs/2, |s| ≤ Δ` exactly by the eigenvectors of H (Moré & Sorensen
//! 1983), so that directions of negative curvature can be followed: at a variance of zero the gradient
//! vanishes by symmetry, and only the curvature distinguishes a saddle from an optimum.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// A criterion with two derivatives.
pub trait Criterion {
    /// The result of an evaluation.
    type At;
    /// Evaluates the criterion and its gradient.
    fn evaluate(&mut self, x: &[f64]) -> Self::At;
    /// Returns the value of the criterion; +∞ where it does not exist.
    fn value(at: &Self::At) -> f64;
    /// Returns the gradient with respect to the coordinates.
    fn gradient(at: &Self::At) -> &DVector<f64>;
    /// The second derivatives.
    type Second;
    /// Computes the second derivatives at a point that was evaluated.
    fn second(&mut self, at: &Self::At) -> Self::Second;
    /// Returns the Hessian with respect to the coordinates.
    fn hessian(second: &Self::Second) -> &DMatrix<f64>;
    /// Bound on the rounding error of the value. Smaller differences are meaningless; there the gradient
    /// decides which of two points is better.
    fn rounding(at: &Self::At) -> f64 {
        16.0 * f64::EPSILON * Self::value(at).abs()
    }
    /// Whether rounding error dominates the criterion here, so that no step is of use.
    fn is_noise(_at: &Self::At) -> bool {
        false
    }
    /// Called after every evaluation. Return `false` to cancel the search.
    fn observe(&mut self, _at: &Self::At, _step: &Step) -> bool {
        true
    }
    /// Returns a step of length ≤ radius by a model that is closer to the criterion than the quadratic
    /// one in the coordinates, and the decrease that it predicts; `None` for a Newton step. `evaluations` is the
    /// number of evaluations so far.
    fn curved_step(
        &self,
        _at: &Self::At,
        _second: &Self::Second,
        _radius: f64,
        _evaluations: usize,
    ) -> Option<(DVector<f64>, f64)> {
        None
    }
    /// Returns the same point in coordinates in which the criterion is closer to a quadratic, if there
    /// are such. From then on coordinates and all derivatives are in the new coordinates.
    fn better_coordinates(&mut self, _at: &mut Self::At) -> Option<Vec<f64>> {
        None
    }
}

/// Settings of the optimiser.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Largest number of evaluations (default 100).
    pub max_evaluations: usize,
    /// Stop once a Newton step is predicted to lower the criterion by less than this (default 1e-9).
    ///
    /// The criterion is a deviance, in which 1e-9 is far below statistical relevance. Since Newton's
    /// method converges quadratically, the final point is much closer to the optimum still.
    pub tolerance: f64,
    /// First radius of the trust region, in units of the coordinates (default 2).
    pub radius: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { max_evaluations: 100, tolerance: 1e-9, radius: 2.0 }
    }
}

/// One accepted or rejected trial of the optimiser.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// Criterion at the trial point; `None` where it does not exist there.
    pub criterion: Option<f64>,
    /// Length of the step in the coordinates; 0 for the start.
    pub step: f64,
    /// Whether the point was kept.
    pub accepted: bool,
}

/// The end of a minimisation.
#[derive(Debug)]
pub struct Minimum<At, Second> {
    /// The last accepted point.
    pub at: At,
    /// Second derivatives there or, after convergence, where the last step began: that step is a tiny
    /// part of a standard error.
    pub second: Second,
    /// Whether it converged.
    pub converged: bool,
    /// Evaluations of criterion and gradient.
    pub evaluations: usize,
    /// All trials.
    pub trace: Vec<Step>,
    /// Newton decrement `g'H⁻¹g` at the end: twice the decrease that another step would predict.
    pub decrement: f64,
}

/// Minimises a criterion from `start`. A cancelled search ends without having converged.
pub fn minimise<C: Criterion>(criterion: &mut C, start: &[f64], settings: &Settings) -> Minimum<C::At, C::Second> {
    let mut x = DVector::from_column_slice(start);
    let mut at = criterion.evaluate(start);
    let mut trace = Vec::new();
    let mut record = |criterion: &mut C, trial: &C::At, step: Step| {
        let go_on = criterion.observe(trial, &step);
        trace.push(step);
        go_on
    };
    let mut go_on = record(criterion, &at, Step { criterion: finite(C::value(&at)), step: 0.0, accepted: true });
    if let Some(better) = criterion.better_coordinates(&mut at) {
        x = DVector::from_vec(better);
    }
    let mut evaluations = 1;
    let mut radius = settings.radius;
    let mut second = criterion.second(&at);
    let mut quadratic = Quadratic::new(C::gradient(&at), C::hessian(&second));
    let mut converged = false;
    let mut failed = f64::INFINITY;
    while go_on && evaluations < settings.max_evaluations && C::value(&at).is_finite() && !C::is_noise(&at) {
        let rounding = 16.0 * f64::EPSILON * C::value(&at).abs();
        let (step, predicted) = quadratic.step(radius);
        // A step that the trust region shortens predicts a small decrease however far the optimum is, so
        // the full Newton step must predict as little. (Negative curvature has no full step; where the
        // region has become small, steps along it were tried and did not lower the criterion.)
        let promised = predicted.max(0.5 * quadratic.decrement());
        let last = promised <= settings.tolerance.max(rounding);
        if last && promised <= 1e-3 * rounding {
            converged = true;
            break;
        }
        let curved = if last { None } else { criterion.curved_step(&at, &second, radius, evaluations) };
        let (step, predicted) = curved.unwrap_or((step, predicted));
        let trial = &x + &step;
        let next = criterion.evaluate(trial.as_slice());
        evaluations += 1;
        let actual = C::value(&at) - C::value(&next);
        // Near the optimum rounding error hides the difference of the values; there the gradient decides.
        let noise = C::rounding(&at).max(C::rounding(&next));
        let shrinks = C::value(&next).is_finite() && C::gradient(&next).norm() <= C::gradient(&at).norm();
        let by_gradient = actual.abs() <= noise && shrinks;
        let accepted = actual > 0.05 * predicted || by_gradient;
        let trial_step = Step { criterion: finite(C::value(&next)), step: step.norm(), accepted };
        go_on = record(criterion, &next, trial_step);
        if !go_on {
            break;
        }
        if accepted {
            x = trial;
            at = next;
            if let Some(better) = criterion.better_coordinates(&mut at) {
                x = DVector::from_vec(better);
            }
        }
        if last {
            converged = true;
            break;
        }
        failed = if accepted { 1.2 * failed } else { step.norm() };
        let length = step.norm();
        radius = match actual / predicted {
            _ if by_gradient => radius,
            ratio if ratio.is_nan() || ratio < 0.25 => 0.25 * length,
            // A region that grew back at once to the length that failed would alternate between the two.
            ratio if ratio > 0.75 && length > 0.8 * radius => (3.0 * radius).min((0.4 * failed).max(radius)),
            _ => radius,
        };
        if accepted {
            second = criterion.second(&at);
            quadratic = Quadratic::new(C::gradient(&at), C::hessian(&second));
        } else if radius < 1e-12 * (1.0 + x.norm()) {
            break;
        }
    }
    let decrement = Quadratic::new(C::gradient(&at), C::hessian(&second)).decrement();
    Minimum { at, second, converged, evaluations, trace, decrement }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The quadratic model of the criterion around a point, in the eigenvectors of H.
pub(crate) struct Quadratic {
    vectors: DMatrix<f64>,
    values: DVector<f64>,
    /// Gradient in the eigenvectors.
    gradient: DVector<f64>,
}

impl Quadratic {
    pub(crate) fn new(gradient: &DVector<f64>, hessian: &DMatrix<f64>) -> Self {
        let eigen = SymmetricEigen::new(hessian.clone());
        let gradient = eigen.eigenvectors.transpose() * gradient;
        Quadratic { vectors: eigen.eigenvectors, values: eigen.eigenvalues, gradient }
    }

    /// `g'H⁻¹g` over the directions that have curvature.
    fn decrement(&self) -> f64 {
        let floor = self.floor();
        let term = |(g, v): (&f64, &f64)| if *v > floor { g * g / v } else { 0.0 };
        self.gradient.iter().zip(self.values.iter()).map(term).sum()
    }

    /// Curvature below this counts as zero, as along a rotation of a singular factor.
    fn floor(&self) -> f64 {
        1e-10 * self.values.amax()
    }

    /// Returns the step of length ≤ radius that lowers the quadratic model most, and the decrease.
    pub(crate) fn step(&self, radius: f64) -> (DVector<f64>, f64) {
        let floor = self.floor();
        let lowest = self.values.min();
        let scaled = |shift: f64| {
            DVector::from_fn(self.values.len(), |i, _| {
                let curvature = self.values[i] + shift;
                if curvature > floor { -self.gradient[i] / curvature } else { 0.0 }
            })
        };
        let newton = scaled(0.0);
        let mut step = if lowest >= -floor && newton.norm() <= radius {
            newton
        } else {
            // The shift makes H + shift I positive definite and the step as long as the radius.
            let (mut low, mut high) = ((-lowest).max(0.0), (-lowest).max(0.0) + self.gradient.norm() / radius + floor);
            for _ in 0..200 {
                let middle = 0.5 * (low + high);
                if scaled(middle).norm() > radius { low = middle } else { high = middle }
            }
            scaled(high)
        };
        if lowest < -floor && step.norm() < 0.99 * radius {
            // The hard case: no gradient along the direction of negative curvature.
            let i = self.values.imin();
            let rest = (radius * radius - step.norm_squared() + step[i] * step[i]).max(0.0).sqrt();
            step[i] = if self.gradient[i] > 0.0 { -rest } else { rest };
        }
        let change: f64 = (0..step.len()).map(|i| step[i] * (self.gradient[i] + 0.5 * self.values[i] * step[i])).sum();
        (&self.vectors * step, -change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (x² - 1)² + (y - x)²: two minima, a saddle at the origin with zero gradient.
    struct TwoWells;

    impl Criterion for TwoWells {
        type At = (Vec<f64>, f64, DVector<f64>);
        fn evaluate(&mut self, t: &[f64]) -> Self::At {
            let (x, y) = (t[0], t[1]);
            let value = (x * x - 1.0).powi(2) + (y - x).powi(2);
            let gradient = DVector::from_vec(vec![4.0 * x * (x * x - 1.0) - 2.0 * (y - x), 2.0 * (y - x)]);
            (t.to_vec(), value, gradient)
        }
        fn value(at: &Self::At) -> f64 {
            at.1
        }
        fn gradient(at: &Self::At) -> &DVector<f64> {
            &at.2
        }
        type Second = DMatrix<f64>;
        fn second(&mut self, at: &Self::At) -> DMatrix<f64> {
            DMatrix::from_row_slice(2, 2, &[12.0 * at.0[0].powi(2) - 2.0, -2.0, -2.0, 2.0])
        }
        fn hessian(second: &DMatrix<f64>) -> &DMatrix<f64> {
            second
        }
    }

    #[test]
    fn leaves_a_saddle_where_the_gradient_is_zero() {
        let end = minimise(&mut TwoWells, &[0.0, 0.0], &Settings::default());
        assert!(end.converged && end.at.1 < 1e-18, "{end:?}");
        assert!((end.at.0[0].abs() - 1.0).abs() < 1e-9);
    }

    /// A criterion that every step makes worse, though its gradient predicts the contrary: noise.
    struct Noise;

    impl Criterion for Noise {
        type At = (f64, DVector<f64>);
        fn evaluate(&mut self, t: &[f64]) -> Self::At {
            (1.0 + f64::from(u8::from(t[0] != 0.0)), DVector::from_vec(vec![1.0]))
        }
        fn value(at: &Self::At) -> f64 {
            at.0
        }
        fn gradient(at: &Self::At) -> &DVector<f64> {
            &at.1
        }
        type Second = DMatrix<f64>;
        fn second(&mut self, _: &Self::At) -> DMatrix<f64> {
            DMatrix::from_element(1, 1, 1.0)
        }
        fn hessian(second: &DMatrix<f64>) -> &DMatrix<f64> {
            second
        }
    }

    #[test]
    fn a_trust_region_that_shrinks_to_zero_is_not_convergence() {
        let end = minimise(&mut Noise, &[0.0], &Settings::default());
        assert!(!end.converged && end.decrement > 0.1, "{end:?}");
    }

    #[test]
    fn converges_from_afar() {
        let end = minimise(&mut TwoWells, &[30.0, -20.0], &Settings::default());
        assert!(end.converged && end.at.1 < 1e-18 && end.evaluations < 30, "{end:?}");
    }
}
