//! From a table to moments: one pass over the rows on all cores, bit-identical for any number of
//! threads. The pass itself is in [`crate::many`], since it may serve many models.
//!
//! Blocks are decoded, encoded and summed in parallel. Work that depends on the order of the rows
//! (numbering labels, summing cells) is done wave by wave in the order of the blocks, in parallel over
//! parts of the label tables and shards of the cells.

use crate::frames::CheckpointError;
use crate::many::{Code, PassState, Wanted, accumulate_many};
use crate::memory::{MemoryError, MemoryLimit, RoomError};
use crate::model::ModelError;
use crate::read_times::ReadTimes;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use tiers_design::{
    BlockSums, DesignError, EncodeError, MergeError, Moments, NestError, Plan, RawBlock, Recipe, Scan, Source,
    SourceError,
};

/// Why a table could not be turned into a model.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The table could not be read.
    #[error("{0}")]
    Source(SourceError),
    /// The formula does not fit the table.
    #[error(transparent)]
    Design(#[from] DesignError),
    /// A row cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The groupings are not nested.
    #[error(transparent)]
    Nest(#[from] NestError),
    /// The model cannot be fitted.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Moments cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The fit needs more memory than the limit.
    #[error(transparent)]
    Memory(#[from] Box<MemoryError>),
    /// Reading and summing the rows needs more memory than the limit.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The checkpoint cannot be resumed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Error recorded for this model before the run was resumed.
    #[error("{0}")]
    Earlier(String),
    /// The observer cancelled the work.
    #[error("interrupted")]
    Interrupted,
}

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

/// Reads all rows of a source and sums them to moments.
pub fn accumulate(source: &dyn Source, plan: &Plan, observer: &mut dyn ReadObserver) -> Result<Ingested, IngestError> {
    accumulate_with(source, plan, &Reading::default(), observer)
}

/// [`accumulate`] with options.
pub fn accumulate_with(
    source: &dyn Source,
    plan: &Plan,
    reading: &Reading<'_>,
    observer: &mut dyn ReadObserver,
) -> Result<Ingested, IngestError> {
    accumulate_many(source, &[Wanted::new(plan.clone())], reading, None, observer)?.take(0)
}

pub(crate) type Raw = Result<Box<dyn RawBlock>, SourceError>;

/// Passes the blocks of a scan to `work` in waves, while a separate thread reads ahead. `wave` returns
/// the number of blocks of the next wave.
pub(crate) fn in_waves<E>(
    scan: Scan,
    wave: impl Fn() -> usize,
    mut work: impl FnMut(Vec<Raw>) -> Result<(), E>,
) -> Result<(), E> {
    std::thread::scope(|threads| {
        let (sender, receiver) = sync_channel(wave());
        let read = move || {
            for raw in scan {
                let failed = raw.is_err();
                // A closed channel means that the receiver has stopped.
                if sender.send(raw).is_err() || failed {
                    break;
                }
            }
        };
        let reader = std::thread::Builder::new().name("tiers-ahead".to_owned());
        if let Err(error) = reader.spawn_scoped(threads, read) {
            return work(vec![Err(format!("no thread can be started to read the rows: {error}").into())]);
        }
        let mut more = true;
        while more {
            let blocks;
            (blocks, more) = next_wave(&receiver, wave());
            work(blocks)?;
        }
        Ok(())
    })
}

/// Receives up to `most` blocks; fewer, with `false`, only at the end.
fn next_wave(receiver: &Receiver<Raw>, most: usize) -> (Vec<Raw>, bool) {
    let mut wave = Vec::with_capacity(most);
    while wave.len() < most {
        match receiver.recv() {
            Ok(raw) => wave.push(raw),
            Err(_) => return (wave, false),
        }
    }
    (wave, true)
}

/// [`Moments::absorb`], in parallel over label tables and shards.
pub(crate) fn absorb(moments: &mut Moments, blocks: &mut [BlockSums]) {
    moments.label_tasks().par_iter_mut().for_each(|task| task.number(blocks));
    let Moments { summands, shards, .. } = moments;
    blocks.par_iter_mut().with_max_len(1).for_each(|block| block.assign_shards(summands));
    shards.par_iter_mut().with_max_len(1).enumerate().for_each(|(shard, cells)| {
        blocks.iter().for_each(|block| cells.absorb(shard, summands, block));
    });
    blocks.iter().for_each(|block| moments.absorb_totals(block));
}
