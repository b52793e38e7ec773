//! What stands in the folder of results when a job is complete: `manifest.json` with the models and
//! the hash of every file, which is the same for every run of the same job, and `job.json` with what
//! the run took.

use super::kept::{Kept, Took};
use super::log::now;
use super::store::{Store, cannot};
use crate::report::json;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tiers_reml::ReadTimes;

/// Name of the manifest.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Name of the account of the run.
pub(crate) const JOB: &str = "job.json";

/// All results of a complete job.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Version of the program.
    pub tiers: String,
    /// The models in the order of the job file.
    pub models: Vec<Kept>,
    /// Models that could not be fitted, and why, where the job goes on in spite of them.
    pub failed: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest of the last complete job, if there is one.
    pub(crate) fn read(store: &Store) -> Option<Manifest> {
        serde_json::from_str(&fs::read_to_string(store.path(MANIFEST)).ok()?).ok()
    }

    /// Writes it: the job is complete.
    pub(crate) fn write(models: &[Kept], failed: &BTreeMap<String, String>, store: &Store) -> anyhow::Result<()> {
        let timeless = |kept: &Kept| Kept { took: None, ..kept.clone() };
        let tiers = env!("CARGO_PKG_VERSION").to_owned();
        let manifest = Manifest { tiers, models: models.iter().map(timeless).collect(), failed: failed.clone() };
        store.write_text(&store.path(MANIFEST), &json(&manifest))
    }

    /// Takes it away before anything that it tells of changes.
    pub(crate) fn remove(store: &Store) -> anyhow::Result<()> {
        match fs::remove_file(store.path(MANIFEST)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(cannot("be removed", &store.path(MANIFEST), &error))
            }
            _ => Ok(()),
        }
    }
}

/// What a run took.
#[derive(Debug, Serialize)]
pub(crate) struct Account {
    tiers: &'static str,
    /// The job file.
    pub job: String,
    /// When the run began.
    pub began: String,
    ended: String,
    /// Seconds of this run.
    pub seconds: f64,
    /// Threads of the reader, which are those of the fits.
    pub threads: usize,
    /// What was read.
    pub data: DataAccount,
    /// The passes over the rows.
    pub reads: Vec<ReadAccount>,
    /// The models in the order of the job file.
    pub models: Vec<ModelAccount>,
    /// Most memory that the process held.
    pub peak_memory_bytes: Option<u64>,
}

/// What was read.
#[derive(Debug, Serialize)]
pub(crate) struct DataAccount {
    /// As named in the job file.
    pub paths: Vec<PathBuf>,
    /// Number of files.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Their rows, where the files tell it.
    pub rows: Option<u64>,
}

/// One read for some of the models.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReadAccount {
    /// For which models.
    pub models: Vec<String>,
    /// Seconds by the clock.
    pub seconds: f64,
    /// Rows that a checkpoint saved from being read again.
    pub rows_resumed: u64,
    /// Passes over the rows: one, unless a factor had a level that the first rows did not show.
    pub passes: usize,
    /// Checkpoints written.
    pub checkpoints: usize,
    /// Seconds that they took.
    pub checkpoint_seconds: f64,
    /// Seconds by phase.
    #[serde(flatten)]
    pub times: ReadTimes,
    /// Most memory that the process had held until then.
    pub peak_memory_bytes: Option<u64>,
}

/// A model of this run.
#[derive(Debug, Serialize)]
pub(crate) struct ModelAccount {
    /// Its name.
    pub name: String,
    /// `fitted` by this run, `kept` from a former one, or `failed`.
    pub by_this_run: &'static str,
    /// What it took, in whichever run that was.
    #[serde(flatten)]
    pub took: Option<Took>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Account {
    /// An account that begins now.
    pub(crate) fn begin(job: String, data: DataAccount) -> Account {
        Account {
            tiers: env!("CARGO_PKG_VERSION"),
            job,
            began: now(),
            ended: String::new(),
            seconds: 0.0,
            threads: tiers_tables::threads(),
            data,
            reads: Vec::new(),
            models: Vec::new(),
            peak_memory_bytes: None,
        }
    }

    /// Writes it.
    pub(crate) fn write(&mut self, store: &Store) -> anyhow::Result<()> {
        self.ended = now();
        self.peak_memory_bytes = crate::report::peak_memory();
        store.write_text(&store.path(JOB), &json(self))
    }
}
