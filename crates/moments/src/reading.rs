//! Options of a pass over the rows, its observer, and its result.

use crate::accumulate::{Code, PassState};
use crate::memory_limit::MemoryLimit;
use crate::moments::Moments;
use crate::read_times::ReadTimes;
use std::collections::BTreeMap;
use tiers_design::Recipe;

/// Rows dropped by listwise deletion, and the reasons; also values that may be codes for missing ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dropped {
    /// Number of rows dropped.
    pub rows: u64,
    /// Columns with missing values and their number, in the order of the requests; then expressions
    /// that are not a number, and the further rows lost to each.
    pub missing: Vec<(String, u64)>,
    /// Values that look like codes for missing values, where the rows themselves were read.
    pub codes: Vec<Code>,
}

impl Dropped {
    /// Collects the rows lost to each column and each expression.
    pub(crate) fn of<'a>(
        rows: u64,
        columns: impl Iterator<Item = (&'a str, u64)>,
        expressions: impl Iterator<Item = (&'a str, u64)>,
    ) -> Dropped {
        let mut missing: Vec<(String, u64)> = Vec::new();
        for (column, n) in columns.filter(|(_, n)| *n > 0) {
            // A column that is requested in two roles counts once.
            if !missing.iter().any(|(known, _)| known == column) {
                missing.push((column.to_owned(), n));
            }
        }
        missing.extend(expressions.filter(|(_, n)| *n > 0).map(|(expression, n)| (expression.to_owned(), n)));
        Dropped { rows, missing, codes: Vec::new() }
    }

    /// Adds the rows dropped from another part of the data.
    pub(crate) fn add(&mut self, other: &Dropped) {
        self.rows += other.rows;
        for (column, n) in &other.missing {
            match self.missing.iter_mut().find(|(own, _)| own == column) {
                Some((_, own)) => *own += n,
                None => self.missing.push((column.clone(), *n)),
            }
        }
    }
}

/// Options for reading rows. By default everything is found from the rows.
#[derive(Clone, Debug, Default)]
pub struct Reading<'a> {
    /// Recipe to encode by, instead of one frozen against the first rows.
    pub recipe: Option<&'a Recipe>,
    /// Levels of factors; those of other factors are collected from the rows.
    pub levels: BTreeMap<String, Vec<String>>,
    /// Whether the rows are a part of a data set, in which a factor may have a single level.
    pub part: bool,
    /// Memory limit; exceeding it is an error.
    pub limit: Option<MemoryLimit>,
}

/// Callbacks while rows are read.
pub trait ReadObserver {
    /// Called with the number of rows read so far. Return `false` to cancel the work.
    fn rows_read(&mut self, rows: u64) -> bool;
    /// Called when the pass starts again, because a factor has a level that the first rows did not show.
    fn restarted(&mut self, column: &str, level: &str);
    /// Called with the state of the pass, which may be saved: between waves of blocks, right after
    /// [`ReadObserver::rows_read`] (even if that cancelled the work), and when all rows have been read.
    fn checkpoint(&mut self, _state: &PassState<'_>) {}
    /// Called when all rows have been read, with the times of the last pass.
    fn finished(&mut self, _times: &ReadTimes) {}
}

/// Observes nothing.
impl ReadObserver for () {
    fn rows_read(&mut self, _: u64) -> bool {
        true
    }
    fn restarted(&mut self, _: &str, _: &str) {}
}

/// The result of a pass over the rows.
#[derive(Debug)]
pub struct Ingested {
    /// The formula frozen against the table.
    pub recipe: Recipe,
    /// The sufficient statistics.
    pub moments: Moments,
    /// Rows dropped.
    pub dropped: Dropped,
}
