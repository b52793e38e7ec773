//! From a table to moments: one pass over the rows, on all cores, with the same bits for any number
//! of them. What a pass does is in [`crate::many`], since it may be for many models.
//!
//! Blocks are decoded, encoded and summed side by side; what depends on the order of the rows (the
//! numbers of labels, the sums of cells) is done wave by wave in the order of the blocks, side by
//! side over parts of the label tables and shards of the cells.

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
    /// Formula and table do not fit.
    #[error(transparent)]
    Design(#[from] DesignError),
    /// A row cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The groupings are no nest.
    #[error(transparent)]
    Nest(#[from] NestError),
    /// The model cannot be fitted.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Moments cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// More memory would be needed than may be used.
    #[error(transparent)]
    Memory(#[from] Box<MemoryError>),
    /// More memory would be needed to read and sum the rows than may be used.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// A checkpoint cannot be gone on from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// What became of this model in an earlier run, whose checkpoint was gone on from.
    #[error("{0}")]
    Earlier(String),
    /// The work was called off by the observer.
    #[error("interrupted")]
    Interrupted,
}

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

/// Reads all rows of a source and sums their moments.
pub fn accumulate(source: &dyn Source, plan: &Plan, observer: &mut dyn ReadObserver) -> Result<Ingested, IngestError> {
    accumulate_with(source, plan, &Reading::default(), observer)
}

/// [`accumulate`], in a way to be chosen.
pub fn accumulate_with(
    source: &dyn Source,
    plan: &Plan,
    reading: &Reading<'_>,
    observer: &mut dyn ReadObserver,
) -> Result<Ingested, IngestError> {
    accumulate_many(source, &[Wanted::new(plan.clone())], reading, None, observer)?.take(0)
}

pub(crate) type Raw = Result<Box<dyn RawBlock>, SourceError>;

/// Hands the blocks of a scan over in waves, while a thread of its own reads ahead. `wave` is asked
/// for the number of blocks of the next wave.
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
                // A closed channel means that the other side has given up.
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

/// Up to `most` blocks, fewer only at the end; false then.
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

/// [`Moments::absorb`], side by side over label tables and shards.
pub(crate) fn absorb(moments: &mut Moments, blocks: &mut [BlockSums]) {
    moments.label_tasks().par_iter_mut().for_each(|task| task.number(blocks));
    let Moments { summands, shards, .. } = moments;
    blocks.par_iter_mut().with_max_len(1).for_each(|block| block.assign_shards(summands));
    shards.par_iter_mut().with_max_len(1).enumerate().for_each(|(shard, cells)| {
        blocks.iter().for_each(|block| cells.absorb(shard, summands, block));
    });
    blocks.iter().for_each(|block| moments.absorb_totals(block));
}
