//! Distributions of the response and links: the log-likelihood of a row and its derivatives.
//!
//! A row contributes `l(η)`, without terms that do not depend on η:
//!
//! ```text
//! binomial   k log μ + (m - k) log(1 - μ)      k successes of m trials
//! Poisson    k η - m exp(η)                     k = weight · count, m = weight
//! ```
//!
//! With `s = l'`, the observed information `w = -l''`, and its derivatives `w'` and `w''`. All are sums of a
//! function for "success" and one for "failure", except for Poisson.

mod cloglog;
mod elementary;
mod logit;
mod poisson;
mod probit;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tiers_design::nearest;
use tiers_moments::vectorised;

use elementary::exp;

/// Distribution of the response given its mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Family {
    /// Successes out of trials; a single trial is a Bernoulli response.
    Binomial,
    /// Counts.
    Poisson,
}

/// The function g with `g(μ) = η`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Link {
    /// `log(μ / (1 - μ))`; canonical for the binomial family.
    Logit,
    /// The normal quantile of μ.
    Probit,
    /// `log(-log(1 - μ))`.
    Cloglog,
    /// `log μ`; canonical for the Poisson family.
    Log,
}

/// An unknown or unusable family or link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FamilyError {
    /// No such family.
    #[error("there is no family {given:?}: the families are binomial and poisson{}", hint(nearest))]
    Family {
        /// The text given.
        given: String,
        /// The family with the nearest name.
        nearest: Option<String>,
    },
    /// No such link.
    #[error("there is no link {given:?}: the links are logit, probit, cloglog and log{}", hint(nearest))]
    Link {
        /// The text given.
        given: String,
        /// The link with the nearest name.
        nearest: Option<String>,
    },
    /// The family does not have the link.
    #[error("the {family} family has no {link} link: use {}", choices(*family))]
    Pair {
        /// The family.
        family: Family,
        /// The link.
        link: Link,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

fn choices(family: Family) -> String {
    let names: Vec<String> = family.links().iter().map(Link::to_string).collect();
    names.join(" or ")
}

impl Family {
    /// The families.
    pub const ALL: [Family; 2] = [Family::Binomial, Family::Poisson];

    /// The links of the family, the canonical one first.
    pub fn links(self) -> &'static [Link] {
        match self {
            Family::Binomial => &[Link::Logit, Link::Probit, Link::Cloglog],
            Family::Poisson => &[Link::Log],
        }
    }

    /// Name in output.
    pub fn name(self) -> &'static str {
        match self {
            Family::Binomial => "binomial",
            Family::Poisson => "poisson",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Family {
    type Err = FamilyError;

    fn from_str(given: &str) -> Result<Family, FamilyError> {
        let names = Family::ALL.map(|family| family.name().to_owned());
        let found = Family::ALL.into_iter().find(|family| family.name() == given);
        found.ok_or_else(|| FamilyError::Family { given: given.to_owned(), nearest: nearest(given, &names) })
    }
}

impl Link {
    /// The links.
    pub const ALL: [Link; 4] = [Link::Logit, Link::Probit, Link::Cloglog, Link::Log];

    /// Name in output.
    pub fn name(self) -> &'static str {
        match self {
            Link::Logit => "logit",
            Link::Probit => "probit",
            Link::Cloglog => "cloglog",
            Link::Log => "log",
        }
    }

    /// The mean at a linear predictor.
    pub fn mean(self, eta: f64) -> f64 {
        match self {
            Link::Logit => logit::mean(eta),
            Link::Probit => probit::mean(eta),
            Link::Cloglog => cloglog::mean(eta),
            Link::Log => exp(eta),
        }
    }

    /// The derivative of the mean by the linear predictor.
    pub fn mean_derivative(self, eta: f64) -> f64 {
        match self {
            Link::Logit => logit::mean(eta) * logit::mean(-eta),
            Link::Probit => probit::density(eta),
            Link::Cloglog => exp(eta - exp(eta)),
            Link::Log => exp(eta),
        }
    }

    /// The linear predictor of a mean.
    pub fn predictor(self, mean: f64) -> f64 {
        match self {
            Link::Logit => (mean / (1.0 - mean)).ln(),
            Link::Probit => probit::quantile(mean),
            Link::Cloglog => (-(-mean).ln_1p()).ln(),
            Link::Log => mean.ln(),
        }
    }

    /// Variance of the latent residual; `None` where there is none.
    pub fn latent_variance(self) -> Option<f64> {
        match self {
            Link::Logit => Some(std::f64::consts::PI.powi(2) / 3.0),
            Link::Probit => Some(1.0),
            Link::Cloglog => Some(std::f64::consts::PI.powi(2) / 6.0),
            Link::Log => None,
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Link {
    type Err = FamilyError;

    fn from_str(given: &str) -> Result<Link, FamilyError> {
        let names = Link::ALL.map(|link| link.name().to_owned());
        let found = Link::ALL.into_iter().find(|link| link.name() == given);
        found.ok_or_else(|| FamilyError::Link { given: given.to_owned(), nearest: nearest(given, &names) })
    }
}

/// A family with one of its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    family: Family,
    link: Link,
}

/// Derivatives of each row's log-likelihood, in slices of equal length.
#[derive(Debug)]
pub struct RowDerivatives<'a> {
    /// l, without constants.
    pub l: &'a mut [f64],
    /// l'.
    pub s: &'a mut [f64],
    /// w = -l''.
    pub w: &'a mut [f64],
    /// w'.
    pub w1: &'a mut [f64],
    /// w''.
    pub w2: &'a mut [f64],
}

/// Five numbers of a row: l, l', w, w', w''.
type Row = [f64; 5];

impl Distribution {
    /// A family with a link, by default the canonical one.
    ///
    /// # Errors
    /// If the family does not have the link.
    pub fn new(family: Family, link: Option<Link>) -> Result<Distribution, FamilyError> {
        let link = link.unwrap_or(family.links()[0]);
        match family.links().contains(&link) {
            true => Ok(Distribution { family, link }),
            false => Err(FamilyError::Pair { family, link }),
        }
    }

    /// The family.
    pub fn family(self) -> Family {
        self.family
    }

    /// The link.
    pub fn link(self) -> Link {
        self.link
    }

    /// Computes l and its derivatives on rows with successes (or weighted counts) k, trials (or weights) m and
    /// linear predictor η.
    pub fn rows(self, k: &[f64], m: &[f64], eta: &[f64], out: &mut RowDerivatives<'_>) {
        vectorised(
            #[inline(always)]
            || match self.link {
                Link::Logit => in_chunks(k, m, eta, out, logit::row),
                Link::Log => in_chunks(k, m, eta, out, poisson::row),
                Link::Probit => each(k, m, eta, out, probit::row),
                Link::Cloglog => each(k, m, eta, out, cloglog::row),
            },
        );
    }

    /// Computes the means at linear predictors.
    pub fn means(self, eta: &[f64], out: &mut [f64]) {
        vectorised(
            #[inline(always)]
            || {
                let pairs = eta.iter().zip(out.iter_mut());
                match self.link {
                    Link::Logit => pairs.for_each(|(&eta, mean)| *mean = logit::mean(eta)),
                    Link::Log => pairs.for_each(|(&eta, mean)| *mean = exp(eta)),
                    link => pairs.for_each(|(&eta, mean)| *mean = link.mean(eta)),
                }
            },
        );
    }

    /// The same for one row.
    pub fn row(self, k: f64, m: f64, eta: f64) -> [f64; 5] {
        match self.link {
            Link::Logit => logit::row(k, m, eta),
            Link::Log => poisson::row(k, m, eta),
            Link::Probit => probit::row(k, m, eta),
            Link::Cloglog => cloglog::row(k, m, eta),
        }
    }

    /// The part of a row's log-likelihood that does not depend on η: the binomial coefficient, or
    /// `-weight log(count!)`. `trials` says whether m counts trials; otherwise it is a prior weight, and the
    /// constant of a binomial row is 0.
    pub fn constant(self, k: f64, m: f64, trials: bool) -> f64 {
        match self.family {
            Family::Binomial if !trials || m == 1.0 => 0.0,
            Family::Binomial => libm::lgamma(m + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(m - k + 1.0),
            Family::Poisson => -m * libm::lgamma(k / m + 1.0),
        }
    }
}

/// Rows that are evaluated together.
const CHUNK: usize = 32;

/// Calls a row's function on every row, chunk by chunk in arrays that do not overlap, so that it is compiled to vector
/// instructions. The function must be free of branches and calls.
#[inline(always)]
fn in_chunks(k: &[f64], m: &[f64], eta: &[f64], out: &mut RowDerivatives<'_>, row: impl Fn(f64, f64, f64) -> Row) {
    let whole = eta.len() / CHUNK * CHUNK;
    for start in (0..whole).step_by(CHUNK) {
        let chunk = |values: &[f64]| -> [f64; CHUNK] { values[start..start + CHUNK].try_into().expect("a chunk") };
        let found = of_chunk(&[chunk(k), chunk(m), chunk(eta)], &row);
        let outs = [&mut *out.l, &mut *out.s, &mut *out.w, &mut *out.w1, &mut *out.w2];
        for (out, found) in outs.into_iter().zip(&found) {
            let out: &mut [f64; CHUNK] = (&mut out[start..start + CHUNK]).try_into().expect("a chunk");
            *out = *found;
        }
    }
    let rest = eta.len() - whole;
    let mut given = [[0.0; CHUNK]; 3];
    for (given, values) in given.iter_mut().zip([k, m, eta]) {
        given[..rest].copy_from_slice(&values[whole..]);
    }
    let found = of_chunk(&given, &row);
    let outs = [&mut *out.l, &mut *out.s, &mut *out.w, &mut *out.w1, &mut *out.w2];
    for (out, found) in outs.into_iter().zip(&found) {
        out[whole..].copy_from_slice(&found[..rest]);
    }
}

#[inline(always)]
fn of_chunk(given: &[[f64; CHUNK]; 3], row: impl Fn(f64, f64, f64) -> Row) -> [[f64; CHUNK]; 5] {
    let mut found = [[0.0; CHUNK]; 5];
    for i in 0..CHUNK {
        let row = row(given[0][i], given[1][i], given[2][i]);
        for (found, value) in found.iter_mut().zip(row) {
            found[i] = value;
        }
    }
    found
}

/// Calls a row's function on every row.
#[inline(always)]
fn each(k: &[f64], m: &[f64], eta: &[f64], out: &mut RowDerivatives<'_>, row: impl Fn(f64, f64, f64) -> Row) {
    for i in 0..eta.len() {
        [out.l[i], out.s[i], out.w[i], out.w1[i], out.w2[i]] = row(k[i], m[i], eta[i]);
    }
}

#[cfg(test)]
mod tests;
