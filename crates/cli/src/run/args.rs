//! What the command line of `tiers run` may say.

use crate::run::log::{Format, Level};
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Fit all models of a job; the same command goes on after an interruption:
    tiers run job.toml

  See what it would do, without reading a row; then with another method for one model:
    tiers run job.toml --dry-run
    tiers run job.toml --set models.growth.method=ML --set run.threads=8

  Under a scheduler, with log lines as JSON:
    tiers run job.toml --log-format json

A job file:
  [data]
  paths = [\"students/*.parquet\"]
  [output]
  folder = \"results\"
  [[models]]
  name = \"growth\"
  formula = \"score ~ pretest + ses + (1 + pretest | school)\"

Exit codes: 0 all models are fitted, 1 bad input or usage, or a model could not be fitted, 2 a model
did not converge (its results are written all the same), 3 internal error, 4 interrupted by a signal:
run it again to go on. docs/batch.md tells more.";

/// `tiers run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// The job file, in TOML
    #[arg(required_unless_present = "schema")]
    pub job: Option<PathBuf>,

    /// Change a key of the job file, as in models.growth.method=ML; `*` is all models; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Check files, columns, types, formulas, space and memory, print the plan, and read no row
    #[arg(long)]
    pub dry_run: bool,

    /// Start anew: forget checkpoints and finished models
    #[arg(long, conflicts_with = "dry_run")]
    pub fresh: bool,

    /// Print the table of models as JSON
    #[arg(long)]
    pub json: bool,

    /// No progress, and no log but errors; no table of models
    #[arg(long, short)]
    pub quiet: bool,

    /// Log lines on standard error, where that is no terminal or this is given
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<Format>,

    /// How much is logged
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = Level::Info)]
    pub log_level: Level,

    /// Print the JSON Schema of job files, and do no more
    #[arg(long, exclusive = true)]
    pub schema: bool,
}
