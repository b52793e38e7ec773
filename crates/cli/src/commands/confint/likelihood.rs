//! Intervals from the likelihood: profile likelihood and the parametric bootstrap, with progress.

use super::request::IntervalRequest;
use super::result::{Counts, Details, Interval, IntervalResult};
use super::select::select;
use crate::observer::{OnPieces, Pieces};
use std::sync::{Mutex, PoisonError};
use tiers_reml::{Curve, End, NewtonSettings, Objective, Optimum, Quantity, Target, bootstrap, profile};

/// Returns a callback that reports progress from any thread.
fn observer<'a>(what: &'static str, all: usize, on_pieces: &'a mut OnPieces<'_>) -> impl Fn(u64) -> bool + Sync + 'a {
    let on_pieces = Mutex::new(on_pieces);
    move |done| on_pieces.lock().unwrap_or_else(PoisonError::into_inner)(Pieces { what, done, all: all as u64 })
}

/// Computes profile likelihood intervals around the optimum; `None` if cancelled.
pub(super) fn by_profile(
    request: &IntervalRequest,
    objective: &Objective<'_>,
    settings: &NewtonSettings,
    on_pieces: &mut OnPieces<'_>,
) -> anyhow::Result<Option<IntervalResult>> {
    let all = Target::all(objective);
    let names: Vec<String> = all.iter().map(|target| target.name(objective)).collect();
    let is_coefficient = |place: usize| matches!(all[place], Target::Coefficient(_));
    let places = select(&request.parm, &names, is_coefficient)?;
    let targets: Vec<Target> = places.into_iter().map(|place| all[place]).collect();
    let observe = observer("profiles", targets.len(), on_pieces);
    let Some(computed) = profile(objective, &targets, request.level, settings, &observe)? else { return Ok(None) };
    let interval = |curve: &Curve| Interval {
        lower: curve.lower.value(),
        upper: curve.upper.value(),
        lower_at_bound: matches!(curve.lower, End::Bound(_)),
        upper_at_bound: matches!(curve.upper, End::Bound(_)),
        ..Interval::of(curve.name.clone(), curve.estimate)
    };
    let intervals = computed.curves.iter().map(interval).collect();
    let lower_deviance = computed.lower_deviance;
    Ok(Some(IntervalResult { intervals, bootstrap: None, lower_deviance, details: Details::Profile(computed, names) }))
}

/// Computes intervals from bootstrap replicates of a fit; `None` if cancelled.
pub(super) fn by_bootstrap(
    request: &IntervalRequest,
    objective: &Objective<'_>,
    optimum: &Optimum,
    on_pieces: &mut OnPieces<'_>,
) -> anyhow::Result<Option<IntervalResult>> {
    let all = Quantity::all(objective);
    let names: Vec<String> = all.iter().map(|quantity| quantity.name(objective)).collect();
    let is_coefficient = |place: usize| matches!(all[place], Quantity::Parameter(Target::Coefficient(_)));
    let places = select(&request.parm, &names, is_coefficient)?;
    let settings = &request.bootstrap;
    let observe = observer("replicates", settings.replicates as usize, on_pieces);
    let Some(computed) = bootstrap(objective, optimum, settings, &observe) else { return Ok(None) };
    let interval = |i: usize| {
        let ends = computed.interval(i, request.level, request.kind);
        let (mean, sd) = computed.mean_sd(i);
        let estimate = computed.estimates[i];
        let spread = |value: f64| value.is_finite().then_some(value);
        Interval {
            std_error: spread(sd),
            lower: ends.map(|ends| ends.0),
            upper: ends.map(|ends| ends.1),
            bias: spread(mean - estimate),
            ..Interval::of(names[i].clone(), estimate)
        }
    };
    let counts = Counts {
        replicates: settings.replicates,
        seed: settings.seed,
        kind: request.kind.to_string(),
        singular: computed.singular(),
        failed: computed.failed(),
    };
    let intervals = places.into_iter().map(interval).collect();
    Ok(Some(IntervalResult {
        intervals,
        bootstrap: Some(counts),
        lower_deviance: None,
        details: Details::Replicates(computed),
    }))
}
