//! Options of commands that read the data of a saved fit again.

use super::csv::CsvArgs;
use super::resources::Resources;
use clap::Args;
use std::path::PathBuf;

/// Options of commands that read the data of a fit again.
#[derive(Clone, Debug, Args)]
pub(crate) struct RefitArgs {
    /// Current location of the data (or moments) of the fit, if they were moved
    #[arg(long, value_name = "PATHS", num_args = 1.., help_heading = "Data")]
    pub data: Vec<PathBuf>,

    #[command(flatten)]
    pub csv: CsvArgs,

    #[command(flatten)]
    pub resources: Resources,

    /// Print no progress, only results and errors
    #[arg(long, short, help_heading = "Run")]
    pub quiet: bool,
}
