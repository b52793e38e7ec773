//! Reference values of R's lme4, lmerTest and pbkrtest for a model, read from JSON.
//!
//! There is one file per model, with a REML and an ML fit. The conventions are those of lme4: the
//! criterion is −2 log-likelihood with all constants, θ is ordered by grouping factor with the most
//! groups first, and conditional standard deviations are given θ, σ and β.

use nalgebra::DMatrix;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The reference values of one model.
#[derive(Clone, Debug, Deserialize)]
pub struct Golden {
    /// Name of the model.
    pub model: String,
    /// File name of the data.
    pub dataset: String,
    /// Formula in lme4's syntax.
    pub formula: String,
    /// Description of the model.
    #[serde(default)]
    pub description: String,
    /// Column of the weights, if there are any.
    #[serde(default)]
    pub weights: Option<String>,
    /// Number of rows of the file.
    pub n_rows_in_file: usize,
    /// Number of rows used (complete cases).
    pub n: usize,
    /// Number of rows dropped because of a null in a variable of the formula (listwise deletion).
    pub n_dropped_missing: usize,
    /// Number of groups of each grouping factor, by lme4's name.
    pub groups: BTreeMap<String, usize>,
    /// The fits, by `REML` and `ML`.
    pub fits: BTreeMap<String, GoldenFit>,
}

/// One fit.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenFit {
    /// `REML` or `ML`.
    pub method: String,
    /// −2 log-likelihood, or −2 restricted log-likelihood for REML.
    pub criterion: f64,
    /// Log-likelihood.
    #[serde(rename = "logLik")]
    pub log_likelihood: f64,
    /// Akaike information criterion.
    #[serde(rename = "AIC")]
    pub aic: f64,
    /// Bayesian information criterion, with n.
    #[serde(rename = "BIC")]
    pub bic: f64,
    /// Number of parameters: p, plus the entries of θ, plus one for σ.
    pub n_parameters: usize,
    /// σ.
    pub sigma: f64,
    /// θ in lme4's order.
    pub theta: Vec<f64>,
    /// Names of the entries of θ.
    pub theta_names: Vec<String>,
    /// Whether the fit is singular according to lme4.
    pub singular: bool,
    /// Fixed effects.
    pub coefficients: Vec<GoldenCoefficient>,
    /// Cov(β).
    pub vcov: Vec<Vec<f64>>,
    /// Variance components.
    pub random: Vec<GoldenRandom>,
    /// Proportions of variance of the random intercepts.
    pub icc: GoldenIcc,
    /// The parts of the criterion in lme4.
    pub devcomp: GoldenDevcomp,
    /// Fitted values.
    pub fitted: GoldenFitted,
    /// y minus fitted.
    pub residuals: GoldenResiduals,
    /// Conditional modes (BLUPs) by grouping factor.
    pub blups: BTreeMap<String, GoldenBlups>,
    /// Type III F tests with Satterthwaite degrees of freedom.
    #[serde(default)]
    pub anova_type3_satterthwaite: Vec<GoldenAnova>,
    /// Kenward–Roger inference, if computed.
    pub kenward_roger: Option<GoldenKenwardRoger>,
    /// Cluster-robust covariances with the groups of the outermost factor as clusters, if computed.
    pub cluster_robust: Option<GoldenClusterRobust>,
}

/// One fixed effect.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenCoefficient {
    /// R's name.
    pub name: String,
    /// β.
    pub estimate: f64,
    /// Standard error from Cov(β).
    pub se: f64,
    /// Estimate over standard error.
    pub t: f64,
    /// Satterthwaite degrees of freedom.
    pub df_satterthwaite: Option<f64>,
    /// Two-sided p-value with these degrees of freedom.
    pub p_satterthwaite: Option<f64>,
}

/// The covariance of one random term.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenRandom {
    /// lme4's name of the grouping factor.
    pub group: String,
    /// The key columns of the grouping factor.
    pub key_columns: Vec<String>,
    /// Number of groups.
    pub n_levels: usize,
    /// Names of the coefficients.
    pub terms: Vec<String>,
    /// Standard deviations.
    pub sd: Vec<f64>,
    /// Variances.
    pub variance: Vec<f64>,
    /// Covariance matrix.
    pub cov: Vec<Vec<f64>>,
    /// Correlation matrix (NaN, written null, where a variance is zero).
    pub corr: Vec<Vec<Option<f64>>>,
}

/// Proportions of variance.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenIcc {
    /// Sum of all random-intercept variances and σ².
    pub total_variance: f64,
    /// Proportion of variance of each grouping factor's intercept.
    pub share: BTreeMap<String, f64>,
}

/// lme4's `devcomp`.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenDevcomp {
    /// log|A|.
    #[serde(rename = "ldL2")]
    pub log_det_a: f64,
    /// log|X'V⁻¹X|.
    #[serde(rename = "ldRX2")]
    pub log_det_x: f64,
    /// Penalised weighted residual sum of squares.
    pub pwrss: f64,
}

/// Summaries of the fitted values.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenFitted {
    /// Sum.
    pub sum: f64,
    /// Sum of squares.
    pub sum_sq: f64,
    /// The first five used rows.
    pub first5: Vec<f64>,
    /// Sum of squares of Xβ.
    pub fixed_part_sum_sq: f64,
    /// Variance of Xβ with divisor n−1.
    pub fixed_part_variance: f64,
}

/// Summaries of the residuals.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenResiduals {
    /// Sum of squares.
    pub sum_sq: f64,
    /// Largest absolute value.
    pub max_abs: f64,
    /// The first five used rows.
    pub first5: Vec<f64>,
}

/// Conditional modes of one grouping factor.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenBlups {
    /// Names of the coefficients.
    pub terms: Vec<String>,
    /// The key columns.
    pub key_columns: Vec<String>,
    /// Number of groups.
    pub n_levels: usize,
    /// The groups whose values are listed.
    pub shown: Vec<GoldenBlup>,
    /// Sum over all groups, per coefficient.
    pub sum: Vec<f64>,
    /// Sum of squares over all groups, per coefficient.
    pub sum_sq: Vec<f64>,
    /// Largest absolute value over all groups, per coefficient.
    pub max_abs: Vec<f64>,
    /// Sum of the conditional variances over all groups, per coefficient.
    pub cond_var_sum: Vec<f64>,
}

/// Conditional modes of one group.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenBlup {
    /// Label per key column, as a string.
    pub key: BTreeMap<String, String>,
    /// The conditional modes.
    pub value: Vec<f64>,
    /// Conditional standard deviations given θ, σ and β.
    pub cond_sd: Vec<f64>,
}

/// One F test.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenAnova {
    /// Term.
    pub term: String,
    /// Sum of squares.
    pub sum_sq: f64,
    /// Numerator degrees of freedom.
    pub num_df: f64,
    /// Denominator degrees of freedom.
    pub den_df: f64,
    /// F.
    #[serde(rename = "F")]
    pub f: f64,
    /// p-value.
    pub p: f64,
}

/// Kenward–Roger inference.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenKenwardRoger {
    /// Adjusted Cov(β).
    pub vcov_adjusted: Vec<Vec<f64>>,
    /// Inference per fixed effect.
    pub coefficients: Vec<GoldenKenwardRogerCoefficient>,
}

/// Kenward–Roger inference on one fixed effect.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenKenwardRogerCoefficient {
    /// R's name.
    pub name: String,
    /// Adjusted standard error.
    pub se: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// t.
    pub t: f64,
    /// p-value.
    pub p: f64,
}

/// Cluster-robust covariances of β, by R's clubSandwich.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenClusterRobust {
    /// The factor whose groups are the clusters.
    pub cluster: String,
    /// Covariance of β by kind: `CR0`, `CR1`, `CR2`.
    pub vcov: BTreeMap<String, Vec<Vec<f64>>>,
    /// Satterthwaite degrees of freedom of each coefficient, by kind.
    pub df: BTreeMap<String, Vec<f64>>,
}

impl Golden {
    /// Reads a reference file; panics with its path on failure.
    pub fn load(path: impl AsRef<Path>) -> Golden {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Loads `datasets/<folder>/reference/<model>.json`.
    pub fn of_dataset(folder: &str, model: &str) -> Golden {
        Golden::load(datasets_dir().join(folder).join("reference").join(format!("{model}.json")))
    }

    /// The REML fit.
    pub fn reml(&self) -> &GoldenFit {
        &self.fits["REML"]
    }

    /// The ML fit.
    pub fn ml(&self) -> &GoldenFit {
        &self.fits["ML"]
    }
}

/// Converts a matrix of a reference file.
pub fn matrix(rows: &[Vec<f64>]) -> DMatrix<f64> {
    DMatrix::from_fn(rows.len(), rows.first().map_or(0, Vec::len), |i, j| rows[i][j])
}

/// Returns the folder `datasets` of the workspace.
pub fn datasets_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets")
}

/// Returns the folder of reference values of models whose data are not in the repository.
pub fn reference_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference")
}

/// Returns the folder of data that cannot be distributed, if it exists: the environment variable
/// `TIERS_SHARED`, or `shared` next to the workspace. Tests that need it pass silently without it.
pub fn shared_dir() -> Option<PathBuf> {
    let folder = match std::env::var_os("TIERS_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    folder.is_dir().then_some(folder)
}
