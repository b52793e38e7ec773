//! Wald intervals, which need only the saved fit.

use super::found::{Found, Interval, Kept};
use super::select::select;
use super::wanted::Wanted;
use tiers_reml::{Fit, FixedInference, WaldInterval, wald_intervals};

/// Computes intervals from the standard errors of a fit.
pub(super) fn by_wald(wanted: &Wanted, fit: &Fit, inference: &FixedInference) -> anyhow::Result<Found> {
    let all = wald_intervals(fit, inference, wanted.level);
    let names: Vec<String> = all.iter().map(|interval| interval.parameter.clone()).collect();
    let first = names.len() - fit.fixed_effects.len() - fit.icc.len();
    let is_coefficient = |place: usize| place >= first && place < first + fit.fixed_effects.len();
    let places = select(&wanted.parm, &names, is_coefficient)?;
    let interval = |place: usize| {
        let WaldInterval { parameter, estimate, std_error, lower, upper } = all[place].clone();
        Interval { std_error, lower, upper, ..Interval::of(parameter, estimate) }
    };
    let intervals = places.into_iter().map(interval).collect();
    Ok(Found { intervals, bootstrap: None, lower_deviance: None, kept: Kept::Nothing })
}
