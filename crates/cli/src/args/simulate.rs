//! Arguments of `tiers simulate`.

use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Write an example specification, and show what it would simulate:
    tiers simulate --example > students.toml
    tiers simulate students.toml --dry-run

  Ten million rows, sorted by group; the parameters are written to students.truth.json:
    tiers simulate students.toml --rows 10000000 --out students.parquet

The rows depend only on the specification and the seed, not on the number of threads. A longer file
with the same seed begins with the rows of a shorter one, unless it is shuffled.";

/// Arguments of `tiers simulate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// Specification, a TOML file; `tiers simulate --example` prints one
    #[arg(required_unless_present = "example")]
    pub spec: Option<PathBuf>,

    /// Parquet file to write; the parameters are written beside it, to a file that ends in .truth.json
    #[arg(long, value_name = "FILE", required_unless_present_any = ["example", "dry_run"], help_heading = "Output")]
    pub out: Option<PathBuf>,

    /// Exact number of rows, instead of that of the specification
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub rows: Option<u64>,

    /// Seed of the random numbers, instead of that of the specification
    #[arg(long, value_name = "S", help_heading = "Data")]
    pub seed: Option<u64>,

    /// Write the rows in random order; needs as much space again for a temporary file beside the output
    #[arg(long, help_heading = "Data")]
    pub shuffle: bool,

    /// Print an example specification with comments and exit
    #[arg(long, exclusive = true, help_heading = "Output")]
    pub example: bool,

    /// Print the expected numbers of rows, groups and bytes, and write nothing
    #[arg(long, help_heading = "Run")]
    pub dry_run: bool,

    /// Print no progress and no summary, only errors
    #[arg(long, short, help_heading = "Run")]
    pub quiet: bool,

    /// Number of threads (default: all cores); the rows do not depend on it
    #[arg(long, value_name = "N", help_heading = "Run", env = "TIERS_THREADS", hide_env_values = true)]
    pub threads: Option<NonZeroUsize>,
}
