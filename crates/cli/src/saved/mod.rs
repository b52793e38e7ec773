//! A fit that was saved: the folder of results, opened to be asked further questions.
//!
//! ```text
//! refit        reads the data once more and finds the optimum again, where moments are needed
//! ```

mod refit;

pub(crate) use refit::{Again, RefitArgs};

use crate::exit::tell;
use crate::files::read_text;
use crate::outputs::{RESULTS, repair};
use anyhow::{anyhow, bail, ensure};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tiers_design::Recipe;
use tiers_moments::Definition;
use tiers_reml::{Fit, FixedInference, NewtonSettings};
use tiers_report::Report;
use tiers_report::saved::{FIT, MODEL, SavedModel, Texts};

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
        repair(&folder, &RESULTS);
        if !folder.is_dir() {
            let is = if folder.exists() { "this is a file" } else { "no such folder" };
            bail!("{name}: {is}; name the folder that `tiers fit … --out DIR` wrote, or the fit.json in it");
        }
        ensure!(
            folder.join(FIT).is_file(),
            "{name}: no folder of results, for it holds no {FIT}; `tiers fit … --out DIR` writes one"
        );
        let fit = read(&folder.join(FIT))?;
        ensure!(
            folder.join(MODEL).is_file(),
            "{name}: it holds no {MODEL}, which says what a fit is made of, beside its {FIT}. Fit the model again with \
             `--out`"
        );
        let Texts { report, model, recipe, unsealed } = Texts::read(&name, &fit, &read(&folder.join(MODEL))?)?;
        if unsealed {
            tell(&format!(
                "tiers: note: {name}: written by tiers {} without a fingerprint, so that damage to its files may go \
                 unseen; fit the model again to have one",
                report.fit.tiers
            ));
        }
        Ok(Saved { name, report, model, recipe })
    }

    /// Whether a file of the folder that no other check covers is the one that the fit was written with.
    pub(crate) fn check_file(&self, file: &str) -> anyhow::Result<()> {
        if self.report.seal.fingerprint.is_none() {
            return Ok(());
        }
        let path = Path::new(&self.name).join(file);
        let holds = self.report.seal.holds(Path::new(&self.name), file);
        // Who reads it says better that it is not there.
        if holds.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(());
        }
        ensure!(
            holds.map_err(|error| anyhow!("{}: {error}; fit the model again with `--out`", path.display()))?,
            "{}: it was changed, or belongs to another fit: the fingerprint in {FIT} is that of another file. Fit the \
             model again with `--out`",
            path.display()
        );
        Ok(())
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

fn read(path: &Path) -> anyhow::Result<String> {
    read_text(path, u64::MAX).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => anyhow!("{}: this is no text; fit the model again with `--out`", path.display()),
        _ => anyhow!("{}: {error}", path.display()),
    })
}
