//! R² (the variance that a model explains) and design effects (the precision that grouping costs).

use crate::components::{Icc, fixed_variance};
use crate::model::Model;
use crate::order::by_groups;
use nalgebra::DVector;
use serde::{Deserialize, Serialize};
use tiers_equations::Covariances;
use tiers_moments::Level;

/// R²: explained shares of the variance of the response (Nakagawa and Schielzeth 2013; Johnson 2014).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RSquared {
    /// Share of the fixed effects' predictions Xβ.
    pub marginal: f64,
    /// Share of the fixed and random effects.
    pub conditional: f64,
    /// Variance of Xβ over the rows, divisor n - 1.
    pub fixed_variance: f64,
    /// Per level, in the order of [`crate::Fit::levels`], the variance of its random effects.
    pub levels: Vec<LevelVariance>,
    /// Residual variance.
    pub residual_variance: f64,
}

/// The variance that the random effects of one level contribute to a row, averaged over the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelVariance {
    /// Name of the grouping.
    pub level: String,
    /// Mean over the rows of `z'Σz`, Σ the covariance of the level's effects.
    pub variance: f64,
    /// Share of the total variance.
    pub share: f64,
}

/// Design effect: the factor by which grouping inflates the variance of an estimated mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesignEffect {
    /// Name of the grouping.
    pub level: String,
    /// Rows per group.
    pub mean_group_size: f64,
    /// Mean over the rows of the size of a row's group, `Σ n_g² / n`.
    pub size_by_rows: f64,
    /// Ratio of the variance of the rows' mean to that of the same number of independent rows, where
    /// whole groups of this level are drawn independently: `1 + ICC (size_by_rows - 1)`, plus terms of
    /// this kind for finer levels.
    pub design_effect: f64,
    /// n divided by the design effect.
    pub effective_sample_size: f64,
}

/// Computes R² at an optimum; `None` where the moments hold no constant, and thus no means.
///
/// At a row the random effects of a level have the variance `z'Σz`; its mean over the rows is
/// `tr(Σ Z'WZ)/Σw`, whose sums are in `C'WC`. Rows count by their weights.
pub(crate) fn r_squared(model: &Model, relative: &Covariances, beta: &DVector<f64>, sigma2: f64) -> Option<RSquared> {
    let totals = model.totals();
    let (fixed, _) = fixed_variance(model, beta)?;
    let weight = total_weight(model)?;
    // In the shifted columns, since z'b is the same in them.
    let of_level = |(level, g): (&Level, &Vec<f64>)| -> f64 {
        let r = level.r();
        let product = |at: usize| g[at] * totals.get(level.z[at / r], level.z[at % r]);
        sigma2 * (0..r * r).map(product).sum::<f64>() / weight
    };
    let variances: Vec<f64> = model.levels().iter().zip(relative.by_level()).map(of_level).collect();
    let random: f64 = variances.iter().sum();
    let total = fixed + random + sigma2;
    let levels = by_groups(model.levels()).into_iter().rev();
    let of = |k: usize| LevelVariance {
        level: model.levels()[k].name.clone(),
        variance: variances[k],
        share: variances[k] / total,
    };
    Some(RSquared {
        marginal: fixed / total,
        conditional: (fixed + random) / total,
        fixed_variance: fixed,
        levels: levels.map(of).collect(),
        residual_variance: sigma2,
    })
}

/// `Σ w`; `None` where the rows are weighted and C has no constant column.
fn total_weight(model: &Model) -> Option<f64> {
    let totals = model.totals();
    match model.recipe.columns.iter().position(|column| column.atoms.is_empty()) {
        Some(c) => Some(totals.get(c, c)),
        None if model.recipe.weights.is_none() => Some(totals.rows as f64),
        None => None,
    }
}

/// Computes design effects, coarsest level first, from the intraclass correlations of random intercepts. A crossed
/// design has none: whole groups of one level are not independent of each other.
///
/// Rows that share a group of level k have the correlation `ICC_k` or, if they also share a finer one,
/// more: with `s_j` the share of level j alone and `ñ_j = Σ n_g²/n`, the mean has
/// `1 + ICC_k (ñ_k - 1) + Σ_{j<k} s_j (ñ_j - 1)` times the variance of independent rows (Kish 1965 for
/// one level). Each row counts once, whatever its weight.
pub(crate) fn design_effects(model: &Model, icc: &[Icc]) -> Vec<DesignEffect> {
    if model.is_crossed() {
        return Vec::new();
    }
    let n = model.totals().rows as f64;
    // Finest first, as in the model.
    let correlations: Vec<f64> = icc.iter().rev().map(|icc| icc.icc).collect();
    let sizes: Vec<f64> = (0..model.levels().len()).map(|k| model.structure().squared_sizes(k) / n).collect();
    let mut finer = 0.0;
    let mut out = Vec::new();
    for (k, level) in model.levels().iter().enumerate() {
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
