//! Inputs of a job (files with size and time, settings, models), to detect changes between runs.

use super::file::ModelKeys;
use super::job::Job;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;
use tiers_outputs::hash;
use tiers_tables::{CsvOptions, Source};

/// Format version of the files that are kept between runs; other versions are not read.
const FORMAT: u32 = 2;

/// Inputs of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobInputs {
    format: u32,
    /// Version of the program.
    tiers: String,
    files: Vec<FileMark>,
    reference: BTreeMap<String, String>,
    levels: BTreeMap<String, Vec<String>>,
    /// How text files are read.
    #[serde(default, skip_serializing_if = "CsvOptions::is_default")]
    csv: CsvOptions,
    models: Vec<ModelKeys>,
}

/// A data file with its size and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileMark {
    path: PathBuf,
    bytes: u64,
    /// Time of the last change, in seconds and nanoseconds since 1970. It is compared for equality only,
    /// so wrong clocks do not matter.
    modified: Option<(u64, u32)>,
}

impl JobInputs {
    /// Returns the inputs of a job.
    pub(crate) fn of(job: &Job, source: &Source) -> JobInputs {
        let mark = |file: &tiers_tables::DataFile| {
            let since = file.modified().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let modified = since.map(|since| (since.as_secs(), since.subsec_nanos()));
            FileMark { path: file.path.clone(), bytes: file.bytes, modified }
        };
        JobInputs {
            format: FORMAT,
            tiers: env!("CARGO_PKG_VERSION").to_owned(),
            files: source.files().iter().map(mark).collect(),
            reference: job.data().reference.clone(),
            levels: job.data().levels.clone(),
            csv: job.csv.clone(),
            models: job.models.iter().map(|model| model.keys.clone()).collect(),
        }
    }

    /// Returns the inputs as JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("plain data")
    }

    /// Returns the fingerprint of all inputs that a model's results depend on.
    pub(crate) fn fingerprint_of(&self, model: &ModelKeys) -> String {
        hash(&JobInputs { models: vec![model.clone()], ..self.clone() }.json())
    }

    /// Returns the fingerprint of all inputs that the sums of these models depend on, which includes
    /// their formulas but not how they are fitted.
    pub(crate) fn fingerprint_of_read(&self, names: &[String]) -> String {
        let models = names.iter().filter_map(|name| self.models.iter().find(|model| model.name == *name));
        let models: Vec<_> = models.map(|model| (&model.formula, &model.weights, &model.by)).collect();
        let models = serde_json::to_string(&(names, models)).expect("plain data");
        hash(&(JobInputs { models: Vec::new(), ..self.clone() }.json() + &models))
    }

    /// Describes the first difference to the inputs now; `None` if there is none.
    pub(crate) fn difference(&self, now: &JobInputs) -> Option<String> {
        if (self.format, &self.tiers) != (now.format, &now.tiers) {
            return Some(format!("it was begun by tiers {}, and this is tiers {}", self.tiers, now.tiers));
        }
        if let Some(difference) = self.difference_of_files(now) {
            return Some(difference);
        }
        if self.reference != now.reference {
            return Some("data.reference has changed".to_owned());
        }
        if self.levels != now.levels {
            return Some("data.levels has changed".to_owned());
        }
        if self.csv != now.csv {
            return Some(
                "how text files are read (sep, decimal, encoding, na or types of data) has changed".to_owned(),
            );
        }
        let names = |origin: &JobInputs| origin.models.iter().map(|model| model.name.clone()).collect::<Vec<_>>();
        if let Some(new) = names(now).iter().find(|name| !names(self).contains(name)) {
            return Some(format!("the model `{new}` is new"));
        }
        if let Some(gone) = names(self).iter().find(|name| !names(now).contains(name)) {
            return Some(format!("the model `{gone}` is no longer there"));
        }
        let same = |old: &&ModelKeys| now.models.iter().find(|new| new.name == old.name);
        let changed = self.models.iter().find_map(|old| Some((old, same(&old)?)).filter(|(old, new)| old != new));
        changed.map(|(old, new)| {
            let keys = |model: &ModelKeys| serde_json::to_value(model).expect("plain data");
            let (was, is) = (keys(old), keys(new));
            let key = is.as_object().into_iter().flatten().find(|(key, value)| was[*key] != **value);
            let (key, value) = key.expect("they are not the same");
            format!("`{key}` of model `{}` was {} and is now {value}", old.name, was[key])
        })
    }

    fn difference_of_files(&self, now: &JobInputs) -> Option<String> {
        for old in &self.files {
            let path = old.path.display();
            match now.files.iter().find(|new| new.path == old.path) {
                None => return Some(format!("the file {path} is no longer there")),
                Some(new) if new.bytes != old.bytes => {
                    return Some(format!("the file {path} had {} bytes and now has {}", old.bytes, new.bytes));
                }
                Some(new) if new != old => return Some(format!("the file {path} was written to since")),
                Some(_) => {}
            }
        }
        let new = now.files.iter().find(|new| !self.files.iter().any(|old| old.path == new.path));
        new.map(|new| format!("the file {} is new", new.path.display()))
    }
}
