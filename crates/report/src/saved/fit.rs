//! A folder of results, opened for further questions.

use super::fingerprint::Fingerprint;
use super::model::SavedModel;
use super::read_effects::SavedEffects;
use crate::report::Report;
use std::path::{Path, PathBuf};
use tiers_design::{DesignError, Field, Formula, Kind, Plan, Recipe, Settings};
use tiers_moments::Definition;
use tiers_reml::{
    Fit, FixedInference, Model, NewtonSettings, Objective, Optimum, SearchError, SearchObserver, find_optimum,
};

/// A saved fit: what its folder holds besides the random effects.
#[derive(Debug)]
pub struct SavedFit {
    /// The folder as the user named it.
    pub name: String,
    /// Contents of `fit.json`.
    pub report: Report,
    /// Contents of `model.json`.
    pub model: SavedModel,
    /// Recipe of the columns, from the saved definition.
    pub recipe: Recipe,
    /// Whether there is no fingerprint, as in files by tiers 0.1.0, so that damage may go undetected.
    pub unsealed: bool,
}

/// Why the optimum of a saved fit cannot be found again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefitError {
    /// The rows are not those of the fit; the text says how they differ.
    #[error("{0}")]
    Changed(String),
    /// There are no estimates.
    #[error(transparent)]
    Search(#[from] SearchError),
}

impl SavedFit {
    /// Returns what the folder says of its random effects.
    pub fn effects(&self) -> SavedEffects<'_> {
        SavedEffects {
            name: &self.name,
            recipe: &self.recipe,
            definition: self.definition(),
            levels: &self.fit().levels,
            components: &self.fit().variance_components,
            seal: &self.report.seal,
        }
    }

    /// Returns the fit.
    pub fn fit(&self) -> &Fit {
        &self.report.fit
    }

    /// Returns the definition of the design.
    pub fn definition(&self) -> &Definition {
        &self.model.definition
    }

    /// Returns the stopping rules of the search of the fit.
    pub fn newton(&self) -> NewtonSettings {
        NewtonSettings { max_evaluations: self.model.max_evaluations, ..NewtonSettings::default() }
    }

    /// Returns the inference on β, which serves for any linear combination l'β.
    pub fn inference(&self) -> &FixedInference {
        &self.model.fixed.inference
    }

    /// Returns the paths of the data, relative to the folder where the fit was made.
    pub fn data_paths(&self) -> Vec<PathBuf> {
        let from = self.model.working_folder.as_deref().unwrap_or(Path::new(""));
        let named = &self.report.data.paths;
        // Data that were moved together with the results are found relative to the current folder.
        let moved = !from.is_dir() || named.iter().all(|path| !from.join(path).exists() && path.exists());
        named.iter().map(|path| if moved { path.clone() } else { from.join(path) }).collect()
    }

    /// Resolves the formula of the fit against a table with these columns.
    ///
    /// # Errors
    /// If a column is missing or of another kind.
    pub fn plan(&self, fields: &[Field]) -> Result<Plan, DesignError> {
        let definition = self.definition();
        let formula: Formula = definition.formula.parse()?;
        let reference = definition.reference.iter().map(|(f, l)| (f.clone(), l.clone())).collect();
        let settings = Settings {
            weights: definition.weights.clone(),
            reference,
            levels: Vec::new(),
            generalised: definition.generalised,
        };
        // Ids and levels may be stored as integers here and as floating-point numbers there.
        let is_number = |kind: &Kind| matches!(kind, Kind::Integer | Kind::Float);
        let as_saved = |field: &Field| {
            let saved = definition.fields.iter().find(|saved| saved.name == field.name);
            let saved = saved.filter(|saved| is_number(&saved.kind) && is_number(&field.kind));
            saved.unwrap_or(field).clone()
        };
        let fields: Vec<Field> = fields.iter().map(as_saved).collect();
        Plan::new(&formula, &fields, &settings)
    }

    /// Checks that a model was built from the rows of the fit.
    ///
    /// # Errors
    /// [`RefitError::Changed`] if it was not.
    pub fn check_model(&self, model: &Model) -> Result<(), RefitError> {
        if let Some(difference) = self.model.fingerprint.difference(&Fingerprint::of(model)) {
            return Err(RefitError::Changed(format!("{difference} (in the fit and now)")));
        }
        match model.coefficients == self.model.fixed.coefficients {
            true => Ok(()),
            false => Err(RefitError::Changed("other columns of X are linearly dependent".to_owned())),
        }
    }

    /// Finds the optimum again, and checks that it is the saved one.
    ///
    /// # Errors
    /// If the criterion there is another, or as [`find_optimum`].
    pub fn optimum(&self, objective: &Objective<'_>, observer: &mut dyn SearchObserver) -> Result<Optimum, RefitError> {
        let optimum = find_optimum(objective, &self.newton(), observer)?;
        let (saved, found) = (self.model.criterion, optimum.at.criterion);
        // Rows in another order change the last digits; these changes grow with the criterion.
        match (saved - found).abs() <= 1e-6 + 1e-9 * saved.abs() {
            true => Ok(optimum),
            false => Err(RefitError::Changed(format!("the criterion was {saved} and is now {found}"))),
        }
    }
}
