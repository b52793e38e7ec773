//! The moments of a model in every partition of the rows.

use crate::bundle::{Bundle, PartitionSum, PartitionTotals, Projection};
use crate::moments::{CellShard, Moments, Summands};
use crate::structure::guess_top;
use std::collections::HashMap;
use tiers_design::{DesignError, Plan, Recipe};

/// The moments of one model by partition: cells with the labels of their partition, and what is known
/// of each partition as a whole.
#[derive(Debug)]
pub struct Partitioned {
    plan: Plan,
    recipe: Recipe,
    by: usize,
    /// Keys: those of the partitions, then the model's own.
    moments: Moments,
    totals: PartitionTotals,
    /// Per factor its levels in the order of [`PartitionSum::levels`].
    levels: Vec<Vec<String>>,
    /// Per partition, in the order of labels, its place among the totals.
    order: Vec<usize>,
    labels: Vec<Vec<String>>,
    /// Per place among the totals the cells: shard and number.
    cells: Vec<Vec<(u32, u32)>>,
}

impl Partitioned {
    /// Takes what belongs to one member out of the sums of its bundle. `plan` is what the member's
    /// recipe was frozen from.
    pub fn new(bundle: &Bundle, member: usize, plan: &Plan, whole: &Moments, totals: &PartitionTotals) -> Partitioned {
        let by = bundle.by;
        let member = &bundle.members[member];
        let projection = Projection {
            keys: (0..by).chain(member.projection.keys.iter().copied()).collect(),
            shard_keys: member.projection.shard_keys.iter().map(|key| by + key).collect(),
            ..member.projection.clone()
        };
        let moments = whole.project(&projection);
        let place = |request: &usize| bundle.own.iter().position(|own| own == request).expect("a member's request");
        let requests: Vec<usize> = member.own.iter().map(place).collect();
        let factor = |own: &tiers_design::Factor| {
            let mut factor = tiers_design::Factor { request: member.own[own.request], ..own.clone() };
            factor.levels.sort_unstable();
            bundle.factors.iter().position(|all| *all == factor).expect("a member's factor")
        };
        let factors: Vec<usize> = member.recipe.factors.iter().map(factor).collect();
        let levels = factors.iter().map(|&f| bundle.factors[f].levels.clone()).collect();
        let others: [&[usize]; 3] = [&requests, &member.expressions, &factors];
        let totals = totals.project(whole.summands.m, &projection.columns, others);
        let cells = cells_of(&moments, &totals, by);
        let (order, labels) = in_order(&moments, &totals, by);
        Partitioned {
            plan: plan.clone(),
            recipe: member.recipe.clone(),
            by,
            moments,
            totals,
            levels,
            order,
            labels,
            cells,
        }
    }

    /// Number of partitions.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no partition.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The labels of a partition; partitions are in the order of their labels.
    pub fn labels(&self, partition: usize) -> &[String] {
        &self.labels[partition]
    }

    /// Rows that belong to no partition.
    pub fn unlabelled(&self) -> u64 {
        self.totals.unlabelled
    }

    /// The recipe of all partitions.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The sums over all rows of a partition, and its counts by the model's requests and expressions.
    pub fn total(&self, partition: usize) -> &PartitionSum {
        &self.totals.sums[self.order[partition]]
    }

    /// The model frozen against the rows of one partition, that is with the levels that these show,
    /// and its moments.
    ///
    /// On rows that lack some levels the columns of the smaller coding are among those of the larger:
    /// a level that needs a column is not the first of those that are there, so neither is it the
    /// first of all. So columns are picked, and nothing has to be computed.
    ///
    /// # Errors
    /// If the reference level that was asked for has no row.
    pub fn moments(&self, partition: usize) -> Result<(Recipe, Moments), DesignError> {
        let place = self.order[partition];
        let sum = &self.totals.sums[place];
        let mut levels: Vec<Vec<String>> = Vec::with_capacity(self.levels.len());
        for (all, seen) in self.levels.iter().zip(&sum.levels) {
            levels.push(all.iter().zip(seen).filter(|(_, seen)| **seen).map(|(l, _)| l.clone()).collect());
        }
        let (recipe, mut columns) = self.plan.refreeze(&self.recipe, &levels)?;
        columns.push(self.moments.summands.m - 1);
        let cells = &self.cells[place];
        let whole = &self.moments;
        let keys: Vec<usize> = (self.by..whole.summands.keys).collect();
        let (mut tables, mut numbers) = (Vec::new(), Vec::new());
        for &key in &keys {
            let ids = cells
                .iter()
                .map(|&(shard, cell)| whole.shards[shard as usize].labels[cell as usize * whole.summands.keys + key]);
            let (table, new) = whole.labels[key].some(ids);
            tables.push(table);
            numbers.push(new);
        }
        let distinct: Vec<usize> = tables.iter().map(crate::LabelTable::len).collect();
        let shard_keys = guess_top(&recipe, &distinct);
        let mut projection = Projection { columns, z: Vec::new(), own_z: Vec::new(), keys, shard_keys };
        projection.find_z(&recipe, &whole.summands);
        let summands = projection.summands(&whole.summands);
        let shards = self.pick(cells, &projection, &summands, &numbers);
        let cross = projection.cross(&sum.cross(whole.summands.m));
        let (rows, sum_log_weights) = (sum.rows, sum.sum_log_weights);
        Ok((recipe, Moments { summands, cross, rows, sum_log_weights, labels: tables, shards }))
    }

    /// The cells of a partition, with the numbers that their labels have in it.
    fn pick(
        &self,
        cells: &[(u32, u32)],
        projection: &Projection,
        own: &Summands,
        numbers: &[HashMap<u32, u32>],
    ) -> Vec<CellShard> {
        let whole = &self.moments;
        let mut shards: Vec<CellShard> = (0..own.shards).map(|_| CellShard::default()).collect();
        for &(shard, cell) in cells {
            let (from, cell) = (&whole.shards[shard as usize], cell as usize);
            let of_all = &from.labels[cell * whole.summands.keys + self.by..];
            let labels: Vec<u32> = numbers.iter().zip(of_all).map(|(new, label)| new[label]).collect();
            let into = &mut shards[own.shard_of(&labels)];
            projection.add_as(&labels, &whole.summands, (from, cell), own, into);
        }
        shards
    }
}

/// Per partition its cells, in the order of their first rows.
fn cells_of(moments: &Moments, totals: &PartitionTotals, by: usize) -> Vec<Vec<(u32, u32)>> {
    let partitions: HashMap<&[u32], usize> = totals.labels.chunks_exact(by).enumerate().map(|(i, l)| (l, i)).collect();
    let mut cells = vec![Vec::new(); totals.sums.len()];
    for (shard, own) in moments.shards.iter().enumerate() {
        for (cell, labels) in own.labels.chunks_exact(moments.summands.keys).enumerate() {
            cells[partitions[&labels[..by]]].push((shard as u32, cell as u32));
        }
    }
    for cells in &mut cells {
        cells.sort_by_key(|&(shard, cell)| moments.shards[shard as usize].first_row[cell as usize]);
    }
    cells
}

/// The partitions in the order of their labels, integers by value and texts by their bytes.
fn in_order(moments: &Moments, totals: &PartitionTotals, by: usize) -> (Vec<usize>, Vec<Vec<String>>) {
    let key = |labels: &[u32]| -> Vec<(Option<i64>, String)> {
        let table = |(k, &id): (usize, &u32)| (moments.labels[k].integer(id), moments.labels[k].label(id));
        labels.iter().enumerate().map(table).collect()
    };
    let mut all: Vec<_> = totals.labels.chunks_exact(by).map(key).zip(0..).collect();
    all.sort_unstable();
    let texts = |key: Vec<(Option<i64>, String)>| key.into_iter().map(|(_, text)| text).collect();
    let (labels, order) = all.into_iter().map(|(key, place): (_, usize)| (texts(key), place)).unzip();
    (order, labels)
}

impl Moments {
    /// The moments of some of the columns and keys.
    pub fn project(&self, projection: &Projection) -> Moments {
        let shards = match projection.keeps_shards(&self.summands) {
            true => self.shards.iter().map(|cells| projection.shard(&self.summands, cells)).collect(),
            false => projection.shards(self),
        };
        self.projected(projection, shards)
    }

    /// The same, given the cells.
    pub fn projected(&self, projection: &Projection, shards: Vec<CellShard>) -> Moments {
        Moments {
            summands: projection.summands(&self.summands),
            cross: projection.cross(&self.cross),
            rows: self.rows,
            sum_log_weights: self.sum_log_weights,
            labels: projection.keys.iter().map(|&key| self.labels[key].clone()).collect(),
            shards,
        }
    }
}
