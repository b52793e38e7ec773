//! Checks that the end of a search must pass before it is accepted as the estimates.

use super::identified::check_bounded;
use super::problem::{EXACT_UP_TO, Problem};
use super::{Optimum, SearchObserver, Status, search};
use crate::effects::{EffectsError, check_two_routes};
use crate::model::{Model, ModelError};
use crate::newton::Settings;
use crate::objective::{Evaluation, Objective, PIVOT_ROUNDING};
use nalgebra::{Cholesky, DMatrix, Dyn};
use tiers_equations::Want;

/// Why a model has no estimates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The observer cancelled the search.
    #[error("interrupted")]
    Cancelled,
    /// The likelihood is not finite anywhere.
    #[error(
        "the likelihood of this model cannot be computed: it is not a finite number wherever it was tried. Look for \
         damaged or huge values in the columns of the model, or rescale them"
    )]
    NotFinite,
    /// The model cannot be estimated from these data.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Two ways to compute the criterion disagree.
    #[error(transparent)]
    Effects(#[from] EffectsError),
}

/// Largest relative rounding error in the residual variance, or in a pivot of `X'V⁻¹X`, with which a fit
/// is reported.
const LARGEST_ERROR: f64 = 1e-6;

/// Above this ratio of the response's sum of squares to pwrss, check whether the search was on its way to
/// a residual variance of zero.
const SUSPICIOUS: f64 = 1e4;

/// Share of the residual in the response's sum of squares that cannot be distinguished from rounding error.
const EXACT: f64 = 1e-13;

/// Finds the optimum, or returns the reason why there are no reliable estimates.
///
/// # Errors
/// If the data do not determine the variances, the likelihood has no maximum, rounding leaves too few
/// digits at the optimum, or the observer cancels the search.
pub fn find_optimum(
    objective: &Objective<'_>,
    settings: &Settings,
    observer: &mut dyn SearchObserver,
) -> Result<Optimum, SearchError> {
    check_bounded(objective)?;
    let mut problem = Problem::new(objective, observer);
    let mut found = search(&mut problem, settings);
    if problem.cancelled {
        return Err(SearchError::Cancelled);
    }
    if let Some(undetermined) = &problem.undetermined {
        if !undetermined.is_harmless() {
            return Err(undetermined.error(objective).into());
        }
        let terms = undetermined.terms(objective, found.singular.len());
        // If the data do not determine how variance is split, an estimate of zero is arbitrary.
        if found.status == Status::Boundary
            && found.singular.iter().zip(&terms).all(|(singular, open)| *open || !singular)
        {
            found.status = Status::Converged;
        }
        found.singular.iter_mut().zip(terms).for_each(|(singular, open)| *singular |= open);
        found.undetermined = undetermined.names(objective);
    }
    check(objective, &found)?;
    Ok(found)
}

/// Checks the numerical precision of an optimum.
fn check(objective: &Objective<'_>, found: &Optimum) -> Result<(), SearchError> {
    let (model, at) = (objective.model(), &found.at);
    if !at.criterion.is_finite() {
        return Err(SearchError::NotFinite);
    }
    let no_residual = || {
        let (name, n) = (model.recipe.response_name.clone(), model.totals().rows);
        Err(ModelError::NoResidual { name, n }.into())
    };
    if at.fixed.loss_y > SUSPICIOUS && !rises_beyond(objective, found) {
        return no_residual();
    }
    let (share, error) = (1.0 / at.fixed.loss_y, PIVOT_ROUNDING * at.fixed.loss_y);
    if share <= EXACT {
        return no_residual();
    }
    if error > LARGEST_ERROR {
        let name = model.recipe.response_name.clone();
        return Err(ModelError::ResidualTooSmall { name, share, error }.into());
    }
    // Nearly dependent columns lose digits without any groups; refuse only a loss due to the groups.
    if PIVOT_ROUNDING * at.fixed.loss_x > LARGEST_ERROR && at.fixed.loss_x > 1e3 * loss_without_groups(model) {
        return Err(ModelError::CoefficientDigits { column: worst_column(model, at) }.into());
    }
    if model.equations.groups() <= EXACT_UP_TO {
        check_two_routes(objective, found)?;
    }
    Ok(())
}

/// Whether the criterion rises as all variances grow a hundredfold. If there is a residual, it does so
/// steeply. If the effects fit every row, it approaches a limit, and the search ends on the way there.
fn rises_beyond(objective: &Objective<'_>, found: &Optimum) -> bool {
    let farther: Vec<f64> = found.scaled.iter().map(|entry| 10.0 * entry).collect();
    let farther = objective.parameters.covariances(&farther);
    let beyond = objective.evaluate(&farther, Want::Value, &mut objective.scratch());
    beyond.criterion > found.at.criterion + 0.1
}

/// Loss of digits in `X'WX` alone: the largest ratio of a diagonal entry to its pivot.
fn loss_without_groups(model: &Model) -> f64 {
    let (x, totals) = (model.x(), model.totals());
    let cross = DMatrix::from_fn(x.len(), x.len(), |i, j| totals.get(x[i], x[j]));
    Cholesky::<f64, Dyn>::new(cross.clone()).map_or(f64::INFINITY, |factor| {
        let pivots = factor.l_dirty().diagonal();
        (0..x.len()).map(|j| cross[(j, j)] / pivots[j].powi(2)).fold(1.0, f64::max)
    })
}

/// The name of the coefficient whose information is the smallest share of its column's sum of squares.
fn worst_column(model: &Model, at: &Evaluation) -> String {
    let totals = model.totals();
    let loss = |&(j, column): &(usize, usize)| totals.get(column, column) * at.fixed.xx_inverse[(j, j)];
    let worst = model.x().into_iter().enumerate().max_by(|a, b| loss(a).total_cmp(&loss(b)));
    worst.map_or_else(String::new, |(j, _)| model.recipe.x[model.coefficients[j]].name.clone())
}
