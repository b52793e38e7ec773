//! `model.json`: what further questions about a fit need, and what a refit must find again.

use crate::saved::Fingerprint;
use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tiers_design::{Definition, Recipe};
use tiers_reml::{FixedModel, Model};

/// Its name in the folder of results.
pub(crate) const MODEL: &str = "model.json";

/// Version of the format that is written, and the only one that is read.
const VERSION: u64 = 1;

/// What `model.json` says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedModel {
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
    pub(crate) fn new(
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
    pub(crate) fn json(&self) -> String {
        let mut text = serde_json::to_string(self).expect("plain data without keys that are not strings");
        text.push('\n');
        text
    }

    /// Whether this program knows the format.
    pub(crate) fn check_version(&self, path: &Path) -> anyhow::Result<()> {
        ensure!(
            self.tiers_model == VERSION,
            "{}: format version {}, and this is tiers {}, which reads version {VERSION}; fit the model again with \
             `--out`",
            path.display(),
            self.tiers_model,
            env!("CARGO_PKG_VERSION")
        );
        Ok(())
    }

    /// Whether the parts fit together, so that nobody below has to ask.
    pub(crate) fn check_shape(&self, recipe: &Recipe, path: &Path) -> anyhow::Result<()> {
        let FixedModel { coefficients, inference, cross } = &self.fixed;
        let p = coefficients.len();
        let sound = coefficients.iter().all(|&i| i < recipe.x.len())
            && inference.p() == Some(p)
            && cross.nrows() == recipe.columns.len() + 1;
        if !sound {
            bail!("{}: its parts do not fit together; fit the model again with `--out`", path.display());
        }
        Ok(())
    }
}
