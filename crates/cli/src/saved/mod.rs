//! Saved fits: opens a folder of results for further commands.
//!
//! ```text
//! refit  reads the data again and finds the optimum again, if moments are needed
//! ```

mod refit;

pub(crate) use refit::{Again, RefitArgs};

use crate::exit::tell;
use anyhow::{anyhow, bail, ensure};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tiers_design::Recipe;
use tiers_moments::Definition;
use tiers_outputs::{read_text, repair};
use tiers_reml::{Fit, FixedInference, NewtonSettings};
use tiers_report::Report;
use tiers_report::saved::{FIT, MODEL, RESULTS, SavedModel, Texts};

/// A saved fit.
#[derive(Debug)]
pub(crate) struct Saved {
    /// The folder as the user named it.
    pub name: String,
    /// Contents of `fit.json`.
    pub report: Report,
    /// Contents of `model.json`.
    pub model: SavedModel,
    /// Recipe of the columns, from the saved definition.
    pub recipe: Recipe,
}

impl Saved {
    /// Opens a folder of results; the path is the folder or its `fit.json`.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Saved> {
        let folder = match path.file_name() {
            Some(name) if name == FIT || name == MODEL => path.parent().unwrap_or(Path::new("")).to_owned(),
            _ => path.to_owned(),
        };
        // The bare path `fit.json` is in the current folder.
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let name = folder.display().to_string();
        repair(&folder, &RESULTS);
        if !folder.is_dir() {
            let is = if folder.exists() { "this is a file" } else { "no such folder" };
            bail!("{name}: {is}; name the folder that `tiers fit … --out DIR` wrote, or the fit.json in it");
        }
        ensure!(
            folder.join(FIT).is_file(),
            "{name}: this is not a folder of results, since it has no {FIT}; `tiers fit … --out DIR` writes one"
        );
        let fit = read(&folder.join(FIT))?;
        ensure!(
            !fit.contains("\n  \"family\": "),
            "{name}: this is the fit of a generalised model, which this command does not take; what it has is in \
             {FIT}, summary.txt and random_effects/"
        );
        ensure!(
            folder.join(MODEL).is_file(),
            "{name}: it has no {MODEL} beside its {FIT}, which later commands need. Fit the model again with `--out`"
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

    /// Checks that another file of the folder is the one that was written with the fit.
    pub(crate) fn check_file(&self, file: &str) -> anyhow::Result<()> {
        if self.report.seal.fingerprint.is_none() {
            return Ok(());
        }
        let path = Path::new(&self.name).join(file);
        let as_csv = path.with_extension("csv");
        ensure!(
            path.exists() || !as_csv.is_file(),
            "{}: the library tiers wrote this fit, with its random effects as csv, which this command does not read; fit \
             the model by `tiers fit … --out` instead",
            as_csv.display()
        );
        let holds = self.report.seal.holds(Path::new(&self.name), file);
        // The code that reads a missing file reports it better.
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

    /// Returns the fit.
    pub(crate) fn fit(&self) -> &Fit {
        &self.report.fit
    }

    /// Returns the definition of the design.
    pub(crate) fn definition(&self) -> &Definition {
        &self.model.definition
    }

    /// Returns the stopping rules of the search of the fit.
    pub(crate) fn newton(&self) -> NewtonSettings {
        NewtonSettings { max_evaluations: self.model.max_evaluations, ..NewtonSettings::default() }
    }

    /// Returns the inference on β, which serves for any linear combination l'β.
    pub(crate) fn inference(&self) -> &FixedInference {
        &self.model.fixed.inference
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    read_text(path, u64::MAX).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => {
            anyhow!("{}: this is not a text file; fit the model again with `--out`", path.display())
        }
        _ => anyhow!("{}: {error}", path.display()),
    })
}
