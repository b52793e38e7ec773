//! A fitted generalised model as plain data.

use crate::components::{LatentIcc, LatentRSquared, components, latent};
use crate::criterion::Criterion;
use crate::effects::{RowSums, random_effects};
use crate::family::{Distribution, Family, Link};
use crate::inference::Inference;
use crate::joint::JointInference;
use crate::laplace_error::{LaplaceError, LaplaceErrorStatus, measure};
use crate::quadrature::{MAX_NODES, Quadrature, QuadratureError};
use crate::rows::{Rows, RowsError};
use crate::search::{GlmmStatus, Objective, Optimum, search, search_from};
use crate::separation::{self, Separation};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};
use tiers_design::Source;
use tiers_moments::{Dropped, Ingested, ReadObserver};
use tiers_reml::{
    BuildError, FactorLevels, LevelEffects, LevelSize, Model, NewtonSettings, OptimizerReport, Step, VarianceComponent,
    build_generalised, factors, normal_quantile, notes_of_model,
};

/// How a generalised model is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct GlmmSettings {
    /// Family and link.
    pub distribution: Distribution,
    /// When the search stops.
    pub newton: NewtonSettings,
    /// Level of the confidence intervals.
    pub confidence: f64,
    /// Nodes of adaptive Gauss–Hermite quadrature for each random effect, at most [`MAX_NODES`]; 1 for Laplace's
    /// approximation.
    pub nodes: usize,
    /// Whether to measure the error of Laplace's approximation.
    pub laplace_error: bool,
}

/// Why there is no fit.
#[derive(Debug, thiserror::Error)]
pub enum GlmmError {
    /// The model cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The rows cannot be read or do not suit the family.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The model cannot be fitted by quadrature.
    #[error(transparent)]
    Quadrature(#[from] QuadratureError),
    /// The observer cancelled the search.
    #[error("interrupted")]
    Cancelled,
}

/// A fitted generalised linear mixed model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GlmmFit {
    /// Version of tiers that made it.
    pub tiers: String,
    /// The formula as written.
    pub formula: String,
    /// The family.
    pub family: Family,
    /// The link.
    pub link: Link,
    /// Nodes of quadrature for each random effect; 1 for Laplace's approximation.
    pub n_agq: usize,
    /// The criterion at the optimum with 2 n_agq + 1 nodes, less that with n_agq: what more nodes would change. Only
    /// for quadrature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agq_change: Option<f64>,
    /// The error of Laplace's approximation, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub laplace_error: Option<LaplaceError>,
    /// How the optimisation ended.
    pub status: GlmmStatus,
    /// Rows used.
    pub n_obs: u64,
    /// Rows left out.
    pub n_dropped: u64,
    /// Columns with missing values, and their number.
    pub missing: Vec<(String, u64)>,
    /// The levels of the nest, coarsest first.
    pub levels: Vec<LevelSize>,
    /// The outcome that counts as success, if the response is not a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<String>,
    /// -2 log-likelihood with all constants.
    pub criterion: f64,
    /// -criterion / 2.
    pub log_likelihood: f64,
    /// criterion + 2 k.
    pub aic: f64,
    /// criterion + k log n.
    pub bic: f64,
    /// k: coefficients and entries of theta.
    pub n_parameters: usize,
    /// The fixed effects.
    pub fixed_effects: Vec<GlmmEffect>,
    /// Coefficients that grow without end, because covariates predict outcomes with certainty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub separation: Vec<SeparatedTerm>,
    /// The factors of the fixed effects.
    pub factors: Vec<FactorLevels>,
    /// Columns of X that were dropped because they depend linearly on those before them.
    pub dropped_columns: Vec<String>,
    /// Covariance of the fixed effects, from the observed information of β and θ together.
    pub vcov: Vec<Vec<Option<f64>>>,
    /// None: these families have no residual standard deviation.
    pub sigma: Option<f64>,
    /// Entries of the Cholesky factors of the random effects' covariances, in lme4's order.
    pub theta: Vec<f64>,
    /// The random effects' covariances, in lme4's order.
    pub variance_components: Vec<VarianceComponent>,
    /// Intraclass correlations on the latent scale, coarsest first; none where the family has no latent residual.
    pub icc: Vec<LatentIcc>,
    /// Shares of the latent variance explained (Nakagawa, Johnson and Schielzeth 2017, theoretical variance).
    pub r_squared: Option<LatentRSquared>,
    /// Pearson's χ² over the residual degrees of freedom, at the conditional modes: a description, not a test.
    pub pearson_ratio: f64,
    /// Notes on what the user may not expect of this model or its data.
    pub notes: Vec<String>,
    /// What the optimiser did.
    pub optimizer: OptimizerReport,
}

/// One fixed effect, on the scale of the link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlmmEffect {
    /// Name as in R.
    pub term: String,
    /// Estimate; `None` if it grows without end.
    pub estimate: Option<f64>,
    /// Standard error; `None` if there is no estimate, or the information is not positive definite.
    pub std_error: Option<f64>,
    /// estimate / std_error.
    pub z_value: Option<f64>,
    /// Two-sided p value.
    pub p_value: Option<f64>,
    /// Lower end of the confidence interval.
    pub lower: Option<f64>,
    /// Upper end of the confidence interval.
    pub upper: Option<f64>,
}

/// A coefficient that grows without end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeparatedTerm {
    /// Name as in R.
    pub term: String,
    /// Number of rows whose outcome is predicted with certainty.
    pub rows: u64,
}

/// A fit and its random effects.
#[derive(Debug)]
pub struct FittedGlmm {
    /// The model: its columns and groups.
    pub model: Model,
    /// Inference for later questions; `None` if some estimates do not exist.
    pub inference: Option<JointInference>,
    /// The estimates as plain data.
    pub fit: GlmmFit,
    /// The random effects of all levels, coarsest first. Estimates are conditional modes.
    pub effects: Vec<LevelEffects>,
}

/// Observes a fit: a second pass over the rows, then the evaluations of a search.
pub trait GlmmObserver {
    /// Called before the rows are read again; returns the observer of that pass.
    fn second_pass(&mut self, rows: u64) -> &mut dyn ReadObserver;
    /// Called after every evaluation, with the criterion there. Return `false` to cancel the search.
    fn evaluated(&mut self, criterion: f64, step: &Step) -> bool;
}

/// Fits a generalised linear mixed model by Laplace's approximation or adaptive quadrature.
///
/// `ingested` are the moments of a plan with [`tiers_design::Settings::generalised`], from which come the groups
/// and the columns; `source` is the table, whose rows are read a second time.
///
/// # Errors
/// If the model cannot be built, the rows cannot be read, the response does not suit the family, or the observer
/// cancels the fit.
pub fn fit_glmm(
    ingested: Ingested,
    source: &dyn Source,
    settings: &GlmmSettings,
    observer: &mut dyn GlmmObserver,
) -> Result<FittedGlmm, GlmmError> {
    let (model, dropped) = build_generalised(ingested)?;
    let rows = Rows::read(&model, settings.distribution, source, observer.second_pass(model.totals().rows))?;
    let criterion = Criterion::new(&model, &rows, settings.distribution);
    let quadrature = quadrature(&criterion, settings.nodes)?;
    let mut observe = |value: f64, step: &Step| observer.evaluated(value, step);
    let mut optimum = search(&criterion, &settings.newton, &mut observe).ok_or(GlmmError::Cancelled)?;
    if let Some(quadrature) = &quadrature {
        let found = search_from(quadrature, &optimum, &settings.newton, &mut observe).ok_or(GlmmError::Cancelled)?;
        optimum = found.after(optimum);
    }
    let inference = Inference::new(&criterion, &optimum);
    let separation = separation::check(&criterion, &inference, &mut optimum);
    let (agq_change, laplace_error) = match &quadrature {
        Some(_) => (change_with_more_nodes(&criterion, &optimum, settings.nodes)?, None),
        None if settings.laplace_error => {
            let measured = measure(&criterion, &optimum, &inference, &mut observe);
            (None, Some(measured.ok_or(GlmmError::Cancelled)?))
        }
        None => (None, None),
    };
    let (effects, sums) = random_effects(&criterion, &optimum, &inference.shifted_or_zero(model.p()));
    let mut fit = GlmmFit::new(&criterion, &optimum, &inference, settings, (&dropped, separation), &sums);
    (fit.agq_change, fit.laplace_error) = (agq_change, laplace_error);
    fit.notes.extend(notes_on_rows(&fit, &criterion));
    let joint = JointInference::new(&criterion, &optimum, &inference, settings.confidence);
    let inference = joint.filter(|_| fit.status.has_estimates());
    drop(quadrature);
    drop(criterion);
    Ok(FittedGlmm { model, inference, fit, effects })
}

/// The criterion by quadrature; `None` for Laplace's approximation.
fn quadrature<'a>(criterion: &'a Criterion<'a>, nodes: usize) -> Result<Option<Quadrature<'a>>, QuadratureError> {
    match nodes {
        1 => Ok(None),
        2..=MAX_NODES => Quadrature::new(criterion, nodes).map(Some),
        _ => Err(QuadratureError::Nodes(nodes)),
    }
}

/// The change of the criterion at an optimum from N to 2N + 1 nodes.
fn change_with_more_nodes(
    criterion: &Criterion<'_>,
    optimum: &Optimum,
    nodes: usize,
) -> Result<Option<f64>, QuadratureError> {
    let more = Quadrature::new(criterion, 2 * nodes + 1)?;
    let with_more = more.evaluate(&optimum.at.coordinates, optimum.at.modes.clone());
    Ok(Some(with_more.value - optimum.at.value).filter(|change| change.is_finite()))
}

impl GlmmFit {
    fn new(
        criterion: &Criterion<'_>,
        optimum: &Optimum,
        inference: &Inference,
        settings: &GlmmSettings,
        (dropped, separation): (&Dropped, Option<Separation>),
        sums: &RowSums,
    ) -> GlmmFit {
        let model = criterion.model;
        let (n, n_parameters, value) = (model.totals().rows, criterion.len(), optimum.at.value);
        let at = criterion.point(&optimum.at.coordinates);
        let map = model.unshift_map();
        let beta = &map * nalgebra::DVector::from_vec(at.beta.clone());
        let covariance = inference.shifted.as_ref().map(|shifted| &map * shifted * map.transpose());
        let name = |&i: &usize| model.recipe.x[i].name.clone();
        let names: Vec<String> = model.coefficients.iter().map(name).collect();
        let quantile = normal_quantile(0.5 * (1.0 - settings.confidence));
        let is_separated = |i: usize| separation.as_ref().is_some_and(|found| found.coefficients[i]);
        let effect = |(i, term): (usize, &String)| {
            if is_separated(i) {
                return GlmmEffect::without_estimate(term);
            }
            let std_error = covariance.as_ref().map(|c| c[(i, i)].sqrt()).filter(|se| se.is_finite());
            GlmmEffect::new(term, beta[i], std_error, quantile)
        };
        let factor_maps = model.effect_maps();
        let r = |k: usize| criterion.shape.path.r(k);
        let lambda: Vec<DMatrix<f64>> =
            (0..factor_maps.len()).map(|k| DMatrix::from_row_slice(r(k), r(k), &at.lambda[k])).collect();
        let unshifted: Vec<DMatrix<f64>> =
            lambda.iter().zip(&factor_maps).map(|(l, map)| tiers_reml::lower_triangular(&(map * l))).collect();
        let theta = criterion.shape.entries.iter().map(|&(k, i, j)| unshifted[k][(i, j)]).collect();
        let vcov = |i: usize, j: usize| {
            covariance.as_ref().filter(|_| !is_separated(i) && !is_separated(j)).map(|c| c[(i, j)])
        };
        let p = model.p();
        let latent = latent(criterion, &lambda, sums);
        GlmmFit {
            tiers: env!("CARGO_PKG_VERSION").to_owned(),
            formula: model.recipe.formula.clone(),
            family: settings.distribution.family(),
            link: settings.distribution.link(),
            n_agq: settings.nodes,
            agq_change: None,
            laplace_error: None,
            status: optimum.status,
            n_obs: n,
            n_dropped: dropped.rows,
            missing: dropped.missing.clone(),
            levels: (model.levels().iter().rev())
                .map(|level| LevelSize { name: level.name.clone(), groups: level.groups })
                .collect(),
            success: model.recipe.success.map(|factor| model.recipe.factors[factor].levels[1].clone()),
            criterion: value,
            log_likelihood: -0.5 * value,
            aic: value + 2.0 * n_parameters as f64,
            bic: value + n_parameters as f64 * (n as f64).ln(),
            n_parameters,
            fixed_effects: names.iter().enumerate().map(effect).collect(),
            separation: separation.iter().flat_map(|found| found.terms(&names)).collect(),
            factors: factors(&model.recipe),
            dropped_columns: model.dropped.iter().map(name).collect(),
            vcov: (0..p).map(|i| (0..p).map(|j| vcov(i, j)).collect()).collect(),
            sigma: None,
            theta,
            variance_components: components(criterion, optimum, inference, &lambda, &factor_maps),
            icc: latent.0,
            r_squared: latent.1,
            pearson_ratio: sums.pearson / (n as f64 - n_parameters as f64),
            notes: notes_of_model(model, dropped),
            optimizer: OptimizerReport {
                evaluations: optimum.evaluations,
                gradient_norm: optimum.at.gradient.amax(),
                decrement: optimum.decrement,
                trace: optimum.trace.clone(),
            },
        }
    }
}

impl GlmmEffect {
    /// A coefficient that grows without end.
    fn without_estimate(term: &str) -> GlmmEffect {
        let none = None;
        GlmmEffect {
            term: term.to_owned(),
            estimate: none,
            std_error: none,
            z_value: none,
            p_value: none,
            lower: none,
            upper: none,
        }
    }

    fn new(term: &str, estimate: f64, std_error: Option<f64>, quantile: f64) -> GlmmEffect {
        let z_value = std_error.map(|se| estimate / se);
        GlmmEffect {
            term: term.to_owned(),
            estimate: Some(estimate),
            std_error,
            z_value,
            p_value: z_value.map(|z| libm::erfc(z.abs() * std::f64::consts::FRAC_1_SQRT_2)),
            lower: std_error.map(|se| estimate - quantile * se),
            upper: std_error.map(|se| estimate + quantile * se),
        }
    }
}

/// Notes on models whose rows say little about the random effects.
fn notes_on_rows(fit: &GlmmFit, criterion: &Criterion<'_>) -> Vec<String> {
    let model = criterion.model;
    let measured = fit.laplace_error.as_ref().is_some_and(|error| error.status != LaplaceErrorStatus::Unknown);
    let finest = &model.levels()[0];
    let bernoulli = criterion.shape.distribution.family() == Family::Binomial
        && model.recipe.trials.is_none()
        && model.recipe.weights.is_none();
    let mut notes = Vec::new();
    let per_group = model.totals().rows as f64 / finest.groups as f64;
    if bernoulli && finest.groups as u64 == model.totals().rows {
        notes.push(format!(
            "Every group of {} has a single row with one trial: such a row cannot tell the variance of the group from \
             that of the outcome, and the estimates rest on the shape of the distribution alone.",
            finest.name
        ));
    } else if bernoulli && per_group < 5.0 && fit.n_agq == 1 && !measured {
        notes.push(format!(
            "The groups of {} have {per_group:.1} binary rows on average. Laplace's approximation is poor for so few: \
             variances are too small, by half and more in the worst case, and with them the coefficients. Its error is \
             not known here; compare with adaptive quadrature (--agq 15) where that is possible.",
            finest.name
        ));
    }
    notes
}
