//! What a specification may say, as it is written. What it says is checked in [`crate::check`].
//!
//! Covariates of all kinds share one flat structure, so that a key that does not belong to a kind
//! can be told with the kind that it does belong to.

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// A specification.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Exact number of rows; either this or `groups`.
    pub rows: Option<u64>,
    /// Number of groups of the coarsest level; either this or `rows`.
    pub groups: Option<u64>,
    /// Seed of the random numbers.
    #[serde(default = "one")]
    pub seed: u64,
    /// Whether the rows come in random order; sorted by group if not.
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
    /// Fixed effects by the names that a fit gives them: `(Intercept)`, `x`, `factorlabel`, `a:b`.
    #[serde(default)]
    pub fixed: BTreeMap<String, f64>,
}

/// The response.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseSpec {
    /// Name of its column.
    pub name: String,
    /// Standard deviation of the residual.
    pub residual_sd: f64,
    /// Share of missing values.
    #[serde(default)]
    pub missing: f64,
}

/// A level of the nest.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelSpec {
    /// Name of its column of ids.
    pub name: String,
    /// `integer`, or a pattern such as `S{:06}`.
    pub id: String,
    /// Whether ids begin anew within every group of the next coarser level.
    #[serde(default)]
    pub reuse_ids: bool,
    /// How many groups of the next finer level a group has; rows, for the finest level.
    pub size: SizeSpec,
    /// Standard deviations of the random effects: of `(Intercept)` and of slopes.
    #[serde(default)]
    pub random: BTreeMap<String, f64>,
    /// Correlations of two random effects, as in `"(Intercept):x" = 0.3`; zero if not given.
    #[serde(default)]
    pub correlation: BTreeMap<String, f64>,
}

/// How many parts a group has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SizeSpec {
    /// So many in every group.
    Fixed(u64),
    /// From a range.
    Range {
        /// Fewest.
        min: u64,
        /// Most.
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
    /// What kind it is of.
    pub kind: KindSpec,
    /// Level at which it is constant; by row if not given. Of which level the size, for group sizes.
    pub level: Option<String>,
    /// Share of missing values.
    #[serde(default)]
    pub missing: f64,
    /// Normal: mean (default 0).
    pub mean: Option<f64>,
    /// Normal: standard deviation within the groups that `between` names (default 1).
    pub sd: Option<f64>,
    /// Normal: standard deviations of differences between the groups of some levels.
    pub between: Option<BTreeMap<String, f64>>,
    /// Normal: coefficients of covariates before this one, which are added to it.
    pub depends_on: Option<BTreeMap<String, f64>>,
    /// Binary: probability of 1 (default 0.5).
    pub probability: Option<f64>,
    /// Categorical: its labels.
    pub labels: Option<Vec<String>>,
    /// Categorical: their probabilities (default: all the same).
    pub probabilities: Option<Vec<f64>>,
    /// Categorical: level whose groups differ in their probabilities.
    pub varies_by: Option<String>,
    /// Categorical: how alike these groups are, the sum of the Dirichlet distribution's parameters.
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
