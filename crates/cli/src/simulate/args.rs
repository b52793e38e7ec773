//! What the command line of `tiers simulate` may say.

use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  A specification to begin with, and what it comes to:
    tiers simulate --example > students.toml
    tiers simulate students.toml --dry-run

  Ten million rows, sorted by group; the parameters are written to students.truth.json:
    tiers simulate students.toml --rows 10000000 --out students.parquet

The rows depend on the specification and the seed alone, not on the number of threads. A longer
file of the same seed begins with the rows of a shorter one, unless it is shuffled.";

/// `tiers simulate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// The specification, a TOML file; `tiers simulate --example` prints one
    #[arg(required_unless_present = "example")]
    pub spec: Option<PathBuf>,

    /// Parquet file to write; the parameters go to a file beside it that ends in .truth.json
    #[arg(long, value_name = "FILE", required_unless_present_any = ["example", "dry_run"])]
    pub out: Option<PathBuf>,

    /// Exact number of rows, in place of what the specification says
    #[arg(long, value_name = "N")]
    pub rows: Option<u64>,

    /// Seed of the random numbers, in place of the specification's
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,

    /// Rows in random order; a temporary file beside the output takes as much space again
    #[arg(long)]
    pub shuffle: bool,

    /// Print a specification with comments, and do no more
    #[arg(long, exclusive = true)]
    pub example: bool,

    /// Print how many rows, groups and bytes to expect, and do no more
    #[arg(long)]
    pub dry_run: bool,

    /// No progress and no summary, only errors
    #[arg(long, short)]
    pub quiet: bool,

    /// Threads to use (default: all cores); the rows do not depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}
