//! A fit with its data, and the time and memory that it took.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tiers_csv::CsvOptions;
use tiers_moments::ReadTimes;
use tiers_outputs::Seal;
use tiers_outputs::visible::json_of;
use tiers_reml::Fit;

/// The contents of `fit.json` and of the summary.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The fit.
    #[serde(flatten)]
    pub fit: Fit,
    /// Source of the rows.
    pub data: Data,
    /// Level of the confidence intervals.
    pub confidence_level: f64,
    /// Time by phase; not in the files of `tiers run`, which writes it to `job.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing_seconds: Option<Timing>,
    /// Peak memory of the process, where the system reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The files beside `fit.json`, and the fingerprint; empty if the report is only printed.
    #[serde(default, flatten)]
    pub seal: Seal,
}

/// Source of the rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data {
    /// Files, folders and globs, or folders of moments, as they were named.
    pub paths: Vec<PathBuf>,
    /// Number of files, or of folders of moments, that `paths` stand for.
    pub files: usize,
    /// Column of the weights.
    pub weights: Option<String>,
    /// How text files are read.
    #[serde(default, skip_serializing_if = "CsvOptions::is_default")]
    pub csv: CsvOptions,
}

/// Time in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// From the start to the moments: opening, reading, encoding and summing all rows.
    pub read: f64,
    /// From the moments to the estimates.
    pub fit: f64,
    /// In total, including the writing of results.
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
    /// From the moments to the structure of the groupings.
    pub settle: f64,
    /// The search for the optimum.
    pub search: f64,
    /// Standard errors, degrees of freedom and everything else that is reported about the optimum.
    pub inference: f64,
    /// Random effects and their variances.
    pub effects: f64,
    /// Intervals of all parameters, if they were requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<f64>,
    /// Writing of results, fitted values included.
    pub write: f64,
}

impl Phases {
    /// Records the phases of reading.
    pub fn have_read(&mut self, times: &ReadTimes) {
        self.reading = *times;
    }
}

impl Report {
    /// Returns the number of rows read, used or dropped.
    pub fn rows(&self) -> u64 {
        self.fit.n_obs + self.fit.n_dropped
    }

    /// Returns the report as JSON that ends in a line feed.
    pub fn json(&self) -> String {
        json_of(self)
    }

    /// Returns the report as JSON with a seal of the files beside it.
    pub fn sealed(&self, seal: Seal) -> String {
        let mut with_seal = Report { seal, ..self.clone() };
        with_seal.sealed_json()
    }

    /// Returns the report as JSON with the fingerprint of the files that it lists.
    pub fn sealed_json(&mut self) -> String {
        let mut seal = std::mem::take(&mut self.seal);
        seal.close(|seal| {
            self.seal = seal.clone();
            self.json()
        })
    }
}
