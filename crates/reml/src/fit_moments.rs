//! The whole way from moments to a fit: build the model, search for the optimum, make inference on the
//! fixed effects, and gather what is reported.

use crate::build_model::{BuildError, build_model};
use crate::estimate::{Optimum, SearchError, SearchObserver, find_optimum};
use crate::fit::Fit;
use crate::inference::{FixedInference, FixedModel, Inference};
use crate::model::Model;
use crate::newton::Settings;
use crate::objective::{Method, Objective};
use std::time::Instant;
use tiers_moments::Ingested;

/// How a model is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSettings {
    /// REML (the default) or ML.
    pub method: Method,
    /// When the search stops.
    pub newton: Settings,
    /// Degrees of freedom and the level of confidence intervals.
    pub inference: Inference,
    /// Bytes that the equations of a crossed design may take: its core is a matrix of as many rows as all groupings
    /// but one have effects. No limit if `None`.
    pub memory: Option<u64>,
}

impl Default for FitSettings {
    fn default() -> Self {
        let (newton, inference) = (Settings::default(), Inference::default());
        FitSettings { method: Method::Reml, newton, inference, memory: None }
    }
}

/// A fitted model with all that questions about it need.
#[derive(Debug)]
pub struct FittedModel {
    /// The moments, by group.
    pub model: Model,
    /// The optimum of the criterion.
    pub optimum: Optimum,
    /// Tests of the fixed effects, ready for any linear combination.
    pub fixed: FixedModel,
    /// The estimates as plain data.
    pub fit: Fit,
    /// Where the time went.
    pub seconds: FitSeconds,
}

/// Seconds by phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FitSeconds {
    /// From moments to the model: structure of the groupings.
    pub build: f64,
    /// The search for the optimum.
    pub search: f64,
    /// Inference, and all that is reported of the optimum.
    pub inference: f64,
}

/// Checks that the equations of a crossed design fit into some bytes.
///
/// # Errors
/// If they do not.
pub fn check_core(model: &Model, limit: u64) -> Result<(), BuildError> {
    let Some(cost) = model.equations.cost_of_core() else { return Ok(()) };
    let needed = (cost.evaluation_bytes + cost.curvature_bytes) as u64 + model.equations.bytes_of_moments() as u64;
    if needed <= limit {
        return Ok(());
    }
    let levels = model.levels();
    let core = levels[1..].iter().map(|level| format!("{} ({})", level.name, level.groups * level.r())).collect();
    Err(BuildError::Core { leaf: levels[0].name.clone(), core, effects: cost.core_effects, needed, limit })
}

/// Why there is no fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The model cannot be built from the moments.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// There are no estimates.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// Fits a model to moments.
///
/// # Errors
/// If the model cannot be built, has no estimates, or the observer cancels the search
/// ([`SearchError::Cancelled`]).
pub fn fit_moments(
    ingested: Ingested,
    settings: &FitSettings,
    observer: &mut dyn SearchObserver,
) -> Result<FittedModel, FitError> {
    let mut clock = Instant::now();
    let mut lap = || {
        let seconds = clock.elapsed().as_secs_f64();
        clock = Instant::now();
        seconds
    };
    let (model, dropped) = build_model(ingested)?;
    if let Some(limit) = settings.memory {
        check_core(&model, limit)?;
    }
    let build = lap();
    let objective = Objective::new(&model, settings.method);
    let optimum = find_optimum(&objective, &settings.newton, observer)?;
    let search = lap();
    let fixed = FixedModel::new(&model, FixedInference::new(&objective, &optimum, settings.inference));
    let fit = Fit::with(&objective, &optimum, &dropped, &fixed);
    let seconds = FitSeconds { build, search, inference: lap() };
    Ok(FittedModel { model, optimum, fixed, fit, seconds })
}

impl FittedModel {
    /// The criterion that was minimised.
    pub fn objective(&self) -> Objective<'_> {
        Objective::new(&self.model, self.fit.method)
    }
}
