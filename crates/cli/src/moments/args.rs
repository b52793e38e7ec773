//! The command line of `tiers moments`.

use crate::csv::CsvArgs;
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Examples below the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  Moments of two halves of a data set, made apart (on two machines, say), and their fit:
    tiers moments \"score ~ pretest + (1 | school/class)\" a.parquet --out a.moments
    tiers moments \"score ~ pretest + (1 | school/class)\" b.parquet --out b.moments
    tiers fit --moments a.moments b.moments

  Parts of which one lacks a level of a factor, made alike:
    tiers moments \"y ~ arm + (1 | site)\" a.csv --out a.moments --levels arm=drug,placebo
    tiers moments \"y ~ arm + (1 | site)\" b.csv --out b.moments --like a.moments

Groups may be spread over parts. The format is told in docs/moments.md; a GROUP BY can write it.";

/// `tiers moments`.
#[derive(Debug, Args)]
pub(crate) struct MomentsArgs {
    /// The model in lme4's language, as in "y ~ x + (1 + x | school/class)"
    pub formula: String,

    /// Files, folders or globs: parquet, csv or arrow; all of one table
    #[arg(required = true)]
    pub data: Vec<PathBuf>,

    /// Folder for the moments; moments that stand there are replaced
    #[arg(long, value_name = "DIR", required = true)]
    pub out: PathBuf,

    /// Column of prior weights: a row of weight w has residual variance sigma^2 / w
    #[arg(long, value_name = "COL")]
    pub weights: Option<String>,

    /// Reference level of a factor (default: the first in order); may be repeated
    #[arg(long, value_name = "FACTOR=LEVEL")]
    pub reference: Vec<String>,

    /// All levels of a factor, where this part may lack some; may be repeated
    #[arg(long, value_name = "FACTOR=A,B,C")]
    pub levels: Vec<String>,

    /// Take levels and shifts from these moments of another part of the same data
    #[arg(long, value_name = "DIR", conflicts_with = "levels")]
    pub like: Option<PathBuf>,

    #[command(flatten)]
    pub csv: CsvArgs,

    /// Most memory to use: bytes, 2GB, or a share of what is available
    #[arg(long, value_name = "SIZE", default_value = crate::memory::DEFAULT)]
    pub memory_limit: String,

    /// No progress and no message, only errors
    #[arg(long, short)]
    pub quiet: bool,

    /// Threads to use (default: all cores); the results do not depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}
