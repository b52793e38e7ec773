//! A fitted generalised model, and the questions it answers.

use crate::error::Error;
use crate::files::format;
use crate::interval::ConfidenceInterval;
use crate::predict::Prediction;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use tiers_design::{Block, Recipe, Source};
use tiers_glmm::{GlmmEffect, GlmmFit as GlmmEstimates, GlmmPredictor, GlmmStatus, PredictScale};
use tiers_moments::RowPass;
use tiers_outputs::{Folder, OutputError, Staged};
use tiers_reml::{
    Averaging, Candidate, FixedModel, FixedPart, Grid, LevelEffects, LikelihoodRatio, LinearHypothesis, MarginalMean,
    Method, PredictedRows, TTest, VarianceComponent, WaldInterval, wald_intervals_of_coefficients,
    wald_intervals_of_components,
};
use tiers_report::saved::{AnySaved, RESULTS, SavedGlmm, SavedGlmmModel, write_glmm};
use tiers_report::{GlmmReport, visible};

/// A fitted generalised linear mixed model. Printed by `{}` it is the summary that `tiers fit --family` prints, in the
/// layout of glmer's.
#[derive(Debug)]
pub struct GlmmFit {
    report: GlmmReport,
    /// `None` if some estimates do not exist.
    model: Option<SavedGlmmModel>,
    recipe: Recipe,
    effects: Vec<LevelEffects>,
}

impl GlmmFit {
    pub(crate) fn new(
        report: GlmmReport,
        model: Option<SavedGlmmModel>,
        recipe: Recipe,
        effects: Vec<LevelEffects>,
    ) -> GlmmFit {
        GlmmFit { report, model, recipe, effects }
    }

    /// Loads a fit from the folder that [`GlmmFit::save`] or the program `tiers fit --family … --out` wrote.
    ///
    /// # Errors
    /// If the folder does not hold a generalised fit with estimates, or its files were changed.
    pub fn load(folder: impl AsRef<Path>) -> Result<GlmmFit, Error> {
        let failed = |error: &dyn fmt::Display| Error::Files(error.to_string());
        let saved = match AnySaved::open(folder.as_ref()).map_err(|error| failed(&error))? {
            AnySaved::Generalised(saved) => *saved,
            AnySaved::Linear(saved) => {
                return Err(Error::Files(format!("{}: this is a linear fit; load it by Fit::load", saved.name)));
            }
        };
        let levels: Vec<String> = saved.fit().levels.iter().map(|level| level.name.clone()).collect();
        let effects = saved.effects().read(&levels, true, format(), "save the fit again");
        let effects = effects.map_err(|error| failed(&error))?;
        let SavedGlmm { report, model, recipe, .. } = saved;
        Ok(GlmmFit { report, model: Some(model), recipe, effects })
    }

    /// All estimates as plain data: what `fit.json` holds.
    pub fn estimates(&self) -> &GlmmEstimates {
        &self.report.fit
    }

    /// How the search ended: converged, on the boundary, separated, not identified, or not converged.
    pub fn status(&self) -> GlmmStatus {
        self.estimates().status
    }

    /// The coefficients on the scale of the link, with standard errors, z tests and confidence intervals.
    pub fn fixed_effects(&self) -> &[GlmmEffect] {
        &self.estimates().fixed_effects
    }

    /// The covariance matrices of the random effects, in lme4's order (most groups first).
    pub fn variance_components(&self) -> &[VarianceComponent] {
        &self.estimates().variance_components
    }

    /// Conditional modes of the random effects of one level, sorted by the labels of its groups, with their
    /// conditional and prediction standard deviations.
    ///
    /// # Errors
    /// If the model has no such level.
    pub fn random_effects(&self, level: &str) -> Result<&LevelEffects, Error> {
        let known: Vec<String> = self.effects.iter().map(|effects| effects.level.clone()).collect();
        let found = self.effects.iter().find(|effects| effects.level == level);
        found.ok_or_else(|| Error::Unknown { what: "level", name: level.to_owned(), known })
    }

    fn model(&self) -> Result<&SavedGlmmModel, Error> {
        self.model.as_ref().ok_or_else(|| {
            Error::Setting(format!("this fit has no estimates of all parameters: its status is {}", self.status()))
        })
    }

    fn fixed(&self) -> Result<&FixedModel, Error> {
        Ok(&self.model()?.inference.fixed)
    }

    /// Tests a linear hypothesis about the coefficients, such as `treat - 2*pretest = 0`.
    ///
    /// # Errors
    /// If the text cannot be read or names no coefficient, or the fit has no estimates.
    pub fn test(&self, hypothesis: &str) -> Result<TTest, Error> {
        let names: Vec<String> = self.fixed_effects().iter().map(|effect| effect.term.clone()).collect();
        let parsed =
            LinearHypothesis::parse(hypothesis, &names).map_err(|error| Error::Hypothesis(error.to_string()))?;
        Ok(parsed.test(&self.fixed()?.inference))
    }

    /// Estimated marginal means of a factor on the scale of the link, as [`Fit::means`](crate::Fit::means).
    ///
    /// # Errors
    /// If there is no such variable, it is a number of which no values are known, or the fit has no estimates.
    pub fn means(&self, variable: &str) -> Result<Vec<MarginalMean>, Error> {
        let fixed = self.fixed()?;
        let grid = Grid::new(fixed, &self.recipe, Averaging::Equal);
        let settings = grid.settings(variable, None)?;
        Ok(grid.means(&fixed.inference, &[(variable.to_owned(), settings)], &[], &BTreeMap::new())?)
    }

    /// Wald intervals of standard deviations, correlations and coefficients, in lme4's order and by its names.
    ///
    /// # Errors
    /// If the level is not between 0 and 1, or the fit has no estimates.
    pub fn confint(&self, level: f64) -> Result<Vec<ConfidenceInterval>, Error> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Setting(format!("confidence level {level}: it lies between 0 and 1, such as 0.95")));
        }
        let names = self.fixed_effects().iter().map(|effect| &effect.term[..]);
        let coefficients = wald_intervals_of_coefficients(names, &self.fixed()?.inference, level);
        let all = wald_intervals_of_components(self.variance_components(), level).into_iter().chain(coefficients);
        let interval = |wald: WaldInterval| {
            let WaldInterval { parameter, estimate, lower, upper, .. } = wald;
            ConfidenceInterval { parameter, estimate, lower, upper }
        };
        Ok(all.map(interval).collect())
    }

    /// Predicts for the rows of a table: the linear predictor, or the mean of the response. The mean is that of the
    /// group where the group is known, and an average over all groups where it is not.
    ///
    /// # Errors
    /// If a predictor is not among the columns, a factor has a level that the fit has not seen, or the fit has no
    /// estimates.
    pub fn predict(&self, rows: &dyn Source, scale: PredictScale) -> Result<Prediction, Error> {
        self.predict_with(rows, self.effects.clone(), scale, None)
    }

    /// Predicts for the population, whatever the groups of the rows, with standard errors and confidence intervals of
    /// the given level.
    ///
    /// # Errors
    /// As [`GlmmFit::predict`], and if the level is not between 0 and 1.
    pub fn predict_population(&self, rows: &dyn Source, scale: PredictScale, level: f64) -> Result<Prediction, Error> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Setting(format!("level {level}: it lies between 0 and 1, such as 0.95")));
        }
        self.predict_with(rows, Vec::new(), scale, Some(level))
    }

    fn predict_with(
        &self,
        rows: &dyn Source,
        effects: Vec<LevelEffects>,
        scale: PredictScale,
        interval: Option<f64>,
    ) -> Result<Prediction, Error> {
        let (model, recipe) = (self.model()?, &self.recipe);
        let fixed = &model.inference.fixed;
        let aliases = fixed.aliases(recipe);
        let (coefficients, beta) = (&fixed.coefficients[..], &fixed.inference.beta);
        let part = FixedPart { recipe, coefficients, beta, aliases: &aliases };
        let link = self.estimates().link;
        let mut predictor = GlmmPredictor::new(part, effects, self.variance_components(), link, scale)?;
        if interval.is_some() {
            predictor = predictor.with_errors(recipe, &model.inference, interval);
        }
        let mut out = Prediction::of_levels(predictor.linear().levels());
        let mut pass = RowPass::new(rows, predictor.requests().to_vec());
        pass.run(&mut (), |block| predictor.of_block(block), &mut |(_, some): (Block, PredictedRows)| {
            out.push(some);
            Ok(())
        })?;
        Ok(out)
    }

    /// Tests this model within a larger one of the same data by the ratio of their likelihoods.
    ///
    /// # Errors
    /// If neither is a special case of the other, or their likelihoods are of different kinds.
    pub fn compare(&self, larger: &GlmmFit) -> Result<LikelihoodRatio, Error> {
        let (one, two) = (self.estimates(), larger.estimates());
        if (one.n_obs, one.family, one.link, one.n_agq) != (two.n_obs, two.family, two.link, two.n_agq) {
            return Err(Error::Setting(
                "the models have other rows, another family or link, or other quadrature nodes, so that their \
                 likelihoods cannot be compared by a test"
                    .to_owned(),
            ));
        }
        let of = |fit: &GlmmEstimates, recipe| Candidate {
            method: Method::Ml,
            criterion: fit.criterion,
            n_parameters: fit.n_parameters,
            is_interior: fit.status == GlmmStatus::Converged,
            recipe,
        };
        Ok(of(one, &self.recipe).within(&of(two, &larger.recipe))?)
    }

    /// The fit as JSON: what `tiers fit` writes as `fit.json`.
    pub fn json(&self) -> String {
        self.report.json()
    }

    /// Writes a folder of results, as [`Fit::save`](crate::Fit::save).
    ///
    /// # Errors
    /// If the folder cannot be written, or holds files with our names that tiers did not write.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let write = || -> Result<(), OutputError> {
            let folder = Folder::open("", folder.as_ref(), &[], &RESULTS)?;
            let staged = Staged::new(&folder)?;
            staged.write("summary.txt", &self.to_string())?;
            write_glmm(&staged, format(), &mut self.report.clone(), &self.effects, self.model.as_ref())?;
            staged.put_in_place()
        };
        write().map_err(|error| Error::Files(error.to_string()))
    }
}

impl fmt::Display for GlmmFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible::lines(&self.report.text()))
    }
}
