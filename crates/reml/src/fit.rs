//! A fit as plain data: everything that is printed or written, in the user's columns.

use crate::components::{Component, Icc, Uncertainty, intraclass};
use crate::estimate::{Optimum, Status};
use crate::explained::{DesignEffect, RSquared, design_effects, r_squared};
use crate::inference::{AnovaType, DfMethod, FixedInference, FixedModel, Inference, Robust, TTest, TermTest};
use crate::model::Model;
use crate::newton::Step;
use crate::notes;
use crate::objective::{Method, Objective};
use crate::order::by_groups;
use crate::parameters::lower_triangular;
use crate::solver::Solver;
use nalgebra::DMatrix;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use tiers_design::{Atom, Recipe};
use tiers_moments::{Dropped, Level};

/// A fitted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fit {
    /// Version of tiers that made it.
    pub tiers: String,
    /// The formula as written.
    pub formula: String,
    /// REML or ML.
    pub method: Method,
    /// How the optimisation ended.
    pub status: Status,
    /// Rows used, n.
    pub n_obs: u64,
    /// Rows left out.
    pub n_dropped: u64,
    /// Columns with missing values, and their number.
    pub missing: Vec<(String, u64)>,
    /// Whether the groupings cross, so that they are not one nest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub crossed: bool,
    /// The levels, the one with the fewest groups first; in a nest this is the coarsest.
    pub levels: Vec<LevelSize>,
    /// -2 log-likelihood (ML) or -2 log restricted likelihood (REML).
    pub criterion: f64,
    /// -criterion / 2.
    pub log_likelihood: f64,
    /// criterion + 2 k.
    pub aic: f64,
    /// criterion + k log n.
    pub bic: f64,
    /// k: coefficients, entries of theta and the residual variance.
    pub n_parameters: usize,
    /// n - p for REML, n for ML: the divisor of `sigma`².
    pub residual_df: f64,
    /// Method for the degrees of freedom.
    pub df_method: DfMethod,
    /// The fixed effects.
    pub fixed_effects: Vec<FixedEffect>,
    /// The factors of the fixed effects.
    #[serde(default)]
    pub factors: Vec<FactorLevels>,
    /// Cluster-robust inference on the fixed effects, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub robust: Option<Robust>,
    /// Type III F tests of the terms.
    pub anova: Vec<TermTest>,
    /// Columns of X that were dropped because they depend linearly on those before them.
    pub dropped_columns: Vec<String>,
    /// Covariance of the fixed effects (adjusted, where degrees of freedom are Kenward–Roger's).
    pub vcov: Vec<Vec<f64>>,
    /// Residual standard deviation.
    pub sigma: f64,
    /// Its standard error, from the observed information.
    #[serde(default)]
    pub sigma_std_error: Option<f64>,
    /// Entries of the relative Cholesky factors, in lme4's order.
    pub theta: Vec<f64>,
    /// The random effects' covariances, in lme4's order (by decreasing number of groups).
    pub variance_components: Vec<VarianceComponent>,
    /// Intraclass correlations, in the order of `levels`.
    pub icc: Vec<Icc>,
    /// Shares of the variance explained; `None` where no combination of the columns is constant.
    #[serde(default)]
    pub r_squared: Option<RSquared>,
    /// Design effects and effective sample sizes, in the order of `levels`; none of a crossed design.
    #[serde(default)]
    pub design_effect: Vec<DesignEffect>,
    /// Notes on what the user may not expect of this model or its data; most fits have none.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How the equations of a crossed design are solved; `None` for a nest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solver: Option<Solver>,
    /// What the optimiser did.
    pub optimizer: OptimizerReport,
}

/// A level of random effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelSize {
    /// Name of the grouping.
    pub name: String,
    /// Number of groups.
    pub groups: usize,
}

impl LevelSize {
    fn of(level: &Level) -> Self {
        LevelSize { name: level.name.clone(), groups: level.groups }
    }
}

/// A factor of the fixed effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorLevels {
    /// Name of its column.
    pub name: String,
    /// The reference level, with which the coefficients compare the others; `None` where every level has
    /// a coefficient of its own.
    pub reference: Option<String>,
    /// All levels, in order.
    pub levels: Vec<String>,
}

/// One fixed effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FixedEffect {
    /// Name as in R.
    pub term: String,
    /// Estimate.
    pub estimate: f64,
    /// Standard error. Where there is none, it and all that depends on it are NaN (null in JSON).
    #[serde(deserialize_with = "null_is_nan")]
    pub std_error: f64,
    /// Degrees of freedom of the t statistic; `None` for the normal approximation.
    pub df: Option<f64>,
    /// estimate / std_error.
    #[serde(deserialize_with = "null_is_nan")]
    pub t_value: f64,
    /// Two-sided p value.
    #[serde(deserialize_with = "null_is_nan")]
    pub p_value: f64,
    /// Lower end of the confidence interval.
    #[serde(deserialize_with = "null_is_nan")]
    pub lower: f64,
    /// Upper end of the confidence interval.
    #[serde(deserialize_with = "null_is_nan")]
    pub upper: f64,
}

/// Reads null in JSON as NaN.
fn null_is_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

impl FixedEffect {
    /// Combines a coefficient's name with its test.
    pub(crate) fn new(term: &str, test: &TTest) -> Self {
        FixedEffect {
            term: term.to_owned(),
            estimate: test.estimate,
            std_error: test.std_error,
            df: test.df,
            t_value: test.statistic,
            p_value: test.p_value,
            lower: test.lower,
            upper: test.upper,
        }
    }
}

/// The covariance of one random-effect term.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VarianceComponent {
    /// Name of the grouping.
    pub level: String,
    /// Names of the coefficients.
    pub terms: Vec<String>,
    /// Standard deviations.
    pub sd: Vec<f64>,
    /// Variances.
    pub variance: Vec<f64>,
    /// Correlations; `None` where a variance is zero.
    pub correlation: Vec<Vec<Option<f64>>>,
    /// Standard errors of the standard deviations, from the observed information; `None` where the
    /// covariance is singular, since no symmetric error describes an estimate on the boundary.
    #[serde(default)]
    pub sd_std_error: Vec<Option<f64>>,
    /// Standard errors of the variances.
    #[serde(default)]
    pub variance_std_error: Vec<Option<f64>>,
    /// Standard errors of the correlations; `None` on the diagonal.
    #[serde(default)]
    pub correlation_std_error: Vec<Vec<Option<f64>>>,
}

/// What the optimiser did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimizerReport {
    /// Evaluations of criterion and gradient.
    pub evaluations: usize,
    /// Largest absolute entry at the end of the gradient by the scaled entries of the factors.
    pub gradient_norm: f64,
    /// Newton decrement: twice the decrease of the criterion that another step would predict.
    pub decrement: f64,
    /// All trials.
    pub trace: Vec<Step>,
}

/// The variance parameters in the user's columns.
#[derive(Clone, Debug)]
pub struct Variances {
    /// Per level of the model, the lower-triangular relative covariance factor Λ.
    pub factors: Vec<DMatrix<f64>>,
    /// Residual variance σ².
    pub sigma2: f64,
}

impl Variances {
    /// Computes the covariances at an optimum, with the shifts of the z columns undone.
    pub fn new(objective: &Objective<'_>, optimum: &Optimum) -> Self {
        let factors = unshifted_factors(objective.model(), optimum.at.covariances.factors());
        Variances { factors, sigma2: optimum.at.fixed.pwrss / objective.nu() }
    }

    /// theta in lme4's order.
    pub fn theta(&self, objective: &Objective<'_>) -> Vec<f64> {
        entries(objective, &self.factors)
    }
}

/// The relative factors Λ per level, lower triangular, for the user's z columns.
fn unshifted_factors(model: &Model, shifted: &[DMatrix<f64>]) -> Vec<DMatrix<f64>> {
    shifted.iter().zip(model.effect_maps()).map(|(l, map)| lower_triangular(&(map * l))).collect()
}

fn entries(objective: &Objective<'_>, factors: &[DMatrix<f64>]) -> Vec<f64> {
    objective.parameters.entries.iter().map(|e| factors[e.level][(e.row, e.column)]).collect()
}

/// Converts the coordinates of the criterion (scaled entries of factors for the shifted z columns) to
/// lme4's theta.
pub(crate) fn lme4_theta(objective: &Objective<'_>, scaled: &[f64]) -> Vec<f64> {
    entries(objective, &unshifted_factors(objective.model(), &objective.parameters.factors(scaled)))
}

impl Fit {
    /// Collects the results of an optimum.
    pub fn new(objective: &Objective<'_>, optimum: &Optimum, dropped: &Dropped, inference: Inference) -> Self {
        let inference = FixedInference::new(objective, optimum, inference);
        Self::with(objective, optimum, dropped, &FixedModel::new(objective.model(), inference))
    }

    /// Collects the results of an optimum for which inference on β has been computed.
    pub fn with(objective: &Objective<'_>, optimum: &Optimum, dropped: &Dropped, fixed: &FixedModel) -> Self {
        let inference = &fixed.inference;
        let model = objective.model();
        let covariances = Variances::new(objective, optimum);
        let sigma2 = covariances.sigma2;
        let uncertainty = Uncertainty::new(objective, optimum);
        let beta_covariance = &optimum.at.fixed.xx_inverse * sigma2;
        let n = model.totals().rows;
        let n_parameters = model.p() + objective.parameters.len() + 1;
        let criterion = optimum.at.criterion;
        let name = |&i: &usize| model.recipe.x[i].name.clone();
        let names: Vec<String> = model.coefficients.iter().map(name).collect();
        let icc = intraclass(model, &covariances, (&optimum.at.fixed.beta, &beta_covariance), Some(&uncertainty));
        Fit {
            tiers: env!("CARGO_PKG_VERSION").to_owned(),
            formula: model.recipe.formula.clone(),
            method: objective.method,
            status: optimum.status,
            n_obs: n,
            n_dropped: dropped.rows,
            missing: dropped.missing.clone(),
            crossed: model.is_crossed(),
            levels: model.coarsest_first().map(LevelSize::of).collect(),
            criterion,
            log_likelihood: -0.5 * criterion,
            aic: criterion + 2.0 * n_parameters as f64,
            bic: criterion + n_parameters as f64 * (n as f64).ln(),
            n_parameters,
            residual_df: objective.nu(),
            df_method: inference.df_method(),
            fixed_effects: inference.coefficients(names.iter().map(String::as_str)),
            factors: factors(&model.recipe),
            robust: None,
            anova: fixed.anova(&model.recipe, AnovaType::Three, sigma2.sqrt()),
            dropped_columns: model.dropped.iter().map(name).collect(),
            vcov: rows(&inference.covariance),
            sigma: sigma2.sqrt(),
            sigma_std_error: uncertainty.std_error(Component::Sigma),
            theta: covariances.theta(objective),
            variance_components: variance_components(objective, &covariances, &uncertainty),
            r_squared: r_squared(model, &optimum.at.covariances, &optimum.at.fixed.beta, sigma2),
            design_effect: design_effects(model, &icc),
            icc,
            notes: notes::of_fit(model, optimum, dropped),
            solver: Solver::of(model),
            optimizer: OptimizerReport {
                evaluations: optimum.evaluations,
                gradient_norm: optimum.gradient(objective).amax(),
                decrement: optimum.decrement,
                trace: optimum.trace.clone(),
            },
        }
    }
}

impl Fit {
    /// Adds cluster-robust inference, and notes on standard errors that it cannot estimate.
    #[must_use]
    pub fn with_robust(mut self, robust: Robust) -> Self {
        self.notes.extend(notes::of_robust(&robust));
        self.robust = Some(robust);
        self
    }
}

/// The factors of the fixed effects. A factor has a reference level if some term has no indicator of
/// its first level.
pub fn factors(recipe: &Recipe) -> Vec<FactorLevels> {
    let mut all = Vec::new();
    for (f, factor) in recipe.factors.iter().enumerate() {
        let mut terms: BTreeMap<usize, bool> = BTreeMap::new();
        for x in &recipe.x {
            for atom in &recipe.columns[x.column].atoms {
                if let Atom::Indicator { factor, level } = atom
                    && *factor == f
                {
                    *terms.entry(x.term).or_default() |= *level == 0;
                }
            }
        }
        if !terms.is_empty() {
            let reference = factor.levels.first().filter(|_| terms.values().any(|with_first| !with_first));
            let (name, levels) = (factor.column.clone(), factor.levels.clone());
            all.push(FactorLevels { name, reference: reference.cloned(), levels });
        }
    }
    all
}

fn rows(matrix: &DMatrix<f64>) -> Vec<Vec<f64>> {
    matrix.row_iter().map(|row| row.iter().copied().collect()).collect()
}

/// A scaled standard deviation below this is rounding error, and its correlations are meaningless.
const NO_VARIATION: f64 = 1e-8;

fn variance_components(
    objective: &Objective<'_>,
    covariances: &Variances,
    uncertainty: &Uncertainty,
) -> Vec<VarianceComponent> {
    let (model, scale) = (objective.model(), &objective.parameters.scale);
    let mut out = Vec::new();
    for k in by_groups(model.levels()) {
        let (level, factor) = (&model.levels()[k], &covariances.factors[k]);
        for &(term, start) in &level.terms {
            let spec = &model.recipe.random[term];
            let block = factor.view((start, start), (spec.names.len(), spec.names.len()));
            let covariance = block * block.transpose() * covariances.sigma2;
            let variance: Vec<f64> = covariance.diagonal().iter().copied().collect();
            let sd: Vec<f64> = variance.iter().map(|v| v.sqrt()).collect();
            let varies = |i: usize| block.row(i).norm() > NO_VARIATION * scale[k][start + i];
            let correlation = |i: usize, j: usize| match sd[i] * sd[j] {
                _ if !(varies(i) && varies(j)) => None,
                product if product > 0.0 && i == j => Some(1.0),
                product if product > 0.0 => Some((covariance[(i, j)] / product).clamp(-1.0, 1.0)),
                _ => None,
            };
            let r = sd.len();
            let sd_error = |i: usize| uncertainty.std_error(Component::Sd { level: k, row: start + i });
            let correlation_error = |i: usize, j: usize| {
                let (row, column) = (start + i.max(j), start + i.min(j));
                if i == j { None } else { uncertainty.std_error(Component::Correlation { level: k, row, column }) }
            };
            out.push(VarianceComponent {
                level: level.name.clone(),
                terms: spec.names.clone(),
                correlation: (0..r).map(|i| (0..r).map(|j| correlation(i, j)).collect()).collect(),
                sd_std_error: (0..r).map(sd_error).collect(),
                variance_std_error: (0..r).map(|i| uncertainty.of_variance(Some((k, start + i)))).collect(),
                correlation_std_error: (0..r).map(|i| (0..r).map(|j| correlation_error(i, j)).collect()).collect(),
                variance,
                sd,
            });
        }
    }
    out
}
