//! Records of finished models: results in short, and their files with hashes. Until the job is
//! complete, each record is a file in the hidden folder; then the manifest has them all.

use super::job_folder::{JobFolder, cannot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tiers_glmm::GlmmStatus;
use tiers_outputs::hash_file;
use tiers_report::Timing;
use tracing::error;

/// Folder of the records in the hidden folder.
const DONE: &str = "done";

/// Record of a finished model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Finished {
    /// Fingerprint of the inputs that the results depend on.
    pub fingerprint: String,
    /// Result in short.
    #[serde(flatten)]
    pub result: Outline,
    /// Its files below the folder of results.
    pub files: BTreeMap<String, FileHash>,
    /// Time and memory; written to `job.json`, since they differ between runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Took>,
}

/// Result of a model, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outline {
    /// Name of the model.
    pub name: String,
    /// Status of the fit; `None` for a model by partitions.
    pub status: Option<GlmmStatus>,
    /// Number of rows used.
    pub n_obs: u64,
    /// -2 log-likelihood (restricted likelihood for REML); `None` for a model by partitions.
    pub criterion: Option<f64>,
    /// Counts of partitions, for a model by partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<Counts>,
}

impl Outline {
    /// Logs why a model that has results makes the exit code of the job differ from 0.
    pub(super) fn log_shortfall(&self) {
        let name = &self.name;
        match self.status {
            Some(GlmmStatus::NotConverged) => {
                error!(model = name, "the search did not converge; the results are written all the same");
            }
            Some(status) if !status.has_estimates() => {
                error!(model = name, %status, "there are no estimates of all parameters; the results are written all the same");
            }
            _ => {}
        }
        if let Some(counts) = self.partitions.filter(|counts| counts.all > 0 && counts.failed == counts.all) {
            error!(model = name, partitions = counts.all, "no partition was fitted; by.parquet says why");
        }
    }
}

/// Counts of partitions by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// All of them.
    pub all: u64,
    /// Converged, possibly to a singular fit (on the boundary).
    pub fitted: u64,
    /// Stopped before an optimum.
    pub not_converged: u64,
    /// Could not be fitted.
    pub failed: u64,
}

/// Time and memory of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    /// Seconds from the moments until the files are in place.
    pub seconds: f64,
    /// Seconds by phase; `None` for a model by partitions.
    pub phases: Option<Timing>,
    /// Evaluations of the likelihood.
    pub evaluations: u64,
    /// Peak memory of the process until then.
    pub peak_memory_bytes: Option<u64>,
}

/// Size and hash of a result file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileHash {
    /// Size.
    pub bytes: u64,
    /// SHA-256, as `sha256sum` prints it.
    pub sha256: String,
}

impl Finished {
    /// Records a finished model, once its files are in place.
    pub(crate) fn record(
        folder: &JobFolder,
        fingerprint: String,
        result: Outline,
        took: Took,
    ) -> anyhow::Result<Finished> {
        let mut files = BTreeMap::new();
        list(folder, &result.name, &mut files)?;
        let finished = Finished { fingerprint, result, files, took: Some(took) };
        finished.write(folder)?;
        Ok(finished)
    }

    /// Writes the record where the next run looks for it.
    pub(crate) fn write(&self, folder: &JobFolder) -> anyhow::Result<()> {
        let done = folder.hidden(DONE);
        fs::create_dir_all(&done).map_err(|error| cannot("be made", &done, &error))?;
        let text = serde_json::to_string(self).expect("plain data");
        folder.write_text(&done.join(format!("{}.json", self.result.name)), &text)
    }

    /// Reads the record of a model in an unfinished job.
    pub(crate) fn of_unfinished(folder: &JobFolder, name: &str) -> Option<Finished> {
        let text = fs::read_to_string(folder.hidden(DONE).join(format!("{name}.json"))).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Whether the record is of the same inputs and all its files are unchanged.
    pub(crate) fn holds(&self, folder: &JobFolder, fingerprint: &str) -> bool {
        let same = |(path, hash): (&String, &FileHash)| {
            let is = hash_file(&folder.path(path));
            is.is_ok_and(|(sha256, bytes)| (bytes, &sha256) == (hash.bytes, &hash.sha256))
        };
        self.fingerprint == fingerprint && !self.files.is_empty() && self.files.iter().all(same)
    }
}

/// Lists all files of a folder of results with their hashes; paths have slashes.
fn list(folder: &JobFolder, below: &str, files: &mut BTreeMap<String, FileHash>) -> anyhow::Result<()> {
    let unreadable = |path: &Path, error: std::io::Error| cannot("be read", path, &error);
    let of_model = folder.path(below);
    for entry in fs::read_dir(&of_model).map_err(|error| unreadable(&of_model, error))? {
        let path = entry.map_err(|error| unreadable(&of_model, error))?.path();
        let name = format!("{below}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            list(folder, &name, files)?;
        } else {
            let (sha256, bytes) = hash_file(&path).map_err(|error| unreadable(&path, error))?;
            files.insert(name, FileHash { bytes, sha256 });
        }
    }
    Ok(())
}
