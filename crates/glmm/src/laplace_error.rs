//! The error of Laplace's approximation, measured by quadrature in standard errors of each parameter.
//!
//! A screen evaluates the quadrature criterion with Q and 2Q + 1 nodes at Laplace's optimum. With its gradient g
//! there and H the Hessian of Laplace's criterion, `-H⁻¹g` predicts the optimum of the quadrature criterion. If both
//! predictions are within half a standard error of Laplace's optimum and agree to a tenth, they are the measure.
//! Otherwise the quadrature criterion is minimised, with more nodes until the estimates settle, and the difference of
//! the two optima is the measure.

use crate::components::components;
use crate::criterion::Criterion;
use crate::descent::approach;
use crate::inference::Inference;
use crate::quadrature::{Quadrature, dimensions};
use crate::search::{Objective, Observe, Optimum, Start};
use nalgebra::{Cholesky, DMatrix, DVector};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use tiers_reml::NewtonSettings;

/// A shift below this many standard errors is small.
const SMALL: f64 = 0.5;

/// Predictions or estimates that differ by less than this many standard errors agree.
const AGREE: f64 = 0.1;

/// Largest number of nodes.
const MOST_NODES: usize = 51;

/// A search ends once a step is predicted to lower the criterion by less than this: a hundredth of a standard error
/// in the worst direction.
const TOLERANCE: f64 = 1e-4;

/// Largest number of evaluations of a search.
const EVALUATIONS: usize = 60;

/// Evaluations of a row's likelihood that a measurement may take: this number, or this number a row, whichever is
/// larger. Counting, not timing, keeps results the same from run to run.
const WORK: f64 = 4e8;
const WORK_OF_ROW: f64 = 600.0;

/// The error of Laplace's approximation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LaplaceError {
    /// How it was measured; none if it is unknown.
    pub method: Option<LaplaceErrorMethod>,
    /// Nodes for each random effect, at most, of the quadrature that it was measured by.
    pub nodes: Option<usize>,
    /// The criterion by quadrature less that of Laplace: at Laplace's optimum (`estimate`), or of the two optima
    /// (`refit`).
    pub delta_criterion: Option<f64>,
    /// The estimate by quadrature less that of Laplace, in Laplace's standard errors, by parameter.
    #[serde(serialize_with = "as_map", deserialize_with = "from_map")]
    pub shift_in_se: Vec<(String, f64)>,
    /// What follows.
    pub status: LaplaceErrorStatus,
    /// Why it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How the error of Laplace's approximation was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LaplaceErrorMethod {
    /// One Newton step from Laplace's optimum by the gradient of the quadrature criterion.
    Estimate,
    /// The optimum of the quadrature criterion.
    Refit,
}

/// Whether Laplace's approximation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LaplaceErrorStatus {
    /// Every shift is below half a standard error.
    Small,
    /// Some shift is larger.
    Large,
    /// The error could not be measured.
    Unknown,
}

impl LaplaceError {
    /// The largest shift, and its parameter.
    pub fn largest(&self) -> Option<(&str, f64)> {
        let by_size = |a: &&(String, f64), b: &&(String, f64)| a.1.abs().total_cmp(&b.1.abs());
        self.shift_in_se.iter().max_by(by_size).map(|(name, shift)| (&name[..], *shift))
    }

    pub(crate) fn unknown(reason: &str) -> LaplaceError {
        LaplaceError {
            method: None,
            nodes: None,
            delta_criterion: None,
            shift_in_se: Vec::new(),
            status: LaplaceErrorStatus::Unknown,
            reason: Some(reason.to_owned()),
        }
    }
}

/// Writes the pairs as a map, in their order.
fn as_map<S: Serializer>(pairs: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// Reads a map as pairs in their order.
fn from_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, f64)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, f64)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map from names to numbers")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    deserializer.deserialize_map(Pairs)
}

/// Measures the error at Laplace's optimum; `None` if the observer cancels.
pub(crate) fn measure(
    criterion: &Criterion<'_>,
    laplace: &Optimum,
    inference: &Inference,
    observe: Observe<'_>,
) -> Option<LaplaceError> {
    let unknown = |reason: &str| Some(LaplaceError::unknown(reason));
    if !laplace.status.has_estimates() {
        return unknown("there are no estimates");
    }
    let Ok(dimensions) = dimensions(criterion) else {
        return unknown("quadrature is not available for these random effects");
    };
    let Some(measure) = Measure::new(criterion, laplace, inference, dimensions) else {
        return unknown("the information on the parameters is not positive definite");
    };
    // A row is met Q times for each of its effects.
    let few = if dimensions == 1 { 7 } else { 3 };
    let mut budget = Budget { left: WORK.max(WORK_OF_ROW * criterion.rows.len() as f64) };
    if !budget.spend(measure.work(few) + measure.work(2 * few + 1)) {
        return unknown("with this number of levels, its measurement takes too long");
    }
    let (first, _) = measure.screen(few);
    let (second, delta) = measure.screen(2 * few + 1);
    let shifts = [measure.shifts(&first), measure.shifts(&second)];
    let agree = furthest(&shifts[0], &shifts[1]) < AGREE;
    let [_, shifts] = shifts;
    if agree && shifts.iter().all(|shift| shift.abs() < SMALL) {
        return Some(measure.result(LaplaceErrorMethod::Estimate, 2 * few + 1, delta, shifts));
    }
    measure.refit(if agree { few } else { 2 * few + 1 }, budget, observe)
}

/// Work that may still be done, in evaluations of a row's likelihood.
struct Budget {
    left: f64,
}

impl Budget {
    /// Spends some, if it is left.
    fn spend(&mut self, work: f64) -> bool {
        self.left -= work;
        self.left >= 0.0
    }
}

/// The largest difference; infinite where one is not a number.
fn furthest(a: &[f64], b: &[f64]) -> f64 {
    let difference = |(a, b): (&f64, &f64)| if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() };
    a.iter().zip(b).map(difference).fold(0.0, f64::max)
}

/// What a measurement compares.
struct Measure<'a> {
    criterion: &'a Criterion<'a>,
    laplace: &'a Optimum,
    inference: &'a Inference,
    dimensions: usize,
    /// Coordinates that are not zero at a singular optimum, and the Hessian's Cholesky factor in them.
    free: Vec<usize>,
    factor: Cholesky<f64, nalgebra::Dyn>,
    /// Parameters with a standard error: name, value at Laplace's optimum, standard error.
    parameters: Vec<(String, f64, f64)>,
}

impl<'a> Measure<'a> {
    fn new(
        criterion: &'a Criterion<'a>,
        laplace: &'a Optimum,
        inference: &'a Inference,
        dimensions: usize,
    ) -> Option<Measure<'a>> {
        let free: Vec<usize> = (0..criterion.len()).filter(|&i| !laplace.zero[i]).collect();
        let factor = Cholesky::new(laplace.hessian.select_rows(&free).select_columns(&free))?;
        let mut measure = Measure { criterion, laplace, inference, dimensions, free, factor, parameters: Vec::new() };
        let all = measure.values(&laplace.at.coordinates);
        measure.parameters = all.into_iter().filter_map(|(name, value, se)| Some((name, value, se?))).collect();
        measure.parameters.iter().all(|(_, _, se)| *se > 0.0).then_some(measure)
    }

    /// Evaluations of a row's likelihood in an evaluation of the criterion: at all nodes, and some four at the nodes
    /// of the coarser levels to find the modes of the finer ones.
    fn work(&self, nodes: usize) -> f64 {
        let nodes = nodes as f64;
        let all = |dimensions: usize| nodes.powi(dimensions as i32);
        let modes: f64 = match self.criterion.shape.path.levels() {
            1 => 4.0,
            levels => (0..levels).map(|k| 4.0 * all(k)).sum(),
        };
        self.criterion.rows.len() as f64 * (all(self.dimensions) + modes)
    }

    /// Coefficients, standard deviations and correlations of the user's columns at coordinates, with the standard
    /// errors at Laplace's optimum where these exist.
    fn values(&self, coordinates: &[f64]) -> Vec<(String, f64, Option<f64>)> {
        let (model, criterion) = (self.criterion.model, self.criterion);
        let at = criterion.point(coordinates);
        let map = model.unshift_map();
        let beta = &map * DVector::from_column_slice(&at.beta);
        let covariance = self.inference.shifted.as_ref().map(|shifted| &map * shifted * map.transpose());
        let mut out: Vec<(String, f64, Option<f64>)> = Vec::new();
        for (i, &column) in model.coefficients.iter().enumerate() {
            let se = covariance.as_ref().map(|c| c[(i, i)].sqrt());
            out.push((model.recipe.x[column].name.clone(), beta[i], se));
        }
        let factor = |(k, lambda): (usize, &Vec<f64>)| {
            let r = criterion.shape.path.r(k);
            DMatrix::from_row_slice(r, r, lambda)
        };
        let lambda: Vec<DMatrix<f64>> = at.lambda.iter().enumerate().map(factor).collect();
        let components = components(criterion, self.laplace, self.inference, &lambda, &model.effect_maps());
        for component in components.iter().rev() {
            let (level, terms) = (&component.level, &component.terms);
            for (i, term) in terms.iter().enumerate() {
                out.push((format!("sd({term} | {level})"), component.sd[i], component.sd_std_error[i]));
            }
            for i in 0..terms.len() {
                for j in 0..i {
                    let name = format!("cor({}, {} | {level})", terms[j], terms[i]);
                    let error = component.correlation_std_error[i][j];
                    out.extend(component.correlation[i][j].map(|value| (name, value, error)));
                }
            }
        }
        out
    }

    /// The shift of each parameter to coordinates, in standard errors; NaN where it does not exist there.
    fn shifts(&self, coordinates: &[f64]) -> Vec<f64> {
        let there = self.values(coordinates);
        let shift = |(name, value, se): &(String, f64, f64)| {
            let found = there.iter().find(|other| other.0 == *name);
            found.map_or(f64::NAN, |(_, moved, _)| (moved - value) / se)
        };
        self.parameters.iter().map(shift).collect()
    }

    fn quadrature(&self, nodes: usize) -> Quadrature<'a> {
        Quadrature::new(self.criterion, nodes).expect("random effects that quadrature supports")
    }

    /// The optimum that the gradient at Laplace's predicts, and the change of the criterion at Laplace's optimum.
    fn screen(&self, nodes: usize) -> (Vec<f64>, f64) {
        let here = &self.laplace.at;
        let there = self.quadrature(nodes).evaluate(&here.coordinates, here.modes.clone());
        let gradient = (&there.gradient - &here.gradient).select_rows(&self.free);
        let step = self.factor.solve(&gradient);
        let mut coordinates = here.coordinates.clone();
        self.free.iter().zip(step.iter()).for_each(|(&i, step)| coordinates[i] -= step);
        (coordinates, there.value - here.value)
    }

    /// Minimises the criterion with more and more nodes until the estimates settle.
    fn refit(&self, first: usize, mut budget: Budget, observe: Observe<'_>) -> Option<LaplaceError> {
        let mut nodes = first;
        let mut start = self.laplace.as_start();
        let mut last: Option<Vec<f64>> = None;
        loop {
            let quadrature = self.quadrature(nodes);
            let affordable = (budget.left / self.work(nodes)) as usize;
            if affordable < 4 {
                return Some(LaplaceError::unknown(&format!(
                    "a first estimate is large or unsettled, and a fit by quadrature takes too long for this number of \
                     rows: use --agq {nodes}"
                )));
            }
            let settings = NewtonSettings {
                max_evaluations: affordable.min(EVALUATIONS),
                tolerance: TOLERANCE,
                ..NewtonSettings::default()
            };
            let (found, hessians) = approach(&quadrature, start, &settings, &mut *observe)?;
            let evaluations = found.evaluations + hessians * quadrature.evaluations_of_hessian();
            budget.spend(evaluations as f64 * self.work(nodes));
            let shifts = self.shifts(&found.at.coordinates);
            let settled = last.as_ref().is_some_and(|last| furthest(last, &shifts) < AGREE);
            if found.converged && settled {
                let delta = found.at.value - self.laplace.at.value;
                return Some(self.result(LaplaceErrorMethod::Refit, nodes, delta, shifts));
            }
            if nodes == MOST_NODES {
                return Some(LaplaceError::unknown("the estimates by quadrature do not settle with 51 nodes"));
            }
            start = match found.converged {
                true => Start { coordinates: found.at.coordinates, modes: found.at.modes, hessian: Some(found.second) },
                // With few nodes the criterion may have no optimum near.
                false => self.laplace.as_start(),
            };
            last = found.converged.then_some(shifts);
            nodes = (2 * nodes + 1).min(MOST_NODES);
        }
    }

    fn result(&self, method: LaplaceErrorMethod, nodes: usize, delta: f64, shifts: Vec<f64>) -> LaplaceError {
        let small = shifts.iter().all(|shift| shift.abs() < SMALL);
        let names = self.parameters.iter().map(|(name, _, _)| name.clone());
        LaplaceError {
            method: Some(method),
            nodes: Some(nodes),
            delta_criterion: Some(delta),
            shift_in_se: names.zip(shifts).filter(|(_, shift)| shift.is_finite()).collect(),
            status: if small { LaplaceErrorStatus::Small } else { LaplaceErrorStatus::Large },
            reason: None,
        }
    }
}
