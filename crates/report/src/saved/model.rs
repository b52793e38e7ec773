//! `model.json`: inference that later commands need, and values that a refit must reproduce.

use super::fingerprint::Fingerprint;
use super::text::MODEL;
use crate::error::ReportError;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tiers_moments::Definition;
use tiers_reml::{FixedModel, Model};

/// Version of the format that is written.
const VERSION: u64 = 2;
/// The first version, of tiers 0.1.0, which has no fingerprint. It can be read, too.
const UNSEALED: u64 = 1;

/// Contents of `model.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedModel {
    /// Version of the format.
    pub tiers_model: u64,
    /// Definition of the columns: formula, levels of factors, shifts.
    pub definition: Definition,
    /// Coefficients, their tests, and the cross-products of the columns.
    pub fixed: FixedModel,
    /// Fingerprint of the data.
    pub fingerprint: Fingerprint,
    /// Criterion at the optimum, as in `fit.json`.
    pub criterion: f64,
    /// Limit on evaluations of the search.
    pub max_evaluations: usize,
    /// Folder that the paths of the data in `fit.json` are relative to.
    pub working_folder: Option<PathBuf>,
}

impl SavedModel {
    /// Collects the saved values of a fit.
    pub fn new(
        model: &Model,
        definition: Definition,
        fixed: FixedModel,
        criterion: f64,
        max_evaluations: usize,
    ) -> SavedModel {
        SavedModel {
            tiers_model: VERSION,
            definition,
            fixed,
            fingerprint: Fingerprint::of(model),
            criterion,
            max_evaluations,
            working_folder: std::env::current_dir().ok(),
        }
    }

    /// Returns the contents as JSON on one line.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string(self).expect("plain data without keys that are not strings");
        text.push('\n');
        text
    }

    /// Checks that this program supports the format version; `name` is that of the folder.
    pub fn check_version(&self, name: &str) -> Result<(), ReportError> {
        if !(UNSEALED..=VERSION).contains(&self.tiers_model) {
            return Err(ReportError(format!(
                "{name}: {MODEL} is of format version {}, and this is tiers {}, which reads versions {UNSEALED} to {VERSION}; \
                 fit the model again with `--out`",
                self.tiers_model,
                env!("CARGO_PKG_VERSION")
            )));
        }
        Ok(())
    }

    /// Whether the format is the first version, which has no fingerprint.
    pub fn is_before_seals(&self) -> bool {
        self.tiers_model == UNSEALED
    }
}
