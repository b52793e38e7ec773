//! The groupings of a crossed design: their groups over all shards, and which of them lie within which.

use crate::moments::{CellShard, Moments};
use crate::structure::NestError;
use crate::structure::groups::ranks;
use crate::structure::nest::number_groups;
use rayon::prelude::*;
use tiers_design::{Grouping, Recipe};

/// The groups of one grouping, numbered in the order of their labels: integers by value, strings by bytes.
#[derive(Debug)]
pub(super) struct Factor {
    /// Number of the group of each cell, shard by shard.
    pub(super) of_cell: Vec<Vec<u32>>,
    /// Numbers of the labels of each group, one per key column.
    pub(super) labels: Vec<u32>,
    /// Number of groups.
    pub(super) groups: usize,
}

/// A group within a shard, with the ranks of its labels.
struct Occurrence {
    /// The ranks by the first keys in one number, so that most comparisons need no others.
    first: u128,
    rest: Vec<u32>,
    shard: u32,
    group: u32,
    cell: u32,
}

impl Factor {
    /// Numbers the groups of every grouping.
    pub(super) fn of_all(recipe: &Recipe, moments: &Moments) -> Vec<Factor> {
        let of = |grouping: &Grouping| match grouping.keys[..] {
            [key] => Factor::of_key(key, moments),
            _ => Factor::of_keys(grouping, moments),
        };
        recipe.groupings.iter().map(of).collect()
    }

    /// Numbers the groups of a grouping with one key: its labels, those without a cell left out.
    fn of_key(key: usize, moments: &Moments) -> Factor {
        let (keys, table) = (moments.summands.keys, &moments.labels[key]);
        let labels = |cells: &CellShard| cells.labels.iter().skip(key).step_by(keys).copied().collect::<Vec<u32>>();
        let mut of_cell: Vec<Vec<u32>> = moments.shards.par_iter().map(labels).collect();
        let mut occurs = vec![false; table.bound()];
        of_cell.iter().flatten().for_each(|&label| occurs[label as usize] = true);
        let mut labels: Vec<u32> = table.ids().filter(|&label| occurs[label as usize]).collect();
        let ranks = ranks(table);
        labels.par_sort_unstable_by_key(|&label| ranks[label as usize]);
        let mut number = vec![0; table.bound()];
        labels.iter().enumerate().for_each(|(group, &label)| number[label as usize] = group as u32);
        of_cell.par_iter_mut().flatten().for_each(|group| *group = number[*group as usize]);
        Factor { of_cell, groups: labels.len(), labels }
    }

    /// Numbers the groups of a grouping with several keys.
    fn of_keys(grouping: &Grouping, moments: &Moments) -> Factor {
        let ranks: Vec<Vec<u32>> = grouping.keys.iter().map(|&key| ranks(&moments.labels[key])).collect();
        let keys = moments.summands.keys;
        let shards: Vec<(Vec<u32>, usize)> =
            moments.shards.par_iter().map(|cells| number_groups(grouping, keys, cells)).collect();
        let labels_of = |cells: &CellShard, cell: usize| -> Vec<u32> {
            grouping.keys.iter().map(|&key| cells.labels[cell * keys + key]).collect()
        };
        let of_shard = |(shard, (of_cell, count)): (usize, &(Vec<u32>, usize))| {
            let mut first = vec![u32::MAX; *count];
            of_cell.iter().enumerate().rev().for_each(|(cell, &group)| first[group as usize] = cell as u32);
            let occurrence = |(group, &cell): (usize, &u32)| {
                let labels = labels_of(&moments.shards[shard], cell as usize);
                let mut rank = labels.iter().zip(&ranks).map(|(&label, ranks)| ranks[label as usize]);
                let first = rank.by_ref().take(4).fold(0, |packed: u128, rank| packed << 32 | u128::from(rank));
                Occurrence { first, rest: rank.collect(), shard: shard as u32, group: group as u32, cell }
            };
            first.iter().enumerate().map(occurrence).collect::<Vec<_>>()
        };
        let mut all: Vec<Occurrence> = shards.par_iter().enumerate().flat_map_iter(of_shard).collect();
        all.par_sort_unstable_by(|a, b| a.first.cmp(&b.first).then_with(|| a.rest.cmp(&b.rest)));
        let mut out = Factor { of_cell: Vec::new(), labels: Vec::new(), groups: 0 };
        let mut numbers: Vec<Vec<u32>> = shards.iter().map(|(_, count)| vec![0; *count]).collect();
        for group in all.chunk_by(|a, b| a.first == b.first && a.rest == b.rest) {
            let (shard, cell) = (group[0].shard as usize, group[0].cell as usize);
            out.labels.extend(labels_of(&moments.shards[shard], cell));
            group.iter().for_each(|at| numbers[at.shard as usize][at.group as usize] = out.groups as u32);
            out.groups += 1;
        }
        let numbered = |((mut of_cell, _), numbers): ((Vec<u32>, usize), &Vec<u32>)| {
            of_cell.iter_mut().for_each(|group| *group = numbers[*group as usize]);
            of_cell
        };
        out.of_cell = shards.into_par_iter().zip(&numbers).map(numbered).collect();
        out
    }

    /// Whether every group of this factor lies within one group of another.
    fn is_within(&self, other: &Factor) -> bool {
        if self.groups < other.groups {
            return false;
        }
        let mut of_group = vec![u32::MAX; self.groups];
        self.of_cell.iter().flatten().zip(other.of_cell.iter().flatten()).all(|(&group, &coarser)| {
            let known = &mut of_group[group as usize];
            let is_first = *known == u32::MAX;
            if is_first {
                *known = coarser;
            }
            *known == coarser
        })
    }
}

/// Which factor lies within which.
pub(super) struct Nesting {
    within: Vec<Vec<bool>>,
}

impl Nesting {
    /// Compares all factors.
    ///
    /// # Errors
    /// If two factors have the same groups.
    pub(super) fn of(recipe: &Recipe, factors: &[Factor]) -> Result<Nesting, NestError> {
        let within = |a: usize| (0..factors.len()).map(|b| a != b && factors[a].is_within(&factors[b])).collect();
        let within: Vec<Vec<bool>> = (0..factors.len()).into_par_iter().map(within).collect();
        for a in 0..factors.len() {
            if let Some(b) = (a + 1..factors.len()).find(|&b| within[a][b] && within[b][a]) {
                let name = |f: usize| recipe.groupings[f].name.clone();
                return Err(NestError::SameGroups { one: name(a), other: name(b), groups: factors[a].groups });
            }
        }
        Ok(Nesting { within })
    }

    /// Whether no other factor lies within this one.
    pub(super) fn is_finest(&self, factor: usize) -> bool {
        self.within.iter().all(|others| !others[factor])
    }
}
