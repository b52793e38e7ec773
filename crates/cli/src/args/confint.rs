//! Arguments of `tiers confint`.

use super::inference::IntervalMethod;
use super::refit::RefitArgs;
use super::values::{Choice, one_of};
use clap::Args;
use std::path::PathBuf;
use tiers_reml::IntervalType;

/// Examples below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  tiers fit \"score ~ pretest + treat + (1 | school/class)\" students.parquet --out results
  tiers confint results
  tiers confint results --method wald --level 0.9
  tiers confint results --method bootstrap --replicates 2000 --seed 7 --out results/bootstrap
  tiers confint results --parm \"sd_(Intercept)|school\" treat

Parameters have lme4's names: sd_(Intercept)|school, cor_year.(Intercept)|child, sigma, and those of the
coefficients; theta_ stands for all variance parameters, beta_ for all coefficients. Profiles and the
bootstrap read the data again; wald needs only the saved fit.";

/// Types of bootstrap intervals.
const TYPES: &[Choice<IntervalType>] = &[
    ("percentile", IntervalType::Percentile, "Quantiles of the replicates"),
    ("basic", IntervalType::Basic, "Twice the estimate minus the quantiles of the replicates"),
    ("normal", IntervalType::Normal, "Bias-corrected estimate, and the standard deviation of the replicates"),
];

/// Arguments of `tiers confint`.
#[derive(Debug, Args)]
pub(crate) struct ConfintArgs {
    /// Folder of results of `tiers fit --out`, or its fit.json
    #[arg(value_name = "FIT")]
    pub fit: PathBuf,

    /// Method for the intervals
    #[arg(long, value_name = "METHOD", value_enum, default_value_t = IntervalMethod::Profile, help_heading = "Inference")]
    pub method: IntervalMethod,

    /// Confidence level of the intervals
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95, help_heading = "Inference")]
    pub level: f64,

    /// Parameters to compute intervals for (default: all); theta_ or beta_ for all of a kind
    #[arg(long, value_name = "NAME", num_args = 1.., help_heading = "Inference")]
    pub parm: Vec<String>,

    /// Bootstrap: number of replicates [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Inference")]
    pub replicates: Option<u64>,

    /// Bootstrap: seed of the random numbers [default: 1]
    #[arg(long, value_name = "N", help_heading = "Inference")]
    pub seed: Option<u64>,

    /// Bootstrap: type of the intervals [default: percentile]
    #[arg(long = "type", value_name = "TYPE", value_parser = one_of(TYPES), help_heading = "Inference")]
    pub kind: Option<IntervalType>,

    /// Folder for confint.json, and profile.parquet or replicates.parquet
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,

    /// Print the intervals as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    pub refit: RefitArgs,
}
