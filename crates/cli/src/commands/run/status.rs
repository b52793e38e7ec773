//! `status.json`: the progress of a job, for programs that monitor it.

use super::job_folder::JobFolder;
use super::log::now;
use serde::Serialize;
use std::time::{Duration, Instant};
use tiers_report::json;

/// Name of the file in the folder of results.
pub(crate) const STATUS: &str = "status.json";

/// Time between writes within a phase.
const EVERY: Duration = Duration::from_secs(1);

/// Progress of a job.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    tiers: &'static str,
    pid: u32,
    /// State of the job.
    pub state: State,
    /// Time when this run began.
    began: String,
    /// Time when this was written.
    updated: String,
    /// Current phase.
    pub phase: Option<Phase>,
    /// Model of the current phase.
    pub model: Option<String>,
    /// Rows read in this phase.
    pub rows: u64,
    /// Number of rows in all, if it is known.
    pub rows_total: Option<u64>,
    /// Rows per second.
    pub rows_per_second: f64,
    /// Profiles or replicates computed in this phase.
    pub pieces: u64,
    /// Number of profiles or replicates in all.
    pub pieces_total: Option<u64>,
    /// Current parameters of the search for the optimum.
    pub theta: Vec<f64>,
    /// The criterion at `theta`, if it exists there.
    pub criterion: Option<f64>,
    /// Evaluations of the likelihood so far.
    pub evaluations: u64,
    /// Why the job failed or stopped.
    pub message: Option<String>,
    /// All models.
    pub models: Vec<ModelStatus>,
    #[serde(skip)]
    written: Option<Instant>,
}

/// State of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Active.
    Running,
    /// Stopped by a signal; the next run resumes.
    Interrupted,
    /// Stopped by an error.
    Failed,
    /// Complete.
    Done,
}

/// Phase of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Reading rows.
    Reading,
    /// Searching for an optimum, or fitting partitions.
    Fitting,
    /// Computing random effects and fitted values, and writing files.
    Writing,
    /// Computing intervals by profiles or the bootstrap.
    Intervals,
}

/// Progress of a model.
#[derive(Debug, Serialize)]
pub(crate) struct ModelStatus {
    /// Name of the model.
    pub name: String,
    /// State of the model.
    pub state: ModelState,
    /// Status of the fit, or the error.
    pub message: Option<String>,
}

/// State of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModelState {
    /// Not yet begun.
    Waiting,
    /// Being fitted.
    Fitting,
    /// Its results are in place.
    Done,
    /// It could not be fitted.
    Failed,
}

impl Status {
    /// Creates the status of a job that begins now.
    pub(crate) fn begin(models: impl Iterator<Item = String>) -> Status {
        let models = models.map(|name| ModelStatus { name, state: ModelState::Waiting, message: None });
        Status {
            tiers: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            state: State::Running,
            began: now(),
            updated: now(),
            phase: None,
            model: None,
            rows: 0,
            rows_total: None,
            rows_per_second: 0.0,
            pieces: 0,
            pieces_total: None,
            theta: Vec::new(),
            criterion: None,
            evaluations: 0,
            message: None,
            models: models.collect(),
            written: None,
        }
    }

    /// Records the state of a model.
    pub(crate) fn of_model(&mut self, name: &str, state: ModelState, message: Option<&str>) {
        for model in self.models.iter_mut().filter(|model| model.name == name) {
            (model.state, model.message) = (state, message.map(str::to_owned));
        }
    }

    /// Writes the file if the last write was long ago.
    pub(crate) fn refresh(&mut self, folder: &JobFolder) {
        if self.written.is_none_or(|written| written.elapsed() > EVERY) {
            self.write(folder);
        }
    }

    /// Writes the file. Failures do not stop the job, since no results depend on this file.
    pub(crate) fn write(&mut self, folder: &JobFolder) {
        self.updated = now();
        self.written = Some(Instant::now());
        if let Err(error) = folder.write_quickly(&folder.path(STATUS), &json(self)) {
            tracing::debug!(%error, "status.json cannot be written");
        }
    }
}
