//! Reports the progress of a job: bars on a terminal, log lines otherwise, and `status.json` in either
//! case. Requests to stop are checked here, too.

use super::checkpoint::Keeper;
use super::status::{ModelState, Phase, Status};
use super::stop::Stop;
use super::store::Store;
use crate::commands::confint::Pieces;
use crate::progress::{Fitting, Progress, Reading};
use crate::steps::Watch;
use std::time::{Duration, Instant};
use tiers_moments::{PassState, ReadObserver, ReadTimes};
use tiers_reml::{SearchObserver, Step, Trial};
use tracing::{debug, info, warn};

/// Time between log lines within a phase.
const EVERY: Duration = Duration::from_secs(10);

/// Progress bars, log lines and `status.json` of a job.
#[derive(Debug)]
pub(crate) struct Board {
    /// Folder of `status.json`.
    pub store: Store,
    /// Whether the job was asked to stop.
    pub stop: Stop,
    /// Contents of `status.json`.
    pub status: Status,
    /// Settings of the progress bars.
    pub progress: Progress,
    logged: Instant,
}

impl Board {
    /// Creates the board of a job that begins now.
    pub(crate) fn new(store: Store, stop: Stop, progress: Progress, models: impl Iterator<Item = String>) -> Board {
        Board { store, stop, status: Status::begin(models), progress, logged: Instant::now() }
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
        status.write(&self.store);
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
        let bar = self.progress.fitting();
        FitWatch { bar, model: model.to_owned(), board: self, second_pass: None }
    }
}

/// Observer of a pass over the rows.
#[derive(Debug)]
pub(crate) struct ReadWatch<'a> {
    board: &'a mut Board,
    bar: Reading,
    keeper: Option<Keeper>,
    began: Instant,
    /// Rows from a checkpoint, before the first row was read.
    before: Option<u64>,
    total: Option<u64>,
}

impl<'a> ReadWatch<'a> {
    /// Creates the observer of a pass; `rows` is the number of rows if it is known.
    pub(crate) fn new(board: &'a mut Board, rows: Option<u64>, keeper: Option<Keeper>) -> ReadWatch<'a> {
        let bar = board.progress.reading(rows);
        ReadWatch { board, bar, keeper, began: Instant::now(), before: None, total: rows }
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
        let status = &mut self.board.status;
        (status.rows, status.rows_total, status.rows_per_second) = (rows, self.total, rate.round());
        status.refresh(&self.board.store);
        if self.board.is_due() {
            info!(rows, of = self.total.unwrap_or(0), rows_per_second = rate.round(), "reading");
        }
        !self.board.stop.asked()
    }

    fn restarted(&mut self, column: &str, level: &str) {
        self.bar.restarted(column, level);
        info!(column, level, "reading starts again, since a factor has more levels");
    }

    fn checkpoint(&mut self, state: &PassState<'_>) {
        if let Some(keeper) = &mut self.keeper {
            keeper.offer(&self.board.store, state, self.board.stop.asked());
        }
    }

    fn finished(&mut self, times: &ReadTimes) {
        self.bar.finished(times);
    }
}

/// Observer of a model that is being fitted.
#[derive(Debug)]
pub(crate) struct FitWatch<'a> {
    board: &'a mut Board,
    bar: Fitting,
    model: String,
    second_pass: Option<SecondPass>,
}

impl SearchObserver for FitWatch<'_> {
    fn evaluated(&mut self, trial: &Trial<'_>, step: &Step) -> bool {
        self.bar.evaluated(trial, step);
        let status = &mut self.board.status;
        let theta = trial.theta();
        status.theta.clone_from(&theta);
        status.criterion = step.criterion;
        status.evaluations += 1;
        status.refresh(&self.board.store);
        let (evaluation, criterion) = (status.evaluations, step.criterion);
        debug!(model = self.model, evaluation, criterion = criterion.unwrap_or(f64::NAN), ?theta, "evaluated");
        !self.board.stop.asked()
    }
}

impl Watch for FitWatch<'_> {
    fn writing(&mut self) {
        self.bar.writing();
        self.board.phase(Phase::Writing, Some(&self.model));
    }

    fn second_pass(&mut self, rows: u64) -> &mut dyn ReadObserver {
        let bar = self.board.progress.second_pass(rows);
        self.second_pass.insert(SecondPass { bar, stop: self.board.stop.clone() })
    }

    fn making_intervals(&mut self, pieces: Pieces) -> bool {
        self.bar.making_intervals(pieces);
        let Pieces { what, done, all } = pieces;
        if self.board.status.phase != Some(Phase::Intervals) {
            self.board.phase(Phase::Intervals, Some(&self.model));
            info!(model = self.model, what, of = all, "making intervals");
        }
        let status = &mut self.board.status;
        let begins = status.pieces_total.is_none();
        (status.pieces, status.pieces_total) = (done, Some(all));
        match begins {
            true => status.write(&self.board.store),
            false => status.refresh(&self.board.store),
        }
        if self.board.is_due() {
            info!(model = self.model, what, done, of = all, "making intervals");
        }
        !self.board.stop.asked()
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
