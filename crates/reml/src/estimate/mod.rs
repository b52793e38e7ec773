//! From an objective to its optimum: start, minimise, decide about the boundary.

mod boundary;
mod covariance_model;
mod evidence;
mod identified;
mod problem;

pub use evidence::{SearchError, find_optimum};

use crate::newton::{Minimum, Settings, Step, minimise};
use crate::objective::{Evaluation, Objective, PIVOT_ROUNDING, Scratch, SecondDerivatives};
use crate::parameters::{Entry, Parameters};
use boundary::{NEARLY_SINGULAR, flip, nearly_singular, terms};
use identified::{is_crowded, undetermined};
use nalgebra::DMatrix;
use problem::{Curvature, Point, Problem};
use serde::{Deserialize, Serialize};

/// How an optimisation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// At a minimum with all covariance matrices of full rank.
    Converged,
    /// At a minimum where a variance is zero or a correlation ±1: an answer, not a failure.
    Boundary,
    /// The limit of evaluations was reached first, or no step lowered the criterion.
    NotConverged,
}

/// The optimum of an objective.
#[derive(Debug)]
pub struct Optimum {
    /// Everything at the optimum.
    pub at: Evaluation,
    /// Second derivatives there.
    pub second: SecondDerivatives,
    /// How the optimisation ended.
    pub status: Status,
    /// Evaluations of criterion and gradient, those of second starts included.
    pub evaluations: usize,
    /// All trials.
    pub trace: Vec<Step>,
    /// Newton decrement at the end.
    pub decrement: f64,
    /// Per term whether its covariance matrix is singular, or has entries that the data do not determine:
    /// these have no standard errors.
    pub singular: Vec<bool>,
    /// Variances and covariances that the data determine only in combination, in words.
    pub undetermined: Vec<String>,
}

/// The criterion may rise by so much (relative, and absolute) when a variance is set to exactly zero.
const SNAP: f64 = 1e-10;

/// A rise beyond this is never taken for rounding.
const LARGEST_NOISE: f64 = 1e-6;

/// Receives every evaluation of a search, and may cancel it.
pub trait SearchObserver {
    /// Called after every evaluation, at this scaled theta. Return `false` to cancel the search.
    fn evaluated(&mut self, theta: &[f64], step: &Step) -> bool;
}

impl<F: FnMut(&[f64], &Step) -> bool> SearchObserver for F {
    fn evaluated(&mut self, theta: &[f64], step: &Step) -> bool {
        self(theta, step)
    }
}

/// An observer that lets the search go on.
fn go_on(_: &[f64], _: &Step) -> bool {
    true
}

/// Finds the optimum. `observe` is called after every evaluation with scaled theta.
pub fn optimise(objective: &Objective<'_>, settings: &Settings, observe: &mut dyn FnMut(&[f64], &Step)) -> Optimum {
    let mut observer = |theta: &[f64], step: &Step| {
        observe(theta, step);
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
        // Optima on the boundary need not be the only ones: look again from further out.
        let away = start_away(parameters, &best);
        best = better(best, converge_from(problem, &away, settings));
    }
    if is_crowded(problem.objective) {
        // So do models with as many effects as rows: look once more with each level in the lead.
        for level in 0..parameters.r.len() {
            if problem.cancelled {
                break;
            }
            best = better(best, converge_from(problem, &start_in_the_lead(parameters, level), settings));
        }
    }
    best
}

/// The lower of two optima, with the evaluations of both; the first unless the other is lower by more
/// than rounding.
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

/// The optimum reached from one given start; for tests of starts.
pub fn optimise_from(objective: &Objective<'_>, start: &[f64], settings: &Settings) -> Optimum {
    converge_from(&mut Problem::new(objective, &mut go_on), start, settings)
}

/// [`optimise_from`] unless the observer calls it off: then `None`.
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

/// The optimum near a start that is no more than some standard errors away, as a bootstrap's are.
///
/// With `hessian_g`, second derivatives by the entries of G at a point nearby, steps are by those
/// alone. The optimum has no second derivatives of its own. Gives the scratch back.
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

/// Diagonal factors of this size in scaled units: each level explains a like share.
fn start(parameters: &Parameters, size: f64) -> Vec<f64> {
    parameters.entries.iter().map(|e| if e.row == e.column { size } else { 0.0 }).collect()
}

/// A start on the other side of where the first one ended: large where that is small.
fn start_away(parameters: &Parameters, found: &Optimum) -> Vec<f64> {
    let entries = parameters.entries.iter().zip(&found.at.theta);
    entries.map(|(e, &t)| if e.row == e.column { if t.abs() < 0.5 { 1.5 } else { 0.2 } } else { 0.0 }).collect()
}

/// A start at which one level explains more than the others.
fn start_in_the_lead(parameters: &Parameters, level: usize) -> Vec<f64> {
    let size = |e: &Entry| if e.level == level { 1.5 } else { 0.2 };
    parameters.entries.iter().map(|e| if e.row == e.column { size(e) } else { 0.0 }).collect()
}

/// Minimises from one start, then sets to exactly zero what is zero up to rounding.
fn converge_from(problem: &mut Problem<'_, '_>, start: &[f64], settings: &Settings) -> Optimum {
    let (starts, trace) = improve(problem, start);
    descend(problem, &starts, trace, settings)
}

/// The second half of [`converge_from`]: from the first start, or the second where the criterion does not
/// exist at the first.
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
    let Minimum { at: Point { mut at, .. }, second: Curvature { mut second, .. }, converged, decrement, .. } = found;
    let parameters = &problem.objective.parameters;
    let mut singular = vec![false; terms(parameters)];
    // Exact zeros are far smaller than what may turn out to be one, so where the criterion rises with all
    // candidates at zero, the smaller ones are tried by themselves.
    let mut tried: Option<Vec<f64>> = None;
    for threshold in NEARLY_SINGULAR {
        let candidate =
            if converged && !problem.cancelled { nearly_singular(parameters, &at.theta, threshold) } else { None };
        let Some((snapped, which)) = candidate else { break };
        if tried.as_ref() == Some(&snapped) {
            continue;
        }
        let next = problem.at(&snapped);
        evaluations += 1;
        let rise = SNAP * (1.0 + at.criterion.abs()) + noise_of_columns(problem.objective, &at);
        let accepted = next.criterion <= at.criterion + rise;
        let step = Step { criterion: Some(next.criterion), step: 0.0, accepted };
        problem.tell(&snapped, &step);
        trace.push(step);
        if accepted {
            at = next;
            singular = which;
            break;
        }
        tried = Some(snapped);
    }
    // The optimiser's last second derivatives are those of the step before; where they are cheap,
    // inference gets them at the very point.
    if problem.ends_with_second && (problem.exact || singular.iter().any(|s| *s)) {
        second = problem.curvature(&at);
    }
    flip(parameters, &mut at, &mut second);
    // What is zero by symmetry has no gradient, so that setting it to zero leaves the decrement as it is.
    let rounding = 16.0 * f64::EPSILON * at.criterion.abs();
    let converged = converged && decrement <= 4.0 * settings.tolerance.max(rounding);
    let status = match (converged, singular.iter().any(|s| *s)) {
        (false, _) => Status::NotConverged,
        (true, true) => Status::Boundary,
        (true, false) => Status::Converged,
    };
    Optimum { at, second, status, evaluations, trace, decrement, singular, undetermined: Vec::new() }
}

/// How far two evaluations of one criterion may differ since columns of X nearly depend on each other: a
/// variance of zero must not be missed for it.
fn noise_of_columns(objective: &Objective<'_>, at: &Evaluation) -> f64 {
    (PIVOT_ROUNDING * at.loss_x * objective.model().p() as f64).min(LARGEST_NOISE)
}

/// Scaled entries beyond this leave too few digits of S to tell one point from another.
const FARTHEST_START: f64 = 1e6;

/// Better starts, best first: one step of MINQUE lands near the optimum where there is much data;
/// then the start itself.
///
/// Where the criterion does not exist in floating point (factors so large that nothing is left of
/// S), or would be all rounding, it starts nearer to zero.
fn improve(problem: &mut Problem<'_, '_>, start: &[f64]) -> (Vec<Vec<f64>>, Vec<Step>) {
    let mut trace = Vec::new();
    let mut try_at = |problem: &mut Problem<'_, '_>, theta: &[f64]| {
        let at = problem.at(theta);
        let criterion = at.criterion.is_finite().then_some(at.criterion);
        let step = Step { criterion, step: 0.0, accepted: criterion.is_some() };
        problem.tell(theta, &step);
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
        problem.objective.minque(&at, &second)
    });
    (improved.into_iter().chain([start]).collect(), trace)
}
