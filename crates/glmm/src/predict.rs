//! Predictions of generalised models for new rows, on the scale of the link or of the response.
//!
//! A row has the linear predictor `η = x'β + o + Σ z'b̂` over the known groups of the requested levels. Its mean is
//! the integral of `g⁻¹` over the effects of all other levels, `N(0, z'Gz)` ([`marginal_mean`]): `g⁻¹(x'β)` alone is
//! the mean of a group whose effects are zero, and not the population's.
//!
//! Standard errors are for predictions without groups. With a and q the coefficients of β and of the entries of the
//! covariances, `SE² = (a, q)' C (a, q)`, C from the joint information (delta method). An interval of a mean is formed
//! for the linear predictor that has this mean, and transformed.

use crate::family::Link;
use crate::joint::JointInference;
use crate::marginal::marginal_mean;
use tiers_design::{Block, RandomSpec, Recipe, Request};
use tiers_reml::{
    EffectsMismatch, Figures, FixedPart, LevelEffects, LinearRows, PredictError, PredictedRows, Predictor,
    VarianceComponent, normal_quantile,
};

/// The scale of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictScale {
    /// The linear predictor: known effects, and zero for others.
    Link,
    /// The mean of the response.
    Response,
}

/// Predicts for new rows from a fit.
#[derive(Debug)]
pub struct GlmmPredictor<'a> {
    linear: Predictor<'static>,
    link: Link,
    scale: PredictScale,
    terms: Vec<Term>,
    errors: Option<Errors<'a>>,
}

/// One term of random effects.
#[derive(Debug)]
struct Term {
    /// The requested level (counted from the finest) whose known groups have effects; `None` if it is left out.
    level: Option<usize>,
    /// The encoder's column of each coefficient, and the shift to undo.
    z: Vec<(usize, f64)>,
    /// The covariance, r×r.
    g: Vec<f64>,
}

/// What standard errors need.
#[derive(Debug)]
struct Errors<'a> {
    /// The encoder's columns of the coefficients, and the shifts to undo.
    x: Vec<(usize, f64)>,
    covariance: &'a [Vec<f64>],
    /// The quantile of the interval, if one was requested.
    quantile: Option<f64>,
}

impl<'a> GlmmPredictor<'a> {
    /// Prepares predictions with the random effects of the requested levels, coarsest first.
    ///
    /// # Errors
    /// If the effects are not those of the recipe.
    pub fn new(
        fixed: FixedPart<'_>,
        effects: Vec<LevelEffects>,
        components: &[VarianceComponent],
        link: Link,
        scale: PredictScale,
    ) -> Result<GlmmPredictor<'a>, EffectsMismatch> {
        let recipe = fixed.recipe;
        let names: Vec<String> = effects.iter().rev().map(|level| level.level.clone()).collect();
        let all_z: Vec<usize> = recipe.random.iter().flat_map(|term| term.columns.iter().copied()).collect();
        // Effects of unknown groups change the mean only.
        let further = if scale == PredictScale::Response { &all_z[..] } else { &[] };
        let linear = Predictor::with_columns(fixed, effects, further)?;
        let terms = match scale {
            PredictScale::Link => Vec::new(),
            PredictScale::Response => components
                .iter()
                .map(|component| Term::new(component, recipe, &names, &linear))
                .collect::<Result<_, _>>()?,
        };
        Ok(GlmmPredictor { linear, link, scale, terms, errors: None })
    }

    /// Adds standard errors, and an interval of the given level if there is one. `inference` is that of the fit;
    /// there must be no random effects.
    #[must_use]
    pub fn with_errors(
        self,
        recipe: &Recipe,
        inference: &'a JointInference,
        interval: Option<f64>,
    ) -> GlmmPredictor<'a> {
        let column = |&i: &usize| {
            let column = recipe.x[i].column;
            (self.linear.column(column).expect("a coefficient's column is encoded"), recipe.columns[column].shift)
        };
        let errors = Errors {
            x: inference.fixed.coefficients.iter().map(column).collect(),
            covariance: &inference.covariance,
            quantile: interval.map(|level| normal_quantile(0.5 - 0.5 * level)),
        };
        GlmmPredictor { errors: Some(errors), ..self }
    }

    /// The predictor of the linear part.
    pub fn linear(&self) -> &Predictor<'static> {
        &self.linear
    }

    /// The columns to read, in this order.
    pub fn requests(&self) -> &[Request] {
        self.linear.requests()
    }

    /// Predicts for a block with the columns of [`GlmmPredictor::requests`]; it may have further columns.
    ///
    /// # Errors
    /// If a row cannot be encoded.
    pub fn of_block(&self, block: Block) -> Result<(Block, PredictedRows), PredictError> {
        let rows = self.linear.linear(block)?;
        let mut figures = Figures::default();
        let (mut weights, mut z) = (Vec::new(), Vec::new());
        for (i, &eta) in rows.value.iter().enumerate() {
            weights.clear();
            let variance: f64 = self.terms.iter().map(|term| term.variance(&rows, i, &mut z, &mut weights)).sum();
            let (value, by_eta, by_variance) = match self.scale {
                PredictScale::Link => (eta, 1.0, 0.0),
                PredictScale::Response => {
                    let mean = marginal_mean(self.link, eta, variance);
                    (mean.mean, mean.by_eta, mean.by_variance)
                }
            };
            figures.prediction.push(value);
            if let Some(errors) = &self.errors {
                let std_error = errors.of_row(&rows, i, by_eta, by_variance, &weights);
                figures.std_error.push(std_error);
                if let Some(quantile) = errors.quantile {
                    let [lower, upper] = self.interval(value, quantile * std_error);
                    figures.lower.push(lower);
                    figures.upper.push(upper);
                }
            }
        }
        Ok(rows.predicted(figures))
    }

    /// The ends of an interval whose half width is `half` on the scale of the predictions.
    fn interval(&self, value: f64, half: f64) -> [f64; 2] {
        match self.scale {
            PredictScale::Link => [value - half, value + half],
            PredictScale::Response => {
                let eta = self.link.predictor(value);
                let half = half / self.link.mean_derivative(eta);
                [self.link.mean(eta - half), self.link.mean(eta + half)]
            }
        }
    }
}

impl Term {
    fn new(
        component: &VarianceComponent,
        recipe: &Recipe,
        levels: &[String],
        linear: &Predictor<'_>,
    ) -> Result<Term, EffectsMismatch> {
        let mismatch = || EffectsMismatch::Level(component.level.clone());
        let is_own = |term: &&RandomSpec| {
            recipe.groupings[term.grouping].name == component.level && term.names == component.terms
        };
        let term = recipe.random.iter().find(is_own).ok_or_else(mismatch)?;
        let column = |&column: &usize| Some((linear.column(column)?, recipe.columns[column].shift));
        let z = term.columns.iter().map(column).collect::<Option<Vec<_>>>().ok_or_else(mismatch)?;
        let r = z.len();
        let entry = |at: usize| {
            let (i, j) = (at / r, at % r);
            component.correlation[i][j].map_or(0.0, |rho| rho * component.sd[i] * component.sd[j])
        };
        let level = levels.iter().position(|name| *name == component.level);
        Ok(Term { level, z, g: (0..r * r).map(entry).collect() })
    }

    /// `z'Gz` of a row whose group is unknown at this level, otherwise 0; appends its derivatives by the entries of G.
    fn variance(&self, rows: &LinearRows, row: usize, z: &mut Vec<f64>, by_entries: &mut Vec<f64>) -> f64 {
        let r = self.z.len();
        if self.level.is_some_and(|level| rows.is_known(level, row)) {
            by_entries.extend(std::iter::repeat_n(0.0, r * (r + 1) / 2));
            return 0.0;
        }
        z.clear();
        z.extend(self.z.iter().map(|&(column, shift)| rows.rows.column(column)[row] + shift));
        let mut sum = 0.0;
        for i in 0..r {
            for j in 0..=i {
                let product = z[i] * z[j] * if i == j { 1.0 } else { 2.0 };
                sum += product * self.g[i * r + j];
                by_entries.push(product);
            }
        }
        sum
    }
}

impl Errors<'_> {
    /// The standard error of one row's prediction.
    fn of_row(&self, rows: &LinearRows, row: usize, by_eta: f64, by_variance: f64, weights: &[f64]) -> f64 {
        let x = self.x.iter().map(|&(column, shift)| by_eta * (rows.rows.column(column)[row] + shift));
        let all: Vec<f64> = x.chain(weights.iter().map(|w| by_variance * w)).collect();
        let row_of = |(i, a): (usize, &f64)| a * self.covariance[i].iter().zip(&all).map(|(c, b)| c * b).sum::<f64>();
        all.iter().enumerate().map(row_of).sum::<f64>().max(0.0).sqrt()
    }
}
