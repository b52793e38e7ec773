//! `status.json`: where the job is, for programs that watch it.

use super::log::now;
use super::store::Store;
use serde::Serialize;
use std::time::{Duration, Instant};
use tiers_report::json;

/// Its name in the folder of results.
pub(crate) const STATUS: &str = "status.json";

/// Time between writes while nothing but numbers changes.
const EVERY: Duration = Duration::from_secs(1);

/// Where a job is.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    tiers: &'static str,
    pid: u32,
    /// How it stands with the job.
    pub state: State,
    /// When this run began.
    began: String,
    /// When this was written.
    updated: String,
    /// What it is at.
    pub phase: Option<Phase>,
    /// With which model.
    pub model: Option<String>,
    /// Rows read in this phase.
    pub rows: u64,
    /// Of how many, where that is known.
    pub rows_total: Option<u64>,
    /// Rows by second.
    pub rows_per_second: f64,
    /// Profiles or replicates made in this phase.
    pub pieces: u64,
    /// Of how many.
    pub pieces_total: Option<u64>,
    /// Where the search for the optimum is.
    pub theta: Vec<f64>,
    /// The criterion there; none where it does not exist.
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

/// How it stands with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// At work.
    Running,
    /// Stopped by a signal; the next run goes on.
    Interrupted,
    /// Stopped by an error.
    Failed,
    /// Complete.
    Done,
}

/// What a job is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Reading rows.
    Reading,
    /// Searching an optimum; with partitions, fitting them.
    Fitting,
    /// Random effects, fitted values, files.
    Writing,
    /// Intervals by profiles or the bootstrap.
    Intervals,
}

/// How it stands with a model.
#[derive(Debug, Serialize)]
pub(crate) struct ModelStatus {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub state: ModelState,
    /// What there is to tell: how the search ended, or why there is no fit.
    pub message: Option<String>,
}

/// Where a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModelState {
    /// Not yet begun.
    Waiting,
    /// Being fitted.
    Fitting,
    /// Its results are in their place.
    Done,
    /// It could not be fitted.
    Failed,
}

impl Status {
    /// A job that begins now.
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

    /// Notes how it stands with a model.
    pub(crate) fn of_model(&mut self, name: &str, state: ModelState, message: Option<&str>) {
        for model in self.models.iter_mut().filter(|model| model.name == name) {
            (model.state, model.message) = (state, message.map(str::to_owned));
        }
    }

    /// Writes it, if the last time was long ago.
    pub(crate) fn refresh(&mut self, store: &Store) {
        if self.written.is_none_or(|written| written.elapsed() > EVERY) {
            self.write(store);
        }
    }

    /// Writes it. That it cannot be written is no reason to stop: what matters is written otherwise.
    pub(crate) fn write(&mut self, store: &Store) {
        self.updated = now();
        self.written = Some(Instant::now());
        if let Err(error) = store.write_quickly(&store.path(STATUS), &json(self)) {
            tracing::debug!(%error, "status.json cannot be written");
        }
    }
}
