//! Wald intervals, which need only the saved fit.

use super::request::IntervalRequest;
use super::result::{Details, Interval, IntervalResult};
use super::select::select;
use tiers_reml::{Fit, FixedInference, WaldInterval, wald_intervals};

/// Computes intervals from the standard errors of a fit.
pub(super) fn by_wald(
    request: &IntervalRequest,
    fit: &Fit,
    inference: &FixedInference,
) -> anyhow::Result<IntervalResult> {
    let all = wald_intervals(fit, inference, request.level);
    let names: Vec<String> = all.iter().map(|interval| interval.parameter.clone()).collect();
    let first = names.len() - fit.fixed_effects.len() - fit.icc.len();
    let is_coefficient = |place: usize| place >= first && place < first + fit.fixed_effects.len();
    let places = select(&request.parm, &names, is_coefficient)?;
    let interval = |place: usize| {
        let WaldInterval { parameter, estimate, std_error, lower, upper } = all[place].clone();
        Interval { std_error, lower, upper, ..Interval::of(parameter, estimate) }
    };
    let intervals = places.into_iter().map(interval).collect();
    Ok(IntervalResult { intervals, bootstrap: None, lower_deviance: None, details: Details::Nothing })
}
