//! Nesting read off the data: which grouping lies within which.
//!
//! Groupings are ordered by their number of groups, finest first; they form a nest when every group
//! of each level lies in exactly one group of the next. The cells of the moments say whether that
//! is so.

use crate::labels::LabelTable;
use crate::moments::{CellShard, Moments};
use crate::recipe::{Grouping, Recipe};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Why groupings cannot be used as levels of one nest.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NestError {
    /// Two groupings cross: neither lies within the other.
    #[error(
        "the groupings {finer} and {coarser} cross: row {} has {}, but row {} has {}, so {finer} is not nested in {coarser}. \
         Only nested groupings can be fitted so far. If the ids of {finer} are reused in every {coarser}, \
         write (1 | {coarser}/{finer}), which keeps them apart; if they really cross, drop one of the two terms",
        one.0, one.1, other.0, other.1
    )]
    Crossed {
        /// The grouping with more groups.
        finer: String,
        /// The grouping with fewer groups.
        coarser: String,
        /// A row (counted from 1) and its labels.
        one: (u64, String),
        /// A row in the same group of `finer` but another of `coarser`.
        other: (u64, String),
    },
    /// Two groupings have the same groups.
    #[error(
        "the groupings {one} and {other} have the same {groups} groups: their variances cannot be told apart. \
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
    /// A random effect is given twice for one grouping.
    #[error("the random effect {effect} stands twice for {level}: its variance cannot be told from itself. Keep it in one term")]
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
    /// Per grouping and cell the group, numbered within the shard by first appearance.
    pub of_cell: Vec<Vec<u32>>,
    /// Per grouping the number of groups in the shard.
    pub counts: Vec<usize>,
}

impl ShardGroups {
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

/// Numbers the groups of one grouping: (group of each cell, number of groups).
fn number_groups(grouping: &Grouping, keys: usize, cells: &CellShard) -> (Vec<u32>, usize) {
    if grouping.keys.len() == keys {
        return ((0..cells.len() as u32).collect(), cells.len());
    }
    let state = FixedState::with_seed(2);
    let key_of = |cell: usize| grouping.keys.iter().map(move |&k| cells.labels[cell * keys + k]);
    let same = |a: usize, b: usize| key_of(a).eq(key_of(b));
    let hash_of = |cell: usize| key_of(cell).fold(7u64, |h, label| state.hash_one((h, label)));
    // The table holds the first cell of each group; `of_cell` gives its number.
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
    /// Per level, finest first: the index of its grouping and its number of groups.
    pub levels: Vec<(usize, usize)>,
}

/// What [`Nest::of`] found.
#[derive(Debug)]
pub enum Found {
    /// A nest (still to be checked, shard by shard, with [`Nest::check`]).
    Nest(Nest),
    /// Groups of the named grouping stand in several shards: the cells must be sharded anew, by the
    /// keys of this grouping, before the nest can be told.
    Reshard(usize),
}

impl Nest {
    /// Orders the groupings, finest first, given the groups of every shard.
    pub fn of(recipe: &Recipe, moments: &Moments, shards: &[ShardGroups]) -> Found {
        let groupings = &recipe.groupings;
        let count = |f: usize| shards.iter().map(|groups| groups.counts[f]).sum::<usize>();
        let in_one_shard = |f: usize| {
            let keys = &groupings[f].keys;
            moments.summands.shard_keys.iter().all(|key| keys.contains(key))
                || count(f) == distinct(&groupings[f], moments)
        };
        let mut levels: Vec<(usize, usize)> = (0..groupings.len()).map(|f| (f, count(f))).collect();
        // Stable: of two groupings with as many groups the one that has more key columns is finer.
        levels.sort_by_key(|&(f, groups)| (std::cmp::Reverse(groups), std::cmp::Reverse(groupings[f].keys.len())));
        match levels.iter().all(|&(f, _)| in_one_shard(f)) {
            true => Found::Nest(Nest { levels }),
            false => {
                let top = (0..groupings.len()).min_by_key(|&f| distinct(&groupings[f], moments));
                Found::Reshard(top.expect("at least one grouping"))
            }
        }
    }

    /// Checks that no two levels have the same groups; to be called after [`Nest::check`] passed.
    pub fn check_distinct(&self, recipe: &Recipe) -> Result<(), NestError> {
        let name = |f: usize| recipe.groupings[f].name.clone();
        match self.levels.windows(2).find(|pair| pair[0].1 == pair[1].1) {
            Some(pair) => Err(NestError::SameGroups { one: name(pair[0].0), other: name(pair[1].0), groups: pair[0].1 }),
            None => Ok(()),
        }
    }

    /// Checks that each level of the nest lies within the next, in one shard.
    pub fn check(&self, recipe: &Recipe, moments: &Moments, shard: usize, groups: &ShardGroups) -> Result<(), NestError> {
        let cells = &moments.shards[shard];
        for pair in self.levels.windows(2) {
            let (finer, coarser) = (pair[0].0, pair[1].0);
            let mut first_cell = vec![u32::MAX; groups.counts[finer]];
            for cell in 0..cells.len() {
                let first = &mut first_cell[groups.of_cell[finer][cell] as usize];
                if *first == u32::MAX {
                    *first = cell as u32;
                } else if groups.of_cell[coarser][*first as usize] != groups.of_cell[coarser][cell] {
                    return Err(crossed(recipe, moments, cells, (finer, coarser), (*first as usize, cell)));
                }
            }
        }
        Ok(())
    }
}

/// The error for two groupings that cross, with the two cells that prove it.
fn crossed(recipe: &Recipe, moments: &Moments, cells: &CellShard, terms: (usize, usize), at: (usize, usize)) -> NestError {
    let describe = |cell: usize| {
        let keys = moments.summands.keys;
        let mut names: Vec<usize> = recipe.groupings[terms.0].keys.clone();
        names.extend(recipe.groupings[terms.1].keys.iter().filter(|k| !recipe.groupings[terms.0].keys.contains(k)));
        let value = |&k: &usize| {
            let column = &recipe.requests[recipe.keys[k]].column;
            format!("{column} = {}", moments.labels[k].label(cells.labels[cell * keys + k]))
        };
        (cells.first_row[cell] + 1, names.iter().map(value).collect::<Vec<_>>().join(", "))
    };
    let name = |f: usize| recipe.groupings[f].name.clone();
    NestError::Crossed { finer: name(terms.0), coarser: name(terms.1), one: describe(at.0), other: describe(at.1) }
}

/// Number of distinct groups of a grouping in the whole data set.
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

/// Key columns that should decide the shard of a cell: those of the grouping that is coarsest as
/// far as the formula (by its key columns) or, failing that, the first block of rows can tell.
///
/// A wrong guess costs one re-sharding, never a wrong result.
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

/// Labels of a group: per key column of the grouping, in order.
pub fn group_labels(recipe: &Recipe, labels: &[LabelTable], grouping: usize, cell_labels: &[u32]) -> Vec<String> {
    recipe.groupings[grouping].keys.iter().map(|&k| labels[k].label(cell_labels[k])).collect()
}
