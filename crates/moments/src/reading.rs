//! What a pass over the rows is given, what it reports, and what it yields.

use crate::accumulate::{Code, PassState};
use crate::memory_limit::MemoryLimit;
use crate::moments::Moments;
use crate::read_times::ReadTimes;
use std::collections::BTreeMap;
use tiers_design::Recipe;

/// Rows that were left out, and why; and what may be a reason to leave out others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dropped {
    /// Rows left out.
    pub rows: u64,
    /// Per column that has missing values their number, in the order of the requests; then per
    /// expression that is not a number the further rows lost to it.
    pub missing: Vec<(String, u64)>,
    /// Values that look like codes for missing values, where the rows themselves were read.
    pub codes: Vec<Code>,
}

impl Dropped {
    /// From the rows lost to each column and each expression.
    pub(crate) fn of<'a>(
        rows: u64,
        columns: impl Iterator<Item = (&'a str, u64)>,
        expressions: impl Iterator<Item = (&'a str, u64)>,
    ) -> Dropped {
        let mut missing: Vec<(String, u64)> = Vec::new();
        for (column, n) in columns.filter(|(_, n)| *n > 0) {
            // A column that is asked for in two roles is missing once.
            if !missing.iter().any(|(known, _)| known == column) {
                missing.push((column.to_owned(), n));
            }
        }
        missing.extend(expressions.filter(|(_, n)| *n > 0).map(|(expression, n)| (expression.to_owned(), n)));
        Dropped { rows, missing, codes: Vec::new() }
    }

    /// Adds what was left out of other rows.
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

/// How rows are read. The default: all that there is to know is found in the rows.
#[derive(Clone, Debug, Default)]
pub struct Reading<'a> {
    /// Encode by this recipe instead of one frozen against the first rows.
    pub recipe: Option<&'a Recipe>,
    /// Levels of factors; those of factors not named here are collected from the rows.
    pub levels: BTreeMap<String, Vec<String>>,
    /// Whether the rows are a part of a data set: then a factor may have one level only.
    pub part: bool,
    /// Stop when more memory would be needed.
    pub limit: Option<MemoryLimit>,
}

/// What an observer is told while rows are read.
pub trait ReadObserver {
    /// So many rows have been read. Returning false calls the work off.
    fn rows_read(&mut self, rows: u64) -> bool;
    /// The pass starts again, since a factor has a level that the first rows did not show.
    fn restarted(&mut self, column: &str, level: &str);
    /// What has been read so far, to be kept if one wants: called between waves of blocks, right after
    /// [`ReadObserver::rows_read`] (also where that called the work off), and when all rows are read.
    fn checkpoint(&mut self, _state: &PassState<'_>) {}
    /// All rows have been read; the times are those of the last pass.
    fn finished(&mut self, _times: &ReadTimes) {}
}

/// Nobody watches.
impl ReadObserver for () {
    fn rows_read(&mut self, _: u64) -> bool {
        true
    }
    fn restarted(&mut self, _: &str, _: &str) {}
}

/// Everything a pass over the rows yields.
#[derive(Debug)]
pub struct Ingested {
    /// The formula frozen against the table.
    pub recipe: Recipe,
    /// The sums.
    pub moments: Moments,
    /// Rows left out.
    pub dropped: Dropped,
}
