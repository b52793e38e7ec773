//! Passes over the leaf where it and all factors of the core have one coefficient, so that blocks are numbers.
//!
//! Sums over the pairs of core groups that meet one leaf group are taken by columns of the core, so that a thread owns
//! what it writes. If the core is small, they are taken by shards of the leaf, which is then read once instead of once
//! for each core group.

use super::dense;
use super::leaf::LeafShardState;
use super::plan::CrossedPlan;
use crate::tree::small::add_scaled;
use rayon::prelude::*;
use tiers_moments::{Crossed, LeafShard, vectorised};

/// The core groups that a leaf group meets.
struct Met<'a> {
    neighbours: &'a [u32],
    blocks: &'a [f64],
}

impl<'a> Met<'a> {
    #[inline(always)]
    fn new(shard: &'a LeafShard, entries: std::ops::Range<usize>) -> Self {
        Met { neighbours: &shard.neighbours[entries.clone()], blocks: &shard.blocks[entries] }
    }

    /// Adds `factor · b_a` to the entries a of a column of the core.
    #[inline(always)]
    fn add_scaled(&self, factor: f64, column: &mut [f64]) {
        let (Some(&first), Some(&last)) = (self.neighbours.first(), self.neighbours.last()) else { return };
        let (first, last) = (first as usize, last as usize);
        if last - first + 1 == self.blocks.len() {
            return add_scaled(&mut column[first..=last], factor, self.blocks);
        }
        for (&a, b) in self.neighbours.iter().zip(self.blocks) {
            column[a as usize] += factor * b;
        }
    }

    /// Returns `Σ_a b_a x_a` over entries of a column of the core.
    #[inline(always)]
    fn dot(&self, column: &[f64]) -> f64 {
        self.neighbours.iter().zip(self.blocks).map(|(&a, b)| b * column[a as usize]).sum()
    }
}

impl CrossedPlan {
    /// Whether the leaf and all factors have one coefficient.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        self.r == 1 && self.factors.iter().all(|f| f.r == 1)
    }

    /// Whether furthermore none of the core factors from k on has rows that are sums over leaf groups.
    #[inline(always)]
    pub(super) fn is_plain_from(&self, k: usize) -> bool {
        self.is_plain() && self.factors[k..].iter().all(|f| f.summed(0).is_none())
    }

    /// [`CrossedPlan::add_meetings`] where blocks are numbers.
    #[inline(always)]
    pub(super) fn add_plain_meetings(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        (k, group): (usize, usize),
        column: &mut [f64],
    ) {
        let plan = &self.factors[k];
        let mut own = self.moment_of_core(design, k, group);
        for visit in self.visits(k, group) {
            let (shard, number) = (&design.leaf[visit.shard as usize], visit.group as usize);
            let state = &leaf[visit.shard as usize];
            let entry = visit.entry as usize;
            own += self.own_of_core((shard, state), number, (k, entry), || visit.whole);
            let kb = state.kernel[number] * shard.blocks[entry];
            Met::new(shard, entry + 1..shard.starts[number + 1]).add_scaled(-kb, column);
        }
        column[plan.effects(group).start] = own;
    }

    /// Adds to the columns of the core, c×c, what [`CrossedPlan::add_plain_meetings`] adds to each.
    pub(super) fn add_plain_meetings_by_shards(&self, design: &Crossed, leaf: &[LeafShardState], columns: &mut [f64]) {
        let c = self.effects;
        for (k, factor) in self.factors.iter().enumerate() {
            for group in 0..factor.groups {
                let own = factor.effects(group).start;
                columns[own * c + own] = self.moment_of_core(design, k, group);
            }
        }
        self.add_by_shards(
            design,
            leaf,
            columns,
            #[inline(always)]
            |(shard, state): (&LeafShard, &LeafShardState), group: usize, sums: &mut [f64]| {
                let range = shard.starts[group]..shard.starts[group + 1];
                for entry in range.clone() {
                    let own = shard.neighbours[entry] as usize;
                    let k = self.place(own).0;
                    let same =
                        |other: usize| range.contains(&other) && self.place(shard.neighbours[other] as usize).0 == k;
                    let whole = || !same(entry + 1) && !same(entry.wrapping_sub(1));
                    let column = &mut sums[own * c..(own + 1) * c];
                    column[own] += self.own_of_core((shard, state), group, (k, entry), whole);
                    Met::new(shard, entry + 1..range.end)
                        .add_scaled(-state.kernel[group] * shard.blocks[entry], column);
                }
            },
        );
    }

    /// Returns `Z_a'WZ_a` of a core group, or 0 if it is summed over leaf groups.
    #[inline(always)]
    fn moment_of_core(&self, design: &Crossed, k: usize, group: usize) -> f64 {
        let plan = &self.factors[k];
        if plan.in_leaf[0].is_some() { 0.0 } else { design.core[k].moments[group * self.m + plan.z[0]] }
    }

    /// Returns a leaf group's part of the diagonal entry of a core group; `whole` says whether the core group contains
    /// the leaf group.
    #[inline(always)]
    fn own_of_core(
        &self,
        (shard, state): (&LeafShard, &LeafShardState),
        group: usize,
        (k, entry): (usize, usize),
        whole: impl Fn() -> bool,
    ) -> f64 {
        let plan = &self.factors[k];
        let (b, t) = (shard.blocks[entry], state.t[group]);
        let kb = state.kernel[group] * b;
        match plan.in_leaf[0].is_some() {
            false => -kb * b,
            true if whole() => t * b,
            true => t * b + kb * (shard.moments[group * self.m + plan.z[0]] - b),
        }
    }

    /// Adds up what `add` adds for each leaf group to sums of the size of the core, shard by shard.
    fn add_by_shards(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        out: &mut [f64],
        add: impl Fn((&LeafShard, &LeafShardState), usize, &mut [f64]) + Sync,
    ) {
        let of_shard = |(shard, state): (&LeafShard, &LeafShardState)| {
            let mut sums = vec![0.0; out.len()];
            vectorised(
                #[inline(always)]
                || {
                    for group in 0..shard.groups {
                        add((shard, state), group, &mut sums);
                    }
                },
            );
            sums
        };
        let shards: Vec<Vec<f64>> = design.leaf.par_iter().zip(leaf).with_max_len(1).map(of_shard).collect();
        shards.iter().for_each(|sums| add_scaled(out, 1.0, sums));
    }

    /// Forms `Q = Σ_g w_g Y_g'Y_g` with a weight of each leaf group: c×c, both triangles.
    pub(super) fn form_plain_q(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        weight: impl Fn(&LeafShard, &LeafShardState, usize) -> f64 + Sync,
        q: &mut [f64],
    ) {
        let c = self.effects;
        let of_group = |shard: &LeafShard, state: &LeafShardState, group: usize| {
            state.t[group] * state.t[group] * weight(shard, state, group)
        };
        q.fill(0.0);
        if self.by_shards {
            self.add_by_shards(
                design,
                leaf,
                q,
                #[inline(always)]
                |(shard, state): (&LeafShard, &LeafShardState), group: usize, sums: &mut [f64]| {
                    let factor = of_group(shard, state, group);
                    let range = shard.starts[group]..shard.starts[group + 1];
                    for entry in range.clone() {
                        let own = shard.neighbours[entry] as usize;
                        let column = &mut sums[own * c..(own + 1) * c];
                        Met::new(shard, entry..range.end).add_scaled(factor * shard.blocks[entry], column);
                    }
                },
            );
        } else {
            q.par_chunks_mut(c).enumerate().for_each(|(effect, column)| {
                vectorised(
                    #[inline(always)]
                    || {
                        for visit in self.visits_of_effect(effect) {
                            let (shard, state) = (&design.leaf[visit.shard as usize], &leaf[visit.shard as usize]);
                            let (group, entry) = (visit.group as usize, visit.entry as usize);
                            let factor = of_group(shard, state, group) * shard.blocks[entry];
                            Met::new(shard, entry..shard.starts[group + 1]).add_scaled(factor, column);
                        }
                    },
                );
            });
        }
        dense::mirror(q, c);
    }

    /// Returns `Σ_g w_g Y_g D Y_g'` with a weight of each leaf group from the lower triangle of D, c×c.
    pub(super) fn explained_plain(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        d: &[f64],
        weight: impl Fn(&LeafShard, &LeafShardState, usize) -> f64 + Sync,
    ) -> f64 {
        let c = self.effects;
        if self.by_shards {
            let mut q = vec![0.0; c * c];
            self.form_plain_q(design, leaf, weight, &mut q);
            let column = |j: usize| {
                let later: f64 = (j + 1..c).map(|i| d[j * c + i] * q[j * c + i]).sum();
                d[j * c + j] * q[j * c + j] + 2.0 * later
            };
            return (0..c).map(column).sum();
        }
        let of_effect = |(effect, column): (usize, &[f64])| {
            vectorised(
                #[inline(always)]
                || self.explained_by_effect(design, leaf, column, effect, &weight),
            )
        };
        let effects: Vec<f64> = d.par_chunks_exact(c).enumerate().map(of_effect).collect();
        effects.iter().sum()
    }

    /// Returns the part of `Σ_g w_g Y_g D Y_g'` that a core effect and the later ones contribute.
    #[inline(always)]
    pub(super) fn explained_by_effect(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        column: &[f64],
        effect: usize,
        weight: impl Fn(&LeafShard, &LeafShardState, usize) -> f64,
    ) -> f64 {
        let mut total = 0.0;
        for visit in self.visits_of_effect(effect) {
            let (shard, state) = (&design.leaf[visit.shard as usize], &leaf[visit.shard as usize]);
            let (group, entry) = (visit.group as usize, visit.entry as usize);
            let (t, b) = (state.t[group], shard.blocks[entry]);
            let later = Met::new(shard, entry + 1..shard.starts[group + 1]).dot(column);
            total += weight(shard, state, group) * t * t * b * (b * column[effect] + 2.0 * later);
        }
        total
    }
}
