//! Reads parquet by ranges of rows: several small queries run at a time, and are delivered in order.
//!
//! A single streaming query would hold several whole row groups (of a million rows each, hundreds of
//! megabytes) and keep every page of every file mapped until it ends. A query per range of rows holds
//! only its range, so the memory depends on the number of threads and not on the size of row groups or
//! files, and a failure can be attributed to certain files.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use polars::prelude::DataFrame;

use crate::plan::Plan;
use crate::reader::{ReadFailure, collect};
use crate::source::{DataFile, Inner};
use crate::threads::threads;

/// Approximate memory of one range.
const RANGE_BYTES: usize = 24 << 20;

/// Largest number of files in one range; every range opens its files again.
const RANGE_FILES: usize = 64;

/// Largest number of rows of a range if a row takes `row_bytes` bytes.
pub(crate) fn range_rows(row_bytes: usize) -> usize {
    (RANGE_BYTES / row_bytes.max(1)).clamp(1 << 15, 1 << 20)
}

/// Consecutive rows of consecutive files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowRange {
    /// The numbers of the files.
    pub(crate) files: Range<usize>,
    /// First row, counted from the start of the first of the files.
    pub(crate) offset: usize,
    /// Number of rows.
    pub(crate) rows: usize,
}

/// Cuts the rows of files of known length into ranges of at most `most` rows.
fn cut(files: &[DataFile], most: usize) -> Vec<RowRange> {
    let mut ranges: Vec<RowRange> = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let rows = file.rows.unwrap_or(0) as usize;
        match ranges.last_mut() {
            // Join small files, if the range began with a small file.
            Some(last) if last.offset == 0 && last.rows + rows <= most && last.files.len() < RANGE_FILES => {
                last.files.end = i + 1;
                last.rows += rows;
            }
            _ => {
                let parts = rows.div_ceil(most).max(1);
                let start = |part: usize| part * rows / parts;
                ranges.extend((0..parts).map(|part| RowRange {
                    files: i..i + 1,
                    offset: start(part),
                    rows: start(part + 1) - start(part),
                }));
            }
        }
    }
    ranges.retain(|range| range.rows > 0);
    ranges
}

/// Returns what remains of the ranges after the first `skipped` rows.
fn behind(ranges: Vec<RowRange>, mut skipped: u64) -> Vec<RowRange> {
    let mut left = Vec::with_capacity(ranges.len());
    for mut range in ranges {
        let gone = skipped.min(range.rows as u64) as usize;
        skipped -= gone as u64;
        range.offset += gone;
        range.rows -= gone;
        if range.rows > 0 {
            left.push(range);
        }
    }
    left
}

/// The rows of a range, or the failure to read them.
pub(crate) type Outcome = Result<DataFrame, (RowRange, ReadFailure)>;

/// Runs queries for the ranges of a source ahead of the consumer of their results.
#[derive(Debug)]
pub(crate) struct RangeReader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    ranges: Vec<RowRange>,
    source: Arc<Inner>,
    plan: Arc<Plan>,
    /// Largest number of ranges being read or waiting to be taken.
    ahead: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The next range to be read.
    next: usize,
    /// The next range to be taken.
    taken: usize,
    /// Ranges read and not yet taken.
    ready: BTreeMap<usize, Outcome>,
    /// Set when no more ranges are needed.
    stopped: bool,
}

impl RangeReader {
    /// Starts to read after the first `skipped` rows of all files, with at most `portions` ranges in
    /// memory at a time.
    pub(crate) fn start(source: Arc<Inner>, plan: Arc<Plan>, skipped: u64, portions: usize) -> io::Result<RangeReader> {
        let ranges = behind(cut(&source.files, range_rows(plan.row_bytes(&source))), skipped);
        let workers = threads().min(ranges.len()).min(portions.max(1));
        let shared = Arc::new(Shared {
            ranges,
            source,
            plan,
            ahead: (workers + 1).min(portions.max(1)),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut reader = RangeReader { shared, threads: Vec::with_capacity(workers) };
        for i in 0..workers {
            let shared = Arc::clone(&reader.shared);
            let thread = thread::Builder::new().name(format!("tiers-read-{i}"));
            // If this fails, dropping the reader stops those that have started.
            reader.threads.push(thread.spawn(move || shared.work())?);
        }
        Ok(reader)
    }

    /// Waits for the next range in order; returns `None` after the last.
    pub(crate) fn next(&self) -> Option<Outcome> {
        let mut state = self.shared.lock();
        if state.taken == self.shared.ranges.len() {
            return None;
        }
        loop {
            let wanted = state.taken;
            if let Some(outcome) = state.ready.remove(&wanted) {
                state.taken += 1;
                self.shared.changed.notify_all();
                return Some(outcome);
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for RangeReader {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

impl Shared {
    /// The loop of each thread: claims the next range, reads it, and makes it available.
    fn work(&self) {
        while let Some(i) = self.claim() {
            let range = &self.ranges[i];
            let outcome = self.read(range).map_err(|failure| (range.clone(), failure));
            self.lock().ready.insert(i, outcome);
            self.changed.notify_all();
        }
    }

    /// Waits until another range may be read, and returns its number.
    fn claim(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.stopped || state.next == self.ranges.len() {
                return None;
            }
            if state.next < state.taken + self.ahead {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.wait(state);
        }
    }

    fn read(&self, range: &RowRange) -> Result<DataFrame, ReadFailure> {
        // The engine maps files into memory, and a mapped file that shrinks kills the process, so check
        // for changes before every range.
        if self.source.files[range.files.clone()].iter().any(|f| f.check_unchanged().is_err()) {
            return Err(ReadFailure::Words("a file has changed".to_owned()));
        }
        let paths = &self.source.paths()[range.files.clone()];
        let rows = collect(|| self.plan.query(&self.source, paths, Some(range)))?;
        if rows.height() != range.rows {
            let reason = format!("{} of {} rows were delivered", rows.height(), range.rows);
            return Err(ReadFailure::Words(reason));
        }
        Ok(rows)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[u64], most: usize, expected: &[(Range<usize>, usize, usize)]) {
        let files: Vec<DataFile> = rows.iter().map(|&r| DataFile::of_rows(r)).collect();
        let ranges: Vec<_> = cut(&files, most).into_iter().map(|r| (r.files, r.offset, r.rows)).collect();
        assert_eq!(ranges, expected);
    }

    #[test]
    fn rows_are_skipped_without_reading_them() {
        let files: Vec<DataFile> = [10, 20, 250].map(DataFile::of_rows).into();
        let left = |skipped| -> Vec<_> {
            behind(cut(&files, 100), skipped).into_iter().map(|r| (r.files, r.offset, r.rows)).collect()
        };
        assert_eq!(left(0), [(0..2, 0, 30), (2..3, 0, 83), (2..3, 83, 83), (2..3, 166, 84)]);
        assert_eq!(left(12)[0], (0..2, 12, 18));
        assert_eq!(left(30)[0], (2..3, 0, 83));
        assert_eq!(left(120), [(2..3, 90, 76), (2..3, 166, 84)]);
        assert_eq!(left(280), []);
        assert_eq!(left(300), []);
    }

    #[test]
    fn large_files_are_split_and_small_ones_joined() {
        check(&[10], 100, &[(0..1, 0, 10)]);
        check(&[250], 100, &[(0..1, 0, 83), (0..1, 83, 83), (0..1, 166, 84)]);
        check(&[10, 20, 90, 5], 100, &[(0..2, 0, 30), (2..4, 0, 95)]);
        check(&[150, 10], 100, &[(0..1, 0, 75), (0..1, 75, 75), (1..2, 0, 10)]);
        check(&[0, 5, 0], 100, &[(0..3, 0, 5)]);
        check(&[0, 0], 100, &[]);
    }
}
