//! Names of methods of inference, on the command line and in job files.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Method for the degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Df {
    /// Satterthwaite's approximation, as in lmerTest
    Satterthwaite,
    /// Kenward and Roger's, with their adjusted covariance, as in pbkrtest; REML only
    KenwardRoger,
    /// None: the normal approximation
    None,
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
