//! `model.json`: what further questions about a fit need, and what a refit must find again.

use super::fingerprint::Fingerprint;
use super::text::MODEL;
use crate::error::ReportError;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tiers_moments::Definition;
use tiers_reml::{FixedModel, Model};

/// Version of the format that is written.
const VERSION: u64 = 2;
/// The first version, of tiers 0.1.0, which is read too: no fingerprint covers it.
const UNSEALED: u64 = 1;

/// What `model.json` says.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedModel {
    /// Version of the format.
    pub tiers_model: u64,
    /// What the columns are: the formula, the factors' levels, the shifts.
    pub definition: Definition,
    /// Coefficients, their tests, and the cross-products of the columns.
    pub fixed: FixedModel,
    /// By what the data are known again.
    pub fingerprint: Fingerprint,
    /// The criterion at the optimum, that of `fit.json`.
    pub criterion: f64,
    /// Evaluations that the search was allowed.
    pub max_evaluations: usize,
    /// The folder that the names of the data in `fit.json` are relative to.
    pub working_folder: Option<PathBuf>,
}

impl SavedModel {
    /// What is kept of a fit.
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

    /// As JSON on one line.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string(self).expect("plain data without keys that are not strings");
        text.push('\n');
        text
    }

    /// Whether this program knows the format; `name` is that of the folder.
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

    /// Whether it is of the first version, which has no fingerprint.
    pub fn is_before_seals(&self) -> bool {
        self.tiers_model == UNSEALED
    }
}
