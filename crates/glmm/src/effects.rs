//! Random effects of all groups, and sums over the rows at the optimum.

use crate::criterion::Criterion;
use crate::search::Optimum;
use crate::visit::{Visit, VisitEffects, Want};
use nalgebra::DMatrix;
use std::sync::Mutex;
use tiers_equations::reweighted::Groups;
use tiers_reml::{LevelEffects, keys_of};

/// Sums over the rows at the optimum.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowSums {
    /// Pearson's χ²: `Σ (k - mμ)² / (m v(μ))`.
    pub(crate) pearson: f64,
    /// `Σ xβ` and `Σ (xβ)²`, offsets excluded.
    pub(crate) fixed: f64,
    pub(crate) fixed_squares: f64,
}

/// The effects of one shard in the order of its groups: per level, r and r×r numbers a group.
type ShardEffects = Vec<VisitEffects>;

/// Computes the random effects of all levels, coarsest first, and sums over the rows. `covariance` is that of β
/// for the columns as shifted.
pub(crate) fn random_effects(
    criterion: &Criterion<'_>,
    optimum: &Optimum,
    covariance: &DMatrix<f64>,
) -> (Vec<LevelEffects>, RowSums) {
    let levels = criterion.shape.path.levels();
    let empty = || Mutex::new(((0..levels).map(|_| VisitEffects::default()).collect(), RowSums::default()));
    let shards: Vec<Mutex<(ShardEffects, RowSums)>> = criterion.rows.shards.iter().map(|_| empty()).collect();
    let at = criterion.point(&optimum.at.coordinates);
    let each = |shard: usize, groups: &Groups<'_>, visit: &mut Visit| {
        let found = visit.effects(&criterion.shape, groups, covariance);
        // One thread works on a shard, visit by visit, so the order is that of its groups.
        let mut own = shards[shard].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (all, new) in own.0.iter_mut().zip(found) {
            all.modes.extend(new.modes);
            all.conditional.extend(new.conditional);
            all.prediction.extend(new.prediction);
        }
        add_rows(criterion, visit, &mut own.1);
    };
    let mut modes = optimum.at.modes.clone();
    criterion.visit(&at, Want::Gradient, &mut modes, &each);
    let unlocked = |shard: Mutex<_>| shard.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let shards: Vec<(ShardEffects, RowSums)> = shards.into_iter().map(unlocked).collect();
    let mut sums = RowSums::default();
    for (_, shard) in &shards {
        sums.pearson += shard.pearson;
        sums.fixed += shard.fixed;
        sums.fixed_squares += shard.fixed_squares;
    }
    let maps = criterion.model.effect_maps();
    ((0..levels).rev().map(|k| gather(criterion, k, &maps[k], &shards)).collect(), sums)
}

fn add_rows(criterion: &Criterion<'_>, visit: &Visit, sums: &mut RowSums) {
    let rows = &visit.rows;
    let binomial = criterion.shape.distribution.family() == crate::Family::Binomial;
    let mut means = vec![0.0; visit.eta().len()];
    criterion.shape.distribution.means(visit.eta(), &mut means);
    for (i, mean) in means.into_iter().enumerate() {
        let variance = rows.m[i] * if binomial { mean * (1.0 - mean) } else { mean };
        let residual = rows.k[i] - rows.m[i] * mean;
        sums.pearson += if variance > 0.0 { residual * residual / variance } else { 0.0 };
        let fixed = visit.fixed()[i] - rows.offset[i];
        sums.fixed += fixed;
        sums.fixed_squares += fixed * fixed;
    }
}

/// Collects the groups of one level over all shards, sorted by their labels, in the user's columns.
fn gather(criterion: &Criterion<'_>, k: usize, map: &DMatrix<f64>, shards: &[(ShardEffects, RowSums)]) -> LevelEffects {
    let (model, r) = (criterion.model, criterion.shape.path.r(k));
    let level = &model.levels()[k];
    let groups = model.structure().sorted_groups(k);
    let positions: Vec<Vec<u32>> = criterion.rows.shards.iter().map(|shard| positions(&shard.groups[k])).collect();
    let root = |block: &[f64], i: usize| {
        let mut variance = 0.0;
        for s in 0..r {
            for t in 0..r {
                variance += map[(i, s)] * block[s * r + t] * map[(i, t)];
            }
        }
        variance.max(0.0).sqrt()
    };
    let size = groups.len() * r;
    let mut out = LevelEffects {
        level: level.name.clone(),
        keys: keys_of(model, k, &groups),
        terms: level.terms.iter().flat_map(|&(term, _)| model.recipe.random[term].names.clone()).collect(),
        rows: model.structure().group_rows(k, &groups),
        estimate: Vec::with_capacity(size),
        conditional_sd: Vec::with_capacity(size),
        prediction_sd: Vec::with_capacity(size),
    };
    for place in &groups {
        let effects = &shards[place.shard].0[k];
        let at = positions[place.shard][place.group] as usize;
        let b = &effects.modes[at * r..(at + 1) * r];
        let block = at * r * r..(at + 1) * r * r;
        for i in 0..r {
            out.estimate.push((0..r).map(|j| map[(i, j)] * b[j]).sum());
            out.conditional_sd.push(root(&effects.conditional[block.clone()], i));
            out.prediction_sd.push(root(&effects.prediction[block.clone()], i));
        }
    }
    out
}

/// The position of each group of its shard.
fn positions(groups: &[u32]) -> Vec<u32> {
    let mut out = vec![0; groups.len()];
    groups.iter().enumerate().for_each(|(at, &group)| out[group as usize] = at as u32);
    out
}
