//! Sums by partition: what the cells do not tell of a partition, its `C'WC` and its counts.

use crate::block_sums::BlockSums;
use crate::bundle::Bundle;
use crate::cross::{CHUNK, Cross, padded};
use std::collections::HashMap;
use tiers_design::{Block, Column, Labels, MISSING, RowBlock, Selection};

/// To which partitions the rows of a block belong, and what is known of each but its sums.
#[derive(Debug)]
pub struct BlockPartitions {
    /// Per kept row its partition, numbered within the block.
    of_row: Vec<u32>,
    /// Per partition and key its label's code in the block.
    codes: Vec<u32>,
    /// Rows that belong to no partition.
    unlabelled: u64,
    sums: Vec<PartitionSum>,
}

/// The sums over all rows of a partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionSum {
    /// `C'WC`, the upper triangle row by row.
    pub cross: Vec<f64>,
    /// n.
    pub rows: u64,
    /// `Σ log w`; 0 without weights.
    pub sum_log_weights: f64,
    /// Rows dropped.
    pub dropped: u64,
    /// Per request of the bundle the rows in which it is missing.
    pub missing: Vec<u64>,
    /// Per expression of the bundle the otherwise complete rows in which it is not a number.
    pub not_a_number: Vec<u64>,
    /// Per factor of the bundle and level whether a kept row has it.
    pub levels: Vec<Vec<bool>>,
}

impl PartitionSum {
    fn new(bundle: &Bundle, expressions: usize) -> PartitionSum {
        let m = bundle.summands.m;
        PartitionSum {
            cross: vec![0.0; m * (m + 1) / 2],
            missing: vec![0; bundle.own.len()],
            not_a_number: vec![0; expressions],
            levels: bundle.factors.iter().map(|factor| vec![false; factor.levels.len()]).collect(),
            ..PartitionSum::default()
        }
    }

    fn add(&mut self, other: &PartitionSum) {
        let add = |sums: &mut [u64], others: &[u64]| sums.iter_mut().zip(others).for_each(|(s, o)| *s += o);
        self.cross.iter_mut().zip(&other.cross).for_each(|(s, o)| *s += o);
        self.rows += other.rows;
        self.sum_log_weights += other.sum_log_weights;
        self.dropped += other.dropped;
        add(&mut self.missing, &other.missing);
        add(&mut self.not_a_number, &other.not_a_number);
        for (levels, others) in self.levels.iter_mut().zip(&other.levels) {
            levels.iter_mut().zip(others).for_each(|(seen, &other)| *seen |= other);
        }
    }
}

/// Numbers the rows' combinations of labels as they come.
struct Numbering<'a> {
    by: Vec<&'a Labels>,
    known: HashMap<Vec<u32>, u32>,
    codes: Vec<u32>,
}

impl Numbering<'_> {
    /// Per row its partition, [`MISSING`] where a label is.
    fn rows(&mut self, rows: usize) -> Vec<u32> {
        let mut of_row: Vec<u32> = Vec::with_capacity(rows);
        for row in 0..rows {
            if row > 0 && self.by.iter().all(|labels| labels.codes[row] == labels.codes[row - 1]) {
                of_row.push(of_row[row - 1]);
                continue;
            }
            let own: Vec<u32> = self.by.iter().map(|labels| labels.codes[row]).collect();
            if own.contains(&MISSING) {
                of_row.push(MISSING);
                continue;
            }
            let next = self.known.len() as u32;
            let Numbering { known, codes, .. } = self;
            of_row.push(*known.entry(own).or_insert_with_key(|own| {
                codes.extend(own);
                next
            }));
        }
        of_row
    }
}

impl BlockPartitions {
    pub(crate) fn of(bundle: &Bundle, block: &Block, selection: &Selection) -> BlockPartitions {
        if block.rows == 0 {
            return BlockPartitions { of_row: Vec::new(), codes: Vec::new(), unlabelled: 0, sums: Vec::new() };
        }
        let by = bundle.keys[..bundle.by].iter().map(|&key| block.labels(key)).collect();
        let mut numbering = Numbering { by, known: HashMap::new(), codes: Vec::new() };
        let of_all = numbering.rows(block.rows);
        let empty = PartitionSum::new(bundle, selection.not_a_number.len());
        let mut sums = vec![empty; numbering.known.len()];
        let of_row = match &selection.kept {
            None => of_all,
            Some(kept) => {
                count_dropped(bundle, block, selection, &of_all, kept, &mut sums);
                kept.iter().map(|&row| of_all[row as usize]).collect()
            }
        };
        let of_block = of_row.len();
        let unlabelled = match &selection.kept {
            None => 0,
            Some(_) => {
                let by = &bundle.keys[..bundle.by];
                let without = |row: &usize| by.iter().any(|&key| block.labels(key).codes[*row] == MISSING);
                (0..block.rows).filter(without).count() as u64
            }
        };
        for (f, factor) in bundle.factors.iter().enumerate() {
            let labels = block.labels(factor.request);
            let level = |code: usize| {
                let label = labels.dictionary.label(code);
                factor.levels.iter().position(|level| *level == label)
            };
            let level_of: Vec<Option<usize>> = (0..labels.dictionary.len()).map(level).collect();
            for i in 0..of_block {
                let row = selection.kept.as_ref().map_or(i, |kept| kept[i] as usize);
                if let Some(level) = level_of[labels.codes[row] as usize] {
                    sums[of_row[i] as usize].levels[f][level] = true;
                }
            }
        }
        BlockPartitions { of_row, codes: numbering.codes, unlabelled, sums }
    }
}

/// Counts the dropped rows of each partition, and why they were.
fn count_dropped(
    bundle: &Bundle,
    block: &Block,
    selection: &Selection,
    of_row: &[u32],
    kept: &[u32],
    sums: &mut [PartitionSum],
) {
    let mut dropped = vec![true; block.rows];
    kept.iter().for_each(|&row| dropped[row as usize] = false);
    let labelled = |row: &usize| of_row[*row] != MISSING;
    for row in (0..block.rows).filter(|&row| dropped[row]).filter(labelled) {
        sums[of_row[row] as usize].dropped += 1;
    }
    for (own, &request) in bundle.own.iter().enumerate().filter(|(own, _)| selection.missing[*own] > 0) {
        let is_missing = |&row: &usize| match &block.columns[request] {
            Column::Numbers(values) => values[row].is_nan(),
            Column::Labels(labels) => labels.codes[row] == MISSING,
        };
        for row in (0..block.rows).filter(is_missing).filter(labelled) {
            sums[of_row[row] as usize].missing[own] += 1;
        }
    }
    for (expression, rows) in selection.nan_rows.iter().enumerate() {
        for row in rows.iter().map(|&row| row as usize).filter(labelled) {
            sums[of_row[row] as usize].not_a_number[expression] += 1;
        }
    }
}

/// The sums of a block by partition.
#[derive(Debug)]
pub(crate) struct BlockPartitionSums {
    codes: Vec<u32>,
    unlabelled: u64,
    sums: Vec<PartitionSum>,
}

impl BlockSums {
    /// Sums an encoded block whose rows belong to partitions: the sum over all rows is by partition,
    /// and there is none over all of them.
    pub fn of_partitions(bundle: &Bundle, rows: RowBlock, partitions: BlockPartitions) -> BlockSums {
        let BlockPartitions { of_row, codes, unlabelled, mut sums } = partitions;
        add_cross(&rows, &of_row, &mut sums);
        let by = bundle.by;
        let mut block = BlockSums::without_cross(&bundle.summands, rows, &codes, by);
        block.partitions = Some(BlockPartitionSums { codes, unlabelled, sums });
        block
    }
}

/// Adds `C'WC`, n and `Σ log w` of each partition.
fn add_cross(block: &RowBlock, of_row: &[u32], sums: &mut [PartitionSum]) {
    // Rows in the order of their partitions, by counting.
    let mut starts = vec![0_usize; sums.len() + 1];
    of_row.iter().for_each(|&p| starts[p as usize + 1] += 1);
    (0..sums.len()).for_each(|p| starts[p + 1] += starts[p]);
    let mut next = starts.clone();
    let mut order = vec![0_u32; of_row.len()];
    for (row, &p) in of_row.iter().enumerate() {
        order[next[p as usize]] = row as u32;
        next[p as usize] += 1;
    }
    let (m, width) = (block.columns, padded(block.columns));
    let mut plain = vec![0.0; CHUNK * width];
    let mut weighted = vec![0.0; CHUNK * width];
    let mut cross = Cross::new(m);
    for (p, sum) in sums.iter_mut().enumerate() {
        let own = &order[starts[p]..starts[p + 1]];
        sum.rows += own.len() as u64;
        cross.clear();
        for rows in own.chunks(CHUNK) {
            for c in 0..m {
                let column = block.column(c);
                rows.iter().enumerate().for_each(|(i, &row)| plain[i * width + c] = column[row as usize]);
            }
            let plain = &plain[..rows.len() * width];
            match &block.weights {
                None => cross.add(plain, plain),
                Some(weights) => {
                    for (i, &row) in rows.iter().enumerate() {
                        let (w, place) = (weights[row as usize], i * width..(i + 1) * width);
                        sum.sum_log_weights += w.ln();
                        weighted[place.clone()].iter_mut().zip(&plain[place]).for_each(|(out, v)| *out = w * v);
                    }
                    cross.add(&weighted[..rows.len() * width], plain);
                }
            }
        }
        let upper = (0..m).flat_map(|i| (i..m).map(move |j| (i, j)));
        sum.cross.iter_mut().zip(upper).for_each(|(s, (i, j))| *s += cross.get(i, j));
    }
}

/// The sums of all blocks by partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionTotals {
    /// Per partition and key the number of its label.
    pub labels: Vec<u32>,
    /// Per partition its sums.
    pub sums: Vec<PartitionSum>,
    /// Rows that belong to no partition.
    pub unlabelled: u64,
    table: HashMap<Vec<u32>, usize>,
}

impl PartitionTotals {
    /// Whether these are totals of a bundle, as far as their shapes tell.
    pub fn fits(&self, bundle: &Bundle) -> bool {
        let (m, expressions) = (bundle.summands.m, bundle.encoder.expressions().count());
        let levels = bundle.factors.iter().map(|factor| factor.levels.len());
        self.labels.len() == self.sums.len() * bundle.by
            && self.sums.iter().all(|sum| {
                sum.cross.len() == m * (m + 1) / 2
                    && sum.missing.len() == bundle.own.len()
                    && sum.not_a_number.len() == expressions
                    && sum.levels.iter().map(Vec::len).eq(levels.clone())
            })
    }

    /// Totals that were kept elsewhere; `labels` are `by` per partition.
    pub fn restored(by: usize, labels: Vec<u32>, sums: Vec<PartitionSum>, unlabelled: u64) -> PartitionTotals {
        let table = labels.chunks_exact(by.max(1)).enumerate().map(|(i, own)| (own.to_vec(), i)).collect();
        PartitionTotals { labels, sums, unlabelled, table }
    }

    /// Adds the sums of a block whose labels have their numbers. In the order of the blocks.
    pub fn absorb(&mut self, block: &mut BlockSums) {
        let Some(own) = block.partitions.take() else { return };
        self.unlabelled += own.unlabelled;
        if own.sums.is_empty() {
            return;
        }
        let by = own.codes.len() / own.sums.len();
        for (codes, sum) in own.codes.chunks_exact(by).zip(own.sums) {
            let labels: Vec<u32> = codes.iter().enumerate().map(|(key, &code)| block.number(key, code)).collect();
            match self.table.get(&labels) {
                Some(&at) => self.sums[at].add(&sum),
                None => {
                    self.labels.extend(&labels);
                    self.table.insert(labels, self.sums.len());
                    self.sums.push(sum);
                }
            }
        }
    }

    /// The same over some of the columns, requests, expressions and factors, given as the places of
    /// each among these.
    pub fn project(&self, m: usize, columns: &[usize], others: [&[usize]; 3]) -> PartitionTotals {
        let sums = self.sums.iter().map(|sum| sum.project(m, columns, others)).collect();
        PartitionTotals { sums, ..self.clone() }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let of = |sum: &PartitionSum| {
            size_of::<PartitionSum>() + 8 * (sum.cross.len() + sum.missing.len() + sum.not_a_number.len()) + 64
        };
        self.sums.first().map_or(0, |sum| self.sums.len() * of(sum))
    }
}

impl PartitionSum {
    fn project(&self, m: usize, columns: &[usize], [requests, expressions, factors]: [&[usize]; 3]) -> PartitionSum {
        let upper = |i: usize, j: usize| {
            let (i, j) = (i.min(j), i.max(j));
            self.cross[i * m - i * (i + 1) / 2 + j]
        };
        let pairs = columns.iter().enumerate().flat_map(|(a, &i)| columns[a..].iter().map(move |&j| (i, j)));
        let pick = |values: &[u64], places: &[usize]| places.iter().map(|&place| values[place]).collect();
        PartitionSum {
            cross: pairs.map(|(i, j)| upper(i, j)).collect(),
            rows: self.rows,
            sum_log_weights: self.sum_log_weights,
            dropped: self.dropped,
            missing: pick(&self.missing, requests),
            not_a_number: pick(&self.not_a_number, expressions),
            levels: factors.iter().map(|&f| self.levels[f].clone()).collect(),
        }
    }

    /// The sum over all rows, with its `m` columns.
    pub(crate) fn cross(&self, m: usize) -> Cross {
        let mut cross = Cross::new(m);
        let upper = (0..m).flat_map(|i| (i..m).map(move |j| (i, j)));
        upper.zip(&self.cross).for_each(|((i, j), &value)| cross.add_entry(i, j, value));
        cross
    }
}
