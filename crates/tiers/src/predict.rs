//! Predictions for the rows of a table.

use crate::error::Error;
use crate::fit::Fit;
use tiers_design::Source;
use tiers_reml::{FixedPart, Interval, PredictionErrors, Predictor};

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
    /// Whether the group of each row at this level was among those of the fit; `None` if the model has no
    /// such level.
    pub fn known(&self, level: &str) -> Option<&[bool]> {
        let at = self.levels.iter().position(|name| name == level)?;
        Some(&self.known[at])
    }
}

/// Predicts with the random effects of all levels.
pub(crate) fn predict(fit: &Fit, rows: &dyn Source, interval: Option<Interval>) -> Result<Prediction, Error> {
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
    let levels: Vec<String> = predictor.levels().map(str::to_owned).collect();
    let mut out = Prediction { known: vec![Vec::new(); levels.len()], levels, ..Prediction::default() };
    predictor.pass(rows, &[], &mut (), &mut |_, some| {
        let first = out.values.len();
        out.not_estimable.extend(some.not_estimable.iter().map(|row| first + row));
        out.values.extend(some.prediction);
        out.std_error.extend(some.std_error);
        out.lower.extend(some.lower);
        out.upper.extend(some.upper);
        out.known.iter_mut().zip(some.known).for_each(|(all, own)| all.extend(own));
        Ok(())
    })?;
    Ok(out)
}
