//! Intervals from the likelihood: profile likelihood and the parametric bootstrap, with progress.

use super::found::{Counts, Found, Interval, Kept};
use super::select::select;
use super::wanted::Wanted;
use std::sync::{Mutex, PoisonError};
use tiers_reml::{Curve, End, NewtonSettings, Objective, Optimum, Quantity, Target, bootstrap, profile};

/// Progress of the computation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pieces {
    /// `profiles` or `replicates`.
    pub what: &'static str,
    /// Number that is done.
    pub done: u64,
    /// Number in all.
    pub all: u64,
}

/// Called with the progress of the computation; return `false` to cancel.
pub(crate) type Tell<'a> = dyn FnMut(Pieces) -> bool + Send + 'a;

/// Returns a callback that reports progress from any thread.
fn observer<'a>(what: &'static str, all: usize, tell: &'a mut Tell<'_>) -> impl Fn(u64) -> bool + Sync + 'a {
    let tell = Mutex::new(tell);
    move |done| tell.lock().unwrap_or_else(PoisonError::into_inner)(Pieces { what, done, all: all as u64 })
}

/// Computes profile likelihood intervals around the optimum; `None` if cancelled.
pub(super) fn by_profile(
    wanted: &Wanted,
    objective: &Objective<'_>,
    settings: &NewtonSettings,
    tell: &mut Tell<'_>,
) -> anyhow::Result<Option<Found>> {
    let all = Target::all(objective);
    let names: Vec<String> = all.iter().map(|target| target.name(objective)).collect();
    let is_coefficient = |place: usize| matches!(all[place], Target::Coefficient(_));
    let places = select(&wanted.parm, &names, is_coefficient)?;
    let targets: Vec<Target> = places.into_iter().map(|place| all[place]).collect();
    let observe = observer("profiles", targets.len(), tell);
    let Some(found) = profile(objective, &targets, wanted.level, settings, &observe)? else { return Ok(None) };
    let interval = |curve: &Curve| Interval {
        lower: curve.lower.value(),
        upper: curve.upper.value(),
        lower_at_bound: matches!(curve.lower, End::Bound(_)),
        upper_at_bound: matches!(curve.upper, End::Bound(_)),
        ..Interval::of(curve.name.clone(), curve.estimate)
    };
    let intervals = found.curves.iter().map(interval).collect();
    let lower_deviance = found.lower_deviance;
    Ok(Some(Found { intervals, bootstrap: None, lower_deviance, kept: Kept::Profile(found, names) }))
}

/// Computes intervals from bootstrap replicates of a fit; `None` if cancelled.
pub(super) fn by_bootstrap(
    wanted: &Wanted,
    objective: &Objective<'_>,
    optimum: &Optimum,
    tell: &mut Tell<'_>,
) -> anyhow::Result<Option<Found>> {
    let all = Quantity::all(objective);
    let names: Vec<String> = all.iter().map(|quantity| quantity.name(objective)).collect();
    let is_coefficient = |place: usize| matches!(all[place], Quantity::Parameter(Target::Coefficient(_)));
    let places = select(&wanted.parm, &names, is_coefficient)?;
    let settings = &wanted.bootstrap;
    let observe = observer("replicates", settings.replicates as usize, tell);
    let Some(found) = bootstrap(objective, optimum, settings, &observe) else { return Ok(None) };
    let interval = |i: usize| {
        let ends = found.interval(i, wanted.level, wanted.kind.interval_type());
        let (mean, sd) = found.mean_sd(i);
        let estimate = found.estimates[i];
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
        kind: wanted.kind.name(),
        singular: found.singular(),
        failed: found.failed(),
    };
    let intervals = places.into_iter().map(interval).collect();
    Ok(Some(Found { intervals, bootstrap: Some(counts), lower_deviance: None, kept: Kept::Replicates(found) }))
}
