//! Arguments of `tiers predict`.

use super::refit::RefitArgs;
use super::values::{Choice, one_of};
use clap::Args;
use std::path::PathBuf;
use tiers_glmm::PredictScale;
use tiers_reml::IntervalKind;

/// Examples below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  Predictions with all random effects, and intervals for new observations:
    tiers fit \"score ~ pretest + (1 | school/class)\" students.parquet --out results
    tiers predict results new_students.parquet --out predicted.parquet --interval prediction

  With the effects of schools only, keeping the id of the student beside the prediction:
    tiers predict results new_students.parquet --out predicted.parquet --level school --keep student

  For the population (no group known), with standard errors:
    tiers predict results new_students.parquet --out predicted.parquet --population --se

  As text, for a spreadsheet:
    tiers predict results new_students.csv --out predicted.csv

Rows of groups that the fit has not seen are predicted without random effects of these groups, and
the column `known_LEVEL` marks them. Predictions alone need only the folder of results, and so do
--population --se and --interval confidence for a fit with Satterthwaite's degrees of freedom; other
standard errors and intervals read the data of the fit again.";

/// Kinds of intervals.
const KINDS: &[Choice<IntervalKind>] = &[
    (
        "confidence",
        IntervalKind::Confidence,
        "For the mean of rows like this: uncertainty of the estimates, and effects of unseen groups",
    ),
    (
        "prediction",
        IntervalKind::Prediction,
        "For a new response: also the residual, and the effects of levels that are left out",
    ),
];

/// Scales of the predictions of generalised fits.
const SCALES: &[Choice<PredictScale>] = &[
    ("link", PredictScale::Link, "The linear predictor; unknown groups have effects of zero"),
    (
        "response",
        PredictScale::Response,
        "Means of the response: of the group where it is known, over all groups where it is not",
    ),
];

/// Arguments of `tiers predict`.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Folder of results of `tiers fit --out`, or its fit.json
    pub fit: PathBuf,

    /// Files, folders or globs of one table with the rows to predict for; the response is not needed
    #[arg(required = true)]
    pub new_data: Vec<PathBuf>,

    /// File for the predictions, one row per row of the new data in the same order. The extension sets
    /// the format: .csv, .tsv or .arrow, otherwise parquet
    #[arg(long, value_name = "FILE", required = true, help_heading = "Output")]
    pub out: PathBuf,

    /// Use the random effects of this level and all coarser ones (default: all levels)
    #[arg(long, value_name = "LEVEL", help_heading = "Inference")]
    pub level: Option<String>,

    /// Use no random effects: predict for the population
    #[arg(long, conflicts_with = "level", help_heading = "Inference")]
    pub population: bool,

    /// Also write standard errors
    #[arg(long, help_heading = "Inference")]
    pub se: bool,

    /// Also write the lower and upper ends of intervals
    #[arg(long, value_name = "KIND", value_parser = one_of(KINDS), help_heading = "Inference")]
    pub interval: Option<IntervalKind>,

    /// Confidence level of the interval
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95, help_heading = "Inference")]
    pub conf_level: f64,

    /// Scale of the predictions of a generalised fit (default: response)
    #[arg(long, value_name = "SCALE", value_parser = one_of(SCALES), help_heading = "Inference")]
    pub scale: Option<PredictScale>,

    /// Columns of the new data to copy, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', help_heading = "Output")]
    pub keep: Vec<String>,

    /// Print the report of the run as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    pub refit: RefitArgs,
}
