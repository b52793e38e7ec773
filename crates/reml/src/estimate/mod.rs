//! Finds the optimum of an objective: chooses a start, minimises, and checks the boundary.

pub(crate) mod boundary;
mod covariance_model;
mod evidence;
mod identified;
mod minque;
mod problem;

pub use evidence::{SearchError, find_optimum};

use crate::fit::lme4_theta;
use crate::newton::{Minimum, Settings, Step, minimise};
use crate::objective::{Evaluation, Objective, PIVOT_ROUNDING, SecondDerivatives};
use crate::parameters::{Entry, Parameters};
use boundary::{NEARLY_SINGULAR, flip, nearly_singular, terms};
use identified::{is_crowded, undetermined};
use minque::minque;
use nalgebra::{DMatrix, DVector};
use problem::{Curvature, Point, Problem};
use serde::{Deserialize, Serialize};
use tiers_equations::Scratch;

/// How an optimisation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// At a minimum with all covariance matrices of full rank.
    Converged,
    /// At a minimum where a variance is zero or a correlation ±1 (a singular fit). This is a valid result.
    Boundary,
    /// The limit of evaluations was reached, or no step lowered the criterion.
    NotConverged,
}

/// The optimum of an objective.
#[derive(Debug)]
pub struct Optimum {
    /// Evaluation at the optimum.
    pub at: Evaluation,
    /// The scaled entries of the factors there, in the layout of [`Objective::parameters`]: the coordinates
    /// from which another search can start. For lme4's theta see [`crate::Variances::theta`].
    pub scaled: Vec<f64>,
    /// Second derivatives at the optimum.
    pub second: SecondDerivatives,
    /// How the optimisation ended.
    pub status: Status,
    /// Evaluations of criterion and gradient, including those of further starts.
    pub evaluations: usize,
    /// All trials.
    pub trace: Vec<Step>,
    /// Newton decrement at the end.
    pub decrement: f64,
    /// Per term, whether its covariance matrix is singular or has entries that the data do not determine;
    /// such terms have no standard errors.
    pub singular: Vec<bool>,
    /// Names of variances and covariances that the data determine only in combination.
    pub undetermined: Vec<String>,
}

impl Optimum {
    /// Returns the gradient of the criterion by the scaled entries of the factors.
    pub fn gradient(&self, objective: &Objective<'_>) -> DVector<f64> {
        match self.at.gradient.is_empty() {
            true => DVector::zeros(self.scaled.len()),
            false => objective.parameters.chain(&self.scaled, &self.at.gradient, None).0,
        }
    }

    /// Returns the second derivatives of the criterion by the scaled entries of the factors.
    pub fn hessian(&self, objective: &Objective<'_>) -> DMatrix<f64> {
        match self.at.gradient.is_empty() {
            true => DMatrix::zeros(self.scaled.len(), self.scaled.len()),
            false => {
                let hessian = Some(&self.second.hessian);
                objective.parameters.chain(&self.scaled, &self.at.gradient, hessian).1.expect("asked for")
            }
        }
    }
}

/// Largest rise of the criterion (relative, and absolute) when a variance is set to exactly zero.
const SNAP: f64 = 1e-10;

/// A larger rise is never taken for rounding error.
const LARGEST_NOISE: f64 = 1e-6;

/// Receives every evaluation of a search, and may cancel it.
pub trait SearchObserver {
    /// Called after every evaluation. Return `false` to cancel the search.
    fn evaluated(&mut self, trial: &Trial<'_>, step: &Step) -> bool;
}

/// A point that a search evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    objective: &'a Objective<'a>,
    scaled: &'a [f64],
}

impl Trial<'_> {
    /// lme4's theta there: entries of the relative covariance factors, terms in lme4's order.
    pub fn theta(&self) -> Vec<f64> {
        lme4_theta(self.objective, self.scaled)
    }
}

impl<F: FnMut(&Trial<'_>, &Step) -> bool> SearchObserver for F {
    fn evaluated(&mut self, trial: &Trial<'_>, step: &Step) -> bool {
        self(trial, step)
    }
}

/// An observer that never cancels the search.
fn go_on(_: &Trial<'_>, _: &Step) -> bool {
    true
}

/// Finds the optimum. `observe` is called after every evaluation.
pub fn optimise(objective: &Objective<'_>, settings: &Settings, observe: &mut dyn FnMut(&Trial<'_>, &Step)) -> Optimum {
    let mut observer = |trial: &Trial<'_>, step: &Step| {
        observe(trial, step);
        true
    };
    search(&mut Problem::new(objective, &mut observer), settings)
}

/// [`optimise`], or `None` if the observer cancels it.
pub fn optimise_while(
    objective: &Objective<'_>,
    settings: &Settings,
    observer: &mut dyn SearchObserver,
) -> Option<Optimum> {
    let mut problem = Problem::new(objective, observer);
    let found = search(&mut problem, settings);
    (!problem.cancelled).then_some(found)
}

fn search(problem: &mut Problem<'_, '_>, settings: &Settings) -> Optimum {
    let parameters = &problem.objective.parameters;
    let mut best = converge_from(problem, &start(parameters, 0.5), settings);
    if best.singular.iter().any(|s| *s) && parameters.len() > 1 && !problem.cancelled {
        // An optimum on the boundary may be local: search again from further out.
        let away = start_away(parameters, &best);
        best = better(best, converge_from(problem, &away, settings));
    }
    if is_crowded(problem.objective) {
        // Models with as many effects as rows may have several optima, too: search again with each level
        // leading.
        for level in 0..parameters.r.len() {
            if problem.cancelled {
                break;
            }
            best = better(best, converge_from(problem, &start_in_the_lead(parameters, level), settings));
        }
    }
    best
}

/// Returns the lower of two optima, with the evaluations of both; the first one unless the other is lower
/// by more than rounding error.
fn better(mut best: Optimum, other: Optimum) -> Optimum {
    let evaluations = best.evaluations + other.evaluations;
    let lower = other.at.criterion < best.at.criterion - 1e-7 * (1.0 + best.at.criterion.abs() * 1e-6);
    let mut trace = std::mem::take(&mut best.trace);
    trace.extend(other.trace.iter().cloned());
    if lower {
        best = other;
    }
    (best.evaluations, best.trace) = (evaluations, trace);
    best
}

/// Returns the optimum reached from one given start; for tests of starts.
pub fn optimise_from(objective: &Objective<'_>, start: &[f64], settings: &Settings) -> Optimum {
    converge_from(&mut Problem::new(objective, &mut go_on), start, settings)
}

/// [`optimise_from`] with an observer; `None` if it cancels the search.
pub(crate) fn optimise_from_while(
    objective: &Objective<'_>,
    start: &[f64],
    settings: &Settings,
    observer: &mut dyn SearchObserver,
) -> Option<Optimum> {
    let mut problem = Problem::new(objective, observer);
    let found = converge_from(&mut problem, start, settings);
    (!problem.cancelled).then_some(found)
}

/// Finds the optimum near a start that is at most a few standard errors away, as in a bootstrap.
///
/// With `hessian_g`, second derivatives by the entries of G at a nearby point, steps use only those. The
/// optimum gets no second derivatives of its own. Returns the scratch for reuse.
pub(crate) fn optimise_near(
    objective: &Objective<'_>,
    scratch: Scratch,
    start: &[f64],
    hessian_g: Option<&DMatrix<f64>>,
    settings: &Settings,
) -> (Optimum, Scratch) {
    let mut observer = go_on;
    let mut problem = Problem::with_scratch(objective, scratch, &mut observer);
    (problem.exact, problem.hessian_g, problem.ends_with_second) = (hessian_g.is_none(), hessian_g, false);
    let found = descend(&mut problem, &[start.to_vec()], Vec::new(), settings);
    (found, problem.scratch)
}

/// Diagonal factors of this size in scaled units, so that each level explains a similar share.
fn start(parameters: &Parameters, size: f64) -> Vec<f64> {
    parameters.entries.iter().map(|e| if e.row == e.column { size } else { 0.0 }).collect()
}

/// A start far from the first optimum: large where that is small, and the reverse.
fn start_away(parameters: &Parameters, found: &Optimum) -> Vec<f64> {
    let entries = parameters.entries.iter().zip(&found.scaled);
    entries.map(|(e, &t)| if e.row == e.column { if t.abs() < 0.5 { 1.5 } else { 0.2 } } else { 0.0 }).collect()
}

/// A start where one level explains more than the others.
fn start_in_the_lead(parameters: &Parameters, level: usize) -> Vec<f64> {
    let size = |e: &Entry| if e.level == level { 1.5 } else { 0.2 };
    parameters.entries.iter().map(|e| if e.row == e.column { size(e) } else { 0.0 }).collect()
}

/// Minimises from one start, then sets variances that are zero up to rounding error to exactly zero.
fn converge_from(problem: &mut Problem<'_, '_>, start: &[f64], settings: &Settings) -> Optimum {
    let (starts, trace) = improve(problem, start);
    descend(problem, &starts, trace, settings)
}

/// The second half of [`converge_from`]: minimises from the first start, or from the second if the criterion
/// does not exist at the first.
fn descend(problem: &mut Problem<'_, '_>, starts: &[Vec<f64>], mut trace: Vec<Step>, settings: &Settings) -> Optimum {
    let mut evaluations = trace.len();
    let mut from = |start: &[f64]| {
        problem.coordinates = problem.objective.parameters.clone();
        let found = minimise(problem, start, settings);
        evaluations += found.evaluations;
        trace.extend(found.trace.iter().cloned());
        found
    };
    let mut found = from(&starts[0]);
    if !found.at.at.criterion.is_finite() && starts.len() > 1 {
        found = from(&starts[1]);
    }
    let Minimum {
        at: Point { mut at, mut scaled, .. },
        second: Curvature { mut second, .. },
        converged,
        decrement,
        ..
    } = found;
    let parameters = &problem.objective.parameters;
    let mut singular = vec![false; terms(parameters)];
    // True zeros end far below the first threshold, so if the criterion rises with all candidates set to
    // zero, try only the smaller ones.
    let mut tried: Option<Vec<f64>> = None;
    for threshold in NEARLY_SINGULAR {
        let candidate =
            if converged && !problem.cancelled { nearly_singular(parameters, &scaled, threshold) } else { None };
        let Some((snapped, which)) = candidate else { break };
        if tried.as_ref() == Some(&snapped) {
            continue;
        }
        let next = problem.at(&snapped);
        evaluations += 1;
        let rise = SNAP * (1.0 + at.criterion.abs()) + noise_of_columns(problem.objective, &at);
        let accepted = next.criterion <= at.criterion + rise;
        let step = Step { criterion: Some(next.criterion), step: 0.0, accepted };
        problem.report(&snapped, &step);
        trace.push(step);
        if accepted {
            (at, scaled) = (next, snapped);
            singular = which;
            break;
        }
        tried = Some(snapped);
    }
    // The optimiser's last second derivatives are from the step before; where they are cheap, compute
    // them at the optimum for inference.
    if problem.ends_with_second && (problem.exact || singular.iter().any(|s| *s)) {
        second = problem.curvature(&at);
    }
    flip(parameters, &mut scaled, &mut at);
    // Parameters that are zero by symmetry have no gradient, so setting them to zero keeps the decrement.
    let rounding = 16.0 * f64::EPSILON * at.criterion.abs();
    let converged = converged && decrement <= 4.0 * settings.tolerance.max(rounding);
    let status = match (converged, singular.iter().any(|s| *s)) {
        (false, _) => Status::NotConverged,
        (true, true) => Status::Boundary,
        (true, false) => Status::Converged,
    };
    Optimum { at, scaled, second, status, evaluations, trace, decrement, singular, undetermined: Vec::new() }
}

/// Largest difference of two evaluations of a criterion due to nearly dependent columns of X, allowed for so
/// that a variance of zero is recognised.
fn noise_of_columns(objective: &Objective<'_>, at: &Evaluation) -> f64 {
    (PIVOT_ROUNDING * at.fixed.loss_x * objective.model().p() as f64).min(LARGEST_NOISE)
}

/// Larger scaled entries leave too few digits of S to distinguish points.
const FARTHEST_START: f64 = 1e6;

/// Returns improved starts, best first: one step of MINQUE, which with much data is near the optimum, and
/// then the start itself.
///
/// Where the criterion does not exist in floating point (factors so large that nothing is left of
/// S), or would be dominated by rounding error, it starts closer to zero.
fn improve(problem: &mut Problem<'_, '_>, start: &[f64]) -> (Vec<Vec<f64>>, Vec<Step>) {
    let mut trace = Vec::new();
    let mut try_at = |problem: &mut Problem<'_, '_>, scaled: &[f64]| {
        let at = problem.at(scaled);
        let criterion = at.criterion.is_finite().then_some(at.criterion);
        let step = Step { criterion, step: 0.0, accepted: criterion.is_some() };
        problem.report(scaled, &step);
        trace.push(step);
        criterion.map(|_| at)
    };
    let largest = start.iter().fold(0.0_f64, |m, t| m.max(t.abs()));
    let nearer = if largest > FARTHEST_START { FARTHEST_START / largest } else { 1.0 };
    let mut start: Vec<f64> = start.iter().map(|t| t * nearer).collect();
    let found = (0..30).find_map(|_| {
        let at = try_at(problem, &start);
        if at.is_none() {
            start.iter_mut().for_each(|t| *t *= 0.1);
        }
        at
    });
    let improved = found.and_then(|at| {
        let second = problem.second_derivatives(&at, false);
        problem.undetermined = undetermined(problem, &at, &second);
        minque(problem.objective, &at, &second)
    });
    (improved.into_iter().chain([start]).collect(), trace)
}
