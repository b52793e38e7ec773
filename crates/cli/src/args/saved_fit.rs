//! Arguments of the commands that look at a saved fit: anova, compare, diagnose, influence and ranef.

use super::inference::Df;
use super::refit::RefitArgs;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::path::PathBuf;
use tiers_reml::AnovaType;

/// Examples of `tiers anova`.
pub(super) const ANOVA_EXAMPLES: &str = "\
Examples:
  tiers fit \"score ~ pretest + treat*sex + (1 | school/class)\" students.parquet --out results
  tiers anova results
  tiers anova results --type 1 --df kenward-roger

Type III tests the effects of a term, averaged over the factors it interacts with, given all other
terms; type I tests what a term adds to those before it. A --df other than that of the fit makes the
command read the data again.";

/// Returns the parser of the type of F tests.
fn anova_type() -> impl TypedValueParser<Value = AnovaType> {
    PossibleValuesParser::new([
        PossibleValue::new("3").alias("III").help("Each term given all others"),
        PossibleValue::new("1").alias("I").help("Each term given those before it"),
    ])
    .map(|name| if matches!(&name[..], "3" | "III") { AnovaType::Three } else { AnovaType::One })
}

/// Arguments of `tiers anova`.
#[derive(Debug, Args)]
pub(crate) struct AnovaArgs {
    /// Folder of results of `tiers fit --out`, or its fit.json
    #[arg(value_name = "FIT")]
    pub fit: PathBuf,

    /// Type of the tests
    #[arg(long = "type", value_name = "TYPE", value_parser = anova_type(), default_value = "3", help_heading = "Inference")]
    pub kind: AnovaType,

    /// Degrees of freedom (default: those of the fit)
    #[arg(long, value_name = "METHOD", value_enum, help_heading = "Inference")]
    pub df: Option<Df>,

    /// Print the table as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    pub refit: RefitArgs,
}

/// Examples of `tiers compare`.
pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  Is there variation between classes beyond that between schools?
    tiers fit \"score ~ pretest + (1 | school)\" students.parquet --out schools
    tiers fit \"score ~ pretest + (1 | school/class)\" students.parquet --out classes
    tiers compare schools classes

  Models with different fixed effects, fitted by REML, are refitted by maximum likelihood:
    tiers compare small large --ml

Models are ordered by their number of parameters; each is tested within the next.";

/// Arguments of `tiers compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Folders of results of `tiers fit --out`, or their fit.json
    #[arg(value_name = "FIT", num_args = 2.., required = true)]
    pub fits: Vec<PathBuf>,

    /// Refit models that were fitted by REML by maximum likelihood; reads the data again
    #[arg(long, help_heading = "Inference")]
    pub ml: bool,

    /// Print the comparison as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    pub refit: RefitArgs,
}

/// Arguments of `tiers diagnose`.
#[derive(Debug, Args)]
pub(crate) struct DiagnoseArgs {
    /// Folder of results of `tiers fit --out`, or its fit.json
    pub fit: PathBuf,

    /// Print the diagnosis as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    pub refit: RefitArgs,
}

/// Arguments of `tiers influence`.
#[derive(Debug, Args)]
pub(crate) struct InfluenceArgs {
    /// Folder of results of `tiers fit --out`, or its fit.json
    pub fit: PathBuf,

    /// Level whose groups are left out one by one; must be the top level, which is the default
    #[arg(long, value_name = "LEVEL", help_heading = "Inference")]
    pub level: Option<String>,

    /// Number of groups to show
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Output")]
    pub top: usize,

    /// Folder for influence.parquet, with all groups
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,

    /// Print the groups as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    pub refit: RefitArgs,
}

/// Arguments of `tiers ranef`.
#[derive(Debug, Args)]
pub(crate) struct RanefArgs {
    /// Folder of results of `tiers fit --out`, or its fit.json
    pub fit: PathBuf,

    /// Level whose groups are shown (default: the top level)
    #[arg(long, value_name = "LEVEL", help_heading = "Inference")]
    pub level: Option<String>,

    /// Number of largest and of smallest effects to show
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Output")]
    pub top: usize,

    /// Confidence level of the intervals (default: that of the fit)
    #[arg(long, value_name = "LEVEL", help_heading = "Inference")]
    pub conf_level: Option<f64>,

    /// Print the groups as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}
