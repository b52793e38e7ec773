//! Wald intervals, which need only the saved fit.

use super::request::IntervalRequest;
use super::result::{Details, Interval, IntervalResult};
use super::select::select;
use std::ops::Range;
use tiers_reml::{
    Fit, FixedInference, WaldInterval, wald_intervals, wald_intervals_of_coefficients, wald_intervals_of_components,
};
use tiers_report::saved::SavedGlmm;

/// Computes intervals from the standard errors of a fit.
pub(super) fn by_wald(
    request: &IntervalRequest,
    fit: &Fit,
    inference: &FixedInference,
) -> anyhow::Result<IntervalResult> {
    let all = wald_intervals(fit, inference, request.level);
    let first = all.len() - fit.fixed_effects.len() - fit.icc.len();
    selected(request, &all, first..first + fit.fixed_effects.len())
}

/// Computes intervals from the standard errors of a generalised fit.
pub(super) fn of_generalised(request: &IntervalRequest, saved: &SavedGlmm) -> anyhow::Result<IntervalResult> {
    let fit = saved.fit();
    let mut all = wald_intervals_of_components(&fit.variance_components, request.level);
    let first = all.len();
    let names = fit.fixed_effects.iter().map(|effect| &effect.term[..]);
    all.extend(wald_intervals_of_coefficients(names, &saved.model.inference.fixed.inference, request.level));
    selected(request, &all, first..all.len())
}

/// Selects the requested intervals; `coefficients` are the places of those of coefficients.
fn selected(
    request: &IntervalRequest,
    all: &[WaldInterval],
    coefficients: Range<usize>,
) -> anyhow::Result<IntervalResult> {
    let names: Vec<String> = all.iter().map(|interval| interval.parameter.clone()).collect();
    let places = select(&request.parm, &names, |place| coefficients.contains(&place))?;
    let interval = |place: usize| {
        let WaldInterval { parameter, estimate, std_error, lower, upper } = all[place].clone();
        Interval { std_error, lower, upper, ..Interval::of(parameter, estimate) }
    };
    let intervals = places.into_iter().map(interval).collect();
    Ok(IntervalResult { intervals, bootstrap: None, lower_deviance: None, details: Details::Nothing })
}
