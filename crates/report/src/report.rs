//! A fit with what belongs to the run: the data it was made from, the time and memory it took.

use crate::saved::Seal;
use crate::visible;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::PathBuf;
use tiers_csv::CsvOptions;
use tiers_moments::ReadTimes;
use tiers_reml::Fit;

/// What is written as `fit.json` and laid out as the summary.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The fit.
    #[serde(flatten)]
    pub fit: Fit,
    /// Where the rows came from.
    pub data: Data,
    /// Level of the confidence intervals.
    pub confidence_level: f64,
    /// Where the time went; not in the files of `tiers run`, which tells it in `job.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing_seconds: Option<Timing>,
    /// Most memory that the process held, where the system tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The files beside `fit.json`, and the fingerprint; none in what is only printed.
    #[serde(default, flatten)]
    pub seal: Seal,
}

/// Where the rows came from.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// Files, folders and globs, or folders of moments, as they were named.
    pub paths: Vec<PathBuf>,
    /// Number of files, or of folders of moments, that these are.
    pub files: usize,
    /// Column of the weights.
    pub weights: Option<String>,
    /// How text files are read.
    #[serde(default, skip_serializing_if = "CsvOptions::is_default")]
    pub csv: CsvOptions,
}

/// Seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// From the start to the moments: opening, reading, encoding and summing all rows.
    pub read: f64,
    /// From the moments to the estimates.
    pub fit: f64,
    /// All, the writing of results included.
    pub total: f64,
    /// The same in more detail.
    #[serde(flatten)]
    pub phases: Phases,
}

/// Seconds by phase.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Phases {
    /// Reading.
    #[serde(flatten)]
    pub reading: ReadTimes,
    /// From sums to the nest and its trees.
    pub settle: f64,
    /// The search for the optimum.
    pub search: f64,
    /// Standard errors, degrees of freedom, and all that is reported of the optimum.
    pub inference: f64,
    /// Random effects and their variances.
    pub effects: f64,
    /// Intervals of all parameters, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<f64>,
    /// Writing of results, fitted values included.
    pub write: f64,
}

impl Phases {
    /// Notes the phases of reading.
    pub fn have_read(&mut self, times: &ReadTimes) {
        self.reading = *times;
    }
}

impl Report {
    /// Rows read: those used and those dropped.
    pub fn rows(&self) -> u64 {
        self.fit.n_obs + self.fit.n_dropped
    }

    /// As JSON, ending in a line feed.
    pub fn json(&self) -> String {
        json(self)
    }

    /// As JSON with the fingerprint of the files that it lists.
    pub fn sealed_json(&mut self) -> String {
        let mut seal = std::mem::take(&mut self.seal);
        seal.close(|seal| {
            self.seal = seal.clone();
            self.json()
        })
    }
}

/// Plain data as JSON, ending in a line feed; control characters in its texts are escaped.
pub fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain data without keys that are not strings");
    text.push('\n');
    match visible::json(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(shown) => shown,
    }
}
