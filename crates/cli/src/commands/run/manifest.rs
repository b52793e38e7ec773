//! `manifest.json` names the run that is under way or, once the job is complete, lists the models and
//! the hash of every file; it is then the same for every run of the same job. `job.json` has the time
//! and memory of the run.

use super::finished::{Finished, Took};
use super::job_folder::JobFolder;
use super::lock::Holder;
use super::log::now;
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
    /// State of the job.
    #[serde(default)]
    pub state: State,
    /// The run that has begun and not completed the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Holder>,
    /// The models of a complete job in the order of the job file.
    pub models: Vec<Finished>,
    /// Models that could not be fitted and their errors, if the job continues after errors.
    pub failed: BTreeMap<String, String>,
    /// While the job is not complete: the models of the last complete one. Those that the new run has not
    /// replaced need not be fitted again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Finished>,
}

/// State of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// A run is active, or was killed.
    Running,
    /// A run was stopped by a signal.
    Interrupted,
    /// A run was stopped by an error.
    Failed,
    /// All results are complete. (Manifests of tiers 0.1.0 have no state and are of complete jobs.)
    #[default]
    Complete,
}

impl Manifest {
    /// Returns the models with complete results of a former run, as far as they are not replaced.
    pub(crate) fn former_models(folder: &JobFolder) -> Vec<Finished> {
        let manifest: Option<Manifest> = Manifest::read(folder);
        manifest.map_or_else(Vec::new, |manifest| [manifest.models, manifest.former].concat())
    }

    fn read(folder: &JobFolder) -> Option<Manifest> {
        serde_json::from_str(&fs::read_to_string(folder.path(MANIFEST)).ok()?).ok()
    }

    /// Records that a run is under way, before anything changes.
    pub(crate) fn begin(run: &Holder, former: Vec<Finished>, folder: &JobFolder) -> anyhow::Result<()> {
        let manifest = Manifest { state: State::Running, run: Some(run.clone()), former, ..Manifest::empty() };
        manifest.write(folder)
    }

    /// Records that a run has stopped, if the manifest is still of that run.
    pub(crate) fn stop(run: &Holder, state: State, folder: &JobFolder) {
        let own = Manifest::read(folder).filter(|manifest| manifest.run.as_ref() == Some(run));
        let stopped = own.map(|manifest| Manifest { state, ..manifest }.write(folder));
        if let Some(Err(error)) = stopped {
            tracing::debug!(%error, "manifest.json cannot be written");
        }
    }

    /// Records that the job is complete.
    pub(crate) fn complete(
        models: &[Finished],
        failed: &BTreeMap<String, String>,
        folder: &JobFolder,
    ) -> anyhow::Result<()> {
        let timeless = |finished: &Finished| Finished { took: None, ..finished.clone() };
        let models = models.iter().map(timeless).collect();
        Manifest { models, failed: failed.clone(), ..Manifest::empty() }.write(folder)
    }

    fn empty() -> Manifest {
        Manifest { tiers: env!("CARGO_PKG_VERSION").to_owned(), ..Manifest::default() }
    }

    fn write(&self, folder: &JobFolder) -> anyhow::Result<()> {
        folder.write_text(&folder.path(MANIFEST), &json(self))
    }
}

/// Account of a run, with time and memory.
#[derive(Debug, Serialize)]
pub(crate) struct Account {
    tiers: &'static str,
    /// The job file.
    pub job: String,
    /// Time when the run began.
    pub began: String,
    ended: String,
    /// Seconds of this run.
    pub seconds: f64,
    /// Number of threads of the reader and of the fits.
    pub threads: usize,
    /// The data.
    pub data: DataAccount,
    /// The passes over the rows.
    pub reads: Vec<ReadAccount>,
    /// The models in the order of the job file.
    pub models: Vec<ModelAccount>,
    /// Peak memory of the process.
    pub peak_memory_bytes: Option<u64>,
}

/// The data of a job.
#[derive(Debug, Serialize)]
pub(crate) struct DataAccount {
    /// Paths as named in the job file.
    pub paths: Vec<PathBuf>,
    /// Number of files.
    pub files: usize,
    /// Size of the files.
    pub bytes: u64,
    /// Number of rows, if the files store it.
    pub rows: Option<u64>,
}

/// A read for some of the models.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReadAccount {
    /// Names of the models.
    pub models: Vec<String>,
    /// Elapsed seconds.
    pub seconds: f64,
    /// Number of rows that were not read again, thanks to a checkpoint.
    pub rows_resumed: u64,
    /// Passes over the rows: one, unless a factor had a level that the first rows lack.
    pub passes: usize,
    /// Number of checkpoints written.
    pub checkpoints: usize,
    /// Seconds spent on writing checkpoints.
    pub checkpoint_seconds: f64,
    /// Seconds by phase.
    #[serde(flatten)]
    pub times: ReadTimes,
    /// Peak memory of the process until then.
    pub peak_memory_bytes: Option<u64>,
}

/// A model of this run.
#[derive(Debug, Serialize)]
pub(crate) struct ModelAccount {
    /// Name of the model.
    pub name: String,
    /// `fitted` by this run, `kept` from a former one, or `failed`.
    pub by_this_run: &'static str,
    /// Time and memory, in the run that fitted the model.
    #[serde(flatten)]
    pub took: Option<Took>,
    /// Error, if the model failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Account {
    /// Creates the account of a run that begins now.
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

    /// Writes `job.json`.
    pub(crate) fn write(&mut self, folder: &JobFolder) -> anyhow::Result<()> {
        self.ended = now();
        self.peak_memory_bytes = crate::process::peak_memory();
        folder.write_text(&folder.path(JOB), &json(self))
    }
}
