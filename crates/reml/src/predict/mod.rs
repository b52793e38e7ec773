//! Predictions for rows of another table, with their errors.
//!
//! With the shifted columns of the recipe a row has the prediction
//!
//! ```text
//! x̃'β̃ + s_y + offset + Σ_k z_k'b̂_k          over the levels k that are wanted
//! ```
//!
//! where a group that the fit has not seen has `b̂ = 0`, its expectation. Nothing but β, the random
//! effects and the recipe is needed for it; the errors ([`PredictionErrors`]) need the moments too.

mod errors;
mod estimable;
mod pass;
mod path;

pub use errors::PredictionErrors;
pub use pass::{PredictError, PredictedRows};

use crate::effects::{KeyLabels, LevelEffects};
use crate::inference::{FixedInference, normal_quantile};
use estimable::Estimable;
use nalgebra::{DMatrix, DVector};
use std::collections::BTreeSet;
use std::ops::Range;
use tiers_design::{Block, Column, Dictionary, Encoder, Labels, Recipe, Request, Role, RowBlock};
use tiers_moments::GroupIndex;

/// The fixed part of a fit.
#[derive(Clone, Copy, Debug)]
pub struct FixedPart<'a> {
    /// How the columns came about.
    pub recipe: &'a Recipe,
    /// The coefficients in use: indices into [`Recipe::x`].
    pub coefficients: &'a [usize],
    /// β of these, in the user's columns.
    pub beta: &'a DVector<f64>,
    /// All columns of X as combinations of those in use, as [`FixedModel::aliases`] gives them.
    ///
    /// [`FixedModel::aliases`]: crate::FixedModel::aliases
    pub aliases: &'a DMatrix<f64>,
}

/// What an interval is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalKind {
    /// The mean of what is predicted: `x'β + Σ z'b` of the levels that are wanted.
    Confidence,
    /// A new response: residual, and effects of unknown groups at the levels left out, are on top.
    Prediction,
}

/// What is to be said of the errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// What it is for.
    pub kind: IntervalKind,
    /// Its level, between 0 and 1.
    pub level: f64,
}

/// Random effects do not belong to the recipe that is given with them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EffectsMismatch {
    /// There is no such grouping, or its coefficients are others.
    #[error("the random effects of {0} are not those of the formula")]
    Level(String),
    /// A group stands twice.
    #[error("the random effects of {0} have a group twice")]
    Repeated(String),
}

/// A fit, ready to predict.
#[derive(Debug)]
pub struct Predictor<'a> {
    encoder: Encoder,
    /// First what the encoder reads, then the keys.
    requests: Vec<Request>,
    /// How many of the requests are the encoder's.
    encoded: usize,
    /// Columns of the offsets, among those of the encoder.
    offsets: Range<usize>,
    /// What was subtracted from the response.
    response_shift: f64,
    /// Per coefficient its column, among those of the encoder, and β̃.
    beta: Vec<(usize, f64)>,
    estimable: Estimable,
    /// The levels that are wanted, finest first.
    levels: Vec<Lookup>,
    errors: Option<(PredictionErrors<'a>, Option<(IntervalKind, f64)>)>,
}

/// The effects of one level by the labels of its groups.
#[derive(Debug)]
struct Lookup {
    name: String,
    /// Requests of its keys.
    keys: Vec<usize>,
    groups: GroupIndex,
    /// Per coefficient its column, among those of the encoder, and the shift that is to be undone.
    z: Vec<(usize, f64)>,
    /// groups×r.
    effects: Vec<f64>,
}

/// The rows of a block that could be encoded, with their groups.
struct Encoded {
    rows: RowBlock,
    /// Per level and row of the block the group, [`tiers_design::MISSING`] where it is unknown.
    groups: Vec<Vec<u32>>,
}

impl<'a> Predictor<'a> {
    /// From the fixed part of a fit and the random effects of the levels that are wanted, coarsest
    /// first.
    pub fn new(fixed: FixedPart<'_>, effects: Vec<LevelEffects>) -> Result<Predictor<'static>, EffectsMismatch> {
        Predictor::build(fixed, effects, None)
    }

    /// The same with standard errors and, where asked for, an interval. The effects are those of
    /// [`crate::random_effects`] for the very model and optimum of `errors`.
    pub fn with_errors(
        fixed: FixedPart<'_>,
        effects: Vec<LevelEffects>,
        errors: PredictionErrors<'a>,
        interval: Option<Interval>,
    ) -> Result<Predictor<'a>, EffectsMismatch> {
        Predictor::build(fixed, effects, Some((errors, interval)))
    }

    /// Predictions of the fixed part with the standard errors of their means and, where asked for, a
    /// confidence interval of this level. `None` where what was kept of the fit does not give the errors
    /// to the last bit, so that they need an optimum.
    pub fn of_population(
        fixed: FixedPart<'_>,
        inference: &FixedInference,
        sigma: f64,
        confidence: Option<f64>,
    ) -> Option<Predictor<'static>> {
        let x = fixed.coefficients.iter().map(|&i| fixed.recipe.x[i].column).collect();
        let errors = PredictionErrors::of_fixed(x, inference.unscaled()?, sigma);
        let interval = confidence.map(|level| Interval { kind: IntervalKind::Confidence, level });
        Predictor::build(fixed, Vec::new(), Some((errors, interval))).ok()
    }

    fn build(
        fixed: FixedPart<'_>,
        effects: Vec<LevelEffects>,
        errors: Option<(PredictionErrors<'a>, Option<Interval>)>,
    ) -> Result<Predictor<'a>, EffectsMismatch> {
        let recipe = fixed.recipe;
        let x: Vec<usize> = fixed.coefficients.iter().map(|&i| recipe.x[i].column).collect();
        let z: Vec<Vec<usize>> = effects.iter().map(|level| z_columns(recipe, level)).collect::<Result<_, _>>()?;
        let estimable = Estimable::new(fixed);
        let mut wanted: BTreeSet<usize> = x.iter().chain(z.iter().flatten()).copied().collect();
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
        let levels = effects.into_iter().zip(z).map(|(level, z)| Lookup::new(level, &z, recipe, &at, &mut requests));
        let mut levels: Vec<Lookup> = levels.collect::<Result<_, _>>()?;
        levels.reverse();
        let errors = errors.map(|(mut errors, interval)| {
            errors.choose(levels.iter().map(|level| (&level.name[..], level.groups.len())), new_response, &at);
            let quantile = |interval: Interval| (interval.kind, normal_quantile(0.5 - 0.5 * interval.level));
            (errors, interval.map(quantile))
        });
        Ok(Predictor {
            encoder: Encoder::new(&new_rows),
            requests,
            encoded,
            offsets: columns.len()..new_rows.columns.len(),
            response_shift: recipe.response_shift,
            beta: x.iter().map(|&column| at(column)).zip(shifted_beta(fixed, &x)).collect(),
            estimable: estimable.among(&at),
            levels,
            errors,
        })
    }

    /// The columns to read, in this order.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Names of the levels that are wanted, coarsest first.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().rev().map(|level| &level.name[..])
    }

    /// What may be missing in a row: the columns that are encoded, then the expressions that are more
    /// than a column; in the order of [`PredictedRows::missing_by`].
    pub fn predictors(&self) -> Vec<String> {
        let columns = self.requests[..self.encoded].iter().map(|request| request.column.clone());
        columns.chain(self.encoder.expressions().map(str::to_owned)).collect()
    }

    /// The predictions for a block of the [`Predictor::requests`]; it may have further columns. The
    /// block is given back.
    pub fn of_block(&self, mut block: Block) -> Result<(Block, PredictedRows), PredictError> {
        let Encoded { rows, groups } = self.encode(&mut block)?;
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
        let std_error = |(errors, interval): &(PredictionErrors<'_>, Option<(IntervalKind, f64)>)| {
            let (of_mean, of_response) =
                errors.of_rows(&rows, &groups, matches!(interval, Some((IntervalKind::Prediction, _))));
            (of_mean, of_response, *interval)
        };
        let errors = self.errors.as_ref().map(std_error);
        let not_estimable = self.estimable.failing_rows(&rows);
        let predicted = PredictedRows::new(block.rows, rows, &groups, value, errors, &not_estimable);
        Ok((block, predicted))
    }

    fn encode(&self, block: &mut Block) -> Result<Encoded, PredictError> {
        // The encoder sees its own columns only; a block without rows may have none at all.
        let further = block.columns.split_off(self.encoded.min(block.columns.len()));
        let rows = self.encoder.encode(block);
        block.columns.extend(further);
        let rows = rows.map_err(|error| PredictError::of_encoding(error, &self.requests, block))?;
        let labels = |&key: &usize| match block.columns.get(key) {
            Some(Column::Labels(labels)) => Some(labels),
            _ => None,
        };
        let groups_of = |level: &Lookup| {
            let keys: Option<Vec<&Labels>> = level.keys.iter().map(labels).collect();
            keys.map_or_else(Vec::new, |keys| level.groups.groups_of(&keys))
        };
        Ok(Encoded { groups: self.levels.iter().map(groups_of).collect(), rows })
    }
}

/// The columns of C of a level's effects; an error unless they are what the recipe has for it.
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

impl Lookup {
    fn new(
        level: LevelEffects,
        z: &[usize],
        recipe: &Recipe,
        at: &impl Fn(usize) -> usize,
        requests: &mut Vec<Request>,
    ) -> Result<Lookup, EffectsMismatch> {
        let mut request = |column: &String| {
            let key = Request { column: column.clone(), role: Role::Label };
            requests.iter().position(|r| *r == key).unwrap_or_else(|| {
                requests.push(key);
                requests.len() - 1
            })
        };
        let keys = level.keys.iter().map(|key| request(&key.name)).collect();
        let dictionary = |labels: KeyLabels| match labels {
            KeyLabels::Text(texts) => Dictionary::Text(texts),
            KeyLabels::Integer(values) => Dictionary::Integer(values),
        };
        let labels = level.keys.into_iter().map(|key| dictionary(key.labels)).collect();
        let groups = GroupIndex::new(labels).map_err(|_| EffectsMismatch::Repeated(level.level.clone()))?;
        let z = z.iter().map(|&column| (at(column), recipe.columns[column].shift)).collect();
        Ok(Lookup { name: level.level, keys, groups, z, effects: level.estimate })
    }

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
