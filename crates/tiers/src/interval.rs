//! Confidence intervals of the parameters.

use crate::error::Error;
use crate::fit::Fit;
use tiers_reml::{
    BootstrapSettings, Curve, IntervalType, Quantity, Status, Target, WaldInterval, bootstrap, profile, wald_intervals,
};

/// How confidence intervals are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntervalMethod {
    /// By standard errors: on the log scale for standard deviations, on Fisher's z for correlations, by
    /// the degrees of freedom of the fit for coefficients.
    Wald,
    /// By the profile likelihood (of ML), each parameter held in turn.
    Profile,
    /// By quantiles of refits to responses drawn from the fitted model.
    Bootstrap(BootstrapSettings),
}

/// The confidence interval of one parameter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfidenceInterval {
    /// lme4's name of the parameter (`sd_(Intercept)|school`, `sigma`), or `icc_school`.
    pub parameter: String,
    /// The estimate; NaN for a correlation with an effect that does not vary.
    pub estimate: f64,
    /// Lower end; `None` where there is none.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
}

/// Wald intervals of all parameters.
pub(crate) fn by_wald(fit: &Fit, level: f64) -> Vec<ConfidenceInterval> {
    let end = |end: Option<f64>| end.filter(|end| end.is_finite());
    let interval = |wald: WaldInterval| {
        let WaldInterval { parameter, estimate, lower, upper, .. } = wald;
        ConfidenceInterval { parameter, estimate, lower: end(lower), upper: end(upper) }
    };
    wald_intervals(fit.estimates(), &fit.fixed().inference, level).into_iter().map(interval).collect()
}

/// Intervals by the profile likelihood of all parameters.
pub(crate) fn by_profile(fit: &Fit, level: f64) -> Result<Vec<ConfidenceInterval>, Error> {
    let objective = fit.objective()?;
    let targets = Target::all(&objective);
    let newton = fit.saved.newton();
    let found = profile(&objective, &targets, level, &newton, &|_| true)?.expect("the observer never cancels");
    let interval = |curve: &Curve| ConfidenceInterval {
        parameter: curve.name.clone(),
        estimate: curve.estimate,
        lower: curve.lower.value(),
        upper: curve.upper.value(),
    };
    Ok(found.curves.iter().map(interval).collect())
}

/// Percentile intervals of a parametric bootstrap.
pub(crate) fn by_bootstrap(
    fit: &Fit,
    settings: BootstrapSettings,
    level: f64,
) -> Result<Vec<ConfidenceInterval>, Error> {
    let least = (2.0 / (1.0 - level) - 1.0 - 1e-9).ceil().max(2.0);
    if (settings.replicates as f64) < least {
        return Err(Error::Setting(format!(
            "{} replicates: intervals of level {level} need {least} at least, and about 1000 to be of use",
            settings.replicates
        )));
    }
    if fit.status() == Status::NotConverged {
        return Err(Error::Setting(
            "the search for the estimates did not converge: there is nothing to draw from".into(),
        ));
    }
    let objective = fit.objective()?;
    let found = bootstrap(&objective, fit.optimum()?, &settings, &|_| true).expect("the observer never cancels");
    let interval = |(i, quantity): (usize, &Quantity)| {
        let ends = found.interval(i, level, IntervalType::Percentile);
        ConfidenceInterval {
            parameter: quantity.name(&objective),
            estimate: found.estimates[i],
            lower: ends.map(|ends| ends.0),
            upper: ends.map(|ends| ends.1),
        }
    };
    Ok(found.quantities.iter().enumerate().map(interval).collect())
}
