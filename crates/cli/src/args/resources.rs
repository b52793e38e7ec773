//! Options for threads and memory, which several commands share.

use crate::memory::{DEFAULT, Limit};
use clap::Args;
use std::num::NonZeroUsize;

/// Threads and memory of a command that reads rows.
#[derive(Clone, Debug, Args)]
pub(crate) struct Resources {
    /// Number of threads (default: all cores); the results do not depend on it
    #[arg(long, value_name = "N", help_heading = "Run", env = "TIERS_THREADS", hide_env_values = true)]
    pub threads: Option<NonZeroUsize>,

    /// Limit on memory: bytes, a size such as 2GB, or a percentage of the available memory
    #[arg(long, value_name = "SIZE", default_value = DEFAULT, help_heading = "Run", env = "TIERS_MEMORY_LIMIT", hide_env_values = true)]
    pub memory_limit: String,
}

impl Resources {
    /// Parses the limit on memory.
    pub(crate) fn limit(&self) -> anyhow::Result<Limit> {
        Limit::parse(&self.memory_limit)
    }
}
