//! Arguments of `tiers moments`.

use super::csv::CsvArgs;
use super::resources::Resources;
use clap::Args;
use std::path::PathBuf;

/// Examples below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  Moments of two halves of a data set, computed separately (say, on two machines), and their fit:
    tiers moments \"score ~ pretest + (1 | school/class)\" a.parquet --out a.moments
    tiers moments \"score ~ pretest + (1 | school/class)\" b.parquet --out b.moments
    tiers fit --moments a.moments b.moments

  Parts of which one lacks a level of a factor:
    tiers moments \"y ~ arm + (1 | site)\" a.csv --out a.moments --levels arm=drug,placebo
    tiers moments \"y ~ arm + (1 | site)\" b.csv --out b.moments --like a.moments

Groups may be spread over parts. The format is documented in docs/moments.md; a GROUP BY query can
write it.";

/// Arguments of `tiers moments`.
#[derive(Debug, Args)]
pub(crate) struct MomentsArgs {
    /// Model formula in lme4's syntax, as in "y ~ x + (1 + x | school/class)"
    pub formula: String,

    /// Files, folders or globs (parquet, csv or arrow) that together hold one table
    #[arg(required = true)]
    pub data: Vec<PathBuf>,

    /// Folder for the moments; existing moments are replaced
    #[arg(long, value_name = "DIR", required = true, help_heading = "Output")]
    pub out: PathBuf,

    /// Column of prior weights: a row with weight w has residual variance sigma^2 / w
    #[arg(long, value_name = "COL", help_heading = "Model")]
    pub weights: Option<String>,

    /// Reference level of a factor (default: its first level); may be repeated
    #[arg(long, value_name = "FACTOR=LEVEL", help_heading = "Model")]
    pub reference: Vec<String>,

    /// All levels of a factor, if this part may lack some; may be repeated
    #[arg(long, value_name = "FACTOR=A,B,C", help_heading = "Model")]
    pub levels: Vec<String>,

    /// Use the levels and shifts of these moments of another part of the same data
    #[arg(long, value_name = "DIR", conflicts_with = "levels", help_heading = "Model")]
    pub like: Option<PathBuf>,

    #[command(flatten)]
    pub csv: CsvArgs,

    #[command(flatten)]
    pub resources: Resources,

    /// Print no progress and no messages, only errors
    #[arg(long, short, help_heading = "Run")]
    pub quiet: bool,
}
