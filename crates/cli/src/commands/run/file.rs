//! The keys of the job file, with their types and defaults. The schema in `docs/job.schema.json` is
//! generated from these types, so users read these comments there.

use crate::args::{Df, IntervalMethod, Robust};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A job of `tiers run`: models, the data they are fitted to, and the folder for their results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobFile {
    /// What is read.
    pub data: DataKeys,
    /// Where results go.
    pub output: OutputKeys,
    /// How the job is run.
    #[serde(default)]
    pub run: RunKeys,
    /// The models, each with a name of its own.
    pub models: Vec<ModelKeys>,
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataKeys {
    /// Files, folders and globs of one table: parquet, csv or arrow; relative to the folder of the job
    /// file. Folders named `year=2019` become a column.
    pub paths: Vec<PathBuf>,
    /// Reference level by factor; by default the first level in order.
    #[serde(default)]
    pub reference: BTreeMap<String, String>,
    /// Levels by factor, in order, the first being the reference; by default those of the table.
    #[serde(default)]
    pub levels: BTreeMap<String, Vec<String>>,
    /// What columns must hold. A column of another kind, or none of that name, is an error before
    /// any row is read. In text files the type decides how the values are read: as `text` ids keep
    /// their leading zeros.
    #[serde(default)]
    pub types: BTreeMap<String, TypeKey>,
    /// Separator of the fields of text files: a character, or `tab`; by default what the extension says,
    /// or what is found where that gives a single column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sep: Option<String>,
    /// Decimal mark of the numbers in text files; by default the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<DecimalKey>,
    /// Encoding of text files, such as `utf-8`, `utf-16` or `latin-1`; by default that of the byte order
    /// mark, else UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Texts that stand for missing values in text files, besides nothing, `NA` and `NaN`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub na: Vec<String>,
}

/// Decimal mark of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum DecimalKey {
    /// `1.5`
    #[serde(rename = ".")]
    Point,
    /// `1,5`
    #[serde(rename = ",")]
    Comma,
}

/// What a column must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TypeKey {
    /// Numbers, integers among them.
    Number,
    /// Integers.
    Integer,
    /// Strings or categoricals.
    Text,
    /// True or false.
    Boolean,
}

/// Where results go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutputKeys {
    /// Folder that gets a folder per model; relative to the folder of the job file. Made if need be.
    pub folder: PathBuf,
}

/// How the job is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunKeys {
    /// Threads; by default all cores. Results do not depend on it.
    #[schemars(range(min = 1))]
    pub threads: Option<usize>,
    /// Limit on memory: bytes, a size such as `2GB`, or a percentage of the available memory.
    pub memory_limit: String,
    /// What to do when a model cannot be fitted.
    pub on_error: OnError,
    /// Seconds between checkpoints while rows are read; 0 for one at every opportunity.
    #[schemars(range(min = 0.0))]
    pub checkpoint_seconds: f64,
}

impl Default for RunKeys {
    fn default() -> Self {
        let memory_limit = "80%".to_owned();
        RunKeys { threads: None, memory_limit, on_error: OnError::Stop, checkpoint_seconds: 60.0 }
    }
}

/// What to do when a model, or with `by` a partition, cannot be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    /// Stop; finished models are kept, and the next run resumes from there.
    Stop,
    /// Report the error and continue with the next one.
    Continue,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelKeys {
    /// Name of the model and of its folder of results.
    pub name: String,
    /// Model formula in lme4's syntax, as in `y ~ x + (1 + x | school/class)`.
    pub formula: String,
    /// Family of a generalised model: `binomial` or `poisson`; by default the model is linear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Link of the family: `logit`, `probit` or `cloglog` for binomial, `log` for poisson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Nodes of adaptive Gauss-Hermite quadrature for each random effect; by default 1, Laplace's
    /// approximation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 101))]
    pub agq: Option<usize>,
    /// Whether to measure the error of Laplace's approximation; by default it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub laplace_error: Option<bool>,
    /// Whether to report odds, rate or hazard ratios too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponentiate: Option<bool>,
    /// Which likelihood is maximised.
    #[serde(default)]
    pub method: MethodKey,
    /// Degrees of freedom of the tests of fixed effects.
    #[serde(default)]
    pub df: Df,
    /// Confidence level of the intervals, between 0 and 1.
    #[serde(default = "ninety_five")]
    pub conf_level: f64,
    /// Column of prior weights: a row of weight w has residual variance sigma² / w.
    #[serde(default)]
    pub weights: Option<String>,
    /// Cluster-robust standard errors of the fixed effects, from a second pass.
    #[serde(default)]
    pub robust: Option<Robust>,
    /// Level whose groups are the clusters of `robust`: the top level, which is the default.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Intervals of all parameters at the level `conf_level`, in `confint.json`.
    #[serde(default)]
    pub intervals: Option<IntervalMethod>,
    /// Replicates of intervals by the bootstrap; by default 1000.
    #[serde(default)]
    #[schemars(range(min = 2))]
    pub replicates: Option<u64>,
    /// Seed of the random numbers of the bootstrap; by default 1.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Whether to write fitted values and residuals by row too, from a second pass.
    #[serde(default)]
    pub fitted: bool,
    /// Whether to also write `report.html`: the results with figures, as one self-contained page.
    #[serde(default)]
    pub report: bool,
    /// Columns whose combinations of values cut the rows into partitions: the model is fitted in each,
    /// and the results are one table, `by.parquet`.
    #[serde(default)]
    pub by: Vec<String>,
    /// Limit on evaluations of the likelihood before the optimiser gives up.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub max_evaluations: usize,
}

/// Which likelihood is maximised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum MethodKey {
    /// The restricted one.
    #[default]
    #[serde(rename = "REML", alias = "reml")]
    Reml,
    /// The full one.
    #[serde(rename = "ML", alias = "ml")]
    Ml,
}

fn ninety_five() -> f64 {
    0.95
}

fn hundred() -> usize {
    100
}

/// Returns the JSON Schema of a job file.
pub(crate) fn schema() -> String {
    let schema = schemars::schema_for!(JobFile);
    serde_json::to_string_pretty(&schema).expect("a schema is plain data") + "\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_in_the_docs_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/job.schema.json");
        let docs = std::fs::read_to_string(path).expect("docs/job.schema.json");
        assert!(docs == super::schema(), "update it: tiers run --schema > docs/job.schema.json");
    }
}
