//! How a linear mixed model is specified and fitted.

use crate::error::Error;
use crate::fit::{Fit, IN_MEMORY, MOMENTS_IN_MEMORY};
use crate::moments::Moments;
use std::path::PathBuf;
use std::time::Instant;
use tiers_csv::CsvOptions;
use tiers_design::{DesignError, Formula, Plan, Settings, Source};
use tiers_moments::{Definition, ReadObserver, Reading, accumulate_with};
use tiers_reml::{DfMethod, FitSettings, Method, SearchObserver, Step, Trial, fit_moments};
use tiers_report::Data;

/// A linear mixed model to be fitted: formula, method and settings.
///
/// Made by [`lmm`]. By default it is fitted by REML, with Satterthwaite's degrees of freedom and
/// confidence intervals of 95 %.
#[derive(Clone, Debug)]
pub struct Lmm {
    formula: String,
    settings: Settings,
    fitting: FitSettings,
}

/// A linear mixed model, by a formula in lme4's language.
///
/// The formula is read when the model is fitted, so that its errors are those of [`Lmm::fit`].
///
/// ```
/// let model = tiers::lmm("score ~ pretest * sex + (1 + pretest | school/class)").ml();
/// ```
pub fn lmm(formula: impl Into<String>) -> Lmm {
    Lmm { formula: formula.into(), settings: Settings::default(), fitting: FitSettings::default() }
}

impl Lmm {
    /// Fits by restricted maximum likelihood (the default).
    #[must_use]
    pub fn reml(mut self) -> Lmm {
        self.fitting.method = Method::Reml;
        self
    }

    /// Fits by maximum likelihood.
    #[must_use]
    pub fn ml(mut self) -> Lmm {
        self.fitting.method = Method::Ml;
        self
    }

    /// Names the column of prior weights: row i has the residual variance σ² / weight i.
    #[must_use]
    pub fn weights(mut self, column: impl Into<String>) -> Lmm {
        self.settings.weights = Some(column.into());
        self
    }

    /// Names the reference level of a factor (default: the first in order).
    #[must_use]
    pub fn reference(mut self, factor: impl Into<String>, level: impl Into<String>) -> Lmm {
        self.settings.reference.push((factor.into(), level.into()));
        self
    }

    /// Lists the levels of a factor in order (default: the order of the table, or else by value).
    #[must_use]
    pub fn levels<L: Into<String>>(mut self, factor: impl Into<String>, levels: impl IntoIterator<Item = L>) -> Lmm {
        self.settings.levels.push((factor.into(), levels.into_iter().map(Into::into).collect()));
        self
    }

    /// Chooses the degrees of freedom of tests (default: Satterthwaite's).
    #[must_use]
    pub fn df(mut self, method: DfMethod) -> Lmm {
        self.fitting.inference.df = method;
        self
    }

    /// Sets the level of confidence intervals (default 0.95).
    #[must_use]
    pub fn confidence(mut self, level: f64) -> Lmm {
        self.fitting.inference.confidence = level;
        self
    }

    /// Sets the largest number of evaluations of the criterion (default 100).
    #[must_use]
    pub fn max_evaluations(mut self, evaluations: usize) -> Lmm {
        self.fitting.newton.max_evaluations = evaluations;
        self
    }

    /// Reads the rows once and fits the model to them.
    ///
    /// Rows with a missing value in a column of the model are left out (listwise deletion) and counted
    /// in [`Estimates::missing`](crate::Estimates::missing). The estimates are bit-identical for any number of threads.
    ///
    /// # Errors
    /// If the formula cannot be read or does not go with the columns, a value cannot be used, the
    /// groupings cross, or the data do not determine the estimates. That the search did not converge is
    /// no error: see [`Fit::status`].
    pub fn fit(&self, rows: &dyn Source) -> Result<Fit, Error> {
        self.fit_observed(rows, &mut (), &mut |_: &Trial<'_>, _: &Step| true)
    }

    /// [`Lmm::fit`] with observers of the read and of the search, either of which may cancel it.
    ///
    /// # Errors
    /// As [`Lmm::fit`], and if an observer cancels.
    pub fn fit_observed(
        &self,
        rows: &dyn Source,
        reading: &mut dyn ReadObserver,
        search: &mut dyn SearchObserver,
    ) -> Result<Fit, Error> {
        let began = Instant::now();
        self.check()?;
        let moments = self.read(rows, &Reading::default(), reading)?;
        self.fit_read(moments, self.data_in_memory(IN_MEMORY), began, search)
    }

    /// Reads the rows once and returns the moments of the model: of the whole data, or of a part that is to
    /// be merged with others ([`Moments::merge`]).
    ///
    /// # Errors
    /// If the formula does not go with the columns, or a value cannot be used.
    pub fn moments(&self, rows: &dyn Source) -> Result<Moments, Error> {
        let levels = self.settings.levels.iter().cloned().collect();
        self.read(rows, &Reading { levels, part: true, ..Reading::default() }, &mut ())
    }

    /// Fits the model to moments of it.
    ///
    /// # Errors
    /// If the moments are of another formula or other weights, and as [`Lmm::fit`].
    pub fn fit_moments(&self, moments: Moments) -> Result<Fit, Error> {
        self.check()?;
        let formula: Formula = self.formula.parse().map_err(DesignError::from)?;
        let Definition { formula: of_moments, weights, .. } = &moments.definition;
        if formula.source != *of_moments || self.settings.weights != *weights {
            let named = |weights: &Option<String>| match weights {
                Some(column) => format!(" with the weights {column}"),
                None => String::new(),
            };
            return Err(Error::Setting(format!(
                "the moments are those of {of_moments}{}, and the model is {}{}: fit that model, or make moments of this \
                 one",
                named(weights),
                formula.source,
                named(&self.settings.weights)
            )));
        }
        let mut search = |_: &Trial<'_>, _: &Step| true;
        self.fit_read(moments, self.data_in_memory(MOMENTS_IN_MEMORY), Instant::now(), &mut search)
    }

    /// Fits the model to files: parquet, csv or arrow, folders of them, or globs. Further commands of the
    /// program find the data of a fit that was saved.
    ///
    /// # Errors
    /// If the files cannot be read, and as [`Lmm::fit`].
    #[cfg(feature = "files")]
    pub fn fit_files<P: Into<PathBuf>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Fit, Error> {
        let began = Instant::now();
        self.check()?;
        let paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
        let files = tiers_tables::Source::open(&paths).map_err(|error| Error::Source(error.into()))?;
        let moments = self.read(&files, &Reading::default(), &mut ())?;
        let (count, weights, csv) = (files.files().len(), self.settings.weights.clone(), files.options().clone());
        let data = Data { paths, files: count, weights, csv };
        self.fit_read(moments, data, began, &mut |_: &Trial<'_>, _: &Step| true)
    }

    fn read(
        &self,
        rows: &dyn Source,
        reading: &Reading<'_>,
        observer: &mut dyn ReadObserver,
    ) -> Result<Moments, Error> {
        let formula: Formula = self.formula.parse().map_err(DesignError::from)?;
        let plan = Plan::new(&formula, rows.fields(), &self.settings)?;
        let ingested = accumulate_with(rows, &plan, reading, observer)?;
        let definition = Definition::of(&ingested.recipe, &formula, &self.settings, rows.fields());
        Ok(Moments { ingested, definition })
    }

    /// Fits the model to moments that were read since `began`.
    fn fit_read(
        &self,
        moments: Moments,
        data: Data,
        began: Instant,
        search: &mut dyn SearchObserver,
    ) -> Result<Fit, Error> {
        let Moments { ingested, definition } = moments;
        let fitted = fit_moments(ingested, &self.fitting, search)?;
        let confidence_level = self.fitting.inference.confidence;
        Ok(Fit::new(fitted, definition, &self.fitting.newton, data, confidence_level, began.elapsed()))
    }

    fn data_in_memory(&self, name: &str) -> Data {
        let csv = CsvOptions::default();
        Data { paths: vec![PathBuf::from(name)], files: 1, weights: self.settings.weights.clone(), csv }
    }

    fn check(&self) -> Result<(), Error> {
        let level = self.fitting.inference.confidence;
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Setting(format!("confidence level {level}: it lies between 0 and 1, such as 0.95")));
        }
        if self.fitting.newton.max_evaluations == 0 {
            return Err(Error::Setting("the search needs at least one evaluation".to_owned()));
        }
        if self.fitting.inference.df == DfMethod::KenwardRoger && self.fitting.method == Method::Ml {
            return Err(Error::Setting(
                "Kenward and Roger's degrees of freedom are for fits by REML; take Satterthwaite's, or fit by REML"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}
