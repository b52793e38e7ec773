//! Sums over one block of rows, to be added to the moments.
//!
//! These sums do not depend on any other block, so blocks can be summed in parallel. The steps that
//! must follow the order of the rows are in [`crate::moments`].

use crate::bundle::BlockPartitionSums;
use crate::cross::{CHUNK, Cross, padded};
use crate::labels;
use crate::moments::Summands;
use crate::vectorised;
use std::sync::atomic::{AtomicU32, Ordering};
use tiers_design::{Dictionary, MISSING, RowBlock};

/// Sums over one block, one set per run of rows.
///
/// A *cell* is a distinct combination of the labels of all key columns; a *run* is a maximal sequence
/// of consecutive rows in one cell. A block of sorted data has few runs; a block of shuffled data has
/// about one per row.
#[derive(Debug)]
pub struct BlockSums {
    /// `C'WC` of the block.
    pub(crate) cross: Cross,
    /// Number of rows summed.
    pub(crate) rows: u64,
    /// `Σ log w`; 0 without weights.
    pub(crate) sum_log_weights: f64,
    /// For each run and key: the index into the key's dictionary; after numbering, the number of the label.
    pub(crate) codes: Vec<u32>,
    /// Global number of the first row of each run.
    pub(crate) first_row: Vec<u64>,
    /// Number of rows of each run.
    pub(crate) counts: Vec<u64>,
    /// `z'WC` of each run, r×m, row-major.
    pub(crate) sums: Vec<f64>,
    /// For each key: the block's dictionary, and the entries that occur in runs, with their hashes.
    pub(crate) dictionaries: Vec<(Dictionary, Vec<(u32, u64)>)>,
    /// For each key and dictionary entry: the number of the label in the whole data set.
    pub(crate) numbers: Vec<Vec<AtomicU32>>,
    /// Runs ordered by shard, and the start of each shard; set by [`BlockSums::assign_shards`].
    pub(crate) by_shard: (Vec<u32>, Vec<u32>),
    /// Sums over all rows of each partition, if the rows are cut into partitions.
    pub(crate) partitions: Option<BlockPartitionSums>,
}

impl BlockSums {
    /// Sums an encoded block.
    pub fn of(summands: &Summands, block: RowBlock) -> Self {
        let mut sums = BlockSums::empty(summands);
        sums.rows = block.rows as u64;
        if let Some(weights) = &block.weights {
            sums.sum_log_weights = weights.iter().map(|w| w.ln()).sum();
        }
        sums.find_runs(&block);
        vectorised(
            #[inline(always)]
            || sums.sum_rows::<true>(summands, &block),
        );
        sums.set_dictionaries(block.keys.into_iter().map(|labels| labels.dictionary).collect(), &[]);
        sums
    }

    /// Sums an encoded block by cell, without `C'WC`. `codes` are further labels of the first `by` keys
    /// that must get numbers even if no run has them.
    pub(crate) fn without_cross(summands: &Summands, block: RowBlock, codes: &[u32], by: usize) -> Self {
        let mut sums = BlockSums::empty(summands);
        sums.find_runs(&block);
        vectorised(
            #[inline(always)]
            || sums.sum_rows::<false>(summands, &block),
        );
        let further: Vec<Vec<u32>> = (0..by).map(|key| codes.iter().skip(key).step_by(by).copied().collect()).collect();
        sums.set_dictionaries(block.keys.into_iter().map(|labels| labels.dictionary).collect(), &further);
        sums
    }

    /// Returns the number of a label in the whole data set ([`MISSING`] before it is assigned).
    pub(crate) fn number(&self, key: usize, code: u32) -> u32 {
        self.numbers[key][code as usize].load(Ordering::Relaxed)
    }

    /// Returns sums over no rows.
    pub(crate) fn empty(summands: &Summands) -> Self {
        BlockSums {
            cross: Cross::new(summands.m),
            rows: 0,
            sum_log_weights: 0.0,
            codes: Vec::new(),
            first_row: Vec::new(),
            counts: Vec::new(),
            sums: Vec::new(),
            dictionaries: Vec::new(),
            numbers: Vec::new(),
            by_shard: (Vec::new(), Vec::new()),
            partitions: None,
        }
    }

    /// Stores the dictionaries, and marks as used the codes of the runs and the `further` codes of the first keys.
    pub(crate) fn set_dictionaries(&mut self, dictionaries: Vec<Dictionary>, further: &[Vec<u32>]) {
        let keys = dictionaries.len();
        for (key, dictionary) in dictionaries.into_iter().enumerate() {
            // A dictionary may hold labels that occur in dropped rows only.
            let mut used = vec![false; dictionary.len()];
            self.codes.iter().skip(key).step_by(keys).for_each(|&code| used[code as usize] = true);
            further.get(key).into_iter().flatten().for_each(|&code| used[code as usize] = true);
            let entries = (0..used.len()).filter(|&entry| used[entry]);
            let entries = entries.map(|entry| (entry as u32, labels::hash(&dictionary, entry))).collect();
            self.numbers.push(used.iter().map(|_| AtomicU32::new(MISSING)).collect());
            self.dictionaries.push((dictionary, entries));
        }
    }

    /// Cuts the block into runs: fills `codes`, `first_row` and `counts`.
    fn find_runs(&mut self, block: &RowBlock) {
        let row_number = |i: usize| block.first_row + block.kept.as_ref().map_or(i as u64, |k| u64::from(k[i]));
        let mut start = 0;
        for i in 1..=block.rows {
            let ends = i == block.rows || block.keys.iter().any(|key| key.codes[i] != key.codes[i - 1]);
            if ends {
                self.codes.extend(block.keys.iter().map(|key| key.codes[start]));
                self.first_row.push(row_number(start));
                self.counts.push((i - start) as u64);
                start = i;
            }
        }
    }

    /// Fills `cross` (if `CROSS`) and `sums`, from chunks of rows transposed to row-major order.
    #[inline(always)]
    fn sum_rows<const CROSS: bool>(&mut self, summands: &Summands, block: &RowBlock) {
        let (m, width) = (summands.m, padded(summands.m));
        let mut plain = vec![0.0; CHUNK * width];
        let mut weighted = vec![0.0; CHUNK * width];
        let mut runs = RunSums::new(summands, &self.counts);
        for start in (0..block.rows).step_by(CHUNK) {
            let rows = CHUNK.min(block.rows - start);
            for c in 0..m {
                let column = &block.values[c * block.rows + start..][..rows];
                column.iter().enumerate().for_each(|(i, &v)| plain[i * width + c] = v);
            }
            let plain = &plain[..rows * width];
            if let Some(weights) = &block.weights {
                let weighted = &mut weighted[..rows * width];
                for (i, &w) in weights[start..start + rows].iter().enumerate() {
                    let row = i * width..(i + 1) * width;
                    weighted[row.clone()].iter_mut().zip(&plain[row]).for_each(|(out, v)| *out = w * v);
                }
                if CROSS {
                    self.cross.add(weighted, plain);
                }
                runs.add(weighted, plain, &mut self.sums);
            } else {
                if CROSS {
                    self.cross.add(plain, plain);
                }
                runs.add(plain, plain, &mut self.sums);
            }
        }
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.counts.len()
    }

    /// Replaces the block's codes with the data set's label numbers and orders the runs by shard.
    ///
    /// Call it after all labels of the block have been numbered.
    pub fn assign_shards(&mut self, summands: &Summands) {
        let keys = summands.keys;
        for run in self.codes.chunks_exact_mut(keys) {
            for (code, numbers) in run.iter_mut().zip(&self.numbers) {
                *code = numbers[*code as usize].load(Ordering::Relaxed);
            }
        }
        let shards: Vec<u8> = self.codes.chunks_exact(keys).map(|run| summands.shard_of(run) as u8).collect();
        let mut starts = vec![0u32; summands.shards + 1];
        shards.iter().for_each(|&s| starts[s as usize + 1] += 1);
        (0..summands.shards).for_each(|s| starts[s + 1] += starts[s]);
        let mut next = starts.clone();
        let mut order = vec![0u32; shards.len()];
        for (run, &shard) in shards.iter().enumerate() {
            order[next[shard as usize] as usize] = run as u32;
            next[shard as usize] += 1;
        }
        self.by_shard = (order, starts);
    }

    /// Returns the runs of one shard, in the order of the rows.
    pub(crate) fn runs_of(&self, shard: usize) -> &[u32] {
        let (order, starts) = &self.by_shard;
        &order[starts[shard] as usize..starts[shard + 1] as usize]
    }
}

/// Accumulator of the sums of one run after the other.
struct RunSums<'a> {
    z: &'a [usize],
    m: usize,
    width: usize,
    counts: std::slice::Iter<'a, u64>,
    left: u64,
    sum: Vec<f64>,
}

impl<'a> RunSums<'a> {
    fn new(summands: &'a Summands, counts: &'a [u64]) -> Self {
        let mut counts = counts.iter();
        let left = counts.next().copied().unwrap_or(0);
        let width = padded(summands.m);
        RunSums { z: &summands.z, m: summands.m, width, counts, left, sum: vec![0.0; summands.z.len() * width] }
    }

    /// Adds rows; appends the r×m sums of each completed run to `out`.
    #[inline(always)]
    fn add(&mut self, weighted: &[f64], plain: &[f64], out: &mut Vec<f64>) {
        for (row, values) in weighted.chunks_exact(self.width).zip(plain.chunks_exact(self.width)) {
            for (t, &z) in self.z.iter().enumerate() {
                let factor = row[z];
                let sum = &mut self.sum[t * self.width..(t + 1) * self.width];
                sum.iter_mut().zip(values).for_each(|(s, v)| *s += factor * v);
            }
            self.left -= 1;
            if self.left == 0 {
                for sum in self.sum.chunks_exact_mut(self.width) {
                    out.extend_from_slice(&sum[..self.m]);
                    sum.fill(0.0);
                }
                self.left = self.counts.next().copied().unwrap_or(0);
            }
        }
    }
}
