//! Predictions for rows of another table, with their errors.
//!
//! With the shifted columns of the recipe a row has the prediction
//!
//! ```text
//! x̃'β̃ + s_y + offset + Σ_k z_k'b̂_k          over the requested levels k
//! ```
//!
//! with b̂ the conditional modes; a group that the fit has not seen has `b̂ = 0`, its expectation. This
//! needs only β, the random effects and the recipe; the errors ([`PredictionErrors`]) also need the moments.

mod errors;
mod estimable;
mod rows;

pub use errors::PredictionErrors;
pub use rows::{Figures, LinearRows, PredictError, PredictedRows};

use crate::effects::{KeyColumn, LevelEffects};
use crate::inference::{FixedInference, normal_quantile};
use estimable::Estimable;
use nalgebra::{DMatrix, DVector};
use std::collections::BTreeSet;
use std::ops::Range;
use tiers_design::{Block, Dictionary, Encoder, Recipe, Request, Role, RowBlock};
use tiers_moments::GroupIds;

/// The fixed part of a fit.
#[derive(Clone, Copy, Debug)]
pub struct FixedPart<'a> {
    /// Definition of the columns.
    pub recipe: &'a Recipe,
    /// The coefficients in use: indices into [`Recipe::x`].
    pub coefficients: &'a [usize],
    /// β of the coefficients in use, in the user's columns.
    pub beta: &'a DVector<f64>,
    /// All columns of X as combinations of those in use, as [`FixedModel::aliases`] gives them.
    ///
    /// [`FixedModel::aliases`]: crate::FixedModel::aliases
    pub aliases: &'a DMatrix<f64>,
}

/// The quantity that an interval covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalKind {
    /// The predicted mean: `x'β + Σ z'b` of the requested levels.
    Confidence,
    /// A new response, with its residual and the effects of unknown groups at the levels left out.
    Prediction,
}

/// A requested interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The quantity that it covers.
    pub kind: IntervalKind,
    /// Level, between 0 and 1.
    pub level: f64,
}

/// The random effects do not belong to the given recipe.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EffectsMismatch {
    /// The recipe has no such grouping, or other coefficients for it.
    #[error("the random effects of {0} are not those of the formula")]
    Level(String),
    /// A group occurs twice.
    #[error("the random effects of {0} have a group twice")]
    Repeated(String),
}

/// Predicts for new rows from a fit.
#[derive(Debug)]
pub struct Predictor<'a> {
    encoder: Encoder,
    /// First the columns that the encoder reads, then the keys.
    requests: Vec<Request>,
    /// Number of requests that belong to the encoder.
    encoded: usize,
    /// The columns of the recipe that are encoded, ascending.
    columns: Vec<usize>,
    /// The encoder's columns of the offsets.
    offsets: Range<usize>,
    /// Shift that was subtracted from the response.
    response_shift: f64,
    /// The encoder's column of each coefficient, and β̃.
    beta: Vec<(usize, f64)>,
    estimable: Estimable,
    /// The groups of the requested levels.
    groups: GroupIds,
    /// The requested levels, finest first.
    levels: Vec<LevelPart>,
    errors: Option<(PredictionErrors<'a>, Option<(IntervalKind, f64)>)>,
}

/// The effects of one level, by the number of the group.
#[derive(Debug)]
struct LevelPart {
    name: String,
    /// The encoder's column of each coefficient, and the shift to undo.
    z: Vec<(usize, f64)>,
    /// groups×r.
    effects: Vec<f64>,
}

impl<'a> Predictor<'a> {
    /// Prepares predictions from the fixed part of a fit and the random effects of the requested levels,
    /// coarsest first.
    pub fn new(fixed: FixedPart<'_>, effects: Vec<LevelEffects>) -> Result<Predictor<'static>, EffectsMismatch> {
        Predictor::build(fixed, effects, None, &[])
    }

    /// The same, with further columns of the recipe among those that are encoded (see [`Predictor::column`]).
    pub fn with_columns(
        fixed: FixedPart<'_>,
        effects: Vec<LevelEffects>,
        further: &[usize],
    ) -> Result<Predictor<'static>, EffectsMismatch> {
        Predictor::build(fixed, effects, None, further)
    }

    /// Prepares predictions with standard errors and, if requested, an interval. The effects must be those
    /// of [`crate::random_effects`] for the model and optimum of `errors`.
    pub fn with_errors(
        fixed: FixedPart<'_>,
        effects: Vec<LevelEffects>,
        errors: PredictionErrors<'a>,
        interval: Option<Interval>,
    ) -> Result<Predictor<'a>, EffectsMismatch> {
        Predictor::build(fixed, effects, Some((errors, interval)), &[])
    }

    /// Prepares predictions of the fixed part with standard errors of their means and, if requested, a
    /// confidence interval of this level. `None` where the saved fit does not give the errors exactly, so
    /// that they need an optimum.
    pub fn of_population(
        fixed: FixedPart<'_>,
        inference: &FixedInference,
        sigma: f64,
        confidence: Option<f64>,
    ) -> Option<Predictor<'static>> {
        let x = fixed.coefficients.iter().map(|&i| fixed.recipe.x[i].column).collect();
        let errors = PredictionErrors::of_fixed(x, inference.unscaled()?, sigma);
        let interval = confidence.map(|level| Interval { kind: IntervalKind::Confidence, level });
        Predictor::build(fixed, Vec::new(), Some((errors, interval)), &[]).ok()
    }

    fn build(
        fixed: FixedPart<'_>,
        effects: Vec<LevelEffects>,
        errors: Option<(PredictionErrors<'a>, Option<Interval>)>,
        further: &[usize],
    ) -> Result<Predictor<'a>, EffectsMismatch> {
        let recipe = fixed.recipe;
        let x: Vec<usize> = fixed.coefficients.iter().map(|&i| recipe.x[i].column).collect();
        let z: Vec<Vec<usize>> = effects.iter().map(|level| z_columns(recipe, level)).collect::<Result<_, _>>()?;
        let estimable = Estimable::new(fixed);
        let mut wanted: BTreeSet<usize> = x.iter().chain(z.iter().flatten()).chain(further).copied().collect();
        wanted.extend(estimable.columns());
        let of_new_response = |interval: &Interval| interval.kind == IntervalKind::Prediction;
        let new_response = errors.as_ref().and_then(|(_, i)| i.as_ref()).is_some_and(of_new_response);
        if new_response {
            wanted.extend(recipe.random.iter().flat_map(|term| &term.columns));
        }
        let columns: Vec<usize> = wanted.into_iter().collect();
        let at = |column: usize| columns.binary_search(&column).expect("a column that is wanted");

        let new_rows = recipe.for_new_rows(&columns, new_response);
        let mut requests = new_rows.requests.clone();
        let encoded = requests.len();
        let (mut keys, mut levels) = (Vec::new(), Vec::new());
        for (level, z) in effects.into_iter().zip(z) {
            let z = z.iter().map(|&column| (at(column), recipe.columns[column].shift)).collect();
            keys.push(requested_keys(level.keys, &mut requests));
            levels.push(LevelPart { name: level.level, z, effects: level.estimate });
        }
        keys.reverse();
        levels.reverse();
        let repeated = |k: usize| EffectsMismatch::Repeated(levels[k].name.clone());
        let groups = GroupIds::new(keys).map_err(repeated)?;
        let errors = errors.map(|(mut errors, interval)| {
            let chosen = levels.iter().enumerate().map(|(k, level)| (&level.name[..], groups.groups(k)));
            errors.choose(chosen, new_response, &at);
            let quantile = |interval: Interval| (interval.kind, normal_quantile(0.5 - 0.5 * interval.level));
            (errors, interval.map(quantile))
        });
        let beta = x.iter().map(|&column| at(column)).zip(shifted_beta(fixed, &x)).collect();
        let estimable = estimable.among(&at);
        Ok(Predictor {
            encoder: Encoder::new(&new_rows),
            requests,
            encoded,
            offsets: columns.len()..new_rows.columns.len(),
            columns,
            response_shift: recipe.response_shift,
            beta,
            estimable,
            groups,
            levels,
            errors,
        })
    }

    /// The columns to read, in this order.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Names of the requested levels, coarsest first.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().rev().map(|level| &level.name[..])
    }

    /// Names of the predictors that may be missing in a row: the encoded columns, then the expressions that
    /// are more than a column; in the order of [`PredictedRows::missing_by`].
    pub fn predictors(&self) -> Vec<String> {
        let columns = self.requests[..self.encoded].iter().map(|request| request.column.clone());
        columns.chain(self.encoder.expressions().map(str::to_owned)).collect()
    }

    /// Returns the place of a column of the recipe among the encoded columns.
    pub fn column(&self, column: usize) -> Option<usize> {
        self.columns.binary_search(&column).ok()
    }

    /// Predicts for a block with the columns of [`Predictor::requests`]; it may have further columns.
    /// Returns the block with its predictions.
    pub fn of_block(&self, block: Block) -> Result<(Block, PredictedRows), PredictError> {
        let linear = self.linear(block)?;
        let mut figures = Figures { prediction: linear.value.clone(), ..Figures::default() };
        if let Some((errors, interval)) = &self.errors {
            let new_response = matches!(interval, Some((IntervalKind::Prediction, _)));
            let (of_mean, of_response) = errors.of_rows(&linear.rows, &linear.groups, new_response);
            if let Some((kind, quantile)) = interval {
                let of = if *kind == IntervalKind::Confidence { &of_mean } else { &of_response };
                let end = |sign: f64| linear.value.iter().zip(of).map(|(v, e)| v + sign * quantile * e).collect();
                (figures.lower, figures.upper) = (end(-1.0), end(1.0));
            }
            figures.std_error = of_mean;
        }
        Ok(linear.predicted(figures))
    }

    /// Encodes a block and computes its linear predictors.
    pub fn linear(&self, mut block: Block) -> Result<LinearRows, PredictError> {
        // The encoder sees its own columns only; a block without rows may have none at all.
        let further = block.columns.split_off(self.encoded.min(block.columns.len()));
        let rows = self.encoder.encode(&block);
        block.columns.extend(further);
        let rows = rows.map_err(|error| PredictError::of_encoding(error, &self.requests, &block))?;
        let groups = self.groups.of_block(&block);
        let mut value = vec![self.response_shift; rows.rows];
        for column in self.offsets.clone() {
            value.iter_mut().zip(rows.column(column)).for_each(|(sum, offset)| *sum += offset);
        }
        for &(column, beta) in &self.beta {
            value.iter_mut().zip(rows.column(column)).for_each(|(sum, x)| *sum += beta * x);
        }
        for (level, groups) in self.levels.iter().zip(&groups) {
            level.add(&rows, groups, &mut value);
        }
        let not_estimable = self.estimable.failing_rows(&rows);
        Ok(LinearRows { block, rows, value, groups, not_estimable })
    }
}

/// Returns the columns of C of a level's effects; an error unless the effects match the recipe.
fn z_columns(recipe: &Recipe, level: &LevelEffects) -> Result<Vec<usize>, EffectsMismatch> {
    let mismatch = || EffectsMismatch::Level(level.level.clone());
    let grouping = recipe.groupings.iter().position(|g| g.name == level.level).ok_or_else(mismatch)?;
    let terms = || recipe.random.iter().filter(|term| term.grouping == grouping);
    let names: Vec<&String> = terms().flat_map(|term| &term.names).collect();
    let keys = recipe.groupings[grouping].keys.iter().map(|&key| &recipe.requests[recipe.keys[key]].column);
    let same = names.iter().copied().eq(&level.terms) && keys.eq(level.keys.iter().map(|key| &key.name));
    match same && level.estimate.len() == level.rows.len() * level.terms.len() {
        true => Ok(terms().flat_map(|term| term.columns.iter().copied()).collect()),
        false => Err(mismatch()),
    }
}

/// β̃ of the shifted columns: `β_i = β̃_i + c_i (s_y - Σ_j s_j β̃_j)`, and c is zero where s is not.
fn shifted_beta(fixed: FixedPart<'_>, x: &[usize]) -> Vec<f64> {
    let recipe = fixed.recipe;
    let shifts: f64 = x.iter().zip(fixed.beta.iter()).map(|(&c, beta)| recipe.columns[c].shift * beta).sum();
    let constant = |i: usize| recipe.constant.as_ref().map_or(0.0, |constant| constant[fixed.coefficients[i]]);
    fixed.beta.iter().enumerate().map(|(i, beta)| beta - constant(i) * (recipe.response_shift - shifts)).collect()
}

/// Requests the key columns of a level; returns their positions among the requests, and the labels.
fn requested_keys(keys: Vec<KeyColumn>, requests: &mut Vec<Request>) -> (Vec<usize>, Vec<Dictionary>) {
    let mut request = |column: String| {
        let key = Request { column, role: Role::Label };
        requests.iter().position(|r| *r == key).unwrap_or_else(|| {
            requests.push(key);
            requests.len() - 1
        })
    };
    keys.into_iter().map(|key| (request(key.name), key.labels)).unzip()
}

impl LevelPart {
    /// Adds `z'b` to the values of the rows whose group is known.
    fn add(&self, rows: &RowBlock, groups: &[u32], value: &mut [f64]) {
        let r = self.z.len();
        let columns: Vec<(&[f64], f64)> = self.z.iter().map(|&(column, shift)| (rows.column(column), shift)).collect();
        for (i, value) in value.iter_mut().enumerate() {
            let group = groups[rows.kept.as_ref().map_or(i, |kept| kept[i] as usize)] as usize;
            if let Some(effects) = self.effects.get(group * r..(group + 1) * r) {
                *value += columns.iter().zip(effects).map(|((z, shift), b)| (z[i] + shift) * b).sum::<f64>();
            }
        }
    }
}
