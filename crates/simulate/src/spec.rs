//! The specification as written in the file. [`crate::check`] validates it.
//!
//! Covariates of all kinds share one flat structure, so that the error for a key of another kind can
//! name that kind.

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A specification.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Exact number of rows; give either this or `groups`.
    pub rows: Option<u64>,
    /// Number of groups of the coarsest level; give either this or `rows`.
    pub groups: Option<u64>,
    /// Seed of the random numbers.
    #[serde(default = "one")]
    pub seed: u64,
    /// Whether the rows are in random order; if not, they are sorted by group.
    #[serde(default)]
    pub shuffle: bool,
    /// The response.
    pub response: ResponseSpec,
    /// Levels, coarsest first.
    #[serde(rename = "level")]
    pub levels: Vec<LevelSpec>,
    /// Covariates in the order of their columns.
    #[serde(rename = "covariate", default)]
    pub covariates: Vec<CovariateSpec>,
    /// Fixed effects, named as in a fit: `(Intercept)`, `x`, `factorlabel`, `a:b`.
    #[serde(default)]
    pub fixed: BTreeMap<String, f64>,
}

/// The response.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseSpec {
    /// Name of its column.
    pub name: String,
    /// Its distribution given the linear predictor.
    #[serde(default)]
    pub family: FamilySpec,
    /// Binomial: the link, logit if not given.
    pub link: Option<LinkSpec>,
    /// Gaussian: standard deviation of the residual.
    pub residual_sd: Option<f64>,
    /// Share of missing values.
    #[serde(default)]
    pub missing: f64,
}

/// Distributions of the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FamilySpec {
    /// Normal around the linear predictor.
    #[default]
    Gaussian,
    /// 0 or 1.
    Binomial,
    /// Counts whose mean is the exponential of the linear predictor.
    Poisson,
}

/// Links of binomial responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkSpec {
    /// `log(μ / (1 - μ))`.
    Logit,
    /// The normal quantile of μ.
    Probit,
    /// `log(-log(1 - μ))`.
    Cloglog,
}

/// A level of the nest.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelSpec {
    /// Name of the column with its ids.
    pub name: String,
    /// Style of the ids: `integer`, or a pattern such as `S{:06}`.
    pub id: String,
    /// Whether the ids start from 1 again within every group of the next coarser level.
    #[serde(default)]
    pub reuse_ids: bool,
    /// Number of groups of the next finer level in each group; for the finest level, number of rows.
    pub size: SizeSpec,
    /// Standard deviations of the random effects: `(Intercept)` and slopes.
    #[serde(default)]
    pub random: BTreeMap<String, f64>,
    /// Correlations of two random effects, as in `"(Intercept):x" = 0.3`; zero if not given.
    #[serde(default)]
    pub correlation: BTreeMap<String, f64>,
}

/// Number of subgroups (or rows) of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SizeSpec {
    /// The same number in every group.
    Fixed(u64),
    /// A random number from a range.
    Range {
        /// Smallest number.
        min: u64,
        /// Largest number.
        max: u64,
        /// Between −1 (most groups are large) and 1 (most groups are small); 0 is symmetric.
        skew: f64,
    },
}

/// A covariate.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CovariateSpec {
    /// Name of its column.
    pub name: String,
    /// Kind of covariate.
    pub kind: KindSpec,
    /// Level at which it is constant; it varies by row if not given. For group sizes, the level of the groups.
    pub level: Option<String>,
    /// Share of missing values.
    #[serde(default)]
    pub missing: f64,
    /// Normal: mean (default 0).
    pub mean: Option<f64>,
    /// Normal: standard deviation within the groups named in `between` (default 1).
    pub sd: Option<f64>,
    /// Normal: standard deviations between the groups of some levels.
    pub between: Option<BTreeMap<String, f64>>,
    /// Normal: coefficients of preceding covariates that are added to this one.
    pub depends_on: Option<BTreeMap<String, f64>>,
    /// Binary: probability of 1 (default 0.5).
    pub probability: Option<f64>,
    /// Categorical: its labels.
    pub labels: Option<Vec<String>>,
    /// Categorical: probabilities of the labels (default: all equal).
    pub probabilities: Option<Vec<f64>>,
    /// Categorical: level whose groups differ in the probabilities.
    pub varies_by: Option<String>,
    /// Categorical: sum of the parameters of the Dirichlet distribution; the larger, the more alike the groups.
    pub concentration: Option<f64>,
}

/// Kinds of covariates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KindSpec {
    /// Numbers from a normal distribution.
    Normal,
    /// 0 or 1.
    Binary,
    /// Strings.
    Categorical,
    /// Number of rows in the group that a row belongs to.
    GroupSize,
}

fn one() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    min: u64,
    max: u64,
    #[serde(default)]
    skew: f64,
}

impl<'de> Deserialize<'de> for SizeSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl<'de> Visitor<'de> for SizeVisitor {
    type Value = SizeSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number such as 20, or a range such as { min = 10, max = 35 }")
    }

    fn visit_u64<E: de::Error>(self, size: u64) -> Result<SizeSpec, E> {
        Ok(SizeSpec::Fixed(size))
    }

    fn visit_i64<E: de::Error>(self, size: i64) -> Result<SizeSpec, E> {
        let size = u64::try_from(size).map_err(|_| E::invalid_value(de::Unexpected::Signed(size), &self))?;
        Ok(SizeSpec::Fixed(size))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SizeSpec, A::Error> {
        let Range { min, max, skew } = Range::deserialize(MapAccessDeserializer::new(map))?;
        Ok(SizeSpec::Range { min, max, skew })
    }
}
