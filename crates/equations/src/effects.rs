//! Conditional modes (BLUPs) of the random effects with their variances, by the sparse route.
//!
//! The search eliminates along the trees. Here the same equations are factored again by a general sparse
//! method, whose sums a criterion can compare with those of [`Equations::evaluate`].

use crate::core::{CrossedModes, CrossedPlan, CrossedScratch};
use crate::covariances::Covariances;
use crate::equations::{Equations, Route};
use crate::error::EquationsError;
use crate::fixed::FixedEffects;
use crate::sparse::{SparseScratch, SparseShard};
use crate::tree::Sums;
use nalgebra::DMatrix;
use rayon::prelude::*;
use tiers_moments::{Crossed, Forest, GroupPlace};

/// Operations of the sparse route beyond which a crossed design is not checked by it: a tenth of a second.
const MOST_OPERATIONS: f64 = 1e8;

/// The random effects of all levels.
#[derive(Debug)]
pub struct GroupEffects {
    /// `log|A|` and `B'A⁻¹B` of the sparse route, as [`Equations::evaluate`] gives them; `None` where that route
    /// takes too long.
    pub sums: Option<Sums>,
    /// The levels, in the order of [`Equations::levels`].
    pub levels: Vec<LevelModes>,
}

/// The random effects of one level, groups in the order of their labels.
#[derive(Debug)]
pub struct LevelModes {
    /// The groups.
    pub groups: Vec<GroupPlace>,
    /// Conditional modes of b, groups×r.
    pub modes: Vec<f64>,
    /// `Var(b | y)/σ²` at given β and G, groups×r.
    pub conditional: Vec<f64>,
    /// `Var(b̂ - b)/σ²` with β's uncertainty (Henderson's prediction error variance), groups×r.
    pub prediction: Vec<f64>,
}

/// The effects of one shard, per level groups×r each.
struct ShardEffects {
    modes: Vec<Vec<f64>>,
    conditional: Vec<Vec<f64>>,
    prediction: Vec<Vec<f64>>,
}

impl Equations {
    /// Computes the random effects at the relative covariances with the fixed effects there. `maps` holds per
    /// level the r×r matrix that maps effects of the shifted z columns to those that are returned.
    ///
    /// # Errors
    /// If a pivot of the sparse factorisation is not positive, or a shard has too many entries.
    pub fn effects(
        &self,
        at: &Covariances,
        fixed: &FixedEffects,
        maps: &[DMatrix<f64>],
    ) -> Result<GroupEffects, EquationsError> {
        let forest = match self.route() {
            Route::Nested(forest, _) => forest,
            Route::Crossed(design, plan) => return self.crossed_effects((design, plan), at, fixed, maps),
        };
        let (sums, shards) = by_shard(forest, at, |equations| effects_of(equations, fixed, forest.m, maps))?;
        let level = |k: usize| {
            let groups = self.structure().sorted_groups(k);
            let r = forest.levels[k].r();
            LevelModes {
                modes: collect(&groups, r, |shard| &shards[shard].modes[k]),
                conditional: collect(&groups, r, |shard| &shards[shard].conditional[k]),
                prediction: collect(&groups, r, |shard| &shards[shard].prediction[k]),
                groups,
            }
        };
        Ok(GroupEffects { sums: Some(sums), levels: (0..forest.levels.len()).map(level).collect() })
    }

    /// The random effects of a crossed design.
    fn crossed_effects(
        &self,
        (design, plan): (&Crossed, &CrossedPlan),
        at: &Covariances,
        fixed: &FixedEffects,
        maps: &[DMatrix<f64>],
    ) -> Result<GroupEffects, EquationsError> {
        let sums = self.sums_by_sparse_route(at)?;
        let modes = plan.effects(design, at, fixed, maps, &mut CrossedScratch::new(plan, design))?;
        let level = |(k, shards): (usize, &Vec<CrossedModes>)| {
            let groups = self.structure().sorted_groups(k);
            let r = design.levels[k].r();
            LevelModes {
                modes: collect(&groups, r, |shard| &shards[shard].modes),
                conditional: collect(&groups, r, |shard| &shards[shard].conditional),
                prediction: collect(&groups, r, |shard| &shards[shard].prediction),
                groups,
            }
        };
        Ok(GroupEffects { sums, levels: modes.iter().enumerate().map(level).collect() })
    }

    /// Computes the sums of [`Equations::evaluate`], without derivatives, by the sparse route; `None` where it would
    /// take much longer than a fit, which a large core does.
    ///
    /// # Errors
    /// As for [`Equations::effects`].
    pub fn sums_by_sparse_route(&self, at: &Covariances) -> Result<Option<Sums>, EquationsError> {
        match self.route() {
            Route::Nested(forest, _) => by_shard(forest, at, |_| ()).map(|(sums, _)| Some(sums)),
            Route::Crossed(design, plan) if plan.operations_of_check(design) > MOST_OPERATIONS => Ok(None),
            Route::Crossed(design, plan) => plan.sums_by_sparse_route(design, at).map(Some),
        }
    }
}

/// Factors the equations of every shard, on all cores; returns the total of their sums, added in the order of
/// the shards, and what `of_shard` computes from each.
fn by_shard<T: Send>(
    forest: &Forest,
    at: &Covariances,
    of_shard: impl Fn(&SparseShard<'_>) -> T + Sync,
) -> Result<(Sums, Vec<T>), EquationsError> {
    // A shard's equations are freed before those of the next are built.
    let solve = |shard: usize| -> Result<(Sums, T), EquationsError> {
        let mut equations = SparseShard::new(forest, shard)?;
        equations.factor(at.factors())?;
        let sums = equations.sums(&mut SparseScratch::default());
        Ok((sums, of_shard(&equations)))
    };
    let shards = (0..forest.trees.len()).into_par_iter().with_max_len(1).map(solve);
    let (sums, results): (Vec<Sums>, Vec<T>) = shards.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let mut sums = sums.into_iter();
    let mut total = sums.next().expect("a forest has shards");
    sums.for_each(|sum| total.merge(&sum));
    Ok((total, results))
}

/// Computes the effects of one shard with their variances.
fn effects_of(equations: &SparseShard<'_>, fixed: &FixedEffects, m: usize, maps: &[DMatrix<f64>]) -> ShardEffects {
    let modes = equations.effects(&fixed.residual(m));
    let conditional = equations.conditional_covariances();
    let prediction = equations.prediction_covariances(&conditional, fixed);
    let mapped = |(modes, map): (&Vec<f64>, &DMatrix<f64>)| -> Vec<f64> {
        let r = map.nrows();
        let of_group = |b: &[f64]| (0..r).map(|i| (0..r).map(|j| map[(i, j)] * b[j]).sum::<f64>()).collect::<Vec<_>>();
        modes.chunks_exact(r).flat_map(of_group).collect()
    };
    let diagonals = |(blocks, map): (&Vec<f64>, &DMatrix<f64>)| -> Vec<f64> {
        let r = map.nrows();
        blocks.chunks_exact(r * r).flat_map(|block| (0..r).map(|i| variance(block, map, i))).collect()
    };
    ShardEffects {
        modes: modes.iter().zip(maps).map(mapped).collect(),
        conditional: conditional.iter().zip(maps).map(diagonals).collect(),
        prediction: prediction.iter().zip(maps).map(diagonals).collect(),
    }
}

/// Returns the i-th diagonal entry of `B M B'` for an r×r block M.
fn variance(block: &[f64], map: &DMatrix<f64>, i: usize) -> f64 {
    let r = map.nrows();
    let mut variance = 0.0;
    for s in 0..r {
        for t in 0..r {
            variance += map[(i, s)] * block[s * r + t] * map[(i, t)];
        }
    }
    variance
}

/// Groups that a thread copies at a time.
const CHUNK: usize = 1 << 14;

/// Copies r numbers of each of these groups from the arrays of their shards.
fn collect<'a>(groups: &[GroupPlace], r: usize, of_shard: impl Fn(usize) -> &'a [f64] + Sync) -> Vec<f64> {
    let mut out = vec![0.0; groups.len() * r];
    // The shards lie far apart in memory, so that copying is bound by latency: use all cores.
    out.par_chunks_mut(CHUNK * r).zip(groups.par_chunks(CHUNK)).for_each(|(out, groups)| {
        for (out, at) in out.chunks_exact_mut(r).zip(groups) {
            out.copy_from_slice(&of_shard(at.shard)[at.group * r..(at.group + 1) * r]);
        }
    });
    out
}
