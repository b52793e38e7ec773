//! Computes the profile of one parameter: walks outwards from the estimate in steps of ζ, to the ends of the
//! interval.

use super::constrained::{Constrained, Hold, Point, metric};
use super::coordinates::Coordinates;
use super::{Base, End, Target};
use crate::components::Component;
use crate::objective::Objective;
use crate::watched::Watched;
use nalgebra::{DMatrix, DVector};
use tiers_equations::Scratch;

/// Approximate number of steps to an interval end.
const STEPS: f64 = 4.0;

/// Largest number of points on one side, and of steps to an end.
const MOST: usize = 60;

/// Largest error of the rise of the deviance at an end, apart from rounding error.
const TOLERANCE: f64 = 1e-8;

/// One solved point of a profile.
#[derive(Clone, Debug)]
pub(super) struct Solved {
    /// Value of the parameter.
    pub(super) value: f64,
    /// The lowest deviance less that of the estimate, at least 0; `size` is its root.
    pub(super) rise: f64,
    size: f64,
    /// Derivative of the root by the distance from the estimate.
    rate: f64,
    pub(super) point: Point,
}

/// Finds the lowest deviance with one parameter fixed at any value.
pub(super) struct Walker<'a, 'm> {
    objective: &'a Objective<'m>,
    scratch: &'a mut Scratch,
    watched: &'a Watched<'a>,
    target: Target,
    hold: Hold,
    coordinates: Coordinates,
    metric: DMatrix<f64>,
    base: &'a Base,
    /// Difference of a coefficient's value and its value in the shifted columns.
    offset: f64,
    /// Upper bound of a correlation's profile: the lowest deviance with one standard deviation zero.
    ceiling: Option<Point>,
    /// The lowest point seen, if its deviance is below that of the estimate.
    pub(super) lower: Option<Point>,
}

/// Result of a walk to one side.
pub(super) struct Side {
    /// Points in order outwards.
    pub(super) points: Vec<Solved>,
    pub(super) end: End,
}

impl<'a, 'm> Walker<'a, 'm> {
    /// Prepares the profile of a target; also returns its estimate.
    pub(super) fn new(
        objective: &'a Objective<'m>,
        scratch: &'a mut Scratch,
        watched: &'a Watched<'a>,
        base: &'a Base,
        target: Target,
    ) -> (Self, Solved) {
        let model = objective.model();
        let (hold, held, offset) = match target {
            Target::Coefficient(i) => {
                let l = model.unshift_map().row(i).transpose();
                (Hold::Combination(l), None, model.response_offset()[i])
            }
            Target::Component(Component::Sigma) => (Hold::LogSigma, None, 0.0),
            Target::Component(component) => (Hold::Coordinate, Some(component), 0.0),
        };
        let coordinates = Coordinates::new(model, &objective.parameters, held);
        let (mut variables, own) = coordinates.of(&base.factors);
        let log_sigma = base.sigma.ln();
        if !matches!(hold, Hold::LogSigma) {
            variables.push(log_sigma);
        }
        let inner = match &hold {
            Hold::Combination(l) => l.dot(&base.beta),
            Hold::LogSigma => log_sigma,
            Hold::Coordinate => own,
        };
        let variables = DVector::from_vec(variables);
        let none = DMatrix::identity(variables.len(), variables.len());
        let mut at = Constrained::new(objective, (scratch, watched), (&hold, &coordinates), inner, &none);
        let point = at.at(&variables);
        let metric = metric(&at.hessian_at(&point));
        let value = if matches!(hold, Hold::LogSigma) { base.sigma } else { inner + offset };
        let centre = Solved { value, rise: 0.0, size: 0.0, rate: f64::NAN, point };
        let mut walker = Walker {
            objective,
            scratch,
            watched,
            target,
            hold,
            coordinates,
            metric,
            base,
            offset,
            ceiling: None,
            lower: None,
        };
        walker.ceiling = walker.without_either();
        (walker, centre)
    }

    /// For a correlation, the lower of the two lowest deviances with one standard deviation fixed at zero.
    fn without_either(&mut self) -> Option<Point> {
        let Target::Component(Component::Correlation { level, row, column }) = self.target else { return None };
        let mut without = |row: usize| {
            if self.watched.is_called_off() {
                return None;
            }
            let held = Component::Sd { level, row };
            let (mut walker, centre) =
                Walker::new(self.objective, &mut *self.scratch, self.watched, self.base, Target::Component(held));
            walker.solve(0.0, &centre.point.variables).map(|solved| solved.point)
        };
        let both = [without(row), without(column)];
        both.into_iter().flatten().min_by(|a, b| a.deviance.total_cmp(&b.deviance))
    }

    /// Finds the lowest deviance with the target at a value; `None` once the work is cancelled.
    fn solve(&mut self, value: f64, start: &DVector<f64>) -> Option<Solved> {
        let inner = match self.hold {
            Hold::LogSigma => value.ln(),
            _ => value - self.offset,
        };
        let problem = (&self.hold, &self.coordinates);
        let found =
            Constrained::new(self.objective, (self.scratch, self.watched), problem, inner, &self.metric).solve(start);
        let found = found.filter(|point| self.coordinates.obey(point.variables.as_slice()));
        let lower = |a: &Point, b: &Point| a.deviance <= b.deviance;
        let mut point = match (found, &self.ceiling) {
            (Some(found), Some(ceiling)) if lower(&found, ceiling) => found,
            (_, Some(ceiling)) => Point { slope: 0.0, variables: start.clone(), ..ceiling.clone() },
            (found, None) => found?,
        };
        if matches!(self.hold, Hold::LogSigma) {
            point.slope /= value;
        }
        let rise = point.deviance - self.base.deviance;
        if rise < -self.noise() && self.lower.as_ref().is_none_or(|lower| point.deviance < lower.deviance) {
            self.lower = Some(point.clone());
        }
        let rise = rise.max(0.0);
        let size = rise.sqrt();
        Some(Solved { value, rise, size, rate: point.slope.abs() / (2.0 * size), point })
    }

    /// Smaller differences of deviances are rounding error.
    fn noise(&self) -> f64 {
        TOLERANCE.max(64.0 * f64::EPSILON * self.base.deviance.abs())
    }

    /// End of the target's range on a side.
    fn bound(&self, direction: f64) -> Option<f64> {
        match self.target {
            Target::Component(Component::Sd { .. }) if direction < 0.0 => Some(0.0),
            Target::Component(Component::Correlation { .. }) => Some(direction),
            _ => None,
        }
    }

    /// Walks from the estimate to where |ζ| is `size`. `std_error` is that of the estimate, if known.
    pub(super) fn side(&mut self, centre: &Solved, direction: f64, std_error: Option<f64>, size: f64) -> Side {
        let mut points: Vec<Solved> = Vec::new();
        let mut step = self.first_step(centre, std_error, size);
        let bound = self.bound(direction);
        let end = |end| move |points| Side { points, end };
        if bound.is_some_and(|bound| (bound - centre.value) * direction <= 0.0) {
            return end(End::Bound(centre.value))(points);
        }
        for _ in 0..MOST {
            let last = points.last().unwrap_or(centre);
            let mut value = last.value + direction * step;
            let beyond = bound.filter(|bound| (value - bound) * direction >= 0.0);
            value = beyond.unwrap_or(value);
            if matches!(self.hold, Hold::LogSigma) && value <= 0.0 {
                value = 0.5 * last.value;
            }
            let start = extrapolate(points.iter().rev().nth(1).unwrap_or(centre), last, value);
            let Some(next) = self.solve(value, &start).or_else(|| self.solve(value, &last.point.variables)) else {
                step *= 0.5;
                if step < 1e-6 * (value.abs() + centre.value.abs()) {
                    return end(End::NotFound)(points);
                }
                continue;
            };
            if next.size >= size {
                let found = self.refine(last.clone(), next, size);
                let value = found.as_ref().map(|found| found.value);
                points.extend(found);
                return end(value.map_or(End::NotFound, End::Found))(points);
            }
            let travelled = (next.value - last.value).abs();
            let rate = if next.rate.is_finite() { next.rate } else { 0.0 };
            step = (size / STEPS / rate).clamp(0.25 * travelled, 4.0 * travelled);
            points.push(next);
            if let Some(bound) = beyond {
                return end(End::Bound(bound))(points);
            }
        }
        end(End::NotFound)(points)
    }

    /// First step: from the standard error or, on the boundary, of the order of the parameter.
    fn first_step(&self, centre: &Solved, std_error: Option<f64>, size: f64) -> f64 {
        let guess = match self.target {
            Target::Component(Component::Sd { level, row }) => {
                0.1 * self.base.sigma * self.objective.parameters.scale[level][row]
            }
            Target::Component(Component::Correlation { .. }) => 0.05,
            _ => 0.1 * centre.value.abs(),
        };
        std_error.filter(|e| e.is_finite() && *e > 0.0).map_or(guess, |error| error * size / STEPS)
    }

    /// Finds the point where |ζ| is `size` between one inside and one outside: by Newton's method on |ζ|,
    /// which is nearly linear, with bisection where it leaves the bracket.
    fn refine(&mut self, mut inside: Solved, mut outside: Solved, size: f64) -> Option<Solved> {
        let tolerance = self.noise();
        for turn in 0..MOST {
            let nearer = if size - inside.size < outside.size - size { &inside } else { &outside };
            if (nearer.rise - size * size).abs() <= tolerance {
                return Some(nearer.clone());
            }
            let (a, b) = (inside.value, outside.value);
            let away = (b - a).signum();
            let newton = nearer.value + away * (size - nearer.size) / nearer.rate;
            let between = |value: f64| (value - a) * away > 0.0 && (b - value) * away > 0.0;
            let value = if between(newton) && turn % 8 != 7 { newton } else { 0.5 * (a + b) };
            if !between(value) {
                return Some(nearer.clone());
            }
            let start = extrapolate(&inside, &outside, value);
            let next = self.solve(value, &start).or_else(|| self.solve(value, &inside.point.variables))?;
            if next.size >= size { outside = next } else { inside = next }
        }
        None
    }
}

/// Variables on the line through two solved points.
fn extrapolate(one: &Solved, two: &Solved, value: f64) -> DVector<f64> {
    let share = (value - two.value) / (two.value - one.value);
    let (from, to) = (&one.point.variables, &two.point.variables);
    if share.is_finite() { to + (to - from) * share } else { to.clone() }
}
