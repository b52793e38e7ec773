//! Wald intervals, which need only the saved fit.

use super::found::{Found, Interval, Kept};
use super::select::select;
use super::wanted::Wanted;
use tiers_reml::{Fit, FixedInference, WaldScale, wald_interval};

/// Computes intervals from the standard errors of a fit.
pub(super) fn by_wald(wanted: &Wanted, fit: &Fit, inference: &FixedInference) -> anyhow::Result<Found> {
    let all = intervals(fit, inference, wanted.level);
    let names: Vec<String> = all.iter().map(|interval| interval.parameter.clone()).collect();
    let first = names.len() - fit.fixed_effects.len() - fit.icc.len();
    let is_coefficient = |place: usize| place >= first && place < first + fit.fixed_effects.len();
    let places = select(&wanted.parm, &names, is_coefficient)?;
    let intervals = places.into_iter().map(|place| all[place].clone()).collect();
    Ok(Found { intervals, bootstrap: None, lower_deviance: None, kept: Kept::Nothing })
}

/// Computes intervals of all parameters in lme4's order, then of the intraclass correlations.
fn intervals(fit: &Fit, inference: &FixedInference, level: f64) -> Vec<Interval> {
    let mut out = Vec::new();
    for component in &fit.variance_components {
        let (terms, group) = (&component.terms, &component.level);
        for (j, term) in terms.iter().enumerate() {
            let error = component.sd_std_error.get(j).copied().flatten();
            out.push(on_scale(format!("sd_{term}|{group}"), component.sd[j], error, level, WaldScale::Log));
            for (i, later) in terms.iter().enumerate().skip(j + 1) {
                let error = component.correlation_std_error.get(i).and_then(|row| row[j]);
                let value = component.correlation[i][j].unwrap_or(f64::NAN);
                out.push(on_scale(format!("cor_{later}.{term}|{group}"), value, error, level, WaldScale::Fisher));
            }
        }
    }
    out.push(on_scale("sigma".to_owned(), fit.sigma, fit.sigma_std_error, level, WaldScale::Log));
    let inference = inference.clone().with_confidence(level);
    for (place, effect) in fit.fixed_effects.iter().enumerate() {
        let test = inference.coefficient(place);
        out.push(Interval {
            std_error: Some(test.std_error),
            lower: Some(test.lower),
            upper: Some(test.upper),
            ..Interval::of(effect.term.clone(), test.estimate)
        });
    }
    for icc in &fit.icc {
        out.push(on_scale(format!("icc_{}", icc.level), icc.icc, icc.std_error, level, WaldScale::LogOdds));
    }
    out
}

fn on_scale(parameter: String, estimate: f64, std_error: Option<f64>, level: f64, scale: WaldScale) -> Interval {
    let ends = std_error.and_then(|error| wald_interval(estimate, error, level, scale));
    Interval {
        std_error,
        lower: ends.map(|ends| ends.0),
        upper: ends.map(|ends| ends.1),
        ..Interval::of(parameter, estimate)
    }
}
