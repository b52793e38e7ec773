//! A fitted model, and the questions it answers.

use crate::error::Error;
use crate::files::format;
use crate::interval::{ConfidenceInterval, IntervalMethod, by_bootstrap, by_profile, by_wald};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;
use tiers_design::{Recipe, Source};
use tiers_moments::{ClusterMoments, Definition, Reading, accumulate_with};
use tiers_outputs::Seal;
use tiers_reml::{
    AnovaType, Averaging, Candidate, Diagnosis, Fit as Estimates, FitError, FittedModel, FixedEffect, FixedModel, Grid,
    Icc, Influence, LevelEffects, LikelihoodRatio, LinearHypothesis, MarginalMean, Model, NewtonSettings, Objective,
    Optimum, Status, Step, TTest, TermTest, Trial, VarianceComponent, build_model, random_effects,
};
use tiers_report::saved::{SavedFit, SavedModel};
use tiers_report::{Data, Report, summary, visible};

/// Names of data that have no path.
pub(crate) const IN_MEMORY: &str = "table in memory";
pub(crate) const MOMENTS_IN_MEMORY: &str = "moments in memory";

/// A fitted linear mixed model.
///
/// It owns the moments of the data, so that profiles, random effects and influence need no further
/// reading of the rows unless their documentation says so. Printed by `{}` it is the summary that the
/// program `tiers fit` prints, in the layout of lme4's.
///
/// ```
/// # let table = tiers::doc::schools();
/// let fit = tiers::lmm("score ~ pretest + (1 | school)").fit(&table)?;
/// assert_eq!(fit.status(), tiers::Status::Converged);
/// assert!(fit.to_string().starts_with("Linear mixed model fit by REML"));
/// for effect in fit.fixed_effects() {
///     println!("{}: {:.3} (standard error {:.3})", effect.term, effect.estimate, effect.std_error);
/// }
/// # Ok::<(), tiers::Error>(())
/// ```
#[derive(Debug)]
pub struct Fit {
    /// The estimates, the design, and tests of the fixed effects.
    pub(crate) saved: SavedFit,
    /// What further computations need; a fit that was loaded has none.
    sums: Option<Sums>,
    seconds: f64,
}

/// The moments of a fit and the optimum of its criterion.
#[derive(Debug)]
struct Sums {
    model: Model,
    optimum: Optimum,
}

impl Fit {
    pub(crate) fn new(
        fitted: FittedModel,
        definition: Definition,
        newton: &NewtonSettings,
        data: Data,
        confidence_level: f64,
        took: Duration,
    ) -> Fit {
        let FittedModel { model, optimum, fixed, fit, .. } = fitted;
        let mut saved = SavedModel::new(&model, definition, fixed, fit.criterion, newton.max_evaluations);
        // What is in memory cannot be found again from the folder.
        let in_memory = [IN_MEMORY, MOMENTS_IN_MEMORY].map(Path::new);
        saved.working_folder = saved.working_folder.filter(|_| !in_memory.contains(&&*data.paths[0]));
        let (timing_seconds, peak_memory_bytes, seal) = (None, None, Seal::default());
        let report = Report { fit, data, confidence_level, timing_seconds, peak_memory_bytes, seal };
        let (name, recipe) = (String::new(), model.recipe.clone());
        let saved = SavedFit { name, report, model: saved, recipe, unsealed: false };
        Fit { saved, sums: Some(Sums { model, optimum }), seconds: took.as_secs_f64() }
    }

    /// Loads a fit from the folder that [`Fit::save`] or the program `tiers fit --out` wrote.
    ///
    /// It answers at once what needs no moments: estimates, random effects, tests, means, Wald intervals,
    /// predictions and comparisons. For the rest, [`Fit::with_rows`] reads the data again.
    ///
    /// ```
    /// # let table = tiers::doc::schools();
    /// # let folder = std::env::temp_dir().join(format!("tiers-doc-load-{}", std::process::id()));
    /// let fit = tiers::lmm("score ~ pretest + (1 | school)").fit(&table)?;
    /// fit.save(&folder)?;
    /// let loaded = tiers::Fit::load(&folder)?;
    /// assert_eq!(loaded.estimates(), fit.estimates());
    /// assert_eq!(loaded.random_effects("school")?.estimate, fit.random_effects("school")?.estimate);
    /// # std::fs::remove_dir_all(&folder).expect("a folder");
    /// # Ok::<(), tiers::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the folder does not hold a fit, or its files were changed.
    pub fn load(folder: impl AsRef<Path>) -> Result<Fit, Error> {
        let saved = SavedFit::open(folder.as_ref()).map_err(|error| Error::Files(error.to_string()))?;
        Ok(Fit { saved, sums: None, seconds: 0.0 })
    }

    /// A loaded fit with the moments of its rows, which are read again: then it answers all questions. The
    /// optimum is found again, and agrees with the saved one.
    ///
    /// # Errors
    /// If the rows are not those that the model was fitted to.
    pub fn with_rows(mut self, rows: &dyn Source) -> Result<Fit, Error> {
        let plan = self.saved.plan(rows.fields())?;
        let reading = Reading { recipe: Some(&self.saved.recipe), ..Reading::default() };
        let ingested = accumulate_with(rows, &plan, &reading, &mut ())?;
        let (model, _) = build_model(ingested).map_err(FitError::from)?;
        self.saved.check_model(&model)?;
        let objective = Objective::new(&model, self.estimates().method);
        let optimum = self.saved.optimum(&objective, &mut |_: &Trial<'_>, _: &Step| true)?;
        self.sums = Some(Sums { model, optimum });
        Ok(self)
    }

    /// All estimates as plain data: what `fit.json` holds.
    pub fn estimates(&self) -> &Estimates {
        &self.saved.report.fit
    }

    /// How the search ended: converged, on the boundary (lme4's singular fit), or not converged.
    pub fn status(&self) -> Status {
        self.estimates().status
    }

    /// The coefficients with standard errors, degrees of freedom, tests and confidence intervals.
    pub fn fixed_effects(&self) -> &[FixedEffect] {
        &self.estimates().fixed_effects
    }

    /// The covariance matrices of the random effects, in lme4's order (most groups first).
    pub fn variance_components(&self) -> &[VarianceComponent] {
        &self.estimates().variance_components
    }

    /// Residual standard deviation σ.
    pub fn sigma(&self) -> f64 {
        self.estimates().sigma
    }

    /// The (restricted) log-likelihood.
    pub fn log_likelihood(&self) -> f64 {
        self.estimates().log_likelihood
    }

    /// Intraclass correlations, coarsest level first.
    pub fn icc(&self) -> &[Icc] {
        &self.estimates().icc
    }

    /// Seconds from the first row read to the estimates; 0 for a fit that was loaded.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The criterion of the fit, for what this type does not answer.
    ///
    /// # Errors
    /// If the fit was loaded: see [`Fit::with_rows`].
    pub fn objective(&self) -> Result<Objective<'_>, Error> {
        Ok(Objective::new(&self.sums()?.model, self.estimates().method))
    }

    /// The optimum of the criterion.
    ///
    /// # Errors
    /// If the fit was loaded: see [`Fit::with_rows`].
    pub fn optimum(&self) -> Result<&Optimum, Error> {
        Ok(&self.sums()?.optimum)
    }

    fn sums(&self) -> Result<&Sums, Error> {
        self.sums.as_ref().ok_or(Error::NoMoments)
    }

    pub(crate) fn recipe(&self) -> &Recipe {
        &self.saved.recipe
    }

    pub(crate) fn fixed(&self) -> &FixedModel {
        &self.saved.model.fixed
    }

    /// Conditional modes (BLUPs) of the random effects of one level, sorted by the labels of its groups,
    /// with their conditional and prediction standard deviations.
    ///
    /// ```
    /// # let table = tiers::doc::schools();
    /// let fit = tiers::lmm("score ~ pretest + (1 | school)").fit(&table)?;
    /// let schools = fit.random_effects("school")?;
    /// assert_eq!(schools.estimate.len(), schools.rows.len() * schools.terms.len());
    /// # Ok::<(), tiers::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the model has no such level.
    pub fn random_effects(&self, level: &str) -> Result<LevelEffects, Error> {
        let known: Vec<String> = self.estimates().levels.iter().map(|level| level.name.clone()).collect();
        let found = self.all_random_effects()?.into_iter().find(|effects| effects.level == level);
        found.ok_or_else(|| Error::Unknown { what: "level", name: level.to_owned(), known })
    }

    /// The random effects of all levels, coarsest first. Those of a loaded fit come from its folder, which
    /// does not hold the numbers of rows per group: they are 0.
    ///
    /// # Errors
    /// If the two routes to them disagree, which rounding alone cannot bring about; for a loaded fit, if its
    /// tables cannot be read.
    pub fn all_random_effects(&self) -> Result<Vec<LevelEffects>, Error> {
        if let Some(sums) = &self.sums {
            return Ok(random_effects(&self.objective()?, &sums.optimum)?);
        }
        let levels: Vec<String> = self.estimates().levels.iter().map(|level| level.name.clone()).collect();
        let read = self.saved.effects().read(&levels, true, format(), "save the fit again");
        read.map_err(|error| Error::Files(error.to_string()))
    }

    /// F tests of the terms, of type I or III, with the degrees of freedom of the fit.
    pub fn anova(&self, kind: AnovaType) -> Vec<TermTest> {
        self.fixed().anova(self.recipe(), kind, self.sigma())
    }

    /// Estimated marginal means of a factor (or of a number that is 0 or 1): over the other factors with
    /// equal weights, the other numbers at their means.
    ///
    /// ```
    /// # let table = tiers::doc::schools();
    /// let fit = tiers::lmm("score ~ pretest + sex + (1 | school)").fit(&table)?;
    /// let means = fit.means("sex")?;
    /// assert_eq!(means.len(), 2);
    /// # Ok::<(), tiers::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such variable, or it is a number of which no values are known.
    pub fn means(&self, variable: &str) -> Result<Vec<MarginalMean>, Error> {
        let grid = Grid::new(self.fixed(), self.recipe(), Averaging::Equal);
        let settings = grid.settings(variable, None)?;
        Ok(grid.means(&self.fixed().inference, &[(variable.to_owned(), settings)], &[], &BTreeMap::new())?)
    }

    /// Tests a linear hypothesis about the coefficients, such as `treat - 2*pretest = 0`.
    ///
    /// ```
    /// # let table = tiers::doc::schools();
    /// let fit = tiers::lmm("score ~ pretest + sex + (1 | school)").fit(&table)?;
    /// let test = fit.test("pretest = 1")?;
    /// assert!(test.p_value > 0.0 && test.p_value <= 1.0);
    /// # Ok::<(), tiers::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the text cannot be read or names no coefficient.
    pub fn test(&self, hypothesis: &str) -> Result<TTest, Error> {
        let names: Vec<String> = self.fixed_effects().iter().map(|effect| effect.term.clone()).collect();
        let parsed =
            LinearHypothesis::parse(hypothesis, &names).map_err(|error| Error::Hypothesis(error.to_string()))?;
        Ok(parsed.test(&self.fixed().inference))
    }

    /// Confidence intervals of all parameters, in lme4's order and by its names: standard deviations and
    /// correlations, σ, coefficients; with [`IntervalMethod::Wald`] and [`IntervalMethod::Bootstrap`]
    /// intraclass correlations too.
    ///
    /// ```
    /// # let table = tiers::doc::schools();
    /// use tiers::IntervalMethod;
    ///
    /// let fit = tiers::lmm("score ~ pretest + (1 | school)").fit(&table)?;
    /// let intervals = fit.confint(IntervalMethod::Profile, 0.95)?;
    /// assert_eq!(intervals[0].parameter, "sd_(Intercept)|school");
    /// assert!(intervals[0].lower < intervals[0].upper);
    /// # Ok::<(), tiers::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the level is not between 0 and 1, the maximum likelihood that profiles are about cannot be found,
    /// or profiles or a bootstrap are asked of a loaded fit (see [`Fit::with_rows`]).
    pub fn confint(&self, method: IntervalMethod, level: f64) -> Result<Vec<ConfidenceInterval>, Error> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Setting(format!("confidence level {level}: it lies between 0 and 1, such as 0.95")));
        }
        match method {
            IntervalMethod::Wald => Ok(by_wald(self, level)),
            IntervalMethod::Profile => by_profile(self, level),
            IntervalMethod::Bootstrap(settings) => by_bootstrap(self, settings, level),
        }
    }

    /// What each top-level group does to the estimates: Cook's distance, and all estimates without it.
    /// The rows that the model was fitted to are read again.
    ///
    /// # Errors
    /// If the rows are not those of the fit, or the fit was loaded (see [`Fit::with_rows`]).
    pub fn influence(&self, rows: &dyn Source) -> Result<Influence, Error> {
        let Sums { model, optimum } = self.sums()?;
        let moments = ClusterMoments::read((&model.recipe, model.structure()), rows, None, &mut ())?;
        Ok(Influence::new(&self.objective()?, optimum, &moments))
    }

    /// Tests this model within a larger one of the same data by the ratio of their likelihoods.
    ///
    /// ```
    /// # let table = tiers::doc::schools();
    /// let small = tiers::lmm("score ~ 1 + (1 | school)").ml().fit(&table)?;
    /// let large = tiers::lmm("score ~ pretest + (1 | school)").ml().fit(&table)?;
    /// let test = small.compare(&large)?;
    /// assert_eq!(test.df, 1);
    /// assert!(test.p_value < 0.001);
    /// # Ok::<(), tiers::Error>(())
    /// ```
    ///
    /// # Errors
    /// If neither is a special case of the other, or restricted likelihoods of different fixed effects
    /// would be compared.
    pub fn compare(&self, larger: &Fit) -> Result<LikelihoodRatio, Error> {
        if self.estimates().n_obs != larger.estimates().n_obs {
            return Err(Error::Setting(format!(
                "the models were fitted to {} and {} rows, so that their likelihoods cannot be compared: rows with \
                 missing values in a column of one model alone must be left out of both",
                self.estimates().n_obs,
                larger.estimates().n_obs
            )));
        }
        let of = |fit| -> Candidate<'_> {
            let fit: &Fit = fit;
            Candidate::of(fit.estimates(), fit.recipe())
        };
        Ok(of(self).within(&of(larger))?)
    }

    /// How well the estimates are determined: gradient, curvature, and directions in which the
    /// likelihood is flat.
    ///
    /// # Errors
    /// If the fit was loaded: see [`Fit::with_rows`].
    pub fn diagnose(&self) -> Result<Diagnosis, Error> {
        Ok(Diagnosis::new(&self.objective()?, self.optimum()?))
    }

    /// The fit as JSON: what `tiers fit` writes as `fit.json`.
    pub fn json(&self) -> String {
        self.saved.report.json()
    }

    /// Writes a folder of results: `fit.json`, `model.json`, `summary.txt`, and the random effects of each
    /// level, as csv or, with the feature `files`, as parquet. [`Fit::load`] and the commands of the program
    /// read it.
    ///
    /// The results appear when all of them are written. They replace former results in the folder; files
    /// that tiers did not write stay.
    ///
    /// # Errors
    /// If the folder cannot be written, or holds files with our names that tiers did not write.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        crate::save::save(self, folder.as_ref())
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible::lines(&summary::text(&self.saved.report)))
    }
}
