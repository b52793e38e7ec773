//! How much of the variance a model explains, and what grouping costs: R², design effects.

use crate::components::{Icc, fixed_variance};
use crate::model::Model;
use crate::objective::Objective;
use nalgebra::DVector;
use serde::{Deserialize, Serialize};

/// Shares of the variance of a row's response (Nakagawa and Schielzeth 2013; Johnson 2014).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RSquared {
    /// Share of the fixed effects' predictions Xβ.
    pub marginal: f64,
    /// Share of the fixed and random effects.
    pub conditional: f64,
    /// Variance of Xβ over the rows, divisor n - 1.
    pub fixed_variance: f64,
    /// Per level, coarsest first, the variance of its random effects.
    pub levels: Vec<LevelVariance>,
    /// Residual variance.
    pub residual_variance: f64,
}

/// The variance that the random effects of one level bring to a row, averaged over the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelVariance {
    /// Name of the grouping.
    pub level: String,
    /// Mean over the rows of `z'Σz`, Σ the covariance of the level's effects.
    pub variance: f64,
    /// Share of the whole variance.
    pub share: f64,
}

/// What it costs the estimate of a mean that rows come in groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesignEffect {
    /// Name of the grouping.
    pub level: String,
    /// Rows per group.
    pub mean_group_size: f64,
    /// `Σ n_g² / n`: rows per group as the rows see it.
    pub size_by_rows: f64,
    /// Variance of the rows' mean over that of as many independent rows, where whole groups of this
    /// level are drawn independently: `1 + ICC (size_by_rows - 1)`, and the like for finer levels.
    pub design_effect: f64,
    /// n over the design effect.
    pub effective_sample_size: f64,
}

/// R² at an optimum; `None` where the moments hold no constant to take means by.
///
/// The random effects of a level have at a row the variance `z'Σz`; its mean over the rows is
/// `tr(Σ Z'WZ)/Σw`, whose sums are in `C'WC`. Rows count by their weights.
pub(crate) fn r_squared(
    objective: &Objective<'_>,
    theta: &[f64],
    beta: &DVector<f64>,
    sigma2: f64,
) -> Option<RSquared> {
    let model = objective.model();
    let forest = &model.forest;
    let (fixed, _) = fixed_variance(model, beta)?;
    let weight = total_weight(model)?;
    let cross = |i: usize, j: usize| forest.cross[i * forest.m + j];
    // In the shifted columns, for z b is the same there.
    let of_level = |(level, g): (&tiers_moments::Level, &Vec<f64>)| -> f64 {
        let r = level.r();
        let product = |at: usize| g[at] * cross(level.z[at / r], level.z[at % r]);
        sigma2 * (0..r * r).map(product).sum::<f64>() / weight
    };
    let covariances = objective.parameters.covariances(theta);
    let variances: Vec<f64> = forest.levels.iter().zip(&covariances).map(of_level).collect();
    let random: f64 = variances.iter().sum();
    let total = fixed + random + sigma2;
    let levels = forest.levels.iter().zip(&variances).rev();
    let of = |(level, &variance): (&tiers_moments::Level, &f64)| LevelVariance {
        level: level.name.clone(),
        variance,
        share: variance / total,
    };
    Some(RSquared {
        marginal: fixed / total,
        conditional: (fixed + random) / total,
        fixed_variance: fixed,
        levels: levels.map(of).collect(),
        residual_variance: sigma2,
    })
}

/// `Σ w`, where a column or a combination of those of X is constant.
fn total_weight(model: &Model) -> Option<f64> {
    let forest = &model.forest;
    match model.recipe.columns.iter().position(|column| column.atoms.is_empty()) {
        Some(c) => Some(forest.cross[c * forest.m + c]),
        None if model.recipe.weights.is_none() => Some(forest.rows as f64),
        None => None,
    }
}

/// Design effects, coarsest level first, by the intraclass correlations of the random intercepts.
///
/// Rows that share a group of level k correlate by `ICC_k` or, if they share a finer one too, by more:
/// with `s_j` the share of level j alone and `ñ_j = Σ n_g²/n`, the mean has
/// `1 + ICC_k (ñ_k - 1) + Σ_{j<k} s_j (ñ_j - 1)` times the variance of independent rows (Kish 1965 for
/// one level). Rows are counted, whatever their weights.
pub(crate) fn design_effects(model: &Model, icc: &[Icc]) -> Vec<DesignEffect> {
    let forest = &model.forest;
    let n = forest.rows as f64;
    // Finest first, as the forest has them.
    let correlations: Vec<f64> = icc.iter().rev().map(|icc| icc.icc).collect();
    let sizes: Vec<f64> = (0..forest.levels.len())
        .map(|k| {
            // Whole numbers: exact in any order below 2^53.
            let squares = forest.trees.iter().flat_map(|tree| &tree.levels[k].rows).map(|&rows| (rows as f64).powi(2));
            squares.sum::<f64>() / n
        })
        .collect();
    let mut finer = 0.0;
    let mut out = Vec::new();
    for (k, level) in forest.levels.iter().enumerate() {
        let correlation = correlations[k];
        let design_effect = 1.0 + correlation * (sizes[k] - 1.0) + finer;
        let own = correlation - correlations.get(k + 1).copied().unwrap_or(0.0);
        finer += own * (sizes[k] - 1.0);
        out.push(DesignEffect {
            level: level.name.clone(),
            mean_group_size: n / level.groups as f64,
            size_by_rows: sizes[k],
            design_effect,
            effective_sample_size: n / design_effect,
        });
    }
    out.reverse();
    out
}
