//! From a table to the forest of moments: one pass over the rows, on all cores, with the same bits
//! for any number of them.
//!
//! Blocks are decoded, encoded and summed side by side; what depends on the order of the rows (the
//! numbers of labels, the sums of cells) is done wave by wave in the order of the blocks, side by
//! side over parts of the label tables and shards of the cells.

use crate::many::PassState;
use crate::memory::{MemoryError, MemoryLimit};
use crate::model::ModelError;
use crate::read_times::{BlockTimes, Laps, ReadTimes, ScanTime, timed};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use tiers_design::{
    BLOCK_ROWS, Block, BlockSums, Column, DesignError, EncodeError, Encoder, LevelSet, MergeError, Moments, NestError,
    Plan, RawBlock, Recipe, Request, RowBlock, Scan, Source, SourceError, Summands, guess_top, sort_levels,
};

/// Blocks that are worked on at a time.
const WAVE: usize = 16;

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
    /// The work was called off by the observer.
    #[error("interrupted")]
    Interrupted,
}

/// Rows that were left out, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Rows left out.
    pub rows: u64,
    /// Per column that has missing values their number, in the order of the requests; then per
    /// expression that is not a number the further rows lost to it.
    pub missing: Vec<(String, u64)>,
}

impl Dropped {
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
    let all_levels = || collect_levels(source, plan, &reading.levels);
    let done = match &reading.recipe {
        Some(_) => pass(source, plan, reading, None, observer),
        None if !reading.levels.is_empty() => pass(source, plan, reading, Some(&all_levels()?), observer),
        None => match pass(source, plan, reading, None, observer) {
            Err(IngestError::Encode(EncodeError::NewLevel { column, label })) => {
                observer.restarted(&column, &label);
                pass(source, plan, reading, Some(&all_levels()?), observer)
            }
            Err(IngestError::Design(error)) if error.needs_all_levels() => {
                pass(source, plan, reading, Some(&all_levels()?), observer)
            }
            done => done,
        },
    }?;
    if !reading.part {
        done.recipe.check_levels()?;
    }
    Ok(done)
}

/// One pass; fails with `NewLevel` where `levels` are not given and the first block lacks one.
fn pass(
    source: &dyn Source,
    plan: &Plan,
    reading: &Reading<'_>,
    levels: Option<&[Vec<String>]>,
    observer: &mut dyn ReadObserver,
) -> Result<Ingested, IngestError> {
    let (mut scan, scan_time) = timed(source.scan(plan.requests()).map_err(IngestError::Source)?);
    let first = match scan.next() {
        Some(raw) => raw.and_then(|raw| raw.decode()).map_err(IngestError::Source)?,
        None => Block::default(),
    };
    let recipe = match reading.recipe {
        Some(recipe) => recipe.clone(),
        None => match first_complete(source, plan, &first)? {
            Some(complete) => plan.freeze(&complete, levels)?,
            None => plan.freeze(&first, levels)?,
        },
    };
    if recipe.random.is_empty() {
        return Err(ModelError::NoRandomEffects.into());
    }
    sum_up(scan, scan_time, &recipe, &first, reading.limit, observer)
}

/// Sums by a recipe over the rows of a source that has been read before.
pub(crate) fn accumulate_again(
    source: &dyn Source,
    recipe: &Recipe,
    limit: Option<MemoryLimit>,
    observer: &mut dyn ReadObserver,
) -> Result<Ingested, IngestError> {
    let (mut scan, scan_time) = timed(source.scan(&recipe.requests).map_err(IngestError::Source)?);
    let first = match scan.next() {
        Some(raw) => raw.and_then(|raw| raw.decode()).map_err(IngestError::Source)?,
        None => Block::default(),
    };
    sum_up(scan, scan_time, recipe, &first, limit, observer)
}

/// Sums the first block and all that follow.
fn sum_up(
    scan: Scan,
    scan_time: ScanTime,
    recipe: &Recipe,
    first: &Block,
    limit: Option<MemoryLimit>,
    observer: &mut dyn ReadObserver,
) -> Result<Ingested, IngestError> {
    let encoder = Encoder::new(recipe);
    let mut work = Work::start(recipe, &encoder, first)?;
    work.times.wait = scan_time.seconds();
    let mut clock = Laps::start();
    in_waves(scan, |wave| {
        work.times.wait += clock.lap();
        work.absorb(wave)?;
        clock.lap();
        if let Some(limit) = &limit {
            limit.check(recipe, &work.moments, (work.rows_read, "rows"))?;
        }
        match observer.rows_read(work.rows_read) {
            true => Ok(()),
            false => Err(IngestError::Interrupted),
        }
    })?;
    work.times.scan = scan_time.seconds();
    observer.finished(&work.times);
    Ok(work.finish(recipe.clone()))
}

/// The first block with a complete row, where that is not the first of all: without one there would
/// be no means to shift by, and columns far from zero would lose their digits.
fn first_complete(source: &dyn Source, plan: &Plan, first: &Block) -> Result<Option<Block>, IngestError> {
    if plan.can_freeze(first)? {
        return Ok(None);
    }
    for raw in source.scan(plan.requests()).map_err(IngestError::Source)?.skip(1) {
        let block = raw.and_then(|raw| raw.decode()).map_err(IngestError::Source)?;
        if plan.can_freeze(&block)? {
            return Ok(Some(block));
        }
    }
    Ok(None)
}

type Raw = Result<Box<dyn RawBlock>, SourceError>;

/// Hands the blocks of a scan over in waves, while a thread of its own reads ahead.
pub(crate) fn in_waves(
    scan: Scan,
    mut work: impl FnMut(Vec<Raw>) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    std::thread::scope(|threads| {
        let (sender, receiver) = sync_channel(WAVE);
        threads.spawn(move || {
            for raw in scan {
                let failed = raw.is_err();
                // A closed channel means that the other side has given up.
                if sender.send(raw).is_err() || failed {
                    break;
                }
            }
        });
        let mut more = true;
        while more {
            let wave;
            (wave, more) = next_wave(&receiver);
            work(wave)?;
        }
        Ok(())
    })
}

/// Up to [`WAVE`] blocks: waits for the first, takes what else is there. False at the end.
fn next_wave(receiver: &Receiver<Raw>) -> (Vec<Raw>, bool) {
    let mut wave = Vec::with_capacity(WAVE);
    while wave.len() < WAVE {
        match receiver.recv() {
            Ok(raw) => wave.push(raw),
            Err(_) => return (wave, false),
        }
    }
    (wave, true)
}

/// The state of a pass.
struct Work<'a> {
    encoder: &'a Encoder,
    moments: Moments,
    requests: &'a [Request],
    dropped_rows: u64,
    missing: Vec<u64>,
    not_a_number: Vec<u64>,
    rows_read: u64,
    times: ReadTimes,
}

impl<'a> Work<'a> {
    fn start(recipe: &'a Recipe, encoder: &'a Encoder, first: &Block) -> Result<Self, IngestError> {
        let rows = encoder.encode(first)?;
        let distinct: Vec<usize> = rows.keys.iter().map(|key| key.dictionary.len()).collect();
        let summands = Summands::new(recipe, guess_top(recipe, &distinct));
        let (dropped_rows, missing, not_a_number) =
            (rows.dropped_rows, rows.missing.clone(), rows.not_a_number.clone());
        let mut sums = vec![BlockSums::of(&summands, rows)];
        let mut moments = Moments::new(summands, &sums[0]);
        moments.absorb(&mut sums);
        let rows_read = first.rows as u64;
        let requests = &recipe.requests;
        let times = ReadTimes::default();
        Ok(Work { encoder, moments, requests, dropped_rows, missing, not_a_number, rows_read, times })
    }

    fn absorb(&mut self, wave: Vec<Raw>) -> Result<(), IngestError> {
        let (encoder, summands) = (self.encoder, &self.moments.summands);
        let sum = |raw: Raw| -> Result<(BlockSums, Counts), IngestError> {
            let (mut clock, mut times) = (Laps::start(), BlockTimes::default());
            let block = raw.and_then(|raw| raw.decode()).map_err(IngestError::Source)?;
            let read = block.rows as u64;
            times.decode = clock.lap();
            let rows: RowBlock = encoder.encode(&block)?;
            drop(block);
            times.encode = clock.lap();
            let mut counts = Counts {
                read,
                dropped: rows.dropped_rows,
                missing: rows.missing.clone(),
                not_a_number: rows.not_a_number.clone(),
                times,
            };
            let sums = BlockSums::of(summands, rows);
            counts.times.sum = clock.lap();
            Ok((sums, counts))
        };
        let results: Vec<_> = wave.into_par_iter().with_max_len(1).map(sum).collect();
        let mut blocks = Vec::with_capacity(results.len());
        // The first failure in the order of the rows is the one that is told.
        for result in results {
            let (block, counts) = result?;
            self.times.add(&counts.times);
            self.rows_read += counts.read;
            self.dropped_rows += counts.dropped;
            self.missing.iter_mut().zip(&counts.missing).for_each(|(sum, n)| *sum += n);
            self.not_a_number.iter_mut().zip(&counts.not_a_number).for_each(|(sum, n)| *sum += n);
            blocks.push(block);
        }
        let mut clock = Laps::start();
        absorb(&mut self.moments, &mut blocks);
        self.times.merge += clock.lap();
        Ok(())
    }

    fn finish(self, recipe: Recipe) -> Ingested {
        let missing = self.requests.iter().zip(&self.missing).filter(|(_, n)| **n > 0);
        let mut by_column: Vec<(String, u64)> = Vec::new();
        for (request, &n) in missing {
            // A column that is asked for in two roles is missing once.
            if !by_column.iter().any(|(column, _)| *column == request.column) {
                by_column.push((request.column.clone(), n));
            }
        }
        let undefined = self.encoder.expressions().zip(&self.not_a_number).filter(|(_, n)| **n > 0);
        by_column.extend(undefined.map(|(expression, &n)| (expression.to_owned(), n)));
        let dropped = Dropped { rows: self.dropped_rows, missing: by_column };
        Ingested { recipe, moments: self.moments, dropped }
    }
}

struct Counts {
    read: u64,
    dropped: u64,
    missing: Vec<u64>,
    not_a_number: Vec<u64>,
    times: BlockTimes,
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

/// The light pass: only the categorical columns, to know all levels of the factors, except those
/// that are given.
fn collect_levels(
    source: &dyn Source,
    plan: &Plan,
    given: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<Vec<String>>, IngestError> {
    let all = plan.factor_requests();
    let is_given = |request: &Request| given.contains_key(&request.column);
    let requests: Vec<Request> = all.iter().filter(|request| !is_given(request)).cloned().collect();
    let mut sets: Vec<LevelSet> = requests.iter().map(|_| LevelSet::new()).collect();
    let scan: Option<Scan> =
        if requests.is_empty() { None } else { Some(source.scan(&requests).map_err(IngestError::Source)?) };
    for raw in scan.into_iter().flatten() {
        let block = raw.and_then(|raw| raw.decode()).map_err(IngestError::Source)?;
        debug_assert!(block.rows <= BLOCK_ROWS);
        for (set, column) in sets.iter_mut().zip(&block.columns) {
            if let Column::Labels(labels) = column {
                set.absorb(labels);
            }
        }
    }
    let mut collected = sets.iter().map(LevelSet::levels);
    let levels_of = |request: &Request| match given.get(&request.column) {
        Some(levels) => {
            let field = source.fields().iter().find(|field| field.name == request.column);
            let mut levels = levels.clone();
            sort_levels(&mut levels, field.map(|field| &field.kind));
            levels
        }
        None => collected.next().expect("a set per request"),
    };
    Ok(all.iter().map(levels_of).collect())
}
