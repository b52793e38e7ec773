//! Arguments of `tiers means`.

use super::values::{Choice, one_of};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tiers_reml::Averaging;

/// Examples below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  tiers fit \"score ~ pretest + treat*minority + (1 | school/class)\" students.parquet --out results
  tiers means results treat
  tiers means results treat --by minority --at pretest=50
  tiers means results sector --weights proportional --adjust none
  tiers means results --test \"treat - 2*minority = 0\" --test \"pretest = 1\"

Numeric variables are set to their means (weighted, if the fit is), and other factors are averaged
over with equal weights. Numeric variables can be compared too, at the values of --at, or at 0 and 1
if they have no other values. Hypotheses name the coefficients; put unusual names in `backticks`.";

/// Weights of the levels in an average.
const WEIGHTS: &[Choice<Averaging>] = &[
    ("equal", Averaging::Equal, "Equal weights"),
    ("proportional", Averaging::Proportional, "Frequencies in the data"),
];

/// Arguments of `tiers means`.
#[derive(Debug, Args)]
pub(crate) struct MeansArgs {
    /// Folder of results of `tiers fit --out`, or its fit.json
    #[arg(value_name = "FIT")]
    pub fit: PathBuf,

    /// Factors or numeric variables of the fixed effects to compare, joined by `*`
    #[arg(required_unless_present = "test")]
    pub margins: Option<String>,

    /// Compare within each level of this variable; may be repeated
    #[arg(long, value_name = "NAME", requires = "margins", help_heading = "Inference")]
    pub by: Vec<String>,

    /// Values of a numeric variable, or levels of a factor; may be repeated
    #[arg(long, value_name = "NAME=A,B", requires = "margins", help_heading = "Inference")]
    pub at: Vec<String>,

    /// Weights of the levels that are averaged over
    #[arg(long, value_name = "HOW", value_parser = one_of(WEIGHTS), default_value = "equal", help_heading = "Inference")]
    pub weights: Averaging,

    /// Adjustment of the p values of the differences for multiple tests
    #[arg(long, value_name = "METHOD", value_enum, default_value_t = Adjust::Holm, help_heading = "Inference")]
    pub adjust: Adjust,

    /// Test a linear hypothesis about coefficients; repeated hypotheses are also tested jointly
    #[arg(long, value_name = "HYPOTHESIS", allow_hyphen_values = true, help_heading = "Inference")]
    pub test: Vec<String>,

    /// Confidence level of the intervals (default: that of the fit)
    #[arg(long, value_name = "LEVEL", help_heading = "Inference")]
    pub conf_level: Option<f64>,

    /// Print the results as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

/// Adjustment of p values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Adjust {
    /// Holm's step-down method
    Holm,
    /// No adjustment
    None,
}
