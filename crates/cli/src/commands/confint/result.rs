//! Computed intervals, and their JSON.

use super::request::IntervalRequest;
use serde::Serialize;
use tiers_glmm::{GlmmFit, GlmmStatus};
use tiers_reml::{Bootstrap, DfMethod, Fit, Method, Profile, Status};

/// The interval of one parameter.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Interval {
    /// lme4's name, or `icc_LEVEL`.
    pub(super) parameter: String,
    /// `None` for a correlation with an effect that does not vary.
    pub(super) estimate: Option<f64>,
    /// From the information matrix, or the standard deviation of the replicates.
    pub(super) std_error: Option<f64>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    /// Whether the lower end is the bound of the parameter's range.
    pub(super) lower_at_bound: bool,
    /// Whether the upper end is the bound of the parameter's range.
    pub(super) upper_at_bound: bool,
    /// Mean of the replicates less the estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bias: Option<f64>,
}

impl Interval {
    /// Creates an interval without ends, which are to be filled in.
    pub(super) fn of(parameter: String, estimate: f64) -> Self {
        Interval {
            parameter,
            estimate: estimate.is_finite().then_some(estimate),
            std_error: None,
            lower: None,
            upper: None,
            lower_at_bound: false,
            upper_at_bound: false,
            bias: None,
        }
    }
}

/// What the intervals belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfFit<'a> {
    formula: &'a str,
    pub(super) method: Method,
    pub(super) df: DfMethod,
    pub(super) on_boundary: bool,
}

impl<'a> OfFit<'a> {
    /// Describes a linear fit.
    pub(crate) fn linear(fit: &'a Fit) -> OfFit<'a> {
        let on_boundary = fit.status == Status::Boundary;
        OfFit { formula: &fit.formula, method: fit.method, df: fit.df_method, on_boundary }
    }

    /// Describes a generalised fit.
    pub(super) fn generalised(fit: &'a GlmmFit) -> OfFit<'a> {
        let on_boundary = fit.status == GlmmStatus::Boundary;
        OfFit { formula: &fit.formula, method: Method::Ml, df: DfMethod::None, on_boundary }
    }
}

/// Computed intervals.
pub(crate) struct IntervalResult {
    pub(super) intervals: Vec<Interval>,
    pub(super) bootstrap: Option<Counts>,
    /// A deviance below that of the estimates, if a profile found one.
    pub(super) lower_deviance: Option<f64>,
    pub(super) details: Details,
}

/// Results that are written besides the intervals.
pub(super) enum Details {
    Nothing,
    Profile(Profile, Vec<String>),
    Replicates(Bootstrap),
}

/// Counts of bootstrap replicates.
#[derive(Debug, Serialize)]
pub(super) struct Counts {
    pub(super) replicates: u64,
    pub(super) seed: u64,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Replicates with a singular fit (on the boundary).
    pub(super) singular: usize,
    /// Replicates that did not converge, which are left out.
    pub(super) failed: usize,
}

/// Output of `--json` and contents of `confint.json`.
#[derive(Serialize)]
struct Report<'a> {
    tiers: &'static str,
    formula: &'a str,
    fit_method: Method,
    /// `wald`, `profile` or `bootstrap`.
    method: &'static str,
    level: f64,
    bootstrap: Option<&'a Counts>,
    /// A deviance below that of the estimates, if a profile found one.
    lower_deviance: Option<f64>,
    intervals: &'a [Interval],
}

impl IntervalResult {
    /// Returns the output of `--json`, which is also the contents of `confint.json`.
    pub(super) fn json(&self, request: &IntervalRequest, fit: OfFit<'_>) -> String {
        tiers_report::json(&Report {
            tiers: env!("CARGO_PKG_VERSION"),
            formula: fit.formula,
            fit_method: fit.method,
            method: request.method.name(),
            level: request.level,
            bootstrap: self.bootstrap.as_ref(),
            lower_deviance: self.lower_deviance,
            intervals: &self.intervals,
        })
    }
}
