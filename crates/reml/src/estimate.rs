//! From an objective to its optimum: start, minimise, decide about the boundary.

use crate::newton::{self, Criterion, Minimum, Settings, Step, minimise};
use crate::objective::{Evaluation, Objective, Scratch, SecondDerivatives};
use crate::parameters::{Parameters, lower_triangular};
use nalgebra::{DMatrix, DVector};
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
    /// Per term whether its covariance matrix is singular.
    pub singular: Vec<bool>,
}

/// A singular value of a scaled factor below this may turn out to be zero.
const NEARLY_SINGULAR: f64 = 1e-2;

/// The criterion may rise by so much (relative, and absolute) when a variance is set to exactly zero.
const SNAP: f64 = 1e-10;

/// Finds the optimum. `observe` is called after every evaluation with scaled theta.
pub fn optimise(objective: &Objective<'_>, settings: &Settings, observe: &mut dyn FnMut(&[f64], &Step)) -> Optimum {
    let mut problem = Problem::new(objective);
    let start = start(&objective.parameters, 0.5);
    let mut best = settle(&mut problem, &start, settings, observe);
    if best.singular.iter().any(|s| *s) && objective.parameters.len() > 1 {
        // Optima on the boundary need not be the only ones: look again from further out.
        let again = start_away(&objective.parameters, &best);
        let other = settle(&mut problem, &again, settings, observe);
        let evaluations = best.evaluations + other.evaluations;
        let lower = other.at.criterion < best.at.criterion - 1e-7 * (1.0 + best.at.criterion.abs() * 1e-6);
        let mut trace = std::mem::take(&mut best.trace);
        trace.extend(other.trace.iter().cloned());
        if lower {
            best = other;
        }
        (best.evaluations, best.trace) = (evaluations, trace);
    }
    best
}

/// The optimum reached from one given start; for tests of starts.
pub fn optimise_from(objective: &Objective<'_>, start: &[f64], settings: &Settings) -> Optimum {
    let mut problem = Problem::new(objective);
    settle(&mut problem, start, settings, &mut |_, _| {})
}

/// With more groups than this the steps do without the second derivatives of log|X'V⁻¹X|.
const EXACT_UP_TO: usize = 50_000;

struct Problem<'a, 'm> {
    objective: &'a Objective<'m>,
    scratch: Scratch,
    exact: bool,
}

impl<'a, 'm> Problem<'a, 'm> {
    fn new(objective: &'a Objective<'m>) -> Self {
        let groups: usize = objective.model().forest.levels.iter().map(|level| level.groups).sum();
        Problem { objective, scratch: objective.scratch(), exact: groups <= EXACT_UP_TO }
    }
}

impl Criterion for Problem<'_, '_> {
    type At = Evaluation;

    fn evaluate(&mut self, theta: &[f64]) -> Evaluation {
        self.objective.evaluate(theta, true, &mut self.scratch)
    }

    fn value(at: &Evaluation) -> f64 {
        at.criterion
    }

    fn gradient(at: &Evaluation) -> &DVector<f64> {
        &at.gradient
    }

    type Second = SecondDerivatives;

    fn second(&mut self, at: &Evaluation) -> SecondDerivatives {
        self.objective.second_derivatives_by(at, self.exact)
    }

    fn hessian(second: &SecondDerivatives) -> &DMatrix<f64> {
        &second.hessian
    }
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

/// Minimises from one start, then sets to exactly zero what is zero up to rounding.
fn settle(
    problem: &mut Problem<'_, '_>,
    start: &[f64],
    settings: &Settings,
    observe: &mut dyn FnMut(&[f64], &Step),
) -> Optimum {
    let (start, mut evaluations, mut trace) = improve(problem, start, observe);
    let found = minimise(problem, &start, settings, observe);
    evaluations += found.evaluations;
    trace.extend(found.trace);
    let Minimum { mut at, mut second, converged, decrement, .. } = found;
    let parameters = &problem.objective.parameters;
    let mut singular = vec![false; terms(parameters)];
    if converged {
        if let Some((snapped, which)) = nearly_singular(parameters, &at.theta) {
            let next = problem.evaluate(&snapped);
            evaluations += 1;
            let accepted = next.criterion <= at.criterion + SNAP * (1.0 + at.criterion.abs());
            let step = newton::Step { criterion: Some(next.criterion), step: 0.0, accepted };
            observe(&snapped, &step);
            trace.push(step);
            if accepted {
                at = next;
                singular = which;
            }
        }
    }
    // The optimiser's last second derivatives are those of the step before; where they are cheap,
    // inference gets them at the very point.
    if problem.exact || singular.iter().any(|s| *s) {
        second = problem.second(&at);
    }
    flip(parameters, &mut at, &mut second);
    let status = match (converged, singular.iter().any(|s| *s)) {
        (false, _) => Status::NotConverged,
        (true, true) => Status::Boundary,
        (true, false) => Status::Converged,
    };
    Optimum { at, second, status, evaluations, trace, decrement, singular }
}

/// One step of MINQUE from a start: with much data it lands near the optimum.
fn improve(
    problem: &mut Problem<'_, '_>,
    start: &[f64],
    observe: &mut dyn FnMut(&[f64], &Step),
) -> (Vec<f64>, usize, Vec<Step>) {
    let at = problem.evaluate(start);
    let step = Step { criterion: at.criterion.is_finite().then_some(at.criterion), step: 0.0, accepted: true };
    observe(start, &step);
    let improved = step.criterion.and_then(|_| {
        let second = problem.objective.second_derivatives_by(&at, false);
        problem.objective.minque(&at, &second)
    });
    (improved.unwrap_or_else(|| start.to_vec()), 1, vec![step])
}

/// Signs of a factor's columns are arbitrary: makes the diagonals not negative.
fn flip(parameters: &Parameters, at: &mut Evaluation, second: &mut SecondDerivatives) {
    let signs = DVector::from_vec(parameters.signs(&at.theta));
    at.theta.iter_mut().zip(signs.iter()).for_each(|(t, s)| *t *= s);
    at.gradient.component_mul_assign(&signs);
    second.hessian.component_mul_assign(&(&signs * signs.transpose()));
}

fn terms(parameters: &Parameters) -> usize {
    parameters.entries.iter().map(|e| e.term + 1).max().unwrap_or(0)
}

/// theta with the small singular values of its factors set to zero, and the terms this concerns;
/// `None` where there are none.
fn nearly_singular(parameters: &Parameters, theta: &[f64]) -> Option<(Vec<f64>, Vec<bool>)> {
    let mut out = theta.to_vec();
    let mut which = vec![false; terms(parameters)];
    for (term, singular) in which.iter_mut().enumerate() {
        let entries: Vec<usize> = (0..theta.len()).filter(|&i| parameters.entries[i].term == term).collect();
        let Some(start) = entries.iter().map(|&i| parameters.entries[i].row).min() else { continue };
        let size = entries.iter().map(|&i| parameters.entries[i].row).max().map_or(0, |row| row + 1 - start);
        let mut block = DMatrix::zeros(size, size);
        for &i in &entries {
            block[(parameters.entries[i].row - start, parameters.entries[i].column - start)] = theta[i];
        }
        let mut svd = block.svd(true, true);
        let largest = svd.singular_values.max();
        for value in svd.singular_values.iter_mut() {
            if *value < NEARLY_SINGULAR * largest.max(1.0) {
                *value = 0.0;
                *singular = true;
            }
        }
        if *singular {
            let lower = lower_triangular(&svd.recompose().expect("both sides were computed"));
            for &i in &entries {
                let entry = parameters.entries[i];
                out[i] = lower[(entry.row - start, entry.column - start)];
            }
        }
    }
    which.iter().any(|s| *s).then_some((out, which))
}
