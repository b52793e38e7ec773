//! `manifest.json`, which says whose run is under way or, when the job is complete, has the models and the
//! hash of every file, the same for every run of the same job; and `job.json` with what the run took.

use super::kept::{Kept, Took};
use super::lock::Holder;
use super::log::now;
use super::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tiers_moments::ReadTimes;
use tiers_report::json;

/// Name of the manifest.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Name of the account of the run.
pub(crate) const JOB: &str = "job.json";

/// The results of a job, or the run that is making them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Version of the program.
    pub tiers: String,
    /// How far the job is.
    #[serde(default)]
    pub state: State,
    /// Which run has begun and not completed the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Holder>,
    /// The models of a complete job in the order of the job file.
    pub models: Vec<Kept>,
    /// Models that could not be fitted, and why, where the job goes on in spite of them.
    pub failed: BTreeMap<String, String>,
    /// As long as the job is not complete: the models of the last one that was. Those that the new run
    /// has not replaced need not be fitted again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Kept>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// A run is at work, or was killed.
    Running,
    /// A run was stopped by a signal.
    Interrupted,
    /// A run was stopped by an error.
    Failed,
    /// All results are there. (Manifests of tiers 0.1.0, which say nothing of it, are of such jobs.)
    #[default]
    Complete,
}

impl Manifest {
    /// The models that a former run left complete results of, as far as they are not replaced.
    pub(crate) fn former_models(store: &Store) -> Vec<Kept> {
        let manifest: Option<Manifest> = Manifest::read(store);
        manifest.map_or_else(Vec::new, |manifest| [manifest.models, manifest.former].concat())
    }

    fn read(store: &Store) -> Option<Manifest> {
        serde_json::from_str(&fs::read_to_string(store.path(MANIFEST)).ok()?).ok()
    }

    /// Says that a run is under way, before anything changes.
    pub(crate) fn begin(run: &Holder, former: Vec<Kept>, store: &Store) -> anyhow::Result<()> {
        let manifest = Manifest { state: State::Running, run: Some(run.clone()), former, ..Manifest::empty() };
        manifest.write(store)
    }

    /// Says that a run has stopped, if it is still the one that the manifest is of.
    pub(crate) fn stop(run: &Holder, state: State, store: &Store) {
        let own = Manifest::read(store).filter(|manifest| manifest.run.as_ref() == Some(run));
        let stopped = own.map(|manifest| Manifest { state, ..manifest }.write(store));
        if let Some(Err(error)) = stopped {
            tracing::debug!(%error, "manifest.json cannot be written");
        }
    }

    /// Says that the job is complete.
    pub(crate) fn complete(models: &[Kept], failed: &BTreeMap<String, String>, store: &Store) -> anyhow::Result<()> {
        let timeless = |kept: &Kept| Kept { took: None, ..kept.clone() };
        let models = models.iter().map(timeless).collect();
        Manifest { models, failed: failed.clone(), ..Manifest::empty() }.write(store)
    }

    fn empty() -> Manifest {
        Manifest { tiers: env!("CARGO_PKG_VERSION").to_owned(), ..Manifest::default() }
    }

    fn write(&self, store: &Store) -> anyhow::Result<()> {
        store.write_text(&store.path(MANIFEST), &json(self))
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
        self.peak_memory_bytes = crate::process::peak_memory();
        store.write_text(&store.path(JOB), &json(self))
    }
}
