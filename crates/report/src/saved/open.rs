//! Opens a folder of results: of a linear or of a generalised fit.

use super::fit::SavedFit;
use super::folder::RESULTS;
use super::generalised::SavedGlmm;
use super::text::{FIT, MODEL, Texts};
use crate::error::ReportError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tiers_design::Recipe;
use tiers_glmm::Link;
use tiers_outputs::{read_text, repair};
use tiers_reml::FixedModel;

/// A saved fit of either kind.
#[derive(Debug)]
pub enum AnySaved {
    /// A linear mixed model.
    Linear(Box<SavedFit>),
    /// A generalised linear mixed model.
    Generalised(Box<SavedGlmm>),
}

/// The fixed part of a saved fit of either kind, for tests and means.
#[derive(Clone, Copy, Debug)]
pub struct SavedFixed<'a> {
    /// Coefficients, their tests, and the cross-products of the columns.
    pub fixed: &'a FixedModel,
    /// Recipe of the columns.
    pub recipe: &'a Recipe,
    /// Columns of X that were dropped because they depend linearly on others.
    pub dropped: &'a [String],
    /// Level of the fit's confidence intervals.
    pub confidence_level: f64,
    /// The link of a generalised fit, on whose scale the coefficients are.
    pub link: Option<Link>,
}

/// The texts of a folder of results.
pub(super) struct OpenFolder {
    /// The folder as the user named it.
    pub(super) name: String,
    /// `fit.json`.
    pub(super) fit: String,
    /// `model.json`, if there is one.
    pub(super) model: Option<String>,
}

impl AnySaved {
    /// Opens a folder of results; the path is the folder, or its `fit.json` or `model.json`.
    ///
    /// # Errors
    /// If it is not a folder of results, or its files were changed, do not belong together, or cannot be
    /// those of a fit.
    pub fn open(path: &Path) -> Result<AnySaved, ReportError> {
        let folder = OpenFolder::read(path)?;
        match folder.is_generalised() {
            true => Ok(AnySaved::Generalised(Box::new(SavedGlmm::read(&folder)?))),
            false => Ok(AnySaved::Linear(Box::new(SavedFit::read(folder)?))),
        }
    }
}

impl AnySaved {
    /// Returns the fixed part.
    pub fn fixed(&self) -> SavedFixed<'_> {
        match self {
            AnySaved::Linear(saved) => SavedFixed {
                fixed: &saved.model.fixed,
                recipe: &saved.recipe,
                dropped: &saved.fit().dropped_columns,
                confidence_level: saved.report.confidence_level,
                link: None,
            },
            AnySaved::Generalised(saved) => SavedFixed {
                fixed: &saved.model.inference.fixed,
                recipe: &saved.recipe,
                dropped: &saved.fit().dropped_columns,
                confidence_level: saved.report.confidence_level,
                link: Some(saved.fit().link),
            },
        }
    }
}

impl SavedFit {
    /// Opens a folder of results of a linear mixed model; the path is the folder, or its `fit.json` or
    /// `model.json`.
    ///
    /// # Errors
    /// As for [`AnySaved::open`], and if the fit is generalised.
    pub fn open(path: &Path) -> Result<SavedFit, ReportError> {
        let folder = OpenFolder::read(path)?;
        if folder.is_generalised() {
            return Err(ReportError(format!(
                "{}: this is the fit of a generalised model, which this command does not take; what it has is in \
                 {FIT}, summary.txt and random_effects/",
                folder.name
            )));
        }
        SavedFit::read(folder)
    }

    fn read(folder: OpenFolder) -> Result<SavedFit, ReportError> {
        let OpenFolder { name, fit, model } = folder;
        let Some(model) = model else {
            return Err(ReportError(format!(
                "{name}: it has no {MODEL} beside its {FIT}, which later commands need. Fit the model again with `--out`"
            )));
        };
        let Texts { report, model, recipe, unsealed } = Texts::read(&name, &fit, &model)?;
        Ok(SavedFit { name, report, model, recipe, unsealed })
    }
}

impl OpenFolder {
    fn read(path: &Path) -> Result<OpenFolder, ReportError> {
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
            return Err(ReportError(format!(
                "{name}: {is}; name the folder that `tiers fit … --out DIR` wrote, or the fit.json in it"
            )));
        }
        if !folder.join(FIT).is_file() {
            return Err(ReportError(format!(
                "{name}: this is not a folder of results, since it has no {FIT}; `tiers fit … --out DIR` writes one"
            )));
        }
        let fit = read(&folder.join(FIT))?;
        let model = folder.join(MODEL).is_file().then(|| read(&folder.join(MODEL))).transpose()?;
        Ok(OpenFolder { name, fit, model })
    }

    /// Whether `fit.json` is that of a generalised model.
    fn is_generalised(&self) -> bool {
        self.fit.contains("\n  \"family\": ")
    }
}

fn read(path: &Path) -> Result<String, ReportError> {
    read_text(path, u64::MAX).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => {
            ReportError(format!("{}: this is not a text file; fit the model again with `--out`", path.display()))
        }
        _ => ReportError(format!("{}: {error}", path.display())),
    })
}
