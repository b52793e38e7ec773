//! A fit that was saved: the folder of results, opened to be asked further questions.
//!
//! ```text
//! model        model.json: what tests need without data, and what a refit must find again
//! fingerprint  by what data are known again
//! refit        reads the data once more and finds the optimum again, where moments are needed
//! ```

mod fingerprint;
mod model;
mod refit;

pub(crate) use fingerprint::Fingerprint;
pub(crate) use model::{MODEL, SavedModel};
pub(crate) use refit::{Again, RefitArgs};

use crate::files::read_text;
use crate::report::Report;
use anyhow::{anyhow, bail, ensure};
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tiers_design::{Definition, Recipe};
use tiers_reml::{Fit, FixedInference, NewtonSettings};

/// Name of the fit in its folder.
const FIT: &str = "fit.json";

/// A saved fit.
#[derive(Debug)]
pub(crate) struct Saved {
    /// The folder as the user named it.
    pub name: String,
    /// What `fit.json` says.
    pub report: Report,
    /// What `model.json` says.
    pub model: SavedModel,
    /// How the columns came about: the definition, frozen again.
    pub recipe: Recipe,
}

impl Saved {
    /// Opens a folder of results, named itself or by its `fit.json`.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Saved> {
        let folder = match path.file_name() {
            Some(name) if name == FIT || name == MODEL => path.parent().unwrap_or(Path::new("")).to_owned(),
            _ => path.to_owned(),
        };
        // `fit.json` alone lies in the current folder.
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let name = folder.display().to_string();
        if !folder.is_dir() {
            let is = if folder.exists() { "this is a file" } else { "no such folder" };
            bail!("{name}: {is}; name the folder that `tiers fit … --out DIR` wrote, or the fit.json in it");
        }
        ensure!(
            folder.join(FIT).is_file(),
            "{name}: no folder of results, for it holds no {FIT}; `tiers fit … --out DIR` writes one"
        );
        let report: Report = read(&folder.join(FIT))?;
        ensure!(
            folder.join(MODEL).is_file(),
            "{name}: it holds no {MODEL}, which tells what a fit is made of; its {FIT} was written by tiers {}. Fit the \
             model again with `--out`",
            report.fit.tiers
        );
        let model: SavedModel = read(&folder.join(MODEL))?;
        model.check_version(&folder.join(MODEL))?;
        ensure!(
            model.criterion == report.fit.criterion && model.fingerprint.rows == report.fit.n_obs,
            "{name}: {FIT} and {MODEL} are not of the same fit; fit the model again with `--out`"
        );
        let recipe = model.definition.recipe().map_err(|error| anyhow!("{}: {error}", folder.join(MODEL).display()))?;
        model.check_shape(&recipe, &folder.join(MODEL))?;
        Ok(Saved { name, report, model, recipe })
    }

    /// The fit.
    pub(crate) fn fit(&self) -> &Fit {
        &self.report.fit
    }

    /// The definition of the design.
    pub(crate) fn definition(&self) -> &Definition {
        &self.model.definition
    }

    /// When searches stop: as that of the fit did.
    pub(crate) fn newton(&self) -> NewtonSettings {
        NewtonSettings { max_evaluations: self.model.max_evaluations, ..NewtonSettings::default() }
    }

    /// Inference on β, ready for any l'β.
    pub(crate) fn inference(&self) -> &FixedInference {
        &self.model.fixed.inference
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = read_text(path, u64::MAX).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => anyhow!("{}: no text; name a folder that `tiers fit` wrote", path.display()),
        _ => anyhow!("{}: {error}", path.display()),
    })?;
    serde_json::from_str(&text).map_err(|error| {
        anyhow!(
            "{}: not what this version of tiers ({}) writes: {error}; fit the model again with `--out`",
            path.display(),
            env!("CARGO_PKG_VERSION")
        )
    })
}
