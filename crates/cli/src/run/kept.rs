//! Models that are done: what they came to, and their files with hashes. Until the job is complete
//! each has a file in the hidden folder; then the manifest has them all.

use super::store::{Store, cannot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tiers_reml::Status;
use tiers_report::Timing;
use tiers_report::saved::hash_file;

/// Folder of these files in the hidden one.
const DONE: &str = "done";

/// A model that is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Of what the results depend on.
    pub fingerprint: String,
    /// What it came to.
    #[serde(flatten)]
    pub result: Outline,
    /// Its files below the folder of results.
    pub files: BTreeMap<String, FileHash>,
    /// What it took; told in `job.json`, since it differs from run to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Took>,
}

/// What a model came to, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outline {
    /// Name of the model.
    pub name: String,
    /// How the search ended; none where there are partitions.
    pub status: Option<Status>,
    /// Rows used.
    pub n_obs: u64,
    /// -2 log-likelihood (of the residuals' likelihood, for REML); none where there are partitions.
    pub criterion: Option<f64>,
    /// Where there are partitions, how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<Counts>,
}

/// Partitions by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// All of them.
    pub all: u64,
    /// At an optimum, be it on the boundary.
    pub fitted: u64,
    /// Stopped before an optimum.
    pub not_converged: u64,
    /// Could not be fitted.
    pub failed: u64,
}

/// What a model took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    /// Seconds from its moments to its files in their place.
    pub seconds: f64,
    /// The same by phase; none where there are partitions.
    pub phases: Option<Timing>,
    /// Evaluations of the likelihood.
    pub evaluations: u64,
    /// Most memory that the process had held until then.
    pub peak_memory_bytes: Option<u64>,
}

/// By what a file is known again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileHash {
    /// Its size.
    pub bytes: u64,
    /// As `sha256sum` prints it.
    pub sha256: String,
}

impl Kept {
    /// Notes what a model came to, once its files are in their place.
    pub(crate) fn note(store: &Store, fingerprint: String, result: Outline, took: Took) -> anyhow::Result<Kept> {
        let mut files = BTreeMap::new();
        list(store, &result.name, &mut files)?;
        let kept = Kept { fingerprint, result, files, took: Some(took) };
        kept.keep(store)?;
        Ok(kept)
    }

    /// Writes it where the next run looks for it.
    pub(crate) fn keep(&self, store: &Store) -> anyhow::Result<()> {
        let folder = store.hidden(DONE);
        fs::create_dir_all(&folder).map_err(|error| cannot("be made", &folder, &error))?;
        let text = serde_json::to_string(self).expect("plain data");
        store.write_text(&folder.join(format!("{}.json", self.result.name)), &text)
    }

    /// What was noted of a model by an unfinished job.
    pub(crate) fn of_unfinished(store: &Store, name: &str) -> Option<Kept> {
        let text = fs::read_to_string(store.hidden(DONE).join(format!("{name}.json"))).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Whether it is of the same inputs and all its files are still what they were.
    pub(crate) fn holds(&self, store: &Store, fingerprint: &str) -> bool {
        let same = |(path, hash): (&String, &FileHash)| {
            let is = hash_file(&store.path(path));
            is.is_ok_and(|(sha256, bytes)| (bytes, &sha256) == (hash.bytes, &hash.sha256))
        };
        self.fingerprint == fingerprint && !self.files.is_empty() && self.files.iter().all(same)
    }
}

/// All files of a folder of results, with slashes in their paths.
fn list(store: &Store, below: &str, files: &mut BTreeMap<String, FileHash>) -> anyhow::Result<()> {
    let told = |path: &Path, error: std::io::Error| cannot("be read", path, &error);
    let folder = store.path(below);
    for entry in fs::read_dir(&folder).map_err(|error| told(&folder, error))? {
        let path = entry.map_err(|error| told(&folder, error))?.path();
        let name = format!("{below}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            list(store, &name, files)?;
        } else {
            let (sha256, bytes) = hash_file(&path).map_err(|error| told(&path, error))?;
            files.insert(name, FileHash { bytes, sha256 });
        }
    }
    Ok(())
}
