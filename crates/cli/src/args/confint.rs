//! Arguments of `tiers confint`.

use super::refit::RefitArgs;
use clap::{Args, ValueEnum};
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
    #[arg(long = "type", value_name = "TYPE", value_enum, help_heading = "Inference")]
    pub kind: Option<BootstrapType>,

    /// Folder for confint.json, and profile.parquet or replicates.parquet
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,

    /// Print the intervals as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    pub refit: RefitArgs,
}

/// Method for the intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IntervalMethod {
    /// From standard errors
    Wald,
    /// From the profile likelihood, with each parameter held fixed in turn
    Profile,
    /// Parametric bootstrap: refits to responses drawn from the fitted model
    Bootstrap,
}

impl IntervalMethod {
    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            IntervalMethod::Wald => "wald",
            IntervalMethod::Profile => "profile",
            IntervalMethod::Bootstrap => "bootstrap",
        }
    }
}

/// Type of bootstrap intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BootstrapType {
    /// Quantiles of the replicates
    Percentile,
    /// Twice the estimate minus the quantiles of the replicates
    Basic,
    /// Bias-corrected estimate, and the standard deviation of the replicates
    Normal,
}

impl BootstrapType {
    /// Returns the library's name for the type.
    pub(crate) fn interval_type(self) -> IntervalType {
        match self {
            BootstrapType::Percentile => IntervalType::Percentile,
            BootstrapType::Basic => IntervalType::Basic,
            BootstrapType::Normal => IntervalType::Normal,
        }
    }

    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            BootstrapType::Percentile => "percentile",
            BootstrapType::Basic => "basic",
            BootstrapType::Normal => "normal",
        }
    }
}
