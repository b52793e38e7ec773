//! What a fit says of its random effects: covariances with standard errors, and shares of the latent variance.

use crate::criterion::Criterion;
use crate::effects::RowSums;
use crate::inference::Inference;
use crate::search::Optimum;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};
use tiers_reml::VarianceComponent;

/// Correlation on the latent scale of two rows that share a group of this level and all coarser ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatentIcc {
    /// Name of the grouping.
    pub level: String,
    /// The correlation.
    pub icc: f64,
}

/// Explained shares of the latent variance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatentRSquared {
    /// Share of the fixed effects.
    pub marginal: f64,
    /// Share of fixed and random effects.
    pub conditional: f64,
}

/// The covariances of the random effects, with standard errors by the delta method.
pub(crate) fn components(
    criterion: &Criterion<'_>,
    optimum: &Optimum,
    inference: &Inference,
    lambda: &[DMatrix<f64>],
    maps: &[DMatrix<f64>],
) -> Vec<VarianceComponent> {
    let model = criterion.model;
    let p = criterion.shape.p;
    let mut out = Vec::new();
    for (k, level) in model.levels().iter().enumerate() {
        let covariance = &maps[k] * &lambda[k] * lambda[k].transpose() * maps[k].transpose();
        for &(term, start) in &level.terms {
            let spec = &model.recipe.random[term];
            let r = spec.names.len();
            let rows = start..start + r;
            let own = |e: usize| {
                let (level, row, _) = criterion.shape.entries[e];
                level == k && rows.contains(&row)
            };
            let singular = (0..criterion.shape.entries.len()).any(|e| own(e) && optimum.zero[p + e]);
            let derivative = |i: usize, j: usize| by_entries(criterion, k, (start + i, start + j), lambda, maps);
            let error = |gradient: &[f64]| -> Option<f64> {
                let covariance = inference.lambda.as_ref().filter(|_| !singular)?;
                let g = nalgebra::DVector::from_column_slice(gradient);
                Some((g.transpose() * covariance * &g)[(0, 0)].max(0.0).sqrt())
            };
            let variance: Vec<f64> = (0..r).map(|i| covariance[(start + i, start + i)]).collect();
            let sd: Vec<f64> = variance.iter().map(|v| v.max(0.0).sqrt()).collect();
            let correlation = |i: usize, j: usize| {
                let product = sd[i] * sd[j];
                match (product > 0.0, i == j) {
                    (false, _) => None,
                    (true, true) => Some(1.0),
                    (true, false) => Some((covariance[(start + i, start + j)] / product).clamp(-1.0, 1.0)),
                }
            };
            let correlation_error = |i: usize, j: usize| {
                let rho = correlation(i, j).filter(|_| i != j)?;
                let (cross, a, b) = (derivative(i, j), derivative(i, i), derivative(j, j));
                let one = |e: usize| cross[e] / (sd[i] * sd[j]) - 0.5 * rho * (a[e] / variance[i] + b[e] / variance[j]);
                error(&(0..cross.len()).map(one).collect::<Vec<_>>())
            };
            let variance_error = |i: usize| error(&derivative(i, i));
            out.push(VarianceComponent {
                level: level.name.clone(),
                terms: spec.names.clone(),
                correlation: (0..r).map(|i| (0..r).map(|j| correlation(i, j)).collect()).collect(),
                sd_std_error: (0..r).map(|i| variance_error(i).map(|se| se / (2.0 * sd[i]))).collect(),
                variance_std_error: (0..r).map(variance_error).collect(),
                correlation_std_error: (0..r).map(|i| (0..r).map(|j| correlation_error(i, j)).collect()).collect(),
                sd,
                variance,
            });
        }
    }
    out
}

/// The derivative of entry (i, j) of `B Λ Λ' B'` of level k by each entry of Λ.
fn by_entries(
    criterion: &Criterion<'_>,
    k: usize,
    (i, j): (usize, usize),
    lambda: &[DMatrix<f64>],
    maps: &[DMatrix<f64>],
) -> Vec<f64> {
    let bl = &maps[k] * &lambda[k];
    let of_entry = |&(level, row, column): &(usize, usize, usize)| match level == k {
        true => maps[k][(i, row)] * bl[(j, column)] + maps[k][(j, row)] * bl[(i, column)],
        false => 0.0,
    };
    criterion.shape.entries.iter().map(of_entry).collect()
}

/// The covariance of β (in the user's columns) and of the entries of all covariances of random effects: term by term
/// in the order of [`components`], the lower triangle row by row.
pub(crate) fn joint_covariance(
    criterion: &Criterion<'_>,
    inference: &Inference,
    lambda: &[DMatrix<f64>],
    maps: &[DMatrix<f64>],
) -> Option<DMatrix<f64>> {
    let (model, p) = (criterion.model, criterion.shape.p);
    let joint = inference.joint.as_ref()?;
    let mut rows = Vec::new();
    for (k, level) in model.levels().iter().enumerate() {
        for &(term, start) in &level.terms {
            for i in 0..model.recipe.random[term].names.len() {
                rows.extend((0..=i).map(|j| by_entries(criterion, k, (start + i, start + j), lambda, maps)));
            }
        }
    }
    let mut map = DMatrix::zeros(p + rows.len(), joint.nrows());
    map.view_mut((0, 0), (p, p)).copy_from(&model.unshift_map());
    for (e, row) in rows.iter().enumerate() {
        row.iter().enumerate().for_each(|(j, value)| map[(p + e, p + j)] = *value);
    }
    Some(&map * joint * map.transpose())
}

/// Intraclass correlations and R² on the latent scale.
pub(crate) fn latent(
    criterion: &Criterion<'_>,
    lambda: &[DMatrix<f64>],
    sums: &RowSums,
) -> (Vec<LatentIcc>, Option<LatentRSquared>) {
    let Some(residual) = criterion.shape.distribution.link().latent_variance() else { return (Vec::new(), None) };
    // Mean of z'Gz over the rows, from the moments, for the columns as shifted: a shift changes it only together
    // with the intercept's effect, which the maps undo.
    let (totals, levels) = (criterion.model.totals(), criterion.model.levels());
    let n = totals.rows as f64;
    let of_level = |(level, l): (&tiers_moments::Level, &DMatrix<f64>)| {
        let g = l * l.transpose();
        let mut sum = 0.0;
        for (i, &a) in level.z.iter().enumerate() {
            for (j, &b) in level.z.iter().enumerate() {
                sum += g[(i, j)] * totals.get(a, b);
            }
        }
        sum / total_weight(criterion, n)
    };
    let variances: Vec<f64> = levels.iter().zip(lambda).map(of_level).collect();
    let random: f64 = variances.iter().sum();
    let level = |k: usize| LatentIcc {
        level: levels[k].name.clone(),
        icc: variances[k..].iter().sum::<f64>() / (random + residual),
    };
    let fixed = (sums.fixed_squares - sums.fixed * sums.fixed / n) / (n - 1.0);
    let total = fixed + random + residual;
    let r_squared = LatentRSquared { marginal: fixed / total, conditional: (fixed + random) / total };
    ((0..variances.len()).rev().map(level).collect(), Some(r_squared))
}

/// `Σ w`: the moments of the first pass are weighted.
fn total_weight(criterion: &Criterion<'_>, n: f64) -> f64 {
    let model = criterion.model;
    let constant = model.recipe.columns.iter().position(|column| column.atoms.is_empty());
    match (model.recipe.weights, constant) {
        (Some(_), Some(c)) => model.totals().get(c, c),
        _ => n,
    }
}
