//! The forest: groups of all levels with their parents and moments, divided into shards.
//!
//! Top-level groups are independent given theta, so a shard holds whole trees: its top-level groups and
//! all groups of the finer levels within them. Groups are numbered within the shard, level by level; the
//! groups of one parent need not have consecutive numbers.

use crate::labels::LabelTable;
use crate::moments::{CellShard, Moments};
use crate::structure::{Nest, NestError, RowTotals, ShardGroups};
use rayon::prelude::*;
use tiers_design::{Grouping, Recipe};

/// One level of the nest: the random effects of one grouping.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Name of the grouping (`school:class`).
    pub name: String,
    /// Index into [`Recipe::groupings`].
    pub grouping: usize,
    /// Its key columns: indices into [`Recipe::keys`] and the structure's tables of labels.
    pub keys: Vec<usize>,
    /// Number of groups, q_k.
    pub groups: usize,
    /// Its r_k z columns, as indices into C, term by term.
    pub z: Vec<usize>,
    /// Its terms: (index into [`Recipe::random`], first position in `z`). Effects of different terms are
    /// independent a priori.
    pub terms: Vec<(usize, usize)>,
    /// For each position in `z`, the source of that row of a group's moments.
    pub source: Vec<RowSource>,
}

impl Level {
    /// Returns the level of a grouping with this number of groups, all rows of its moments stored.
    ///
    /// # Errors
    /// If a random effect occurs twice for the grouping.
    pub(super) fn of(recipe: &Recipe, grouping: usize, groups: usize) -> Result<Level, NestError> {
        let Grouping { name, keys } = recipe.groupings[grouping].clone();
        let mut level = Level { name, grouping, keys, groups, z: Vec::new(), terms: Vec::new(), source: Vec::new() };
        for (index, term) in recipe.random.iter().enumerate().filter(|(_, t)| t.grouping == grouping) {
            level.terms.push((index, level.z.len()));
            // A column is shifted only in terms with an intercept, so one effect may have two columns.
            let same = |a: usize, b: usize| a == b || recipe.product(a) == recipe.product(b);
            if let Some(at) = term.columns.iter().position(|&column| level.z.iter().any(|&z| same(z, column))) {
                return Err(NestError::RepeatedEffect { effect: term.names[at].clone(), level: level.name });
            }
            level.z.extend(&term.columns);
        }
        level.source = (0..level.z.len()).map(RowSource::Stored).collect();
        Ok(level)
    }

    /// Returns the number of random coefficients per group, r_k.
    pub fn r(&self) -> usize {
        self.z.len()
    }
}

/// Source of a z row of a group's moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSource {
    /// Stored: row `i` of the group's block in [`TreeLevel::moments`].
    Stored(usize),
    /// The sum over the group's descendants at a finer level with the same z column: (that level,
    /// position in that level's z).
    Sum(usize, usize),
}

/// One level of one shard.
#[derive(Clone, Debug, Default)]
pub struct TreeLevel {
    /// Number of groups of this level in the shard.
    pub groups: usize,
    /// Parent of each group in the next level of the shard; empty at the top level.
    pub parent: Vec<u32>,
    /// One cell of each group, from which its labels can be read.
    pub cell: Vec<u32>,
    /// Number of rows of each group.
    pub rows: Vec<u64>,
    /// Stored rows of `z'WC` of each group (see [`RowSource`]), each of m numbers.
    pub moments: Vec<f64>,
}

/// One shard: top-level groups with all groups within them.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The levels, finest first.
    pub levels: Vec<TreeLevel>,
    /// Numbers of the labels of each cell, one per key column.
    pub labels: Vec<u32>,
}

/// The groups of a data set as a forest, with the moments that a fit needs.
#[derive(Debug)]
pub struct Forest {
    /// Number of columns of C, y (the last) included.
    pub m: usize,
    /// The levels, finest first.
    pub levels: Vec<Level>,
    /// The shards.
    pub trees: Vec<Tree>,
    /// Labels of each key column.
    pub labels: Vec<LabelTable>,
    /// `C'WC`, row-major m×m.
    pub cross: Vec<f64>,
    /// n.
    pub rows: u64,
    /// `Σ log w`; 0 without weights.
    pub sum_log_weights: f64,
}

/// Returns the levels of a nest with their z columns.
pub fn levels(recipe: &Recipe, nest: &Nest) -> Result<Vec<Level>, NestError> {
    let mut levels: Vec<Level> = Vec::new();
    for &(grouping, groups) in &nest.levels {
        let mut level = Level::of(recipe, grouping, groups)?;
        level.source = sources(&level.z, &levels);
        levels.push(level);
    }
    Ok(levels)
}

/// Returns the source of each z row. A z column that a finer level also has is a sum over that level; if
/// several levels have it, over the nearest.
fn sources(z: &[usize], finer: &[Level]) -> Vec<RowSource> {
    let mut stored = 0;
    z.iter()
        .map(|column| {
            let at = |level: &Level| level.z.iter().position(|c| c == column);
            match finer.iter().enumerate().rev().find_map(|(k, level)| at(level).map(|t| (k, t))) {
                Some((k, t)) => RowSource::Sum(k, t),
                None => {
                    stored += 1;
                    RowSource::Stored(stored - 1)
                }
            }
        })
        .collect()
}

impl Tree {
    /// Builds the tree of one shard, reusing the memory of the cells' sums where possible.
    pub fn build(levels: &[Level], z: &[usize], m: usize, cells: CellShard, groups: &ShardGroups) -> Tree {
        let CellShard { labels, counts, sums, .. } = cells;
        let mut tree = Tree { levels: Vec::with_capacity(levels.len()), labels };
        let stored = |level: &Level| -> Vec<usize> {
            let is_stored =
                |(column, source): (&usize, &RowSource)| matches!(source, RowSource::Stored(_)).then_some(*column);
            let columns = level.z.iter().zip(&level.source).filter_map(is_stored);
            columns.map(|column| z.iter().position(|&c| c == column).expect("z column is summed")).collect()
        };
        let mut sums = Some(sums);
        for (k, level) in levels.iter().enumerate().rev() {
            let count = groups.counts[level.grouping];
            let of_cell = &groups.of_cell[level.grouping];
            let mut out = TreeLevel { groups: count, rows: vec![0; count], ..TreeLevel::default() };
            out.cell = vec![u32::MAX; count];
            for (cell, &group) in of_cell.iter().enumerate() {
                out.rows[group as usize] += counts[cell];
                let first = &mut out.cell[group as usize];
                *first = (*first).min(cell as u32);
            }
            if let Some(above) = levels.get(k + 1) {
                let coarser = &groups.of_cell[above.grouping];
                out.parent = out.cell.iter().map(|&cell| coarser[cell as usize]).collect();
            }
            let rows = stored(level);
            let whole = k == 0 && count == of_cell.len() && rows.iter().copied().eq(0..z.len());
            out.moments = match whole {
                true => sums.take().expect("taken once, at the finest level, which comes last"),
                false => sum_rows(sums.as_deref().expect("not yet taken"), &rows, (z.len(), m), of_cell, count),
            };
            tree.levels.push(out);
        }
        tree.levels.reverse();
        tree
    }

    /// Returns the label numbers of one group's cell.
    pub fn labels_of(&self, level: usize, group: usize, keys: usize) -> &[u32] {
        let cell = self.levels[level].cell[group] as usize;
        &self.labels[cell * keys..(cell + 1) * keys]
    }
}

/// Sums the given rows of the cells' r×m blocks by group.
fn sum_rows(sums: &[f64], rows: &[usize], (r, m): (usize, usize), of_cell: &[u32], groups: usize) -> Vec<f64> {
    let mut out = vec![0.0; groups * rows.len() * m];
    for (block, &group) in sums.chunks_exact(r * m).zip(of_cell) {
        let into = &mut out[group as usize * rows.len() * m..][..rows.len() * m];
        for (into, &row) in into.chunks_exact_mut(m).zip(rows) {
            into.iter_mut().zip(&block[row * m..(row + 1) * m]).for_each(|(s, v)| *s += v);
        }
    }
    out
}

impl Forest {
    /// Returns the sums over all rows.
    pub fn totals(&self) -> RowTotals<'_> {
        RowTotals { m: self.m, cross: &self.cross, rows: self.rows, sum_log_weights: self.sum_log_weights }
    }

    /// Assembles the forest from its shards, in parallel.
    pub fn assemble(moments: Moments, levels: Vec<Level>, groups: &[ShardGroups]) -> Forest {
        let Moments { summands, cross, rows, sum_log_weights, labels, shards } = moments;
        let trees = shards
            .into_par_iter()
            .zip(groups)
            .map(|(cells, groups)| Tree::build(&levels, &summands.z, summands.m, cells, groups))
            .collect();
        Forest { m: summands.m, levels, trees, labels, cross: cross.to_dense(), rows, sum_log_weights }
    }
}
