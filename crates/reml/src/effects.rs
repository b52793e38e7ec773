//! Random effects with their variances: conditional modes (BLUPs) by sparse LDL'.
//!
//! The search for theta eliminates along the trees. Here, at the optimum, the same equations are
//! factored again by a general sparse method, and every fit checks that both give the same criterion.

use crate::estimate::Optimum;
use crate::model::Model;
use crate::objective::{Method, Objective};
use nalgebra::DMatrix;
use rayon::prelude::*;
use std::cmp::Ordering;
use tiers_design::PackedText;
use tiers_equations::{EquationsError, FixedEffects, SparseScratch, SparseShard, TreeSums};
use tiers_moments::LabelTable;

/// Why random effects could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EffectsError {
    /// The sparse equations could not be solved.
    #[error(transparent)]
    Equations(#[from] EquationsError),
    /// The two ways to compute the criterion disagree: one of them lost too many digits.
    #[error(
        "the likelihood cannot be computed to enough digits: -2 log L is {sparse} by sparse factorisation and {tree} \
         by elimination along the nest. Either the data do not determine the variances (take out random slopes or a \
         level), or columns lose digits (centre and rescale them)"
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
    /// The grouping's key columns with the labels of every group.
    pub keys: Vec<KeyColumn>,
    /// Names of the r coefficients.
    pub terms: Vec<String>,
    /// Rows of data per group.
    pub rows: Vec<u64>,
    /// Conditional modes of b, groups×r.
    pub estimate: Vec<f64>,
    /// sd(b | y) at the estimated β and theta (lme4's condVar), groups×r.
    pub conditional_sd: Vec<f64>,
    /// sd(b̂ - b), β's uncertainty included: root of Henderson's prediction error variance, groups×r.
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
    Text(PackedText),
    /// Integers.
    Integer(Vec<i64>),
}

/// The effects of one shard, per level groups×r each, in the user's columns.
struct ShardEffects {
    estimate: Vec<Vec<f64>>,
    conditional_sd: Vec<Vec<f64>>,
    prediction_sd: Vec<Vec<f64>>,
}

/// Computes the random effects of all levels, coarsest first.
pub fn random_effects(objective: &Objective<'_>, optimum: &Optimum) -> Result<Vec<LevelEffects>, EffectsError> {
    let model = objective.model();
    let factors = objective.parameters.factors(&optimum.at.theta);
    let fixed = FixedEffects {
        x: model.x(),
        beta: optimum.at.beta.clone(),
        xx_inverse: optimum.at.xx_inverse.clone(),
        log_det_xx: optimum.at.log_det_xx,
        pwrss: optimum.at.pwrss,
    };
    let (maps, sigma2) = (model.effect_maps(), optimum.at.pwrss / objective.nu());
    // A shard's equations are freed before those of the next are built.
    let of_shard = |shard: usize| -> Result<(TreeSums, ShardEffects), EffectsError> {
        let mut equations = SparseShard::new(&model.forest, shard)?;
        equations.factor(&factors)?;
        let sums = equations.sums(&mut SparseScratch::default());
        Ok((sums, effects_of(&equations, &fixed, model, &maps, sigma2)))
    };
    let by_shard: Vec<(TreeSums, ShardEffects)> =
        (0..model.forest.trees.len()).into_par_iter().with_max_len(1).map(of_shard).collect::<Result<_, _>>()?;
    let (sums, by_shard): (Vec<TreeSums>, Vec<ShardEffects>) = by_shard.into_iter().unzip();
    check_criterion(objective, optimum, &total(sums))?;
    let level = |k: usize| gather(model, k, &by_shard);
    Ok((0..model.forest.levels.len()).rev().map(level).collect())
}

/// The effects of one shard with their standard deviations.
fn effects_of(
    equations: &SparseShard<'_>,
    fixed: &FixedEffects,
    model: &Model,
    maps: &[DMatrix<f64>],
    sigma2: f64,
) -> ShardEffects {
    let b = equations.effects(&fixed.residual(model.forest.m));
    let conditional = equations.conditional_covariances();
    let prediction = equations.prediction_covariances(&conditional, fixed);
    let mapped = |(b, map): (&Vec<f64>, &DMatrix<f64>)| -> Vec<f64> {
        let r = map.nrows();
        let of_group = |b: &[f64]| (0..r).map(|i| (0..r).map(|j| map[(i, j)] * b[j]).sum::<f64>()).collect::<Vec<_>>();
        b.chunks_exact(r).flat_map(of_group).collect()
    };
    let roots = |(blocks, map): (&Vec<f64>, &DMatrix<f64>)| -> Vec<f64> {
        let r = map.nrows();
        blocks.chunks_exact(r * r).flat_map(|block| standard_deviations(block, map, sigma2)).collect()
    };
    ShardEffects {
        estimate: b.iter().zip(maps).map(mapped).collect(),
        conditional_sd: conditional.iter().zip(maps).map(roots).collect(),
        prediction_sd: prediction.iter().zip(maps).map(roots).collect(),
    }
}

/// Checks that the criterion at an optimum is the same by sparse factorisation and along the trees.
pub(crate) fn check_two_routes(objective: &Objective<'_>, optimum: &Optimum) -> Result<(), EffectsError> {
    let forest = &objective.model().forest;
    let factors = objective.parameters.factors(&optimum.at.theta);
    let of_shard = |shard: usize| -> Result<TreeSums, EffectsError> {
        let mut equations = SparseShard::new(forest, shard)?;
        equations.factor(&factors)?;
        Ok(equations.sums(&mut SparseScratch::default()))
    };
    let sums: Vec<TreeSums> =
        (0..forest.trees.len()).into_par_iter().with_max_len(1).map(of_shard).collect::<Result<_, _>>()?;
    check_criterion(objective, optimum, &total(sums))
}

/// The sums over all shards, in their order.
fn total(sums: Vec<TreeSums>) -> TreeSums {
    let mut sums = sums.into_iter();
    let mut total = sums.next().expect("a forest has shards");
    sums.for_each(|sum| total.merge(&sum));
    total
}

/// Checks that generalised least squares by sparse factorisation gives the criterion that was minimised.
fn check_criterion(objective: &Objective<'_>, optimum: &Optimum, sums: &TreeSums) -> Result<(), EffectsError> {
    let model = objective.model();
    let fixed = FixedEffects::new(&model.forest, sums, &model.x())?;
    let nu = objective.nu();
    let mut sparse =
        sums.log_det - model.forest.sum_log_weights + nu * (1.0 + (2.0 * std::f64::consts::PI * fixed.pwrss / nu).ln());
    if objective.method == Method::Reml {
        sparse += fixed.log_det_xx;
    }
    let tree = optimum.at.criterion;
    match (sparse - tree).abs() <= 1e-7 * (nu + tree.abs()) {
        true => Ok(()),
        false => Err(EffectsError::Disagreement { sparse, tree }),
    }
}

/// Groups that a thread copies at a time.
const CHUNK: usize = 1 << 14;

/// Collects the groups of one level over all shards, sorted by their labels.
fn gather(model: &Model, k: usize, shards: &[ShardEffects]) -> LevelEffects {
    let forest = &model.forest;
    let level = &forest.levels[k];
    let groups = sorted_groups(model, k);
    let (count, r) = (groups.len(), level.r());
    // The shards lie far apart in memory, so that copying is bound by latency: use all cores.
    let copied = |of: &(dyn Fn(&ShardEffects) -> &[f64] + Sync)| {
        let mut out = vec![0.0; count * r];
        out.par_chunks_mut(CHUNK * r).zip(groups.par_chunks(CHUNK)).for_each(|(out, groups)| {
            for (out, at) in out.chunks_exact_mut(r).zip(groups) {
                out.copy_from_slice(&of(&shards[at.shard])[at.group * r..(at.group + 1) * r]);
            }
        });
        out
    };
    LevelEffects {
        level: level.name.clone(),
        keys: keys_of(model, k, &groups),
        terms: level.terms.iter().flat_map(|&(term, _)| model.recipe.random[term].names.clone()).collect(),
        rows: groups.iter().map(|g| forest.trees[g.shard].levels[k].rows[g.group]).collect(),
        estimate: copied(&|shard| &shard.estimate[k]),
        conditional_sd: copied(&|shard| &shard.conditional_sd[k]),
        prediction_sd: copied(&|shard| &shard.prediction_sd[k]),
    }
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

/// Position of a group in the forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The shard.
    pub shard: usize,
    /// The group's number within the shard and level.
    pub group: usize,
}

/// The groups of a level in the order of their labels: integers by value, strings by bytes.
pub fn sorted_groups(model: &Model, k: usize) -> Vec<Place> {
    let forest = &model.forest;
    let (keys, grouping) = (model.recipe.keys.len(), &model.recipe.groupings[forest.levels[k].grouping]);
    let ranks: Vec<Vec<u32>> = grouping.keys.iter().map(|&key| ranks(&forest.labels[key])).collect();
    let rank = |at: &Place, key: usize| {
        let labels = forest.trees[at.shard].labels_of(k, at.group, keys);
        ranks[key][labels[grouping.keys[key]] as usize]
    };
    // The ranks by the first keys are packed into one number, stored beside the group, since a
    // comparison that looked up the labels would wait for memory at every step.
    let first = ranks.len().min(4);
    let packed = |at: &Place| (0..first).fold(0, |packed: u128, key| packed << 32 | u128::from(rank(at, key)));
    let of_tree = |shard: usize| {
        (0..forest.trees[shard].levels[k].groups).into_par_iter().map(move |group| Place { shard, group })
    };
    let mut groups: Vec<(u128, Place)> =
        (0..forest.trees.len()).into_par_iter().flat_map(of_tree).map(|at| (packed(&at), at)).collect();
    groups.par_sort_unstable_by(|(a, at), (b, other)| {
        let rest = || (first..ranks.len()).map(|key| rank(at, key).cmp(&rank(other, key)));
        a.cmp(b).then_with(|| rest().find(|o| o.is_ne()).unwrap_or(Ordering::Equal))
    });
    groups.into_iter().map(|(_, at)| at).collect()
}

/// Per label number, its rank among the sorted labels of its column.
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

/// The labels of some groups of level k.
pub fn keys_of(model: &Model, k: usize, groups: &[Place]) -> Vec<KeyColumn> {
    let (recipe, forest) = (&model.recipe, &model.forest);
    let column = |&key: &usize| {
        let table = &forest.labels[key];
        let ids = groups.iter().map(|g| forest.trees[g.shard].labels_of(k, g.group, recipe.keys.len())[key]);
        let labels = match table.is_integer() {
            true => KeyLabels::Integer(ids.map(|id| table.integer(id).expect("an integer")).collect()),
            false => KeyLabels::Text(ids.map(|id| table.text(id).expect("a text")).collect()),
        };
        KeyColumn { name: recipe.requests[recipe.keys[key]].column.clone(), labels }
    };
    recipe.groupings[forest.levels[k].grouping].keys.par_iter().map(column).collect()
}
