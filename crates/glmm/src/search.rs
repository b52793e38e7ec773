//! The search for the optimum: joint Newton steps in β and θ.

use crate::criterion::{AllModes, Criterion, Evaluation};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use tiers_reml::{Criterion as Minimised, NewtonSettings, Step, minimise, nearly_singular};

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GlmmStatus {
    /// At a minimum with all covariance matrices of full rank.
    Converged,
    /// At a minimum where a variance is zero or a correlation ±1 (a singular fit). This is a valid result.
    Boundary,
    /// The limit of evaluations was reached, or no step lowered the criterion.
    NotConverged,
    /// Covariates predict outcomes with certainty: some coefficients grow without end, and have no estimates.
    Separated,
    /// Every group of a level has a single outcome: its variance grows without end.
    NotIdentified,
}

impl GlmmStatus {
    /// Whether the search ended at estimates.
    pub fn has_estimates(self) -> bool {
        matches!(self, GlmmStatus::Converged | GlmmStatus::Boundary)
    }
}

/// The optimum of a criterion.
#[derive(Debug)]
pub(crate) struct Optimum {
    pub(crate) at: Evaluation,
    pub(crate) hessian: DMatrix<f64>,
    pub(crate) status: GlmmStatus,
    /// Coordinates that are exactly zero at a singular optimum.
    pub(crate) zero: Vec<bool>,
    pub(crate) evaluations: usize,
    pub(crate) trace: Vec<Step>,
    pub(crate) decrement: f64,
}

/// Largest rise of the criterion, relative and absolute, when a variance is set to exactly zero.
const SNAP: f64 = 1e-9;

/// Thresholds for singular values of a scaled factor that may be exactly zero.
const NEARLY_SINGULAR: [f64; 3] = [1e-2, 1e-4, 1e-6];

/// Receives the evaluations of a search; returns `false` to cancel it.
pub(crate) type Observe<'o> = &'o mut dyn FnMut(f64, &Step) -> bool;

/// Finds the optimum; `None` if the observer cancels.
pub(crate) fn search(criterion: &Criterion<'_>, settings: &NewtonSettings, observe: Observe<'_>) -> Option<Optimum> {
    let beta = criterion.without_effects();
    let mut best = from_start(criterion, &beta, 0.5, settings, observe)?;
    if best.status != GlmmStatus::Converged {
        // An optimum on the boundary may be local: search again from further out.
        let other = from_start(criterion, &beta, 1.5, settings, observe)?;
        let evaluations = best.evaluations + other.evaluations;
        let mut trace = std::mem::take(&mut best.trace);
        trace.extend(other.trace.iter().cloned());
        let lower = other.at.value < best.at.value - 1e-7 * (1.0 + 1e-6 * best.at.value.abs());
        let better = other.status != GlmmStatus::NotConverged && (lower || best.status == GlmmStatus::NotConverged);
        if better {
            best = other;
        }
        (best.evaluations, best.trace) = (evaluations, trace);
    }
    Some(best)
}

fn from_start(
    criterion: &Criterion<'_>,
    beta: &[f64],
    size: f64,
    settings: &NewtonSettings,
    observe: Observe<'_>,
) -> Option<Optimum> {
    let theta = criterion.shape.entries.iter().map(|&(_, row, column)| if row == column { size } else { 0.0 });
    let start: Vec<f64> = beta.iter().copied().chain(theta).collect();
    let mut problem = Problem { criterion, warm: criterion.no_modes(), observe, cancelled: false };
    let found = minimise(&mut problem, &start, settings);
    if problem.cancelled {
        return None;
    }
    let p = criterion.shape.p;
    let (mut at, mut evaluations, mut trace) = (found.at, found.evaluations, found.trace);
    let mut zero = vec![false; criterion.len()];
    let mut singular = false;
    let mut tried: Option<Vec<f64>> = None;
    for threshold in NEARLY_SINGULAR.into_iter().filter(|_| found.converged) {
        let Some((snapped, _)) = nearly_singular(&criterion.parameters, &at.coordinates[p..], threshold) else { break };
        if tried.as_ref() == Some(&snapped) {
            continue;
        }
        let coordinates: Vec<f64> = at.coordinates[..p].iter().chain(&snapped).copied().collect();
        let next = criterion.evaluate(&coordinates, at.modes.clone());
        evaluations += 1;
        let accepted = next.value <= at.value + SNAP * (1.0 + at.value.abs());
        trace.push(Step { criterion: Some(next.value), step: 0.0, accepted });
        if accepted {
            (at, singular) = (next, true);
            zero.iter_mut().zip(&at.coordinates).skip(p).for_each(|(zero, value)| *zero = *value == 0.0);
            break;
        }
        tried = Some(snapped);
    }
    let hessian = criterion.hessian(&at);
    let rounding = 16.0 * f64::EPSILON * at.value.abs();
    let converged = found.converged && found.decrement <= 4.0 * settings.tolerance.max(rounding);
    let status = match (converged, singular) {
        (false, _) => GlmmStatus::NotConverged,
        (true, true) => GlmmStatus::Boundary,
        (true, false) => GlmmStatus::Converged,
    };
    let mut out = Optimum { at, hessian, status, zero, evaluations, trace, decrement: found.decrement };
    out.flip(criterion);
    Some(out)
}

impl Optimum {
    /// Makes the diagonals of the factors non-negative; the signs of their columns are arbitrary.
    fn flip(&mut self, criterion: &Criterion<'_>) {
        let p = criterion.shape.p;
        let signs = criterion.parameters.signs(&self.at.coordinates[p..]);
        let all = DVector::from_iterator(criterion.len(), std::iter::repeat_n(1.0, p).chain(signs.iter().copied()));
        self.at.coordinates.iter_mut().zip(all.iter()).for_each(|(c, s)| *c *= s);
        self.at.gradient.component_mul_assign(&all);
        self.hessian.component_mul_assign(&(&all * all.transpose()));
        for (e, sign) in criterion.shape.entries.iter().zip(&signs) {
            let &(k, row, column) = e;
            if row == column && *sign < 0.0 {
                let r = criterion.shape.path.r(k);
                for modes in &mut self.at.modes {
                    modes[k].iter_mut().skip(column).step_by(r).for_each(|u| *u = -*u);
                }
            }
        }
    }
}

/// The criterion as the optimiser uses it.
struct Problem<'a, 'o> {
    criterion: &'a Criterion<'a>,
    /// Modes of the last evaluation, from which the next one starts.
    warm: AllModes,
    observe: Observe<'o>,
    cancelled: bool,
}

impl Minimised for Problem<'_, '_> {
    type At = Evaluation;
    type Second = DMatrix<f64>;

    fn evaluate(&mut self, coordinates: &[f64]) -> Evaluation {
        let evaluation = self.criterion.evaluate(coordinates, self.warm.clone());
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
        self.criterion.hessian(at)
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
