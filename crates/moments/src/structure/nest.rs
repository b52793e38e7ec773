//! Detects in the data which groupings are nested in which.
//!
//! Groupings are ordered by their number of groups, finest first. They form a nest if every group of
//! each level lies in exactly one group of the next, which the cells of the moments show.

use crate::labels::LabelTable;
use crate::moments::{CellShard, Moments};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::hash::BuildHasher;
use tiers_design::{Grouping, Recipe};

/// Reasons why groupings cannot be the levels of a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NestError {
    /// Two groupings have the same groups.
    #[error(
        "the groupings {one} and {other} have the same {groups} groups: their variances are not separately identified. \
         Keep one of the two terms"
    )]
    SameGroups {
        /// One grouping.
        one: String,
        /// The other.
        other: String,
        /// Number of groups.
        groups: usize,
    },
    /// A random effect occurs twice for one grouping.
    #[error("the random effect {effect} occurs twice for {level}: its variance is not identified. Keep it in one term")]
    RepeatedEffect {
        /// Name of the coefficient.
        effect: String,
        /// Name of the grouping.
        level: String,
    },
}

/// The groups of every grouping within one shard of the cells.
#[derive(Debug)]
pub struct ShardGroups {
    /// For each grouping and cell, the group, numbered within the shard by first appearance.
    pub of_cell: Vec<Vec<u32>>,
    /// Number of groups of each grouping in the shard.
    pub counts: Vec<usize>,
}

impl ShardGroups {
    /// Numbers the groups of every grouping within every shard.
    pub(super) fn of_all(recipe: &Recipe, moments: &Moments) -> Vec<ShardGroups> {
        let keys = moments.summands.keys;
        moments.shards.par_iter().map(|cells| ShardGroups::of(recipe, keys, cells)).collect()
    }

    /// Numbers the groups of every grouping of `recipe` within a shard.
    pub fn of(recipe: &Recipe, keys: usize, cells: &CellShard) -> Self {
        let mut groups = ShardGroups { of_cell: Vec::new(), counts: Vec::new() };
        for grouping in &recipe.groupings {
            let (of_cell, count) = number_groups(grouping, keys, cells);
            groups.of_cell.push(of_cell);
            groups.counts.push(count);
        }
        groups
    }
}

/// Numbers the groups of one grouping; returns the group of each cell and the number of groups.
pub(super) fn number_groups(grouping: &Grouping, keys: usize, cells: &CellShard) -> (Vec<u32>, usize) {
    if grouping.keys.len() == keys {
        return ((0..cells.len() as u32).collect(), cells.len());
    }
    let state = FixedState::with_seed(2);
    let key_of = |cell: usize| grouping.keys.iter().map(move |&k| cells.labels[cell * keys + k]);
    let same = |a: usize, b: usize| key_of(a).eq(key_of(b));
    let hash_of = |cell: usize| key_of(cell).fold(7u64, |h, label| state.hash_one((h, label)));
    // The table holds the first cell of each group; `of_cell` maps it to the number of the group.
    let mut table: HashTable<u32> = HashTable::new();
    let mut of_cell: Vec<u32> = Vec::with_capacity(cells.len());
    let mut count = 0;
    for cell in 0..cells.len() {
        if cell > 0 && same(cell, cell - 1) {
            of_cell.push(of_cell[cell - 1]);
            continue;
        }
        let hash = hash_of(cell);
        if let Some(&first) = table.find(hash, |&first| same(first as usize, cell)) {
            of_cell.push(of_cell[first as usize]);
        } else {
            table.insert_unique(hash, cell as u32, |&first| hash_of(first as usize));
            of_cell.push(count);
            count += 1;
        }
    }
    (of_cell, count as usize)
}

/// The groupings in the order of the nest.
#[derive(Clone, Debug, PartialEq)]
pub struct Nest {
    /// The index of the grouping and the number of groups of each level, finest first.
    pub levels: Vec<(usize, usize)>,
}

/// Result of [`Nest::of`].
#[derive(Debug)]
pub enum Found {
    /// A nest, if it [holds in](Nest::holds_in) every shard.
    Nest(Nest),
    /// Some group has cells in several shards. The cells must be sharded again, by the keys of this
    /// grouping, before the nest can be determined.
    Reshard(usize),
}

impl Nest {
    /// Orders the groupings, finest first, from the groups of every shard.
    pub fn of(recipe: &Recipe, moments: &Moments, shards: &[ShardGroups]) -> Found {
        let nest = Nest::ordered(recipe, shards);
        match nest.levels.iter().find(|&&(f, count)| spans_shards(recipe, moments, f, count)) {
            None => Found::Nest(nest),
            Some(_) => {
                let groupings = 0..recipe.groupings.len();
                let top = groupings.min_by_key(|&f| distinct(&recipe.groupings[f], moments));
                Found::Reshard(top.expect("at least one grouping"))
            }
        }
    }

    /// Sorts the groupings by their number of groups, summed over shards.
    pub fn ordered(recipe: &Recipe, shards: &[ShardGroups]) -> Nest {
        let groupings = &recipe.groupings;
        let count = |f: usize| shards.iter().map(|groups| groups.counts[f]).sum::<usize>();
        let mut levels: Vec<(usize, usize)> = (0..groupings.len()).map(|f| (f, count(f))).collect();
        // Of two groupings with the same number of groups, the one with more key columns is finer.
        levels.sort_by_key(|&(f, groups)| (Reverse(groups), Reverse(groupings[f].keys.len())));
        Nest { levels }
    }

    /// Whether no group of any level lies in two shards, that is, in two top-level groups.
    pub fn is_whole(&self, recipe: &Recipe, moments: &Moments) -> bool {
        !self.levels.iter().any(|&(f, count)| spans_shards(recipe, moments, f, count))
    }

    /// Checks that no two levels have the same groups.
    ///
    /// # Errors
    /// The first two levels that have the same groups.
    pub fn check_distinct(&self, recipe: &Recipe) -> Result<(), NestError> {
        let name = |f: usize| recipe.groupings[f].name.clone();
        match self.levels.windows(2).find(|pair| pair[0].1 == pair[1].1) {
            Some(pair) => {
                Err(NestError::SameGroups { one: name(pair[0].0), other: name(pair[1].0), groups: pair[0].1 })
            }
            None => Ok(()),
        }
    }

    /// Whether each level is nested in the next, as far as the cells of one shard show.
    pub fn holds_in(&self, cells: usize, groups: &ShardGroups) -> bool {
        self.levels.windows(2).all(|pair| {
            let (finer, coarser) = (pair[0].0, pair[1].0);
            let mut of_finer = vec![u32::MAX; groups.counts[finer]];
            (0..cells).all(|cell| {
                let group = groups.of_cell[coarser][cell];
                let known = &mut of_finer[groups.of_cell[finer][cell] as usize];
                let is_first = *known == u32::MAX;
                if is_first {
                    *known = group;
                }
                *known == group
            })
        })
    }
}

/// Whether a group of this grouping may lie in several shards.
fn spans_shards(recipe: &Recipe, moments: &Moments, grouping: usize, count: usize) -> bool {
    let keys = &recipe.groupings[grouping].keys;
    let decides = moments.summands.shard_keys.iter().all(|key| keys.contains(key));
    !decides && count != distinct(&recipe.groupings[grouping], moments)
}

/// Returns the number of distinct groups of a grouping in the whole data set.
fn distinct(grouping: &Grouping, moments: &Moments) -> usize {
    if let [key] = grouping.keys[..] {
        return moments.labels[key].len();
    }
    let keys = moments.summands.keys;
    let mut seen = hashbrown::HashSet::with_hasher(FixedState::with_seed(3));
    for shard in &moments.shards {
        for cell in 0..shard.len() {
            seen.insert(grouping.keys.iter().map(|&k| shard.labels[cell * keys + k]).collect::<Vec<_>>());
        }
    }
    seen.len()
}

/// Guesses the key columns that should decide the shard of a cell: those of the coarsest grouping
/// according to the formula (by the key columns of its groupings) or else to the first block of rows.
///
/// A wrong guess costs one re-sharding and does not affect the result.
pub fn guess_top(recipe: &Recipe, distinct_in_first_block: &[usize]) -> Vec<usize> {
    let within = |a: &Grouping, b: &Grouping| b.keys.iter().all(|key| a.keys.contains(key));
    let groupings = &recipe.groupings;
    let top = groupings.iter().find(|top| groupings.iter().all(|g| within(g, top)));
    let fewest = || {
        let known = |g: &&Grouping| g.keys.iter().map(|&k| distinct_in_first_block[k]).max();
        groupings.iter().min_by_key(known)
    };
    top.or_else(fewest).map(|g| g.keys.clone()).unwrap_or_default()
}

/// Returns the labels of a group, one per key column of the grouping, in order.
pub fn group_labels(recipe: &Recipe, labels: &[LabelTable], grouping: usize, cell_labels: &[u32]) -> Vec<String> {
    recipe.groupings[grouping].keys.iter().map(|&k| labels[k].label(cell_labels[k])).collect()
}
