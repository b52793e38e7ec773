//! The search for the optimum: joint Newton steps in β and θ.

use crate::criterion::{AllModes, Criterion, Evaluation};
use crate::descent::descend;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use tiers_reml::{NewtonSettings, Status, Step, nearly_singular};

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

impl std::fmt::Display for GlmmStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            GlmmStatus::Converged => "converged",
            GlmmStatus::Boundary => "boundary",
            GlmmStatus::NotConverged => "not_converged",
            GlmmStatus::Separated => "separated",
            GlmmStatus::NotIdentified => "not_identified",
        })
    }
}

impl From<Status> for GlmmStatus {
    fn from(status: Status) -> GlmmStatus {
        match status {
            Status::Converged => GlmmStatus::Converged,
            Status::Boundary => GlmmStatus::Boundary,
            Status::NotConverged => GlmmStatus::NotConverged,
        }
    }
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

/// A standard deviation of random effects that is large on the scale of a link.
const LARGE: f64 = 3.0;

/// A criterion of the coordinates of a model that can be searched.
pub(crate) trait Objective: Sync {
    /// The model, its coordinates and rows.
    fn criterion(&self) -> &Criterion<'_>;
    /// Evaluates value and gradient; the search for conditional modes begins at those given.
    fn evaluate(&self, coordinates: &[f64], modes: AllModes) -> Evaluation;
    /// The Hessian at an evaluation.
    fn hessian(&self, at: &Evaluation) -> DMatrix<f64>;
    /// Number of evaluations that a Hessian takes; 0 where it is computed directly.
    fn evaluations_of_hessian(&self) -> usize;
}

impl Objective for Criterion<'_> {
    fn criterion(&self) -> &Criterion<'_> {
        self
    }

    fn evaluate(&self, coordinates: &[f64], modes: AllModes) -> Evaluation {
        self.evaluate(coordinates, modes)
    }

    fn hessian(&self, at: &Evaluation) -> DMatrix<f64> {
        self.hessian(at)
    }

    fn evaluations_of_hessian(&self) -> usize {
        0
    }
}

/// Receives the evaluations of a search; returns `false` to cancel it.
pub(crate) type Observe<'o> = &'o mut dyn FnMut(f64, &Step) -> bool;

/// Where a search begins.
pub(crate) struct Start {
    pub(crate) coordinates: Vec<f64>,
    pub(crate) modes: AllModes,
    /// A Hessian near that of the criterion there, if one is known.
    pub(crate) hessian: Option<DMatrix<f64>>,
}

/// Finds the optimum; `None` if the observer cancels.
pub(crate) fn search(criterion: &Criterion<'_>, settings: &NewtonSettings, observe: Observe<'_>) -> Option<Optimum> {
    let mut best = from_start(criterion, spherical_start(criterion, 0.5), settings, observe)?;
    if best.status != GlmmStatus::Converged {
        // An optimum on the boundary may be local: search again from further out.
        best.replace_by_lower(from_start(criterion, spherical_start(criterion, 1.5), settings, observe)?);
    }
    Some(best)
}

/// A start at the coefficients of the model without random effects, with independent effects of equal size.
fn spherical_start(criterion: &Criterion<'_>, size: f64) -> Start {
    let theta = criterion.shape.entries.iter().map(|&(_, row, column)| if row == column { size } else { 0.0 });
    let coordinates = criterion.without_effects().into_iter().chain(theta).collect();
    Start { coordinates, modes: criterion.no_modes(), hessian: None }
}

/// Finds the optimum of a criterion that is near another, from the optimum of that; `None` if the observer cancels.
pub(crate) fn search_from(
    objective: &dyn Objective,
    near: &Optimum,
    settings: &NewtonSettings,
    observe: Observe<'_>,
) -> Option<Optimum> {
    let criterion = objective.criterion();
    let mut best = from_start(objective, near.as_start(), settings, observe)?;
    let largest =
        near.at.coordinates[criterion.shape.p..].iter().fold(0.0_f64, |largest, theta| largest.max(theta.abs()));
    let other = match (best.status, largest > LARGE) {
        (GlmmStatus::Converged, false) => return Some(best),
        // Laplace's optimum may be spurious where a variance is large.
        (_, true) => {
            let coordinates = near.at.coordinates.iter().map(|c| c * LARGE / largest).collect();
            Start { coordinates, modes: criterion.no_modes(), hessian: None }
        }
        (_, false) => spherical_start(criterion, 1.5),
    };
    best.replace_by_lower(from_start(objective, other, settings, observe)?);
    Some(best)
}

fn from_start(
    objective: &dyn Objective,
    start: Start,
    settings: &NewtonSettings,
    observe: Observe<'_>,
) -> Option<Optimum> {
    let criterion = objective.criterion();
    let found = descend(objective, start, settings, observe)?;
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
        let next = objective.evaluate(&coordinates, at.modes.clone());
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
    let known = found.hessian.filter(|_| !singular);
    let hessian = known.unwrap_or_else(|| {
        evaluations += objective.evaluations_of_hessian();
        objective.hessian(&at)
    });
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
    /// A start of a search here.
    pub(crate) fn as_start(&self) -> Start {
        let regular = self.status == GlmmStatus::Converged;
        let hessian = regular.then(|| self.hessian.clone());
        Start { coordinates: self.at.coordinates.clone(), modes: self.at.modes.clone(), hessian }
    }

    /// The optimum with the evaluations of the search that came before.
    pub(crate) fn after(mut self, before: Optimum) -> Optimum {
        self.evaluations += before.evaluations;
        self.trace = before.trace.into_iter().chain(self.trace).collect();
        self
    }

    /// Replaces this optimum by another of the same criterion if that is lower, and counts its evaluations.
    fn replace_by_lower(&mut self, other: Optimum) {
        let evaluations = self.evaluations + other.evaluations;
        let mut trace = std::mem::take(&mut self.trace);
        trace.extend(other.trace.iter().cloned());
        let lower = other.at.value < self.at.value - 1e-7 * (1.0 + 1e-6 * self.at.value.abs());
        if other.status != GlmmStatus::NotConverged && (lower || self.status == GlmmStatus::NotConverged) {
            *self = other;
        }
        (self.evaluations, self.trace) = (evaluations, trace);
    }

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
