//! Keeps a pass for many models within a memory limit.

use crate::accumulate::pass::{Outcome, Pass, Summing};
use crate::cross::padded;
use crate::memory_limit::{MemoryLimit, PROGRAM, Size, Until};
use crate::pace::{Load, Pace, decoded};
use crate::room_error::RoomError;
use std::collections::HashSet;
use tiers_design::{BLOCK_ROWS, Block, Column, Request, Role, Source};

/// The memory that is held while rows are read, and its limit.
pub(crate) struct Room {
    limit: Option<MemoryLimit>,
    /// Load for full blocks of 32,768 rows; the cells that a block adds count with its sums.
    load: Load,
    /// Bytes of the sums of a block without those cells.
    sums_of_block: u64,
    /// Bytes of all sums, and number of blocks in them, at the last check of memory.
    before: (u64, u64),
    columns: usize,
    pace: Pace,
}

impl Room {
    /// Estimates the load of a scan of these columns from the costs that the source reports.
    ///
    /// For a single model, a block's numbers are also counted as columns of the design; further columns
    /// are known after the first block.
    pub(crate) fn new(source: &dyn Source, requests: &[Request], models: usize, limit: Option<MemoryLimit>) -> Room {
        let cost = source.cost(requests);
        let rows = limit.and_then(|limit| limit.rows);
        let all_raw = rows.map(|rows| rows.div_ceil(BLOCK_ROWS as u64) * cost.block);
        let block_rows = rows.unwrap_or(u64::MAX).min(BLOCK_ROWS as u64);
        let numbers = requests.iter().filter(|request| request.role == Role::Number).count() as u64;
        let decoded = block_rows * (8 * numbers + 4 * (requests.len() as u64 - numbers));
        let encoded = if models == 1 { 8 * block_rows * numbers } else { 0 };
        let load = Load { source: cost, all_raw, decoded, encoded, summed: 0 };
        let (columns, pace) = (requests.len(), Pace::full(&cost));
        Room { limit, load, sums_of_block: 0, before: (0, 0), columns, pace }
    }

    /// Returns the number of portions that the source may read at a time, before the first block is known;
    /// an error if the limit does not allow even one.
    pub(crate) fn portions(&self) -> Result<usize, RoomError> {
        let Some(limit) = self.limit else { return Ok(self.pace.portions) };
        // Reserve half of the limit for what is computed from the rows.
        let pace = Pace::within(&self.load, limit.bytes.saturating_sub(PROGRAM) / 2);
        match pace.or_else(|_| Pace::within(&self.load, limit.bytes.saturating_sub(PROGRAM))) {
            Ok(pace) => Ok(pace.portions),
            Err(needed) => Err(self.error(needed, limit, 0)),
        }
    }

    /// Returns the current pace.
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Determines the pace from the first block, which has not been summed yet. A model for which memory
    /// does not suffice even at the slowest pace is deferred, or fails if it is the only one.
    pub(crate) fn have_seen(&mut self, first: &Block, pass: &mut Pass) {
        let Some(limit) = self.limit else { return };
        loop {
            self.load.decoded = decoded(first);
            self.load.encoded = pass.sums.iter().map(|sums| encoded(sums, first.rows)).max().unwrap_or(0);
            let (sums, cells) =
                pass.sums.iter().map(|sums| summed(sums, first)).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
            (self.sums_of_block, self.load.summed) = (sums, sums + cells);
            match Pace::within(&self.load, limit.bytes.saturating_sub(PROGRAM)) {
                Ok(pace) => {
                    self.pace = pace;
                    return;
                }
                Err(needed) => {
                    let m = pass.sums.iter().map(|sums| sums.moments.summands.m).max().unwrap_or(0);
                    if !put_off(pass) {
                        let error = self.error(needed, limit, m);
                        fail(pass, |_| error.clone().into());
                        return;
                    }
                }
            }
        }
    }

    fn error(&self, needed: u64, limit: MemoryLimit, m: usize) -> RoomError {
        let needed = needed + PROGRAM;
        RoomError { needed, limit: limit.bytes, columns: self.columns, m, cost: self.load.source }
    }

    /// Slows the pass down when memory gets short; then defers models, the last one first, until memory
    /// suffices for the others. A single remaining model fails instead. `last`: no row is left.
    pub(crate) fn make(&mut self, pass: &mut Pass, last: bool) {
        let Some(limit) = self.limit else { return };
        // Assume that further blocks add as many cells as the last ones did.
        let (now, blocks) = (held(pass), pass.blocks);
        let added = now.saturating_sub(self.before.0) / blocks.saturating_sub(self.before.1).max(1);
        self.load.summed = self.sums_of_block + added;
        self.before = (now, blocks);
        let left = limit.rows.map_or(u64::MAX, |rows| rows.saturating_sub(pass.rows_read));
        let load = match left.min(BLOCK_ROWS as u64) {
            0 => None,
            _ if last => None,
            rows => Some(self.load.of_rows(rows)),
        };
        loop {
            let rest = limit.bytes.saturating_sub(PROGRAM + held(pass));
            let in_hand = match load.as_ref().map(|load| (load, Pace::within(load, rest))) {
                None => 0,
                Some((load, Ok(pace))) => {
                    self.pace = pace;
                    pace.bytes(load)
                }
                Some((_, Err(needed))) => needed,
            };
            let models = pass.active();
            if models <= 1 {
                return check_alone(pass, &limit, in_hand);
            }
            if needed(pass, &limit, in_hand) <= limit.bytes || !put_off(pass) {
                return;
            }
        }
    }
}

/// Bytes of a block as rows of the design.
fn encoded(sums: &Summing, rows: usize) -> u64 {
    let summands = &sums.moments.summands;
    (rows * (8 * (summands.m + 1) + 4 * summands.keys)) as u64
}

/// Bytes of the sums of a block like this one, and of the cells that it may add.
fn summed(sums: &Summing, block: &Block) -> (u64, u64) {
    let summands = &sums.moments.summands;
    let codes = |&key: &usize| match &block.columns.get(key) {
        Some(Column::Labels(labels)) => Some(labels.codes.as_slice()),
        _ => None,
    };
    let codes: Vec<&[u32]> = sums.bundle.keys().iter().filter_map(codes).collect();
    // Rows with missing values are dropped, which can join runs but not add any.
    let begins = |&i: &usize| i == 0 || codes.iter().any(|codes| codes[i] != codes[i - 1]);
    let runs: Vec<usize> = (0..block.rows).filter(begins).collect();
    let cells: HashSet<Vec<u32>> = runs.iter().map(|&i| codes.iter().map(|codes| codes[i]).collect()).collect();
    let width = padded(summands.m);
    let of_runs = runs.len() * (8 * summands.per_cell() + 8 * summands.keys + 20) + 8 * width * width;
    (of_runs as u64, Size::of_cells(cells.len() as u64, summands))
}

/// Bytes of the sums so far.
fn held(pass: &Pass) -> u64 {
    pass.sums.iter().map(|sums| Size::held(&sums.moments) + sums.totals.bytes() as u64).sum()
}

/// Defers the last of several models. Returns `false` if only one is left.
fn put_off(pass: &mut Pass) -> bool {
    let models = pass.sums.iter().flat_map(|sums| sums.bundle.members.iter().map(|member| member.model));
    let last = models.max().filter(|_| pass.active() > 1);
    if let Some(last) = last {
        pass.defer(last);
    }
    last.is_some()
}

/// Lets the only model fail with an error.
fn fail(pass: &mut Pass, error: impl Fn(&Summing) -> crate::error::IngestError) {
    let Some(alone) = pass.sums.first() else { return };
    let (model, error) = (alone.bundle.members[0].model, error(alone));
    pass.sums.clear();
    pass.outcomes[model] = Outcome::Failed(error);
}

/// Lets the only model fail if it needs more memory than the limit.
fn check_alone(pass: &mut Pass, limit: &MemoryLimit, in_hand: u64) {
    let Some(alone) = pass.sums.first() else { return };
    let about = &alone.bundle.members[0];
    let size = Size { in_hand: Some(in_hand), ..size(pass, 0, 0) };
    let names = about.recipe.keys.iter().map(|&key| about.recipe.requests[key].column.as_str());
    let names: Vec<&str> = alone.by.iter().map(String::as_str).chain(names).collect();
    // Partitions are fitted one at a time and are small; only the moments of all of them are large.
    let until = if alone.by.is_empty() { limit.until } else { Until::Moments };
    let limit = MemoryLimit { until, ..*limit };
    if let Err(error) = limit.check_size(size, names.join(" and "), (pass.rows_read, "rows")) {
        fail(pass, |_| error.clone().into());
    }
}

/// The size of one model's moments.
fn size(pass: &Pass, bundle: usize, member: usize) -> Size {
    let sums = &pass.sums[bundle];
    let about = &sums.bundle.members[member];
    Size::of_member(&about.recipe, &about.projection, &sums.moments, sums.totals.bytes() as u64)
}

/// Bytes needed for the sums of all models, plus those for fitting the model that needs most.
fn needed(pass: &Pass, limit: &MemoryLimit, in_hand: u64) -> u64 {
    let each = pass.sums.iter().enumerate().flat_map(|(bundle, sums)| {
        (0..sums.bundle.members.len()).map(move |member| {
            let needed = Size { in_hand: Some(in_hand), ..size(pass, bundle, member) }.needed(&limit.inference);
            match sums.by.is_empty() {
                true => needed.peak(limit.until),
                false => needed.reading,
            }
        })
    });
    held(pass) + each.max().unwrap_or(0)
}
