//! A crossed design: one factor, the *leaf*, and a *core* of all other factors.
//!
//! Given the effects of the core, the groups of the leaf are independent, so that the leaf is eliminated group
//! by group. What is left is a matrix over the effects of the core. The leaf is the factor with the most
//! effects; coarser groupings of the leaf's groups belong to the core.
//!
//! The effects of the core are numbered factor by factor, group by group and effect by effect.

use crate::labels::LabelTable;
use crate::structure::{Level, RowTotals};

/// The factors of a crossed design, with the moments of their groups and of pairs of groups that share rows.
#[derive(Debug)]
pub struct Crossed {
    /// Number of columns of C, y (the last) included.
    pub m: usize,
    /// The factors: the leaf, then those of the core, the one with the most effects first.
    pub levels: Vec<Level>,
    /// Labels of each key column.
    pub labels: Vec<LabelTable>,
    /// The groups of the leaf, divided into shards by their labels.
    pub leaf: Vec<LeafShard>,
    /// The factors of the core, in the order of `levels`.
    pub core: Vec<CoreFactor>,
    /// `Z_a'WZ_b` of pairs of core groups a < b of different factors that share rows.
    pub pairs: CorePairs,
    /// `C'WC`, m×m row-major.
    pub cross: Vec<f64>,
    /// n.
    pub rows: u64,
    /// `Σ log w`; 0 without weights.
    pub sum_log_weights: f64,
}

/// Some groups of the leaf.
#[derive(Clone, Debug, Default)]
pub struct LeafShard {
    /// Number of groups.
    pub groups: usize,
    /// Number of rows of each group.
    pub rows: Vec<u64>,
    /// Numbers of the labels of each group, one per key column of the leaf ([`Level::keys`]).
    pub labels: Vec<u32>,
    /// `Z_g'WC` of each group, r×m row-major.
    pub moments: Vec<f64>,
    /// Start of the neighbours of each group, followed by the number of all.
    pub starts: Vec<usize>,
    /// The core groups that share rows with each group, by their first effect in the core, ascending.
    pub neighbours: Vec<u32>,
    /// Start of the block of each neighbour in `blocks`, followed by their length.
    pub block_starts: Vec<usize>,
    /// `Z_g'WZ_a` of each group g and neighbour a, r_g×r_a row-major.
    pub blocks: Vec<f64>,
}

/// One factor of the core.
#[derive(Clone, Debug, Default)]
pub struct CoreFactor {
    /// Number of groups.
    pub groups: usize,
    /// Its first effect in the core.
    pub first: usize,
    /// Number of rows of each group.
    pub rows: Vec<u64>,
    /// Numbers of the labels of each group, one per key column of the factor ([`Level::keys`]).
    pub labels: Vec<u32>,
    /// `Z_a'WC` of each group, r×m row-major.
    pub moments: Vec<f64>,
}

/// Blocks between core groups of different factors, by the first of the two groups.
#[derive(Clone, Debug, Default)]
pub struct CorePairs {
    /// Start of the partners of each core group (numbered factor by factor), followed by the number of all.
    pub starts: Vec<usize>,
    /// The partners, by their first effect in the core, ascending and greater than that of the group.
    pub partners: Vec<u32>,
    /// Start of the block of each partner in `blocks`, followed by their length.
    pub block_starts: Vec<usize>,
    /// `Z_a'WZ_b` of each group a and partner b, r_a×r_b row-major.
    pub blocks: Vec<f64>,
}

impl Crossed {
    /// Returns the sums over all rows.
    pub fn totals(&self) -> RowTotals<'_> {
        RowTotals { m: self.m, cross: &self.cross, rows: self.rows, sum_log_weights: self.sum_log_weights }
    }

    /// Returns the number of effects of the core.
    pub fn core_effects(&self) -> usize {
        self.core.iter().zip(&self.levels[1..]).map(|(factor, level)| factor.groups * level.r()).sum()
    }
}
