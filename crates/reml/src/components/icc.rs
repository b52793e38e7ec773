//! Intraclass correlations with their standard errors.

use super::Uncertainty;
use crate::fit::Variances;
use crate::model::Model;
use crate::order::by_groups;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The correlation of two rows that share a group of this level and, in a nest, of all coarser ones. In a crossed
/// design it is that of two rows that share a group of this level only: correlations of rows that share groups of
/// several levels are sums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Icc {
    /// Name of the grouping.
    pub level: String,
    /// Adjusted ICC: share of the random intercepts of this level (in a nest also of all coarser ones) in the
    /// variance that the fixed effects leave.
    pub icc: f64,
    /// Standard error by the delta method; `None` where a variance in it is on the boundary.
    #[serde(default)]
    pub std_error: Option<f64>,
    /// Share in the total variance, which includes that of the fixed effects' predictions (Nakagawa,
    /// Johnson and Schielzeth 2017: unadjusted, or conditional, ICC); `None` where the fixed effects
    /// do not span the constant.
    #[serde(default)]
    pub unadjusted: Option<f64>,
    /// Standard error of `unadjusted`, β's uncertainty included.
    #[serde(default)]
    pub unadjusted_std_error: Option<f64>,
}

/// Returns for each level, the one with the fewest groups first, the share of the variance at that level and, in
/// a nest, at all coarser ones.
///
/// `beta` is β of the shifted columns with its covariance. Without `uncertainty` there are no
/// standard errors.
pub(crate) fn intraclass(
    model: &Model,
    covariances: &Variances,
    (beta, beta_covariance): (&DVector<f64>, &DMatrix<f64>),
    uncertainty: Option<&Uncertainty>,
) -> Vec<Icc> {
    let intercepts: Vec<Vec<usize>> = (0..model.levels().len()).map(|k| intercept_rows(model, k)).collect();
    let variance = |k: usize, i: usize| covariances.factors[k].row(i).norm_squared() * covariances.sigma2;
    let by_level: Vec<f64> =
        (0..intercepts.len()).map(|k| intercepts[k].iter().map(|&i| variance(k, i)).sum()).collect();
    let unexplained = by_level.iter().sum::<f64>() + covariances.sigma2;
    let fixed = fixed_variance(model, beta);
    let shares = |k: usize| if model.is_crossed() { k..k + 1 } else { k..by_level.len() };
    let share_error = |k: usize, total: f64, of_fixed: Option<f64>| {
        let shared = by_level[shares(k)].iter().sum();
        share_std_error(uncertainty?, &intercepts, shares(k), shared, total, of_fixed)
    };
    let of_level = |k: usize| {
        let shared: f64 = by_level[shares(k)].iter().sum();
        let whole = fixed.as_ref().map(|(variance, _)| unexplained + variance);
        let spread = fixed.as_ref().map(|(_, gradient)| gradient.dot(&(beta_covariance * gradient)));
        Icc {
            level: model.levels()[k].name.clone(),
            icc: shared / unexplained,
            std_error: share_error(k, unexplained, None),
            unadjusted: whole.map(|whole| shared / whole),
            unadjusted_std_error: whole.and_then(|whole| share_error(k, whole, spread)),
        }
    };
    by_groups(model.levels()).into_iter().rev().map(of_level).collect()
}

/// The rows of a level's factor that are random intercepts.
fn intercept_rows(model: &Model, k: usize) -> Vec<usize> {
    let level = &model.levels()[k];
    let is_constant = |&i: &usize| model.recipe.columns[level.z[i]].atoms.is_empty();
    (0..level.r()).filter(is_constant).collect()
}

/// Standard error of `shared / total`, where the shared part is that of the levels `shares`; `of_fixed` is the
/// sampling variance of the fixed effects' part of the total.
fn share_std_error(
    uncertainty: &Uncertainty,
    intercepts: &[Vec<usize>],
    shares: Range<usize>,
    shared: f64,
    total: f64,
    of_fixed: Option<f64>,
) -> Option<f64> {
    let mut gradient = uncertainty.no_gradient();
    let (inside, outside) = (1.0 / total - shared / (total * total), -shared / (total * total));
    for (level, rows) in intercepts.iter().enumerate() {
        for &row in rows {
            if uncertainty.is_singular(level, row) {
                return None;
            }
            gradient[uncertainty.place(level, row, row)] = if shares.contains(&level) { inside } else { outside };
        }
    }
    gradient[uncertainty.place_of_sigma2()] = outside;
    let variance = uncertainty.variance(&gradient) + of_fixed.unwrap_or(0.0) * outside * outside;
    (shared > 0.0 && variance.is_finite()).then(|| variance.max(0.0).sqrt())
}

/// Variance of the fixed effects' predictions Xβ over the rows, with divisor n - 1, and its gradient in
/// the β of the shifted columns. Rows count by their weights.
///
/// `None` where no combination of the columns is constant, so that the moments hold no mean.
pub(crate) fn fixed_variance(model: &Model, beta: &DVector<f64>) -> Option<(f64, DVector<f64>)> {
    let (totals, x) = (model.totals(), model.x());
    let cross = |i: usize, j: usize| totals.get(i, j);
    let constant = model.recipe.columns.iter().position(|c| c.atoms.is_empty());
    let (weight, sums) = match constant {
        Some(c) => (cross(c, c), DVector::from_iterator(x.len(), x.iter().map(|&j| cross(c, j)))),
        None => {
            let a = model.constant()?;
            let xx = DMatrix::from_fn(x.len(), x.len(), |i, j| cross(x[i], x[j]));
            let sums = xx * &a;
            (a.dot(&sums), sums)
        }
    };
    let n = totals.rows as f64;
    let per_row = n / ((n - 1.0) * weight);
    let spread = DMatrix::from_fn(x.len(), x.len(), |i, j| cross(x[i], x[j]) - sums[i] * sums[j] / weight) * per_row;
    let half = &spread * beta;
    Some((beta.dot(&half).max(0.0), half * 2.0))
}
