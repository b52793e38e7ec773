//! Arguments of `tiers run`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Fit all models of a job; repeat the command to resume after an interruption:
    tiers run job.toml

  Show what the job would do, without reading a row; then run it with another method for one model:
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
run it again to resume. See docs/batch.md for details.";

/// Arguments of `tiers run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// Job file, in TOML
    #[arg(required_unless_present = "schema")]
    pub job: Option<PathBuf>,

    /// Override a key of the job file, as in models.growth.method=ML; `*` means all models; may be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Model")]
    pub set: Vec<String>,

    /// Check files, columns, types, formulas, disk space and memory, and print the plan; reads no rows
    #[arg(long, help_heading = "Run")]
    pub dry_run: bool,

    /// Start from the beginning: discard checkpoints and finished models
    #[arg(long, conflicts_with = "dry_run", help_heading = "Run")]
    pub fresh: bool,

    /// Print the table of models as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Print no progress, no table of models, and only errors in the log
    #[arg(long, short, help_heading = "Run")]
    pub quiet: bool,

    /// Format of the log on standard error; without it, a terminal shows progress bars instead
    #[arg(long, value_name = "FORMAT", value_enum, help_heading = "Run")]
    pub log_format: Option<LogFormat>,

    /// Lowest level of messages to log
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info, help_heading = "Run")]
    pub log_level: LogLevel,

    /// Print the JSON Schema of job files and exit
    #[arg(long, exclusive = true, help_heading = "Output")]
    pub schema: bool,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `2026-01-01T00:00:00Z INFO model fitted name=growth criterion=12.5`
    Text,
    /// One JSON object per line.
    Json,
}

/// Level of log messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum LogLevel {
    /// Failures of the job or of a model.
    Error,
    /// Also problems that need attention.
    Warn,
    /// Also the progress of the job.
    Info,
    /// Also every evaluation of the likelihood.
    Debug,
}
