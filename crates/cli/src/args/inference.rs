//! Names of methods of inference, on the command line and in job files.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiers_reml::{DfMethod, Method, Sandwich};

/// Method for the degrees of freedom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Df {
    /// Satterthwaite's approximation, as in lmerTest
    #[default]
    Satterthwaite,
    /// Kenward and Roger's, with their adjusted covariance, as in pbkrtest; REML only
    KenwardRoger,
    /// None: the normal approximation
    None,
}

impl Df {
    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Df::Satterthwaite => "satterthwaite",
            Df::KenwardRoger => "kenward-roger",
            Df::None => "none",
        }
    }

    /// Returns the library's method; `None` for Kenward and Roger's with maximum likelihood.
    pub(crate) fn method(self, likelihood: Method) -> Option<DfMethod> {
        match (self, likelihood) {
            (Df::KenwardRoger, Method::Ml) => None,
            (Df::KenwardRoger, Method::Reml) => Some(DfMethod::KenwardRoger),
            (Df::Satterthwaite, _) => Some(DfMethod::Satterthwaite),
            (Df::None, _) => Some(DfMethod::None),
        }
    }
}

/// Method for the intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IntervalMethod {
    /// From standard errors
    Wald,
    /// From the profile likelihood, with each parameter held fixed in turn
    Profile,
    /// Parametric bootstrap: refits to responses drawn from the fitted model
    Bootstrap,
}

impl IntervalMethod {
    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            IntervalMethod::Wald => "wald",
            IntervalMethod::Profile => "profile",
            IntervalMethod::Bootstrap => "bootstrap",
        }
    }
}

/// Whether to measure the error of Laplace's approximation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LaplaceError {
    /// Measure and report it
    #[default]
    On,
    /// Leave it out
    Off,
}

/// Cluster-robust covariances, by the names of R's clubSandwich.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Robust {
    /// No adjustment
    #[value(name = "CR0")]
    #[serde(rename = "CR0")]
    Cr0,
    /// Times m/(m - 1), m clusters
    #[value(name = "CR1")]
    #[serde(rename = "CR1")]
    Cr1,
    /// Times m/(m - p), p coefficients
    #[value(name = "CR1p")]
    #[serde(rename = "CR1p")]
    Cr1p,
    /// Times m(n - 1)/((m - 1)(n - p)), as Stata
    #[value(name = "CR1S")]
    #[serde(rename = "CR1S")]
    Cr1s,
    /// Adjusted to be unbiased under the model, with Satterthwaite's degrees of freedom: for few clusters
    #[value(name = "CR2")]
    #[serde(rename = "CR2")]
    Cr2,
}

impl Robust {
    /// Returns the library's estimator of this name.
    pub(crate) fn sandwich(self) -> Sandwich {
        match self {
            Robust::Cr0 => Sandwich::Cr0,
            Robust::Cr1 => Sandwich::Cr1,
            Robust::Cr1p => Sandwich::Cr1p,
            Robust::Cr1s => Sandwich::Cr1s,
            Robust::Cr2 => Sandwich::Cr2,
        }
    }
}
