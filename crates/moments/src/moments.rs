//! Moments: all that a fit needs of the data.
//!
//! With `C = [X, further z columns, y]` (m columns) and `z` the union of the columns of all
//! random-effect terms (r columns), the moments of a data set are
//!
//! - `C'WC` (m×m), the number of rows n and `Σ log w`;
//! - for every *cell*, a distinct combination of all grouping columns: `Σ w z' c` (r×m) over its
//!   rows, and the number of its rows.
//!
//! Both are plain sums, so the moments of two sets of rows add up; a SQL engine could make them
//! with one `GROUP BY`. Memory is O(cells × r m) and does not grow with n.

use crate::block_sums::BlockSums;
use crate::cross::Cross;
use crate::labels::{LabelPart, LabelTable};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rayon::prelude::*;
use std::hash::BuildHasher;
use std::sync::atomic::Ordering;
use tiers_design::Recipe;

/// Shards of the cells: fixed, so that sums do not depend on the number of threads.
pub const SHARDS: usize = 64;

/// What is summed: shapes and columns, common to all blocks of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Summands {
    /// Columns of C, y included.
    pub m: usize,
    /// The union of the z columns, as indices into C.
    pub z: Vec<usize>,
    /// Number of grouping columns.
    pub keys: usize,
    /// The grouping columns that decide a cell's shard: those of the (presumed) top level.
    pub shard_keys: Vec<usize>,
    /// Number of shards.
    pub shards: usize,
}

impl Summands {
    /// The sums that a recipe asks for; `shard_keys` are the key columns of its top level.
    pub fn new(recipe: &Recipe, shard_keys: Vec<usize>) -> Self {
        let mut z: Vec<usize> = recipe.random.iter().flat_map(|term| term.columns.iter().copied()).collect();
        z.sort_unstable();
        z.dedup();
        Summands { m: recipe.columns.len() + 1, z, keys: recipe.keys.len(), shard_keys, shards: SHARDS }
    }

    /// Numbers per cell: r·m.
    pub fn per_cell(&self) -> usize {
        self.z.len() * self.m
    }

    /// The shard of a cell with these labels.
    pub(crate) fn shard_of(&self, labels: &[u32]) -> usize {
        let mut hash = 0u64;
        for &key in &self.shard_keys {
            hash = (hash ^ u64::from(labels[key])).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        }
        (hash >> 20) as usize % self.shards
    }
}

/// The cells of one shard, in order of first appearance.
#[derive(Clone, Debug, Default)]
pub struct CellShard {
    table: HashTable<u32>,
    /// Per cell and key the number of the label.
    pub labels: Vec<u32>,
    /// Per cell the global number of the first row in it.
    pub first_row: Vec<u64>,
    /// Per cell the number of rows.
    pub counts: Vec<u64>,
    /// Per cell `z'WC`, r×m row-major.
    pub sums: Vec<f64>,
}

impl CellShard {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds the runs of one block that belong to this shard. Blocks must come in the order of rows.
    pub fn absorb(&mut self, shard: usize, summands: &Summands, block: &BlockSums) {
        let (keys, per_cell) = (summands.keys, summands.per_cell());
        for &run in block.runs_of(shard) {
            let run = run as usize;
            let sums = &block.sums[run * per_cell..(run + 1) * per_cell];
            let labels = &block.codes[run * keys..(run + 1) * keys];
            let cell = self.find_or_insert(labels, block.first_row[run], per_cell);
            self.counts[cell] += block.counts[run];
            let into = &mut self.sums[cell * per_cell..(cell + 1) * per_cell];
            into.iter_mut().zip(sums).for_each(|(s, v)| *s += v);
        }
    }

    pub(crate) fn find_or_insert(&mut self, labels: &[u32], first_row: u64, per_cell: usize) -> usize {
        let keys = labels.len();
        let state = FixedState::with_seed(1);
        let mine = &self.labels;
        let hash = state.hash_one(labels);
        if let Some(&cell) = self.table.find(hash, |&c| mine[c as usize * keys..][..keys] == *labels) {
            return cell as usize;
        }
        let cell = u32::try_from(self.len()).expect("fewer than 2^32 cells in a shard");
        self.labels.extend_from_slice(labels);
        self.first_row.push(first_row);
        self.counts.push(0);
        self.sums.resize(self.sums.len() + per_cell, 0.0);
        let mine = &self.labels;
        self.table.insert_unique(hash, cell, |&c| state.hash_one(&mine[c as usize * keys..][..keys]));
        cell as usize
    }

    /// Cells that were kept elsewhere, not yet to be found by their labels.
    pub fn of(labels: Vec<u32>, first_row: Vec<u64>, counts: Vec<u64>, sums: Vec<f64>) -> CellShard {
        CellShard { table: HashTable::new(), labels, first_row, counts, sums }
    }

    /// The same cells, to be found by their `keys` labels each.
    #[must_use]
    pub fn indexed(mut self, keys: usize) -> CellShard {
        self.index(keys);
        self
    }

    /// Makes the table by which cells are found; all are distinct.
    pub(crate) fn index(&mut self, keys: usize) {
        let state = FixedState::with_seed(1);
        let labels = &self.labels;
        let hash = |cell: u32| state.hash_one(&labels[cell as usize * keys..][..keys]);
        self.table = HashTable::with_capacity(self.counts.len());
        (0..self.counts.len() as u32).for_each(|cell| _ = self.table.insert_unique(hash(cell), cell, |&c| hash(c)));
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        8 * (self.sums.capacity() + self.counts.capacity() + self.first_row.capacity())
            + 4 * self.labels.capacity()
            + 5 * self.table.capacity()
    }
}

/// The moments of a data set.
#[derive(Clone, Debug)]
pub struct Moments {
    /// What was summed.
    pub summands: Summands,
    /// `C'WC`.
    pub cross: Cross,
    /// n.
    pub rows: u64,
    /// `Σ log w`; 0 without weights.
    pub sum_log_weights: f64,
    /// Per grouping column its labels.
    pub labels: Vec<LabelTable>,
    /// The cells.
    pub shards: Vec<CellShard>,
}

impl Moments {
    /// Moments of no rows. `like` gives for each key the kind of its labels.
    pub fn new(summands: Summands, like: &BlockSums) -> Self {
        let labels = like.dictionaries.iter().map(|(dictionary, _)| LabelTable::new(dictionary)).collect();
        Moments::empty(summands, labels)
    }

    /// Moments of no rows, with empty tables of labels.
    pub fn empty(summands: Summands, labels: Vec<LabelTable>) -> Self {
        let shards = (0..summands.shards).map(|_| CellShard::default()).collect();
        Moments { cross: Cross::new(summands.m), rows: 0, sum_log_weights: 0.0, labels, shards, summands }
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.shards.iter().map(CellShard::len).sum()
    }

    /// Adds the sums over all rows of a block (not those by cell). In the order of the blocks.
    pub fn absorb_totals(&mut self, block: &BlockSums) {
        self.cross.merge(&block.cross);
        self.rows += block.rows;
        self.sum_log_weights += block.sum_log_weights;
    }

    /// The pieces of work that give the labels of blocks their numbers: independent of each other,
    /// each to be run over all blocks of a wave by [`LabelTask::number`].
    pub fn label_tasks(&mut self) -> Vec<LabelTask<'_>> {
        self.labels
            .iter_mut()
            .enumerate()
            .flat_map(|(key, table)| {
                table.parts_mut().iter_mut().enumerate().map(move |(index, part)| LabelTask { key, index, part })
            })
            .collect()
    }

    /// Adds the sums of blocks, in the order of the blocks: on all cores, side by side over blocks,
    /// label tables and shards, with the same bits on any number of threads.
    pub fn absorb(&mut self, blocks: &mut [BlockSums]) {
        self.label_tasks().par_iter_mut().for_each(|task| task.number(blocks));
        let Moments { summands, shards, .. } = &mut *self;
        blocks.par_iter_mut().with_max_len(1).for_each(|block| block.assign_shards(summands));
        shards.par_iter_mut().with_max_len(1).enumerate().for_each(|(shard, cells)| {
            blocks.iter().for_each(|block| cells.absorb(shard, summands, block));
        });
        blocks.iter().for_each(|block| self.absorb_totals(block));
    }

    /// Distributes the cells over the shards again, so that those with the same labels in `shard_keys` share a shard.
    pub fn reshard(&mut self, shard_keys: Vec<usize>) {
        self.summands.shard_keys = shard_keys;
        let (keys, per_cell) = (self.summands.keys, self.summands.per_cell());
        let mut shards: Vec<CellShard> = (0..self.summands.shards).map(|_| CellShard::default()).collect();
        for old in self.shards.drain(..) {
            for (cell, labels) in old.labels.chunks_exact(keys).enumerate() {
                let shard = &mut shards[self.summands.shard_of(labels)];
                let at = shard.find_or_insert(labels, old.first_row[cell], per_cell);
                shard.counts[at] = old.counts[cell];
                let sums = &old.sums[cell * per_cell..(cell + 1) * per_cell];
                shard.sums[at * per_cell..(at + 1) * per_cell].copy_from_slice(sums);
            }
        }
        self.shards = shards;
    }

    /// Bytes held by cells and labels.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(CellShard::bytes).sum::<usize>()
            + self.labels.iter().map(LabelTable::bytes).sum::<usize>()
    }
}

/// Numbers the labels of one part of one key's table.
#[derive(Debug)]
pub struct LabelTask<'a> {
    key: usize,
    index: usize,
    part: &'a mut LabelPart,
}

impl LabelTask<'_> {
    /// Gives the labels of these blocks, in order, their numbers.
    pub fn number(&mut self, blocks: &[BlockSums]) {
        for block in blocks {
            let (dictionary, entries) = &block.dictionaries[self.key];
            let numbers = &block.numbers[self.key];
            self.part.intern(self.index, dictionary, entries, |entry, id| {
                numbers[entry].store(id, Ordering::Relaxed);
            });
        }
    }
}
