//! A crossed design: one factor, the *leaf*, and a *core* of all other factors.
//!
//! Given the effects of the core, the groups of the leaf are independent, so that the leaf is eliminated group
//! by group. What is left is a matrix over the effects of the core. The leaf is the factor with the most
//! effects; coarser groupings of the leaf's groups belong to the core.
//!
//! The effects of the core are numbered factor by factor, group by group and effect by effect. Groups are in
//! the order of their labels: in the core within each factor, in the leaf over all shards.

use crate::labels::LabelTable;
use crate::moments::{Moments, SHARDS};
use crate::structure::factors::{Factor, Nesting};
use crate::structure::gather::{CellsOfGroups, Gathered, Gatherer, Partner, starts};
use crate::structure::{GroupPlace, Level, NestError, RowTotals};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::ops::Range;
use tiers_design::Recipe;

/// The factors of a crossed design, with the moments of their groups and of pairs of groups that share rows.
#[derive(Debug)]
pub struct Crossed {
    /// Number of columns of C, y (the last) included.
    pub m: usize,
    /// The factors: the leaf, then those of the core, the one with the most effects first.
    pub levels: Vec<Level>,
    /// Labels of each key column.
    pub labels: Vec<LabelTable>,
    /// The groups of the leaf in the order of their labels, divided into shards.
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
    /// Gathers the cells' moments by the groups of a crossed design.
    ///
    /// The leaf is the factor with the most effects, by name among equals, of those in whose groups no other
    /// factor's groups lie: groups of a coarser leaf would connect all groups within them.
    ///
    /// # Errors
    /// If two factors have the same groups, or a random effect occurs twice for one of them.
    pub fn of(recipe: &Recipe, moments: Moments) -> Result<Crossed, NestError> {
        let factors = Factor::of_all(recipe, &moments);
        let nesting = Nesting::of(recipe, &factors)?;
        let mut levels: Vec<Level> = Vec::new();
        for (f, factor) in factors.iter().enumerate() {
            levels.push(Level::of(recipe, f, factor.groups)?);
        }
        levels.sort_by(|a, b| {
            let rank = |level: &Level| (!nesting.is_finest(level.grouping), Reverse(level.groups * level.r()));
            rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
        });
        levels[1..].sort_by(|a, b| (b.groups * b.r()).cmp(&(a.groups * a.r())).then_with(|| a.name.cmp(&b.name)));
        let firsts = starts(levels[1..].iter().map(|level| level.groups * level.r()));
        let partners: Vec<Partner<'_>> = levels[1..]
            .iter()
            .zip(&firsts)
            .map(|(level, &first)| Partner { factor: &factors[level.grouping], level, first })
            .collect();
        assert!(u32::try_from(firsts[partners.len()]).is_ok(), "fewer than 2^32 effects in the core");
        let (mut core, mut pairs) = (Vec::new(), PairSums::default());
        for (k, Partner { factor, level, first }) in partners.iter().enumerate() {
            let cells = CellsOfGroups::new(factor, &moments);
            let gatherer = Gatherer { moments: &moments, level, cells: &cells, partners: &partners[k + 1..] };
            let mut sums = CoreFactor {
                groups: factor.groups,
                first: *first,
                labels: factor.labels.clone(),
                ..CoreFactor::default()
            };
            for gathered in by_shard(&gatherer, factor.groups) {
                sums.rows.extend(&gathered.rows);
                sums.moments.extend(&gathered.moments);
                pairs.add(gathered);
            }
            core.push(sums);
        }
        let leaf = leaf_shards(&levels[0], &factors[levels[0].grouping], &partners, &moments);
        let Moments { summands, cross, rows, sum_log_weights, labels, .. } = moments;
        let (m, cross) = (summands.m, cross.to_dense());
        drop(partners);
        Ok(Crossed { m, levels, labels, leaf, core, pairs: pairs.finish(), cross, rows, sum_log_weights })
    }

    /// Returns the sums over all rows.
    pub fn totals(&self) -> RowTotals<'_> {
        RowTotals { m: self.m, cross: &self.cross, rows: self.rows, sum_log_weights: self.sum_log_weights }
    }

    /// Returns the number of effects of the core.
    pub fn core_effects(&self) -> usize {
        self.core.iter().zip(&self.levels[1..]).map(|(factor, level)| factor.groups * level.r()).sum()
    }
    /// Returns a copy of the moments without labels.
    #[must_use]
    pub fn without_labels(&self) -> Crossed {
        let of_leaf = |shard: &LeafShard| LeafShard { labels: Vec::new(), ..shard.clone() };
        let of_core = |factor: &CoreFactor| CoreFactor { labels: Vec::new(), ..factor.clone() };
        Crossed {
            m: self.m,
            levels: self.levels.clone(),
            labels: Vec::new(),
            leaf: self.leaf.iter().map(of_leaf).collect(),
            core: self.core.iter().map(of_core).collect(),
            pairs: self.pairs.clone(),
            cross: self.cross.clone(),
            rows: self.rows,
            sum_log_weights: self.sum_log_weights,
        }
    }

    /// Returns the bytes of the moments by group and by pair of groups.
    pub fn bytes_of_moments(&self) -> usize {
        let of_leaf = |s: &LeafShard| 8 * (s.moments.len() + s.blocks.len()) + 12 * s.neighbours.len();
        let of_core = |factor: &CoreFactor| 8 * factor.moments.len();
        self.leaf.iter().map(of_leaf).sum::<usize>()
            + self.core.iter().map(of_core).sum::<usize>()
            + 8 * self.pairs.blocks.len()
            + 12 * self.pairs.partners.len()
    }

    /// Returns the groups of a level in the order of their labels.
    pub(super) fn groups_of(&self, level: usize) -> Vec<GroupPlace> {
        match level.checked_sub(1) {
            None => {
                let of_shard = |(shard, groups): (usize, &LeafShard)| {
                    (0..groups.groups).map(move |group| GroupPlace { shard, group })
                };
                self.leaf.iter().enumerate().flat_map(of_shard).collect()
            }
            Some(k) => (0..self.core[k].groups).map(|group| GroupPlace { shard: 0, group }).collect(),
        }
    }

    /// Returns the number of rows of each group of a level, and the numbers of its labels, one per key column.
    pub(super) fn rows_and_labels(&self, level: usize, shard: usize) -> (&[u64], &[u32]) {
        match level.checked_sub(1) {
            None => (&self.leaf[shard].rows, &self.leaf[shard].labels),
            Some(k) => (&self.core[k].rows, &self.core[k].labels),
        }
    }
}

/// The groups of each of the shards that so many groups are divided into.
fn shards(groups: usize) -> impl IndexedParallelIterator<Item = Range<usize>> {
    (0..SHARDS).into_par_iter().with_max_len(1).map(move |s| s * groups / SHARDS..(s + 1) * groups / SHARDS)
}

/// Gathers the groups of a factor in parallel; the results are in the order of the groups.
fn by_shard(gatherer: &Gatherer<'_>, groups: usize) -> Vec<Gathered> {
    shards(groups).map(|groups| gatherer.gather(groups)).collect()
}

/// Gathers the groups of the leaf.
fn leaf_shards(level: &Level, factor: &Factor, partners: &[Partner<'_>], moments: &Moments) -> Vec<LeafShard> {
    let cells = CellsOfGroups::new(factor, moments);
    let gatherer = Gatherer { moments, level, cells: &cells, partners };
    let keys = level.keys.len();
    let of_shard = |groups: Range<usize>| {
        let Gathered { rows, moments, counts, partners, sizes, blocks } = gatherer.gather(groups.clone());
        LeafShard {
            groups: groups.len(),
            rows,
            labels: factor.labels[groups.start * keys..groups.end * keys].to_vec(),
            moments,
            starts: starts(counts.into_iter()),
            neighbours: partners,
            block_starts: starts(sizes.into_iter()),
            blocks,
        }
    };
    shards(factor.groups).map(of_shard).collect()
}

/// The pairs of core groups, gathered factor by factor.
#[derive(Default)]
struct PairSums {
    counts: Vec<usize>,
    partners: Vec<u32>,
    sizes: Vec<usize>,
    blocks: Vec<f64>,
}

impl PairSums {
    fn add(&mut self, gathered: Gathered) {
        self.counts.extend(gathered.counts);
        self.partners.extend(gathered.partners);
        self.sizes.extend(gathered.sizes);
        self.blocks.extend(gathered.blocks);
    }

    fn finish(self) -> CorePairs {
        CorePairs {
            starts: starts(self.counts.into_iter()),
            partners: self.partners,
            block_starts: starts(self.sizes.into_iter()),
            blocks: self.blocks,
        }
    }
}
