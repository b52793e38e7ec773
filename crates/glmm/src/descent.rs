//! One descent to a minimum, with Hessians as exact as they are cheap.
//!
//! A criterion whose Hessian is computed directly gets it at every step. Where it takes many evaluations, as by
//! quadrature, a Hessian that is known near the start is updated by the gradients of the steps (BFGS) while it
//! predicts them, and computed again where it does not, and at the end.

use crate::criterion::{AllModes, Evaluation};
use crate::search::{Objective, Observe, Start};
use nalgebra::{Cholesky, DMatrix, DVector};
use tiers_reml::{Criterion as Minimised, Minimum, NewtonSettings, Step, minimise};

/// The end of a descent.
pub(crate) struct Descent {
    pub(crate) at: Evaluation,
    /// The Hessian there, if it was computed.
    pub(crate) hessian: Option<DMatrix<f64>>,
    pub(crate) converged: bool,
    pub(crate) evaluations: usize,
    pub(crate) trace: Vec<Step>,
    pub(crate) decrement: f64,
}

/// A Hessian is kept while the change of the gradient that it does not predict is at most this share of the change,
/// squared and in the metric of the inverse Hessian.
const PREDICTED: f64 = 0.25;

/// Largest number of descents, each from the end of the last with the Hessian there.
const DESCENTS: usize = 4;

/// Descends from a start; `None` if the observer cancels.
pub(crate) fn descend(
    objective: &dyn Objective,
    start: Start,
    settings: &NewtonSettings,
    observe: Observe<'_>,
) -> Option<Descent> {
    let updates = objective.evaluations_of_hessian() > 0;
    let coordinates = start.coordinates.clone();
    let mut problem = Problem::new(objective, start, observe);
    let mut found = problem.minimise(&coordinates, settings)?;
    let mut hessian = None;
    for _ in 1..DESCENTS {
        if !updates || !found.converged {
            break;
        }
        let exact = problem.compute(&found.at);
        let decrement = decrement(&found.at.gradient, &exact);
        let rounding = 16.0 * f64::EPSILON * found.at.value.abs();
        if decrement.is_some_and(|decrement| decrement <= 2.0 * settings.tolerance.max(rounding)) {
            (found.decrement, hessian) = (decrement.unwrap_or(found.decrement), Some(exact));
            break;
        }
        let again = problem.minimise(&found.at.coordinates.clone(), settings)?;
        found = Minimum {
            evaluations: found.evaluations + again.evaluations,
            trace: found.trace.into_iter().chain(again.trace).collect(),
            ..again
        };
    }
    let evaluations = found.evaluations + problem.hessians * objective.evaluations_of_hessian();
    let Minimum { at, converged, trace, decrement, .. } = found;
    Some(Descent { at, hessian, converged, evaluations, trace, decrement })
}

/// Descends without a check of the end by another Hessian; returns the number of Hessians computed, too. `None` if the
/// observer cancels.
pub(crate) fn approach(
    objective: &dyn Objective,
    start: Start,
    settings: &NewtonSettings,
    observe: Observe<'_>,
) -> Option<(Minimum<Evaluation, DMatrix<f64>>, usize)> {
    let coordinates = start.coordinates.clone();
    let mut problem = Problem::new(objective, start, observe);
    let found = problem.minimise(&coordinates, settings)?;
    Some((found, problem.hessians))
}

/// `g'H⁻¹g`; `None` if H is not positive definite.
fn decrement(gradient: &DVector<f64>, hessian: &DMatrix<f64>) -> Option<f64> {
    let solved = Cholesky::new(hessian.clone())?.solve(gradient);
    Some(gradient.dot(&solved))
}

/// A Hessian, and where it holds.
struct Known {
    coordinates: DVector<f64>,
    /// None at a start whose gradient was not computed yet.
    gradient: Option<DVector<f64>>,
    hessian: DMatrix<f64>,
}

impl Known {
    /// The Hessian at another point by the rule of Broyden, Fletcher, Goldfarb and Shanno; `None` if this one did not
    /// predict the gradient there.
    fn updated(self, at: &Evaluation) -> Option<DMatrix<f64>> {
        let step = DVector::from_column_slice(&at.coordinates) - &self.coordinates;
        let Some(gradient) = self.gradient.filter(|_| step.amax() > 0.0) else { return Some(self.hessian) };
        let change = &at.gradient - gradient;
        let predicted = &self.hessian * &step;
        let cholesky = Cholesky::new(self.hessian.clone())?;
        let size = |v: &DVector<f64>| v.dot(&cholesky.solve(v));
        let along = change.dot(&step);
        let is_good = size(&(&change - &predicted)) <= PREDICTED * size(&change) && along > 0.0;
        let curvature = predicted.dot(&step);
        is_good.then(|| {
            &self.hessian + &change * change.transpose() / along - &predicted * predicted.transpose() / curvature
        })
    }
}

/// The criterion as the optimiser uses it.
struct Problem<'a, 'o> {
    objective: &'a dyn Objective,
    /// Modes of the last evaluation, from which the next one starts.
    warm: AllModes,
    /// For criteria whose Hessian takes evaluations: the last one.
    known: Option<Known>,
    /// Number of Hessians computed.
    hessians: usize,
    observe: Observe<'o>,
    cancelled: bool,
}

impl<'a, 'o> Problem<'a, 'o> {
    fn new(objective: &'a dyn Objective, start: Start, observe: Observe<'o>) -> Problem<'a, 'o> {
        let coordinates = DVector::from_vec(start.coordinates);
        let known = start.hessian.map(|hessian| Known { coordinates, gradient: None, hessian });
        Problem { objective, warm: start.modes, known, hessians: 0, observe, cancelled: false }
    }

    /// Minimises from a start; `None` if the observer cancels.
    fn minimise(&mut self, start: &[f64], settings: &NewtonSettings) -> Option<Minimum<Evaluation, DMatrix<f64>>> {
        let found = minimise(self, start, settings);
        (!self.cancelled).then_some(found)
    }

    /// Computes the Hessian.
    fn compute(&mut self, at: &Evaluation) -> DMatrix<f64> {
        self.hessians += 1;
        let hessian = self.objective.hessian(at);
        self.keep(at, &hessian);
        hessian
    }

    fn keep(&mut self, at: &Evaluation, hessian: &DMatrix<f64>) {
        self.known = Some(Known {
            coordinates: DVector::from_column_slice(&at.coordinates),
            gradient: Some(at.gradient.clone()),
            hessian: hessian.clone(),
        });
    }
}

impl Minimised for Problem<'_, '_> {
    type At = Evaluation;
    type Second = DMatrix<f64>;

    fn evaluate(&mut self, coordinates: &[f64]) -> Evaluation {
        let evaluation = self.objective.evaluate(coordinates, self.warm.clone());
        if evaluation.value.is_finite() {
            self.warm.clone_from(&evaluation.modes);
        }
        evaluation
    }

    fn value(at: &Evaluation) -> f64 {
        at.value
    }

    fn gradient(at: &Evaluation) -> &DVector<f64> {
        &at.gradient
    }

    fn second(&mut self, at: &Evaluation) -> DMatrix<f64> {
        if self.objective.evaluations_of_hessian() == 0 {
            return self.objective.hessian(at);
        }
        match self.known.take().and_then(|known| known.updated(at)) {
            Some(hessian) => {
                self.keep(at, &hessian);
                hessian
            }
            None => self.compute(at),
        }
    }

    fn hessian(second: &DMatrix<f64>) -> &DMatrix<f64> {
        second
    }

    fn observe(&mut self, at: &Evaluation, step: &Step) -> bool {
        let go_on = (self.observe)(at.value, step);
        self.cancelled |= !go_on;
        go_on
    }
}
