//! Generalised linear mixed models: how they are specified and fitted.

use crate::error::Error;
use crate::fit::IN_MEMORY;
use crate::glmm_fit::GlmmFit;
use std::path::PathBuf;
use tiers_csv::CsvOptions;
use tiers_design::{Formula, Plan, Settings, Source};
use tiers_glmm::{Distribution, Family, FittedGlmm, GlmmObserver, GlmmSettings, Link, fit_glmm};
use tiers_moments::{Definition, ReadObserver, Reading, accumulate_with};
use tiers_outputs::Seal;
use tiers_reml::{NewtonSettings, Step};
use tiers_report::saved::SavedGlmmModel;
use tiers_report::{Data, GlmmReport};

/// A generalised linear mixed model to be fitted. Made by [`glmm`].
#[derive(Clone, Debug)]
pub struct Glmm {
    formula: String,
    settings: Settings,
    family: Family,
    link: Option<Link>,
    newton: NewtonSettings,
    confidence: f64,
    nodes: usize,
    laplace_error: bool,
}

/// A generalised linear mixed model `g(μ) = Xβ + Zb`, by a formula in lme4's language; binomial with the logit link
/// unless a family is named. It is fitted by maximum likelihood with Laplace's approximation.
///
/// ```
/// use tiers::{Family, glmm};
/// let model = glmm("cbind(incidence, size - incidence) ~ period + (1 | herd)").family(Family::Binomial);
/// ```
pub fn glmm(formula: impl Into<String>) -> Glmm {
    Glmm {
        formula: formula.into(),
        settings: Settings { generalised: true, ..Settings::default() },
        family: Family::Binomial,
        link: None,
        newton: NewtonSettings::default(),
        confidence: 0.95,
        nodes: 1,
        laplace_error: true,
    }
}

/// Continues whatever is observed.
#[derive(Default)]
struct Unobserved {
    read: (),
}

impl GlmmObserver for Unobserved {
    fn second_pass(&mut self, _: u64) -> &mut dyn ReadObserver {
        &mut self.read
    }

    fn evaluated(&mut self, _: f64, _: &Step) -> bool {
        true
    }
}

impl Glmm {
    /// Sets the family (default: binomial).
    #[must_use]
    pub fn family(mut self, family: Family) -> Glmm {
        self.family = family;
        self
    }

    /// Sets the link (default: the canonical one).
    #[must_use]
    pub fn link(mut self, link: Link) -> Glmm {
        self.link = Some(link);
        self
    }

    /// Names the column of weights: the number of trials of a binomial share, or multipliers of the rows'
    /// log-likelihoods.
    #[must_use]
    pub fn weights(mut self, column: impl Into<String>) -> Glmm {
        self.settings.weights = Some(column.into());
        self
    }

    /// Names the reference level of a factor (default: the first in order).
    #[must_use]
    pub fn reference(mut self, factor: impl Into<String>, level: impl Into<String>) -> Glmm {
        self.settings.reference.push((factor.into(), level.into()));
        self
    }

    /// Lists the levels of a factor in order; of a response of two levels the second is success.
    #[must_use]
    pub fn levels<L: Into<String>>(mut self, factor: impl Into<String>, levels: impl IntoIterator<Item = L>) -> Glmm {
        self.settings.levels.push((factor.into(), levels.into_iter().map(Into::into).collect()));
        self
    }

    /// Sets the level of confidence intervals (default 0.95).
    #[must_use]
    pub fn confidence(mut self, level: f64) -> Glmm {
        self.confidence = level;
        self
    }

    /// Sets the largest number of evaluations of the criterion (default 100).
    #[must_use]
    pub fn max_evaluations(mut self, evaluations: usize) -> Glmm {
        self.newton.max_evaluations = evaluations;
        self
    }

    /// Sets the number of nodes of adaptive Gauss–Hermite quadrature (default 1: Laplace's approximation). It is for
    /// nested intercepts, and for two effects of one level.
    #[must_use]
    pub fn quadrature(mut self, nodes: usize) -> Glmm {
        self.nodes = nodes;
        self
    }

    /// Sets whether the error of Laplace's approximation is measured (the default).
    #[must_use]
    pub fn laplace_error(mut self, measured: bool) -> Glmm {
        self.laplace_error = measured;
        self
    }

    /// Reads the rows twice, keeps them in memory in the order of their groups, and fits the model.
    ///
    /// ```
    /// use tiers::{Family, Table, glmm};
    /// # let (mut passed, mut pretest, mut school) = (vec![], vec![], vec![]);
    /// # for s in 0..8_i64 { for i in 0..12_i64 {
    /// #     let x = ((s * 5 + i * 7) % 11) as f64 / 5.0 - 1.0; let u = (s * 37 % 8) as f64 / 4.0 - 0.9;
    /// #     let e = ((s * 13 + i * 29 + i * i * 3) % 17) as f64 / 8.5 - 1.0;
    /// #     passed.push(if x + u + 1.5 * e > 0.0 { 1.0 } else { 0.0 }); pretest.push(x); school.push(s);
    /// # } }
    /// let table = Table::from_columns([
    ///     ("passed", passed.into()), ("pretest", pretest.into()), ("school", school.into()),
    /// ])?;
    /// let fit = glmm("passed ~ pretest + (1 | school)").family(Family::Binomial).fit(&table)?;
    /// println!("{fit}"); // the summary, in the layout of glmer's
    /// assert!(fit.fixed_effects()[1].estimate > Some(0.0));
    /// # Ok::<(), tiers::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the formula cannot be read or does not go with the columns, the response does not suit the family, the
    /// groupings cross, or a setting is out of range. Separation and a search that did not converge are no errors:
    /// see [`GlmmFit::status`].
    pub fn fit(&self, rows: &dyn Source) -> Result<GlmmFit, Error> {
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            let level = self.confidence;
            return Err(Error::Setting(format!("confidence level {level}: it lies between 0 and 1, such as 0.95")));
        }
        if self.newton.max_evaluations == 0 {
            return Err(Error::Setting("the search needs at least one evaluation".to_owned()));
        }
        let distribution =
            Distribution::new(self.family, self.link).map_err(|error| Error::Setting(error.to_string()))?;
        let formula: Formula = self.formula.parse().map_err(tiers_design::DesignError::from)?;
        let plan = Plan::new(&formula, rows.fields(), &self.settings)?;
        let ingested = accumulate_with(rows, &plan, &Reading::default(), &mut ())?;
        let settings = GlmmSettings {
            distribution,
            newton: self.newton.clone(),
            confidence: self.confidence,
            nodes: self.nodes,
            laplace_error: self.laplace_error,
        };
        let FittedGlmm { model, inference, fit, effects } =
            fit_glmm(ingested, rows, &settings, &mut Unobserved::default())?;
        let definition = Definition::of(&model.recipe, &formula, &self.settings, rows.fields());
        let weights = self.settings.weights.clone();
        let data = Data { paths: vec![PathBuf::from(IN_MEMORY)], files: 1, weights, csv: CsvOptions::default() };
        let (seconds, peak_memory_bytes, seal) = (None, None, Seal::default());
        let report =
            GlmmReport { ratios: None, fit, data, confidence_level: self.confidence, seconds, peak_memory_bytes, seal };
        let saved = inference.map(|inference| {
            // What is in memory cannot be found again from the folder.
            SavedGlmmModel { working_folder: None, ..SavedGlmmModel::new(&model, definition, inference) }
        });
        Ok(GlmmFit::new(report, saved, model.recipe, effects))
    }
}
