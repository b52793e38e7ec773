//! Reports the progress of a job: bars on a terminal, log lines otherwise, and `status.json` in either
//! case. Requests to stop are checked here, too.

use super::checkpoint::Keeper;
use super::job_folder::JobFolder;
use super::status::{ModelState, Phase, Status};
use super::stop::Stop;
use crate::observer::{FitObserver, Pieces};
use crate::progress::{Fitting, Progress, Reading};
use std::time::{Duration, Instant};
use tiers_glmm::GlmmObserver;
use tiers_moments::{PassState, ReadObserver, ReadTimes};
use tiers_reml::{SearchObserver, Step, Trial};
use tracing::{debug, info, warn};

/// Time between log lines within a phase.
const EVERY: Duration = Duration::from_secs(10);

/// Progress bars, log lines and `status.json` of a job.
#[derive(Debug)]
pub(crate) struct JobProgress {
    /// Folder of `status.json`.
    pub folder: JobFolder,
    /// Whether the job was asked to stop.
    pub stop: Stop,
    /// Contents of `status.json`.
    pub status: Status,
    /// Settings of the progress bars.
    pub bars: Progress,
    logged: Instant,
}

impl JobProgress {
    /// Creates the progress of a job that begins now.
    pub(crate) fn new(
        folder: JobFolder,
        stop: Stop,
        bars: Progress,
        models: impl Iterator<Item = String>,
    ) -> JobProgress {
        JobProgress { folder, stop, status: Status::begin(models), bars, logged: Instant::now() }
    }

    /// Begins a phase.
    pub(crate) fn phase(&mut self, phase: Phase, model: Option<&str>) {
        let status = &mut self.status;
        (status.phase, status.model) = (Some(phase), model.map(str::to_owned));
        (status.rows, status.rows_total, status.rows_per_second) = (0, None, 0.0);
        (status.pieces, status.pieces_total) = (0, None);
        if matches!(phase, Phase::Reading | Phase::Fitting) {
            (status.theta, status.criterion, status.evaluations) = (Vec::new(), None, 0);
        }
        status.write(&self.folder);
        self.logged = Instant::now();
    }

    /// Whether it is time for another log line.
    fn is_due(&mut self) -> bool {
        let due = self.logged.elapsed() > EVERY;
        if due {
            self.logged = Instant::now();
        }
        due
    }

    /// Begins the fit of a model.
    pub(crate) fn begin_model(&mut self, model: &str) {
        self.status.of_model(model, ModelState::Fitting, None);
        self.phase(Phase::Fitting, Some(model));
    }

    /// Begins the fit of a model of all rows.
    pub(crate) fn fitting(&mut self, model: &str) -> FitWatch<'_> {
        self.begin_model(model);
        let bar = self.bars.fitting();
        FitWatch { bar, model: model.to_owned(), job: self, second_pass: None }
    }
}

/// Observer of a pass over the rows.
#[derive(Debug)]
pub(crate) struct ReadWatch<'a> {
    job: &'a mut JobProgress,
    bar: Reading,
    keeper: Option<Keeper>,
    began: Instant,
    /// Rows from a checkpoint, before the first row was read.
    before: Option<u64>,
    total: Option<u64>,
}

impl<'a> ReadWatch<'a> {
    /// Creates the observer of a pass; `rows` is the number of rows if it is known.
    pub(crate) fn new(job: &'a mut JobProgress, rows: Option<u64>, keeper: Option<Keeper>) -> ReadWatch<'a> {
        let bar = job.bars.reading(rows);
        ReadWatch { job, bar, keeper, began: Instant::now(), before: None, total: rows }
    }

    /// Returns the time by phase, and the writer of checkpoints.
    pub(crate) fn end(mut self) -> (ReadTimes, Option<Keeper>) {
        (self.bar.times, self.keeper.take())
    }
}

impl ReadObserver for ReadWatch<'_> {
    fn rows_read(&mut self, rows: u64) -> bool {
        self.bar.rows_read(rows);
        let before = *self.before.get_or_insert(rows);
        let rate = rows.saturating_sub(before) as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
        let status = &mut self.job.status;
        (status.rows, status.rows_total, status.rows_per_second) = (rows, self.total, rate.round());
        status.refresh(&self.job.folder);
        if self.job.is_due() {
            info!(rows, of = self.total.unwrap_or(0), rows_per_second = rate.round(), "reading");
        }
        !self.job.stop.asked()
    }

    fn restarted(&mut self, column: &str, level: &str) {
        self.bar.restarted(column, level);
        info!(column, level, "reading starts again, since a factor has more levels");
    }

    fn checkpoint(&mut self, state: &PassState<'_>) {
        if let Some(keeper) = &mut self.keeper {
            keeper.offer(&self.job.folder, state, self.job.stop.asked());
        }
    }

    fn finished(&mut self, times: &ReadTimes) {
        self.bar.finished(times);
    }
}

/// Observer of a model that is being fitted.
#[derive(Debug)]
pub(crate) struct FitWatch<'a> {
    job: &'a mut JobProgress,
    bar: Fitting,
    model: String,
    second_pass: Option<SecondPass>,
}

impl SearchObserver for FitWatch<'_> {
    fn evaluated(&mut self, trial: &Trial<'_>, step: &Step) -> bool {
        self.bar.evaluated(trial, step);
        let status = &mut self.job.status;
        let theta = trial.theta();
        status.theta.clone_from(&theta);
        status.criterion = step.criterion;
        status.evaluations += 1;
        status.refresh(&self.job.folder);
        let (evaluation, criterion) = (status.evaluations, step.criterion);
        debug!(model = self.model, evaluation, criterion = criterion.unwrap_or(f64::NAN), ?theta, "evaluated");
        !self.job.stop.asked()
    }
}

impl GlmmObserver for FitWatch<'_> {
    fn second_pass(&mut self, rows: u64) -> &mut dyn ReadObserver {
        FitObserver::second_pass(self, rows)
    }

    fn evaluated(&mut self, criterion: f64, step: &Step) -> bool {
        self.second_pass = None;
        let status = &mut self.job.status;
        status.criterion = Some(criterion).filter(|criterion| criterion.is_finite());
        status.evaluations += 1;
        status.refresh(&self.job.folder);
        debug!(model = self.model, evaluation = status.evaluations, criterion, step = step.step, "evaluated");
        !self.job.stop.asked()
    }
}

impl FitObserver for FitWatch<'_> {
    fn writing(&mut self) {
        self.bar.writing();
        self.job.phase(Phase::Writing, Some(&self.model));
    }

    fn second_pass(&mut self, rows: u64) -> &mut dyn ReadObserver {
        let bar = self.job.bars.second_pass(rows);
        self.second_pass.insert(SecondPass { bar, stop: self.job.stop.clone() })
    }

    fn making_intervals(&mut self, pieces: Pieces) -> bool {
        self.bar.making_intervals(pieces);
        let Pieces { what, done, all } = pieces;
        if self.job.status.phase != Some(Phase::Intervals) {
            self.job.phase(Phase::Intervals, Some(&self.model));
            info!(model = self.model, what, of = all, "making intervals");
        }
        let status = &mut self.job.status;
        let begins = status.pieces_total.is_none();
        (status.pieces, status.pieces_total) = (done, Some(all));
        match begins {
            true => status.write(&self.job.folder),
            false => status.refresh(&self.job.folder),
        }
        if self.job.is_due() {
            info!(model = self.model, what, done, of = all, "making intervals");
        }
        !self.job.stop.asked()
    }
}

/// Observer of the second pass over the rows.
#[derive(Debug)]
struct SecondPass {
    bar: Reading,
    stop: Stop,
}

impl ReadObserver for SecondPass {
    fn rows_read(&mut self, rows: u64) -> bool {
        self.bar.rows_read(rows);
        !self.stop.asked()
    }

    fn restarted(&mut self, column: &str, level: &str) {
        warn!(column, level, "the second pass starts again");
    }
}
