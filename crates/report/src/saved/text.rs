//! Parses `fit.json` and `model.json`, and checks that they are unchanged, belong together and describe
//! a possible fit. This module works on text and does not access the file system.

use super::check;
use super::model::SavedModel;
use crate::error::ReportError;
use crate::report::Report;
use serde::de::DeserializeOwned;
use tiers_design::Recipe;

/// Name of the fit in its folder.
pub const FIT: &str = "fit.json";
/// Name of the file with inference and definition of the model.
pub const MODEL: &str = "model.json";

/// Contents of the two files.
#[derive(Debug)]
pub struct Texts {
    /// `fit.json`.
    pub report: Report,
    /// `model.json`.
    pub model: SavedModel,
    /// Recipe of the columns, from the saved definition.
    pub recipe: Recipe,
    /// Whether there is no fingerprint, as in files by tiers 0.1.0, so that damage may go undetected.
    pub unsealed: bool,
}

impl Texts {
    /// Parses and checks both files; `name` is that of the folder.
    pub fn read(name: &str, fit: &str, model: &str) -> Result<Texts, ReportError> {
        let report: Report = parse(name, FIT, fit)?;
        let saved: SavedModel = parse(name, MODEL, model)?;
        saved.check_version(name)?;
        let unsealed = report.seal.fingerprint.is_none() && saved.is_before_seals();
        if !unsealed && !report.seal.is_intact(fit) {
            return Err(ReportError(format!(
                "{name}: {FIT} was changed since tiers wrote it: its fingerprint is not that of what it holds. Fit the \
                 model again with `--out`"
            )));
        }
        if !unsealed && report.seal.files.get(MODEL) != Some(&tiers_outputs::hash(model)) {
            return Err(ReportError(format!(
                "{name}: {MODEL} was changed, or belongs to another fit: the fingerprint in {FIT} is that of another \
                 file. Fit the model again with `--out`"
            )));
        }
        let recipe = saved.definition.recipe().map_err(|error| ReportError(format!("{name}: {MODEL}: {error}")))?;
        check::check(&report, &saved, &recipe, unsealed).map_err(|why| {
            ReportError(format!(
                "{name}: {FIT} and {MODEL} are damaged or not of the same fit: {why}; fit the model again with `--out`"
            ))
        })?;
        Ok(Texts { report, model: saved, recipe, unsealed })
    }
}

pub(super) fn parse<T: DeserializeOwned>(name: &str, file: &str, text: &str) -> Result<T, ReportError> {
    serde_json::from_str(text).map_err(|error| {
        ReportError(format!(
            "{name}: {file} is not what this version of tiers ({}) writes: {error}; fit the model again with `--out`",
            env!("CARGO_PKG_VERSION")
        ))
    })
}
