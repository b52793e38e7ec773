//! Progress bars on standard error, shown only if that is a terminal.

use crate::observer::{FitObserver, Pieces};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;
use tiers_moments::{ReadObserver, ReadTimes};
use tiers_reml::{SearchObserver, Step, Trial};
use tiers_report::visible;

/// Whether progress is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    /// Shows progress unless `quiet` is set or standard error is not a terminal.
    pub(crate) fn new(quiet: bool) -> Self {
        Progress { shown: !quiet && std::io::stderr().is_terminal() }
    }

    /// Whether progress is shown.
    pub(crate) fn is_shown(self) -> bool {
        self.shown
    }

    /// Starts a bar for reading; `rows` is the number of rows if it is known.
    pub(crate) fn reading(self, rows: Option<u64>) -> Reading {
        self.rows("reading", rows)
    }

    /// Starts a bar for a second pass over the rows.
    pub(crate) fn second_pass(self, rows: u64) -> Reading {
        self.rows("second pass", Some(rows))
    }

    /// Starts a bar for predicting; `rows` is the number of rows if it is known.
    pub(crate) fn predicting(self, rows: Option<u64>) -> Reading {
        self.rows("predicting", rows)
    }

    /// Starts a bar for writing about this number of simulated rows.
    pub(crate) fn simulating(self, rows: u64) -> Simulating {
        Simulating(self.rows("simulating", Some(rows)))
    }

    fn rows(self, what: &'static str, rows: Option<u64>) -> Reading {
        let template = match rows {
            Some(_) => "{prefix} [{bar:24}] {human_pos} of {human_len} rows, {per_sec}, {eta} left {msg}",
            None => "{prefix} {spinner} {human_pos} rows, {per_sec} {msg}",
        };
        let bar = rows.map_or_else(ProgressBar::no_length, ProgressBar::new);
        Reading { bar: self.style(bar, template).with_prefix(what), times: ReadTimes::default() }
    }

    /// Prepares a bar for profiles or replicates, which appears with the first report.
    pub(crate) fn counting(self) -> Counting {
        Counting { progress: self, bar: None }
    }

    /// Starts a spinner for the search for the optimum.
    pub(crate) fn optimising(self) -> Optimising {
        let bar = self.style(ProgressBar::no_length(), "fitting {spinner} {msg}");
        bar.enable_steady_tick(Duration::from_millis(200));
        Optimising { bar, evaluations: Cell::new(0) }
    }

    /// Starts a bar for fitting partitions.
    pub(crate) fn partitions(self, count: u64) -> ProgressBar {
        self.style(ProgressBar::new(count), "fitting [{bar:24}] {human_pos} of {human_len} partitions, {eta} left")
    }

    /// Starts the observer of a model that is being fitted.
    pub(crate) fn fitting(self) -> Fitting {
        Fitting { progress: self, search: Some(self.optimising()), second_pass: None, intervals: self.counting() }
    }

    fn style(self, bar: ProgressBar, template: &str) -> ProgressBar {
        if !self.shown {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(template).expect("the templates above are valid");
        bar.with_style(style.progress_chars("=> ").tick_chars("-\\|/ "))
    }
}

/// Bar of a pass over the rows.
#[derive(Debug)]
pub(crate) struct Reading {
    bar: ProgressBar,
    /// Time by phase, once all rows have been read.
    pub times: ReadTimes,
}

impl ReadObserver for Reading {
    fn rows_read(&mut self, rows: u64) -> bool {
        self.bar.set_position(rows);
        true
    }

    fn restarted(&mut self, column: &str, level: &str) {
        self.bar.reset();
        let message = format!("(again: {column} has further levels, such as {level})");
        self.bar.set_message(visible::line(&message).into_owned());
    }

    fn finished(&mut self, times: &ReadTimes) {
        self.times = *times;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Bar of a simulation.
#[derive(Debug)]
pub(crate) struct Simulating(Reading);

impl Simulating {
    /// Reports that this number of rows was passed to the writer.
    pub(crate) fn more_rows(&self, rows: u64) {
        self.0.bar.inc(rows);
    }
}

/// Bar of profiles or replicates.
#[derive(Debug)]
pub(crate) struct Counting {
    progress: Progress,
    bar: Option<ProgressBar>,
}

impl Counting {
    /// Updates the bar.
    pub(crate) fn update(&mut self, pieces: Pieces) {
        let template = "{prefix} [{bar:24}] {human_pos} of {human_len}, {eta} left";
        let new = || self.progress.style(ProgressBar::new(pieces.all), template).with_prefix(pieces.what);
        self.bar.get_or_insert_with(new).set_position(pieces.done);
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Spinner of the search for the optimum.
#[derive(Debug)]
pub(crate) struct Optimising {
    bar: ProgressBar,
    evaluations: Cell<usize>,
}

impl Optimising {
    /// Reports one more evaluation of the likelihood.
    pub(crate) fn evaluated(&self, step: &Step) {
        self.evaluations.set(self.evaluations.get() + 1);
        let criterion = step.criterion.map_or_else(|| "none here".to_owned(), |value| format!("{value:.6}"));
        self.bar.set_message(format!("evaluation {}, criterion {criterion}", self.evaluations.get()));
    }
}

impl Drop for Optimising {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Bars of one model: the search for the optimum, then possibly a second pass over the rows and
/// intervals.
#[derive(Debug)]
pub(crate) struct Fitting {
    progress: Progress,
    search: Option<Optimising>,
    second_pass: Option<Reading>,
    intervals: Counting,
}

impl SearchObserver for Fitting {
    fn evaluated(&mut self, _: &Trial<'_>, step: &Step) -> bool {
        if let Some(search) = &self.search {
            search.evaluated(step);
        }
        true
    }
}

impl FitObserver for Fitting {
    fn writing(&mut self) {
        self.search = None;
        // Removes the bar of intervals, if there is one.
        self.intervals = self.progress.counting();
    }

    fn second_pass(&mut self, rows: u64) -> &mut dyn ReadObserver {
        self.second_pass.insert(self.progress.second_pass(rows))
    }

    fn making_intervals(&mut self, pieces: Pieces) -> bool {
        self.intervals.update(pieces);
        true
    }
}
