//! Arguments of `tiers fit`.

use super::csv::CsvArgs;
use super::inference::{Df, LaplaceError, Robust};
use super::resources::Resources;
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;
use tiers_glmm::{Family, Link};

/// Examples below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  Classes within schools, results written to a folder:
    tiers fit \"score ~ pretest + treat + (1 | school/class)\" students.parquet --out results

  A growth curve with random slopes, by maximum likelihood, all files of a folder:
    tiers fit \"math ~ year + (1 + year | child) + (1 | school)\" data/ --ml

  Another reference level, prior weights, and the fit as JSON:
    tiers fit \"y ~ arm + (1 | site)\" trial.csv --reference arm=placebo --weights w --json

  Two models from one read of the data, with results in results/null and results/full:
    tiers fit \"null = y ~ 1 + (1 | site)\" trial.csv --also \"full = y ~ arm + (1 | site)\" --ml --out results

In a formula, (1 | school/class) means (1 | school) + (1 | school:class); (x || g) leaves out the
correlations; I(x^2), log(x), exp(x), sqrt(x), factor(x) and offset(x) can be used. Put names with
characters other than letters, digits, dots and underscores in `backticks`.

Exit codes: 0 fitted (also where a variance is estimated as zero), 1 bad input or usage,
2 the optimiser did not converge (results are written all the same), 3 internal error.";

/// Arguments of `tiers fit`.
#[derive(Debug, Args)]
pub(crate) struct FitArgs {
    /// Model formula in lme4's syntax, as in "y ~ x + (1 + x | school/class)"
    #[arg(required_unless_present = "moments")]
    pub formula: Option<String>,

    /// Files, folders or globs (parquet, csv or arrow) that together hold one table
    #[arg(required_unless_present = "moments")]
    pub data: Vec<PathBuf>,

    /// Fit another model in the same read of the data; may be repeated. Its results are written to
    /// DIR/NAME; unnamed models are called model1 (the first formula), model2 and so on
    #[arg(long, value_name = "[NAME=]FORMULA", help_heading = "Model")]
    pub also: Vec<String>,

    /// Fit to the moments that `tiers moments` wrote for all parts of the data, instead of to rows
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["formula", "data", "also", "weights", "reference", "levels", "fitted", "sep", "decimal", "encoding", "na", "types"], help_heading = "Data")]
    pub moments: Vec<PathBuf>,

    /// Distribution of the response of a generalised model: binomial or poisson
    #[arg(long, value_name = "FAMILY", value_parser = Family::from_str, conflicts_with_all = ["moments", "also", "reml", "df", "robust", "fitted", "report"], help_heading = "Model")]
    pub family: Option<Family>,

    /// Link of the family: logit (the default), probit or cloglog; log for poisson
    #[arg(long, value_name = "LINK", value_parser = Link::from_str, requires = "family", help_heading = "Model")]
    pub link: Option<Link>,

    /// Nodes of adaptive Gauss-Hermite quadrature for each random effect, from 1 (the default: Laplace's
    /// approximation) to 101; for intercepts at any number of levels, or two coefficients of a single level
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=101), requires = "family", help_heading = "Model")]
    pub agq: Option<u8>,

    /// Fit by restricted maximum likelihood (the default)
    #[arg(long, conflicts_with = "ml", help_heading = "Model")]
    pub reml: bool,

    /// Fit by maximum likelihood
    #[arg(long, help_heading = "Model")]
    pub ml: bool,

    /// Column of prior weights: a row with weight w has residual variance sigma^2 / w; with --family binomial the
    /// number of trials of a share
    #[arg(long, value_name = "COL", help_heading = "Model")]
    pub weights: Option<String>,

    /// Reference level of a factor (default: its first level); may be repeated
    #[arg(long, value_name = "FACTOR=LEVEL", help_heading = "Model")]
    pub reference: Vec<String>,

    /// Levels of a factor in order, starting with the reference; may be repeated
    #[arg(long, value_name = "FACTOR=A,B,C", help_heading = "Model")]
    pub levels: Vec<String>,

    #[command(flatten)]
    pub csv: CsvArgs,

    /// Confidence level of the intervals
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95, help_heading = "Inference")]
    pub conf_level: f64,

    /// Degrees of freedom of the tests of fixed effects
    #[arg(long, value_name = "METHOD", value_enum, default_value_t = Df::Satterthwaite, help_heading = "Inference")]
    pub df: Df,

    /// Also report exponentiated coefficients: odds ratios (logit), rate ratios (log) or hazard ratios (cloglog)
    #[arg(long, requires = "family", help_heading = "Output")]
    pub exponentiate: bool,

    /// Whether to measure the error of Laplace's approximation, by quadrature (default: on)
    #[arg(long, value_name = "WHEN", value_enum, requires = "family", help_heading = "Inference")]
    pub laplace_error: Option<LaplaceError>,

    /// Report cluster-robust standard errors of the fixed effects; reads the rows a second time
    #[arg(
        long,
        value_name = "TYPE",
        value_enum,
        ignore_case = true,
        conflicts_with = "moments",
        help_heading = "Inference"
    )]
    pub robust: Option<Robust>,

    /// Level whose groups are the clusters of --robust; must be the top level, which is the default
    #[arg(long, value_name = "LEVEL", requires = "robust", help_heading = "Inference")]
    pub cluster: Option<String>,

    /// Folder for summary.txt, fit.json and random_effects/*.parquet; replaced once the fit is complete
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,

    /// Also write fitted.parquet: fitted values and residuals by row; reads the rows a second time
    #[arg(long, requires = "out", help_heading = "Output")]
    pub fitted: bool,

    /// Also write report.html: the results with figures, as one self-contained page
    #[arg(long, requires = "out", help_heading = "Output")]
    pub report: bool,

    /// Print the fit as JSON instead of the summary
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Print no progress and no timing; with --out, print no summary either, only errors
    #[arg(long, short, help_heading = "Run")]
    pub quiet: bool,

    #[command(flatten)]
    pub resources: Resources,

    /// Limit on evaluations of the likelihood before the optimiser gives up
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Run")]
    pub max_evaluations: usize,
}
