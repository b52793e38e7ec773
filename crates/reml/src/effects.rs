//! Random effects with their variances: best linear unbiased predictions by sparse LDL'.
//!
//! The theta loop eliminates along the trees; here, at the optimum, the same equations are factored
//! once more by the general sparse route. That both give the same criterion is checked on every fit.

use crate::estimate::Optimum;
use crate::model::Model;
use crate::objective::{Method, Objective};
use nalgebra::DMatrix;
use rayon::prelude::*;
use std::cmp::Ordering;
use tiers_design::{LabelTable, Level};
use tiers_equations::{EquationsError, FixedEffects, SparseScratch, SparseShard, TreeSums};

/// Why random effects could not be had.
#[derive(Debug, thiserror::Error)]
pub enum EffectsError {
    /// The sparse equations could not be solved.
    #[error(transparent)]
    Equations(#[from] EquationsError),
    /// The two routes to the criterion disagree: broken code, not bad data.
    #[error(
        "the criterion by sparse factorisation, {sparse}, is not that by elimination, {tree}: \
         please report this, with the formula"
    )]
    Disagreement {
        /// Criterion by sparse factorisation.
        sparse: f64,
        /// Criterion by elimination along the trees.
        tree: f64,
    },
}

/// The random effects of one level, one row per group, sorted by the labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelEffects {
    /// Name of the grouping.
    pub level: String,
    /// Its key columns with the labels of every group.
    pub keys: Vec<KeyColumn>,
    /// Names of the coefficients, r of them.
    pub terms: Vec<String>,
    /// Rows of data per group.
    pub rows: Vec<u64>,
    /// b, groups×r.
    pub estimate: Vec<f64>,
    /// sd(b | y) at the estimated β and theta (lme4's condVar), groups×r.
    pub conditional_sd: Vec<f64>,
    /// sd(b̂ - b): β's uncertainty included (Henderson's prediction error), groups×r.
    pub prediction_sd: Vec<f64>,
}

/// The labels of one key column.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyColumn {
    /// Name of the column.
    pub name: String,
    /// One label per group.
    pub labels: KeyLabels,
}

/// Labels in the type they have in the data.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyLabels {
    /// Strings.
    Text(Vec<String>),
    /// Integers.
    Integer(Vec<i64>),
}

/// What one shard contributes, per level and group: effects, and variances over σ².
struct ShardEffects {
    b: Vec<Vec<f64>>,
    conditional: Vec<Vec<f64>>,
    prediction: Vec<Vec<f64>>,
}

/// The random effects of all levels, coarsest first.
pub fn random_effects(objective: &Objective<'_>, optimum: &Optimum) -> Result<Vec<LevelEffects>, EffectsError> {
    let model = objective.model();
    let forest = &model.forest;
    let factors = objective.parameters.factors(&optimum.at.theta);
    let mut shards = (0..forest.trees.len())
        .into_par_iter()
        .map(|shard| SparseShard::new(forest, shard))
        .collect::<Result<Vec<_>, _>>()?;
    shards.par_iter_mut().try_for_each(|shard| shard.factor(&factors))?;
    let sums: Vec<TreeSums> =
        shards.par_iter().map_init(SparseScratch::default, |scratch, shard| shard.sums(scratch)).collect();
    let fixed = fixed_effects(objective, optimum, sums)?;
    let gamma = fixed.residual(forest.m);
    let of_shard = |shard: &SparseShard<'_>| {
        let conditional = shard.conditional_covariances();
        let prediction = shard.prediction_covariances(&conditional, &fixed);
        ShardEffects { b: shard.effects(&gamma), conditional, prediction }
    };
    let by_shard: Vec<ShardEffects> = shards.par_iter().with_max_len(1).map(of_shard).collect();
    let sigma2 = optimum.at.pwrss / objective.nu();
    let maps = model.effect_maps();
    let level = |k: usize| gather(model, k, &maps[k], sigma2, &by_shard);
    Ok((0..forest.levels.len()).rev().map(level).collect())
}

/// Generalised least squares by the sparse route, which must give the criterion that was minimised.
fn fixed_effects(
    objective: &Objective<'_>,
    optimum: &Optimum,
    sums: Vec<TreeSums>,
) -> Result<FixedEffects, EffectsError> {
    let model = objective.model();
    let mut sums = sums.into_iter();
    let mut total = sums.next().expect("a forest has shards");
    sums.for_each(|sum| total.merge(&sum));
    let fixed = FixedEffects::new(&model.forest, &total, &model.x())?;
    let nu = objective.nu();
    let mut sparse = total.log_det - model.forest.sum_log_weights
        + nu * (1.0 + (2.0 * std::f64::consts::PI * fixed.pwrss / nu).ln());
    if objective.method == Method::Reml {
        sparse += fixed.log_det_xx;
    }
    let tree = optimum.at.criterion;
    match (sparse - tree).abs() <= 1e-7 * (nu + tree.abs()) {
        true => Ok(fixed),
        false => Err(EffectsError::Disagreement { sparse, tree }),
    }
}

/// Puts the groups of one level together, in the user's columns, sorted by their labels.
fn gather(model: &Model, k: usize, map: &DMatrix<f64>, sigma2: f64, shards: &[ShardEffects]) -> LevelEffects {
    let forest = &model.forest;
    let level = &forest.levels[k];
    let groups = sorted_groups(model, k);
    let (count, r) = (groups.len(), level.r());
    let mut out = LevelEffects {
        level: level.name.clone(),
        keys: keys_of(model, level, &groups),
        terms: level.terms.iter().flat_map(|&(term, _)| model.recipe.random[term].names.clone()).collect(),
        rows: groups.iter().map(|g| forest.trees[g.shard].levels[k].rows[g.group]).collect(),
        estimate: Vec::with_capacity(count * r),
        conditional_sd: Vec::with_capacity(count * r),
        prediction_sd: Vec::with_capacity(count * r),
    };
    for at in &groups {
        let ShardEffects { b, conditional, prediction } = &shards[at.shard];
        let b = &b[k][at.group * r..(at.group + 1) * r];
        out.estimate.extend((0..r).map(|i| (0..r).map(|j| map[(i, j)] * b[j]).sum::<f64>()));
        let block = at.group * r * r..(at.group + 1) * r * r;
        out.conditional_sd.extend(standard_deviations(&conditional[k][block.clone()], map, sigma2));
        out.prediction_sd.extend(standard_deviations(&prediction[k][block], map, sigma2));
    }
    out
}

/// Roots of the diagonal of `σ² B M B'` for an r×r block M.
fn standard_deviations(block: &[f64], map: &DMatrix<f64>, sigma2: f64) -> impl Iterator<Item = f64> {
    let r = map.nrows();
    (0..r).map(move |i| {
        let mut variance = 0.0;
        for s in 0..r {
            for t in 0..r {
                variance += map[(i, s)] * block[s * r + t] * map[(i, t)];
            }
        }
        (sigma2 * variance.max(0.0)).sqrt()
    })
}

/// Where a group stands.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    pub(crate) group: usize,
}

/// The groups of a level in the order of their labels: integers by value, strings by bytes.
pub(crate) fn sorted_groups(model: &Model, k: usize) -> Vec<Place> {
    let forest = &model.forest;
    let (keys, grouping) = (model.recipe.keys.len(), &model.recipe.groupings[forest.levels[k].grouping]);
    let ranks: Vec<Vec<u32>> = grouping.keys.iter().map(|&key| ranks(&forest.labels[key])).collect();
    let mut groups: Vec<Place> = forest
        .trees
        .iter()
        .enumerate()
        .flat_map(|(shard, tree)| (0..tree.levels[k].groups).map(move |group| Place { shard, group }))
        .collect();
    groups.par_sort_unstable_by(|a, b| {
        let labels = |at: &Place| forest.trees[at.shard].labels_of(k, at.group, keys);
        let (a, b) = (labels(a), labels(b));
        let by_key = |(&key, ranks): (&usize, &Vec<u32>)| ranks[a[key] as usize].cmp(&ranks[b[key] as usize]);
        grouping.keys.iter().zip(&ranks).map(by_key).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    });
    groups
}

/// Per label number its place among the sorted labels of its column.
fn ranks(table: &LabelTable) -> Vec<u32> {
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

fn keys_of(model: &Model, level: &Level, groups: &[Place]) -> Vec<KeyColumn> {
    let (recipe, forest) = (&model.recipe, &model.forest);
    let k = forest.levels.iter().position(|l| l.grouping == level.grouping).expect("a level of the forest");
    let column = |&key: &usize| {
        let table = &forest.labels[key];
        let ids = groups.iter().map(|g| forest.trees[g.shard].labels_of(k, g.group, recipe.keys.len())[key]);
        let labels = match table.is_integer() {
            true => KeyLabels::Integer(ids.map(|id| table.integer(id).expect("an integer")).collect()),
            false => KeyLabels::Text(ids.map(|id| table.label(id)).collect()),
        };
        KeyColumn { name: recipe.requests[recipe.keys[key]].column.clone(), labels }
    };
    recipe.groupings[level.grouping].keys.iter().map(column).collect()
}
