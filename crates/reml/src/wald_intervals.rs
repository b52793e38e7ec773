//! Wald intervals of all parameters of a fit, from its standard errors.

use crate::components::{WaldScale, wald_interval};
use crate::fit::{Fit, VarianceComponent};
use crate::inference::FixedInference;

/// The Wald interval of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct WaldInterval {
    /// lme4's name of the parameter, or `icc_LEVEL`.
    pub parameter: String,
    /// The estimate; NaN for a correlation with an effect that does not vary.
    pub estimate: f64,
    /// Its standard error; `None` on the boundary.
    pub std_error: Option<f64>,
    /// Lower end; `None` where there is no standard error.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
}

/// Computes intervals of all parameters in lme4's order, then of the intraclass correlations.
pub fn wald_intervals(fit: &Fit, inference: &FixedInference, level: f64) -> Vec<WaldInterval> {
    let mut out = of_components(&fit.variance_components, level);
    out.push(on_scale("sigma".to_owned(), fit.sigma, fit.sigma_std_error, level, WaldScale::Log));
    out.extend(of_coefficients(fit.fixed_effects.iter().map(|effect| &effect.term[..]), inference, level));
    for icc in &fit.icc {
        out.push(on_scale(format!("icc_{}", icc.level), icc.icc, icc.std_error, level, WaldScale::LogOdds));
    }
    out
}

/// Computes intervals of standard deviations and correlations.
pub fn of_components(components: &[VarianceComponent], level: f64) -> Vec<WaldInterval> {
    let mut out = Vec::new();
    for component in components {
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
    out
}

/// Computes intervals of the coefficients with these names.
pub fn of_coefficients<'a>(
    names: impl Iterator<Item = &'a str>,
    inference: &FixedInference,
    level: f64,
) -> Vec<WaldInterval> {
    let inference = inference.clone().with_confidence(level);
    let interval = |(place, name): (usize, &str)| {
        let test = inference.coefficient(place);
        WaldInterval {
            std_error: Some(test.std_error),
            lower: Some(test.lower),
            upper: Some(test.upper),
            parameter: name.to_owned(),
            estimate: test.estimate,
        }
    };
    names.enumerate().map(interval).collect()
}

fn on_scale(parameter: String, estimate: f64, std_error: Option<f64>, level: f64, scale: WaldScale) -> WaldInterval {
    let ends = std_error.and_then(|error| wald_interval(estimate, error, level, scale));
    WaldInterval { parameter, estimate, std_error, lower: ends.map(|ends| ends.0), upper: ends.map(|ends| ends.1) }
}
