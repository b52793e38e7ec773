//! Predictions for the rows of a table, and fitted values.

use crate::error::Error;
use crate::fit::Fit;
use tiers_design::{Block, Source};
use tiers_moments::RowPass;
use tiers_reml::{FittedRows, FittedValues, FixedPart, Interval, PredictedRows, PredictionErrors, Predictor};

/// Predictions for the rows of a table, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// The predictions; NaN where a predictor is missing or the mean is not estimable.
    pub values: Vec<f64>,
    /// Standard errors of the means; empty unless an interval was asked for.
    pub std_error: Vec<f64>,
    /// Lower ends of the interval; empty unless an interval was asked for.
    pub lower: Vec<f64>,
    /// Upper ends of the interval.
    pub upper: Vec<f64>,
    /// Rows (from 0) with a combination of levels that the data of the fit say nothing of.
    pub not_estimable: Vec<usize>,
    levels: Vec<String>,
    known: Vec<Vec<bool>>,
}

impl Prediction {
    /// No predictions yet, with these levels, coarsest first.
    pub(crate) fn of_levels<'a>(levels: impl Iterator<Item = &'a str>) -> Prediction {
        let levels: Vec<String> = levels.map(str::to_owned).collect();
        Prediction { known: vec![Vec::new(); levels.len()], levels, ..Prediction::default() }
    }

    /// Appends the predictions of a block.
    pub(crate) fn push(&mut self, some: PredictedRows) {
        let first = self.values.len();
        self.not_estimable.extend(some.not_estimable.iter().map(|row| first + row));
        self.values.extend(some.prediction);
        self.std_error.extend(some.std_error);
        self.lower.extend(some.lower);
        self.upper.extend(some.upper);
        self.known.iter_mut().zip(some.known).for_each(|(all, own)| all.extend(own));
    }

    /// Whether the group of each row at this level was among those of the fit; `None` if the model has no
    /// such level.
    pub fn known(&self, level: &str) -> Option<&[bool]> {
        let at = self.levels.iter().position(|name| name == level)?;
        Some(&self.known[at])
    }
}

impl Fit {
    /// Predicts the response for the rows of a table: `x'β + z'b`, where groups that the fit has not seen
    /// have `b = 0`, their expectation.
    ///
    /// A row with a missing predictor, or a combination of levels that the data of the fit say nothing
    /// of, has the prediction NaN.
    ///
    /// ```
    /// # let table = tiers::doc::schools();
    /// let fit = tiers::lmm("score ~ pretest + (1 | school)").fit(&table)?;
    /// let new = tiers::Table::from_columns([
    ///     ("pretest", vec![9.0, 12.0].into()),
    ///     ("school", vec!["a", "a new school"].into()),
    /// ])?;
    /// let prediction = fit.predict(&new)?;
    /// assert_eq!(prediction.known("school"), Some(&[true, false][..]));
    /// assert!(prediction.values[0] < prediction.values[1]);
    /// # Ok::<(), tiers::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a predictor is not among the columns, or a factor has a level that the fit has not seen.
    pub fn predict(&self, rows: &dyn Source) -> Result<Prediction, Error> {
        predict(self, rows, None)
    }

    /// [`Fit::predict`] with standard errors and intervals.
    ///
    /// # Errors
    /// As [`Fit::predict`], and if the level is not between 0 and 1, or the fit was loaded (see
    /// [`Fit::with_rows`]).
    pub fn predict_interval(&self, rows: &dyn Source, interval: Interval) -> Result<Prediction, Error> {
        if !(interval.level > 0.0 && interval.level < 1.0) {
            let level = interval.level;
            return Err(Error::Setting(format!("level {level}: it lies between 0 and 1, such as 0.95")));
        }
        predict(self, rows, Some(interval))
    }

    /// Fitted values and residuals of the rows that the model was fitted to, which are read again.
    ///
    /// # Errors
    /// If the rows are not those of the fit, or the fit was loaded (see [`Fit::with_rows`]).
    pub fn fitted(&self, rows: &dyn Source) -> Result<FittedRows, Error> {
        let (objective, effects) = (self.objective()?, self.all_random_effects()?);
        let mut all = FittedRows::default();
        let values = FittedValues::new(&objective, self.optimum()?, &effects);
        RowPass::new(rows, values.requests().to_vec())
            .run(&mut (), |block| values.of_block(&block), &mut |some: FittedRows| {
                all.row.extend(some.row);
                all.response.extend(some.response);
                all.fixed.extend(some.fixed);
                all.fitted.extend(some.fitted);
                all.residual.extend(some.residual);
                all.standardised.extend(some.standardised);
                Ok(())
            })
            .map_err(|error| Error::Source(error.into()))?;
        Ok(all)
    }
}

/// Predicts with the random effects of all levels.
fn predict(fit: &Fit, rows: &dyn Source, interval: Option<Interval>) -> Result<Prediction, Error> {
    let (recipe, effects) = (fit.recipe(), fit.all_random_effects()?);
    let aliases = fit.fixed().aliases(recipe);
    let (coefficients, beta) = (&fit.fixed().coefficients[..], &fit.fixed().inference.beta);
    let part = FixedPart { recipe, coefficients, beta, aliases: &aliases };
    let objective = interval.map(|_| fit.objective()).transpose()?;
    let predictor = match &objective {
        None => Predictor::new(part, effects)?,
        Some(objective) => {
            Predictor::with_errors(part, effects, PredictionErrors::new(objective, fit.optimum()?), interval)?
        }
    };
    let mut out = Prediction::of_levels(predictor.levels());
    let mut pass = RowPass::new(rows, predictor.requests().to_vec());
    pass.run(&mut (), |block| predictor.of_block(block), &mut |(_, some): (Block, PredictedRows)| {
        out.push(some);
        Ok(())
    })?;
    Ok(out)
}
