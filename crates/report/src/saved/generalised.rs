//! A saved generalised fit: what its folder holds besides the random effects.

use super::effects::{seal_of, write_effects};
use super::fingerprint::Fingerprint;
use super::open::OpenFolder;
use super::read_effects::SavedEffects;
use super::text::{FIT, MODEL, parse};
use crate::error::ReportError;
use crate::generalised::GlmmReport;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tiers_design::Recipe;
use tiers_glmm::{GlmmFit, JointInference};
use tiers_moments::Definition;
use tiers_outputs::{OutputError, Staged, TableFormat};
use tiers_reml::{LevelEffects, Model};

/// Version of the format that is written.
const VERSION: u64 = 1;

/// Contents of `model.json` of a generalised fit.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedGlmmModel {
    /// Version of the format.
    pub tiers_glmm: u64,
    /// Definition of the columns: formula, levels of factors, shifts.
    pub definition: Definition,
    /// Coefficients with their covariances.
    pub inference: JointInference,
    /// Fingerprint of the data.
    pub fingerprint: Fingerprint,
    /// Folder that the paths of the data in `fit.json` are relative to.
    pub working_folder: Option<PathBuf>,
}

impl SavedGlmmModel {
    /// Collects the saved values of a fit.
    pub fn new(model: &Model, definition: Definition, inference: JointInference) -> SavedGlmmModel {
        SavedGlmmModel {
            tiers_glmm: VERSION,
            definition,
            inference,
            fingerprint: Fingerprint::of(model),
            working_folder: std::env::current_dir().ok(),
        }
    }

    /// Returns the contents as JSON on one line.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string(self).expect("plain data without keys that are not strings");
        text.push('\n');
        text
    }
}

/// A saved generalised fit.
#[derive(Debug)]
pub struct SavedGlmm {
    /// The folder as the user named it.
    pub name: String,
    /// Contents of `fit.json`.
    pub report: GlmmReport,
    /// Contents of `model.json`.
    pub model: SavedGlmmModel,
    /// Recipe of the columns, from the saved definition.
    pub recipe: Recipe,
}

impl SavedGlmm {
    pub(super) fn read(folder: &OpenFolder) -> Result<SavedGlmm, ReportError> {
        let name = &folder.name;
        let report: GlmmReport = parse(name, FIT, &folder.fit)?;
        if !report.seal.is_intact(&folder.fit) {
            return Err(ReportError(format!(
                "{name}: {FIT} was changed since tiers wrote it: its fingerprint is not that of what it holds. Fit the \
                 model again with `--out`"
            )));
        }
        let Some(text) = &folder.model else {
            return Err(ReportError(match report.fit.status.has_estimates() {
                true => format!(
                    "{name}: it has no {MODEL} beside its {FIT}, which later commands need. Fit the model again with \
                     `--out`"
                ),
                false => format!(
                    "{name}: this fit has no estimates of all parameters (its status is {}), so there is nothing to ask \
                     it; see summary.txt there for the reason and what to do",
                    report.fit.status
                ),
            }));
        };
        if report.seal.files.get(MODEL) != Some(&tiers_outputs::hash(text)) {
            return Err(ReportError(format!(
                "{name}: {MODEL} was changed, or belongs to another fit: the fingerprint in {FIT} is that of another \
                 file. Fit the model again with `--out`"
            )));
        }
        let model: SavedGlmmModel = parse(name, MODEL, text)?;
        if model.tiers_glmm != VERSION {
            return Err(ReportError(format!(
                "{name}: {MODEL} is of format version {}, and this is tiers {}, which reads version {VERSION}; fit the \
                 model again with `--out`",
                model.tiers_glmm,
                env!("CARGO_PKG_VERSION")
            )));
        }
        let recipe = model.definition.recipe().map_err(|error| ReportError(format!("{name}: {MODEL}: {error}")))?;
        Ok(SavedGlmm { name: name.clone(), report, model, recipe })
    }

    /// Returns the fit.
    pub fn fit(&self) -> &GlmmFit {
        &self.report.fit
    }

    /// Returns what the folder says of its random effects.
    pub fn effects(&self) -> SavedEffects<'_> {
        SavedEffects {
            name: &self.name,
            recipe: &self.recipe,
            definition: &self.model.definition,
            levels: &self.fit().levels,
            components: &self.fit().variance_components,
            seal: &self.report.seal,
        }
    }
}

/// Writes the files of a generalised fit but the summary: the random effects, `model.json` if the fit has estimates,
/// and `fit.json` with the fingerprints of the others. Returns the text of `fit.json`.
///
/// # Errors
/// If the disk fails.
pub fn write_glmm(
    staged: &Staged<'_>,
    format: &dyn TableFormat,
    report: &mut GlmmReport,
    effects: &[LevelEffects],
    model: Option<&SavedGlmmModel>,
) -> Result<String, OutputError> {
    write_effects(staged, format, effects, &report.fit.variance_components)?;
    if let Some(model) = model {
        staged.write(MODEL, &model.json())?;
    }
    report.seal = seal_of(staged, format, &report.fit.levels)?;
    let json = report.sealed_json();
    staged.write(FIT, &json)?;
    Ok(json)
}
