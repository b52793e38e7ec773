//! Profile likelihood: intervals for every coefficient, standard deviation and correlation.
//!
//! The profile deviance of a parameter is the lowest deviance with that parameter fixed. Its signed
//! root ζ is nearly normal where the deviance is nearly quadratic, and elsewhere closer to normal than a
//! Wald statistic. An interval is where |ζ| stays below the normal quantile (Bates et al. 2015,
//! section 5.1). As in lme4 the deviance is that of ML, for REML fits too, since REML criteria with
//! different fixed effects cannot be compared.
//!
//! The ends are solved for, not interpolated: see [`walk`]. How a parameter is fixed is described in
//! [`constrained`] and [`coordinates`], and in `docs/theory.md`, "Profiles".

mod constrained;
mod coordinates;
mod walk;

use crate::components::{Component, Uncertainty};
use crate::estimate::{Optimum, Status, Trial, optimise_from_while, optimise_while};
use crate::fit::Variances;
use crate::inference::student;
use crate::newton::{Settings, Step};
use crate::objective::{Method, Objective};
use crate::parameters::lower_triangular;
use crate::watched::Watched;
use constrained::Point;
use nalgebra::{DMatrix, DVector};
use tiers_equations::Scratch;
use walk::{Solved, Walker};

/// A parameter that can be profiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A standard deviation, correlation, or σ.
    Component(Component),
    /// A coefficient of the fixed effects, by its position among those in use.
    Coefficient(usize),
}

impl Target {
    /// Returns all parameters of a model in lme4's order: variance components, σ, coefficients.
    pub fn all(objective: &Objective<'_>) -> Vec<Target> {
        let components = Component::all(&objective.parameters).into_iter().map(Target::Component);
        components.chain((0..objective.model().p()).map(Target::Coefficient)).collect()
    }

    /// Returns lme4's name of the parameter.
    pub fn name(self, objective: &Objective<'_>) -> String {
        let model = objective.model();
        match self {
            Target::Component(component) => component.name(model),
            Target::Coefficient(i) => model.recipe.x[model.coefficients[i]].name.clone(),
        }
    }
}

/// One end of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// The value where the deviance has risen by the χ² quantile.
    Found(f64),
    /// The end of the parameter's range, reached before: a standard deviation of zero, a correlation of ±1.
    Bound(f64),
    /// The search failed.
    NotFound,
}

impl End {
    /// The value, where there is one.
    pub fn value(self) -> Option<f64> {
        match self {
            End::Found(value) | End::Bound(value) => Some(value),
            End::NotFound => None,
        }
    }
}

/// A point of a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfilePoint {
    /// Value of the parameter.
    pub value: f64,
    /// Signed root of the rise of the deviance.
    pub zeta: f64,
    /// The lowest deviance with the parameter at this value.
    pub deviance: f64,
    /// All parameters there, in the order of [`Profile::targets`]; NaN for a correlation with an effect of
    /// zero variance.
    pub parameters: Vec<f64>,
}

/// The profile of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The parameter.
    pub target: Target,
    /// lme4's name of the parameter.
    pub name: String,
    /// ML estimate; NaN for a correlation with an effect of zero variance, which has no profile.
    pub estimate: f64,
    /// The points in order of their values, the estimate included.
    pub points: Vec<ProfilePoint>,
    /// Lower end of the interval.
    pub lower: End,
    /// Upper end of the interval.
    pub upper: End,
}

/// Profiles of some parameters.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Level of the intervals.
    pub level: f64,
    /// The deviance of the ML fit.
    pub deviance: f64,
    /// All parameters of the model, in the order of [`ProfilePoint::parameters`].
    pub targets: Vec<Target>,
    /// The requested profiles.
    pub curves: Vec<Curve>,
    /// A deviance below that of the ML fit, if a profile met one: the estimates are a local optimum.
    pub lower_deviance: Option<f64>,
}

/// Why profiles could not be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The search for the maximum likelihood did not converge.
    #[error(
        "profiles are those of the maximum likelihood, and the search for it did not converge; take out random slopes or \
         a level"
    )]
    NotConverged,
}

/// The maximum likelihood estimates, at the centre of the profiles.
#[derive(Debug)]
struct Base {
    /// `σ Λ_k` of the shifted columns.
    factors: Vec<DMatrix<f64>>,
    sigma: f64,
    /// β of the shifted columns.
    beta: DVector<f64>,
    deviance: f64,
}

/// Number of times that all profiles are started again from a lower deviance that one of them met.
const RESTARTS: usize = 3;

/// Computes profiles of the parameters `targets`. `observe` is called after every evaluation with the
/// number of finished profiles; if it returns `false`, the work is cancelled and the result is `None`.
pub fn profile(
    objective: &Objective<'_>,
    targets: &[Target],
    level: f64,
    settings: &Settings,
    observe: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Option<Profile>, ProfileError> {
    let watched = Watched::new(observe);
    let mut evaluated = |_: &Trial<'_>, _: &Step| watched.go_on();
    let ml = Objective::new(objective.model(), Method::Ml);
    let mut found = optimise_while(&ml, settings, &mut evaluated);
    let mut restarts = 0;
    loop {
        let Some(optimum) = found else { return Ok(None) };
        if optimum.status == Status::NotConverged {
            return Err(ProfileError::NotConverged);
        }
        let mut profiler = Profiler::new(&ml, &optimum, level, &watched);
        let mut curves = Vec::new();
        for &target in targets {
            curves.push(profiler.curve(target));
            if profiler.lower.is_some() && restarts < RESTARTS {
                break;
            }
            if !watched.one_more() {
                return Ok(None);
            }
        }
        let Profiler { all, lower, .. } = profiler;
        match lower {
            Some(lower) if restarts < RESTARTS => {
                found = optimise_from_while(&ml, &lower.scaled, settings, &mut evaluated);
                watched.start_again();
                restarts += 1;
            }
            lower => {
                let lower_deviance = lower.map(|point| point.deviance);
                let deviance = optimum.at.criterion;
                return Ok(Some(Profile { level, deviance, targets: all, curves, lower_deviance }));
            }
        }
    }
}

/// State shared by all profiles.
struct Profiler<'a, 'm> {
    objective: &'a Objective<'m>,
    optimum: &'a Optimum,
    base: Base,
    uncertainty: Uncertainty,
    covariances: Variances,
    all: Vec<Target>,
    scratch: Scratch,
    /// The normal quantile.
    size: f64,
    /// The lowest point met with a deviance below that of the estimates.
    lower: Option<Point>,
    watched: &'a Watched<'a>,
}

impl<'a, 'm> Profiler<'a, 'm> {
    fn new(objective: &'a Objective<'m>, optimum: &'a Optimum, level: f64, watched: &'a Watched<'a>) -> Self {
        let sigma = (optimum.at.fixed.pwrss / objective.nu()).sqrt();
        let factors = optimum.at.covariances.factors();
        Profiler {
            objective,
            optimum,
            base: Base {
                factors: factors.iter().map(|factor| factor * sigma).collect(),
                sigma,
                beta: optimum.at.fixed.beta.clone(),
                deviance: optimum.at.criterion,
            },
            uncertainty: Uncertainty::new(objective, optimum),
            covariances: Variances::new(objective, optimum),
            all: Target::all(objective),
            scratch: objective.scratch(),
            size: student::normal_quantile(0.5 - 0.5 * level),
            lower: None,
            watched,
        }
    }

    fn curve(&mut self, target: Target) -> Curve {
        let name = target.name(self.objective);
        let (estimate, std_error) = self.estimate(target);
        if estimate.is_nan() {
            return Curve { target, name, estimate, points: Vec::new(), lower: End::NotFound, upper: End::NotFound };
        }
        let (mut walker, centre) = Walker::new(self.objective, &mut self.scratch, self.watched, &self.base, target);
        let below = walker.side(&centre, -1.0, std_error, self.size);
        let above = walker.side(&centre, 1.0, std_error, self.size);
        let lower = [self.lower.take(), walker.lower].into_iter().flatten();
        self.lower = lower.min_by(|a, b| a.deviance.total_cmp(&b.deviance));
        let of = |solved: &Solved, sign: f64| ProfilePoint {
            value: solved.value,
            zeta: sign * solved.rise.sqrt(),
            deviance: solved.point.deviance,
            parameters: self.parameters(&solved.point),
        };
        let points = below.points.iter().rev().map(|solved| of(solved, -1.0));
        let points = points.chain([of(&centre, 0.0)]).chain(above.points.iter().map(|solved| of(solved, 1.0)));
        Curve { target, name, estimate, points: points.collect(), lower: below.end, upper: above.end }
    }

    /// The ML estimate with its standard error.
    fn estimate(&self, target: Target) -> (f64, Option<f64>) {
        match target {
            Target::Component(component) => (component.value(&self.covariances), self.uncertainty.std_error(component)),
            Target::Coefficient(i) => {
                let covariance = &self.optimum.at.fixed.xx_inverse * self.covariances.sigma2;
                let (beta, covariance) = self.objective.model().unshift(&self.optimum.at.fixed.beta, &covariance);
                (beta[i], Some(covariance[(i, i)].sqrt()))
            }
        }
    }

    /// All parameters at a point.
    fn parameters(&self, point: &Point) -> Vec<f64> {
        let model = self.objective.model();
        let maps = model.effect_maps();
        let relative = |(factor, map): (&DMatrix<f64>, DMatrix<f64>)| lower_triangular(&(map * factor / point.sigma));
        let factors = point.factors.iter().zip(maps).map(relative).collect();
        let covariances = Variances { factors, sigma2: point.sigma * point.sigma };
        let beta = model.unshift_map() * &point.evaluation.fixed.beta + model.response_offset();
        let value = |target: &Target| match *target {
            Target::Component(component) => component.value(&covariances),
            Target::Coefficient(i) => beta[i],
        };
        self.all.iter().map(value).collect()
    }
}
