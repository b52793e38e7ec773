//! The groups of a level in the order of their labels, as results list them.

use crate::labels::LabelTable;
use crate::structure::{Forest, Level, Structure};
use rayon::prelude::*;
use std::cmp::Ordering;
use tiers_design::{Dictionary, Recipe};

/// A group of a level, by its position in the structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupPlace {
    /// Shard of the group; 0 in the core of a crossed design.
    pub shard: usize,
    /// Number of the group within its level of the shard, in a core within its factor.
    pub group: usize,
}

impl Structure {
    /// Returns the groups of a level in the order of their labels: integers by value, strings by bytes.
    pub fn sorted_groups(&self, level: usize) -> Vec<GroupPlace> {
        match self {
            Structure::Nested(forest) => sorted_groups(forest, level),
            Structure::Crossed(crossed) => crossed.groups_of(level),
        }
    }

    /// Returns the labels of these groups of a level by key column, one entry per group.
    pub fn group_labels(&self, level: usize, groups: &[GroupPlace]) -> Vec<Dictionary> {
        match self {
            Structure::Nested(forest) => {
                let (tables, keys) = (&forest.labels, forest.labels.len());
                labels_by_key(tables, &forest.levels[level].keys, groups, |at, key| {
                    forest.trees[at.shard].labels_of(level, at.group, keys)[forest.levels[level].keys[key]]
                })
            }
            Structure::Crossed(crossed) => {
                let keys = &crossed.levels[level].keys;
                labels_by_key(&crossed.labels, keys, groups, |at, key| {
                    let (_, labels) = crossed.rows_and_labels(level, at.shard);
                    labels[at.group * keys.len() + key]
                })
            }
        }
    }

    /// Returns the labels of one group, joined by colons as in the names of groupings.
    pub fn group_name(&self, level: usize, group: GroupPlace) -> String {
        let labels = self.group_labels(level, &[group]);
        labels.iter().map(|labels| labels.label(0)).collect::<Vec<_>>().join(":")
    }

    /// Returns the number of rows of these groups of a level.
    pub fn group_rows(&self, level: usize, groups: &[GroupPlace]) -> Vec<u64> {
        match self {
            Structure::Nested(forest) => {
                groups.iter().map(|at| forest.trees[at.shard].levels[level].rows[at.group]).collect()
            }
            Structure::Crossed(crossed) => {
                groups.iter().map(|at| crossed.rows_and_labels(level, at.shard).0[at.group]).collect()
            }
        }
    }

    /// Returns the sum over the groups of a level of the square of their number of rows.
    pub fn squared_sizes(&self, level: usize) -> f64 {
        // Sums of integers are exact below 2^53, whatever their order.
        let sum = |rows: &[u64]| rows.iter().map(|&rows| (rows as f64).powi(2)).sum::<f64>();
        match self {
            Structure::Nested(forest) => forest.trees.iter().map(|tree| sum(&tree.levels[level].rows)).sum(),
            Structure::Crossed(crossed) => {
                let shards = if level == 0 { crossed.leaf.len() } else { 1 };
                (0..shards).map(|shard| sum(crossed.rows_and_labels(level, shard).0)).sum()
            }
        }
    }
}

impl Level {
    /// Returns the names of its key columns.
    pub fn key_names<'a>(&'a self, recipe: &'a Recipe) -> impl Iterator<Item = &'a str> + 'a {
        self.keys.iter().map(|&key| recipe.requests[recipe.keys[key]].column.as_str())
    }
}

fn sorted_groups(forest: &Forest, level: usize) -> Vec<GroupPlace> {
    let (keys, own) = (forest.labels.len(), &forest.levels[level].keys);
    let ranks: Vec<Vec<u32>> = own.iter().map(|&key| ranks(&forest.labels[key])).collect();
    let rank = |at: &GroupPlace, key: usize| {
        let labels = forest.trees[at.shard].labels_of(level, at.group, keys);
        ranks[key][labels[own[key]] as usize]
    };
    // The ranks by the first keys are packed into one number, stored beside the group, since a
    // comparison that looked up the labels would wait for memory at every step.
    let first = ranks.len().min(4);
    let packed = |at: &GroupPlace| (0..first).fold(0, |packed: u128, key| packed << 32 | u128::from(rank(at, key)));
    let of_tree = |shard: usize| {
        (0..forest.trees[shard].levels[level].groups).into_par_iter().map(move |group| GroupPlace { shard, group })
    };
    let mut groups: Vec<(u128, GroupPlace)> =
        (0..forest.trees.len()).into_par_iter().flat_map(of_tree).map(|at| (packed(&at), at)).collect();
    groups.par_sort_unstable_by(|(a, at), (b, other)| {
        let rest = || (first..ranks.len()).map(|key| rank(at, key).cmp(&rank(other, key)));
        a.cmp(b).then_with(|| rest().find(|o| o.is_ne()).unwrap_or(Ordering::Equal))
    });
    groups.into_iter().map(|(_, at)| at).collect()
}

/// Returns, per label number, its rank among the sorted labels of its column.
pub(super) fn ranks(table: &LabelTable) -> Vec<u32> {
    let mut ids: Vec<u32> = table.ids().collect();
    if table.is_integer() {
        ids.par_sort_unstable_by_key(|&id| table.integer(id));
    } else {
        ids.par_sort_unstable_by(|&a, &b| table.text(a).cmp(&table.text(b)));
    }
    let mut ranks = vec![0; table.bound()];
    ids.iter().enumerate().for_each(|(rank, &id)| ranks[id as usize] = rank as u32);
    ranks
}

/// Returns the labels of groups by key column, from the number of each group's label in each of them.
fn labels_by_key(
    tables: &[LabelTable],
    keys: &[usize],
    groups: &[GroupPlace],
    number: impl Fn(&GroupPlace, usize) -> u32 + Sync,
) -> Vec<Dictionary> {
    let column = |(position, &key): (usize, &usize)| {
        let table = &tables[key];
        let ids = groups.iter().map(|at| number(at, position));
        match table.is_integer() {
            true => Dictionary::Integer(ids.map(|id| table.integer(id).expect("an integer")).collect()),
            false => Dictionary::Text(ids.map(|id| table.text(id).expect("a text")).collect()),
        }
    };
    keys.par_iter().enumerate().map(column).collect()
}
