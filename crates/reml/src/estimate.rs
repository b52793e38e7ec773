//! From an objective to its optimum: start, minimise, decide about the boundary.

use crate::newton::{self, Criterion, Minimum, Settings, Step, minimise_while};
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
    search(objective, settings, &mut |theta, step| {
        observe(theta, step);
        true
    })
}

/// [`optimise`] as long as `observe` returns true; `None` where it called the search off.
pub fn optimise_while(
    objective: &Objective<'_>,
    settings: &Settings,
    observe: &mut dyn FnMut(&[f64], &Step) -> bool,
) -> Option<Optimum> {
    let mut go_on = true;
    let found = search(objective, settings, &mut |theta, step| {
        go_on = go_on && observe(theta, step);
        go_on
    });
    go_on.then_some(found)
}

fn search(objective: &Objective<'_>, settings: &Settings, observe: &mut dyn FnMut(&[f64], &Step) -> bool) -> Optimum {
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
    settle(&mut problem, start, settings, &mut |_, _| true)
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
    let exact = hessian_g.is_none();
    let coordinates = objective.parameters.clone();
    let mut problem = Problem { objective, scratch, exact, coordinates, hessian_g, ends_with_second: false };
    let found = descend(&mut problem, &[start.to_vec()], (0, Vec::new()), settings, &mut |_, _| true);
    (found, problem.scratch)
}

/// With more groups than this the steps do without the second derivatives of log|X'V⁻¹X|.
const EXACT_UP_TO: usize = 50_000;

struct Problem<'a, 'm> {
    objective: &'a Objective<'m>,
    scratch: Scratch,
    exact: bool,
    /// The coordinates of the steps: those of the objective, but for the order of rows.
    coordinates: Parameters,
    /// Second derivatives by the entries of G that serve at every point.
    hessian_g: Option<&'a DMatrix<f64>>,
    /// Whether the optimum gets second derivatives of its own.
    ends_with_second: bool,
}

/// An evaluation as the optimiser sees it.
struct Point {
    at: Evaluation,
    coordinates: Vec<f64>,
    /// By the coordinates; zero where the criterion does not exist.
    gradient: DVector<f64>,
}

/// Second derivatives as the optimiser sees them.
struct Curvature {
    second: SecondDerivatives,
    hessian: DMatrix<f64>,
}

impl<'a, 'm> Problem<'a, 'm> {
    fn new(objective: &'a Objective<'m>) -> Self {
        let groups: usize = objective.model().forest.levels.iter().map(|level| level.groups).sum();
        let coordinates = objective.parameters.clone();
        Problem {
            objective,
            scratch: objective.scratch(),
            exact: groups <= EXACT_UP_TO,
            coordinates,
            hessian_g: None,
            ends_with_second: true,
        }
    }

    /// Second derivatives at an evaluation; all zero where the criterion does not exist.
    fn curvature(&self, at: &Evaluation) -> SecondDerivatives {
        if at.criterion.is_finite() && self.hessian_g.is_none() {
            return self.objective.second_derivatives_by(at, self.exact);
        }
        let zero = |size: usize| DMatrix::zeros(size, size);
        let theta = zero(self.coordinates.len());
        let g = self.hessian_g.cloned().unwrap_or_else(|| zero(self.coordinates.directions.len()));
        let [log_det, pwrss, log_det_xx] = [g.clone(), g.clone(), g.clone()];
        SecondDerivatives { hessian: theta, hessian_g: g, log_det, pwrss, log_det_xx }
    }

    /// The criterion with its gradient at theta.
    fn at(&mut self, theta: &[f64]) -> Evaluation {
        self.objective.evaluate(theta, true, &mut self.scratch)
    }
}

impl Criterion for Problem<'_, '_> {
    type At = Point;

    fn evaluate(&mut self, coordinates: &[f64]) -> Point {
        let theta = self.objective.parameters.from_factors(&self.coordinates.factors(coordinates));
        let at = self.at(&theta);
        let gradient = match at.criterion.is_finite() {
            true => self.coordinates.chain(coordinates, &at.gradient_g, None).0,
            false => DVector::zeros(coordinates.len()),
        };
        Point { at, coordinates: coordinates.to_vec(), gradient }
    }

    fn value(point: &Point) -> f64 {
        point.at.criterion
    }

    fn gradient(point: &Point) -> &DVector<f64> {
        &point.gradient
    }

    type Second = Curvature;

    fn second(&mut self, point: &Point) -> Curvature {
        let second = self.curvature(&point.at);
        let hessian = match point.at.criterion.is_finite() {
            true => {
                let (g, h) = (&point.at.gradient_g, Some(&second.hessian_g));
                self.coordinates.chain(&point.coordinates, g, h).1.expect("asked for")
            }
            false => second.hessian.clone(),
        };
        Curvature { second, hessian }
    }

    fn hessian(curvature: &Curvature) -> &DMatrix<f64> {
        &curvature.hessian
    }

    fn shown(point: &Point) -> &[f64] {
        &point.at.theta
    }

    fn better_coordinates(&mut self, point: &mut Point) -> Option<Vec<f64>> {
        if !point.at.criterion.is_finite() {
            return None;
        }
        let factors = self.coordinates.factors(&point.coordinates);
        self.coordinates = self.coordinates.pivoted(&factors)?;
        point.coordinates = self.coordinates.from_factors(&factors);
        point.gradient = self.coordinates.chain(&point.coordinates, &point.at.gradient_g, None).0;
        Some(point.coordinates.clone())
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
    observe: &mut dyn FnMut(&[f64], &Step) -> bool,
) -> Optimum {
    let (starts, evaluations, trace) = improve(problem, start, observe);
    descend(problem, &starts, (evaluations, trace), settings, observe)
}

/// The second half of [`settle`]: from the first start, or the second where the criterion does not
/// exist at the first.
fn descend(
    problem: &mut Problem<'_, '_>,
    starts: &[Vec<f64>],
    (mut evaluations, mut trace): (usize, Vec<Step>),
    settings: &Settings,
    observe: &mut dyn FnMut(&[f64], &Step) -> bool,
) -> Optimum {
    let mut from = |start: &[f64]| {
        problem.coordinates = problem.objective.parameters.clone();
        let found = minimise_while(problem, start, settings, observe);
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
    let snapped = if converged { nearly_singular(parameters, &at.theta) } else { None };
    if let Some((snapped, which)) = snapped {
        let next = problem.at(&snapped);
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
    // The optimiser's last second derivatives are those of the step before; where they are cheap,
    // inference gets them at the very point.
    if problem.ends_with_second && (problem.exact || singular.iter().any(|s| *s)) {
        second = problem.curvature(&at);
    }
    flip(parameters, &mut at, &mut second);
    let status = match (converged, singular.iter().any(|s| *s)) {
        (false, _) => Status::NotConverged,
        (true, true) => Status::Boundary,
        (true, false) => Status::Converged,
    };
    Optimum { at, second, status, evaluations, trace, decrement, singular }
}

/// Scaled entries beyond this leave too few digits of S to tell one point from another.
const FARTHEST_START: f64 = 1e6;

/// Better starts, best first: one step of MINQUE lands near the optimum where there is much data;
/// then the start itself.
///
/// Where the criterion does not exist in floating point (factors so large that nothing is left of
/// S), or would be all rounding, it starts nearer to zero.
fn improve(
    problem: &mut Problem<'_, '_>,
    start: &[f64],
    observe: &mut dyn FnMut(&[f64], &Step) -> bool,
) -> (Vec<Vec<f64>>, usize, Vec<Step>) {
    let mut trace = Vec::new();
    let mut try_at = |problem: &mut Problem<'_, '_>, theta: &[f64]| {
        let at = problem.at(theta);
        let criterion = at.criterion.is_finite().then_some(at.criterion);
        let step = Step { criterion, step: 0.0, accepted: criterion.is_some() };
        observe(theta, &step);
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
        let second = problem.objective.second_derivatives_by(&at, false);
        problem.objective.minque(&at, &second)
    });
    let evaluations = trace.len();
    (improved.into_iter().chain([start]).collect(), evaluations, trace)
}

/// Signs of a factor's columns are arbitrary: makes the diagonals not negative.
fn flip(parameters: &Parameters, at: &mut Evaluation, second: &mut SecondDerivatives) {
    // Where the criterion does not exist there are no derivatives either.
    if !at.criterion.is_finite() {
        return;
    }
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
