//! Fitted values and residuals of blocks of rows, which a [`RowPass`](tiers_moments::RowPass) reads again.
//!
//! With the shifted columns of the recipe, `x̃ = x - s` and `ỹ = y - offset - s_y`, the fixed part of
//! a row is `x̃'β̃ + s_y + offset` and the random part `Σ_k z_k'b_k` over the groups that the row is in.

use crate::effects::LevelEffects;
use crate::estimate::Optimum;
use crate::model::Model;
use crate::objective::Objective;
use tiers_design::{Atom, Block, ColumnSpec, EncodeError, Encoder, MISSING, Request, RowBlock};
use tiers_moments::{GroupIds, Level, PassError};

/// Why fitted values could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FittedError {
    /// The pass did not reach the last row.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// A row cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A group did not occur in the first pass.
    #[error(
        "row {row} (counted from 1) is in a group of {level} that was not there before: the data changed meanwhile; run again when nothing writes to them"
    )]
    Changed {
        /// Number of the row over all files.
        row: u64,
        /// Name of the grouping.
        level: String,
    },
}

/// Fitted values of consecutive rows, dropped rows left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FittedRows {
    /// Number of the row over all files, counted from 1.
    pub row: Vec<u64>,
    /// y, offset included.
    pub response: Vec<f64>,
    /// Xβ, offset included.
    pub fixed: Vec<f64>,
    /// Xβ + Zb.
    pub fitted: Vec<f64>,
    /// y - fitted.
    pub residual: Vec<f64>,
    /// residual √w / σ.
    pub standardised: Vec<f64>,
}

/// Computes fitted values of the rows that a model was fitted to.
#[derive(Debug)]
pub struct FittedValues<'a> {
    model: &'a Model,
    encoder: Encoder,
    /// Columns of the offsets, after those of the recipe.
    offsets: std::ops::Range<usize>,
    /// Column and β̃ of each coefficient.
    beta: Vec<(usize, f64)>,
    groups: GroupIds,
    levels: Vec<LevelPart<'a>>,
    sigma: f64,
}

/// The effects of one level, by the number of the group.
#[derive(Debug)]
struct LevelPart<'a> {
    level: &'a str,
    /// Column of each coefficient, and the shift to undo.
    z: Vec<(usize, f64)>,
    effects: &'a [f64],
}

impl<'a> FittedValues<'a> {
    /// Prepares the computation from an optimum and its random effects.
    pub fn new(objective: &Objective<'a>, optimum: &Optimum, effects: &'a [LevelEffects]) -> Self {
        let model = objective.model();
        let mut recipe = model.recipe.clone();
        let start = recipe.columns.len();
        let column = |offset| ColumnSpec { name: "offset".to_owned(), atoms: vec![Atom::Number(offset)], shift: 0.0 };
        recipe.columns.extend(model.recipe.offsets.iter().cloned().map(column));
        FittedValues {
            model,
            offsets: start..recipe.columns.len(),
            encoder: Encoder::new(&recipe),
            beta: model.x().into_iter().zip(optimum.at.fixed.beta.iter().copied()).collect(),
            groups: GroupIds::of_fit(&model.recipe, model.structure()),
            levels: model.levels().iter().map(|level| LevelPart::new(model, level, effects)).collect(),
            sigma: (optimum.at.fixed.pwrss / objective.nu()).sqrt(),
        }
    }

    /// The columns that a block must have, in this order.
    pub fn requests(&self) -> &'a [Request] {
        &self.model.recipe.requests
    }

    /// Computes the fitted values of one block.
    pub fn of_block(&self, block: &Block) -> Result<FittedRows, FittedError> {
        let rows = self.encoder.encode(block)?;
        let offset = self.offset(&rows);
        let shift = self.model.recipe.response_shift;
        let mut fixed: Vec<f64> = offset.iter().map(|offset| offset + shift).collect();
        let response = rows.column(rows.columns - 1).iter().zip(&fixed).map(|(y, shift)| y + shift).collect();
        for &(column, beta) in &self.beta {
            fixed.iter_mut().zip(rows.column(column)).for_each(|(sum, x)| *sum += beta * x);
        }
        let mut out = FittedRows { fitted: fixed.clone(), response, fixed, ..FittedRows::default() };
        out.row = match &rows.kept {
            Some(kept) => kept.iter().map(|&row| rows.first_row + u64::from(row) + 1).collect(),
            None => (0..rows.rows as u64).map(|row| rows.first_row + row + 1).collect(),
        };
        for (level, groups) in self.levels.iter().zip(self.groups.of_block(block)) {
            level.add(&groups, &rows, &mut out)?;
        }
        out.residual = out.response.iter().zip(&out.fitted).map(|(y, fitted)| y - fitted).collect();
        let scale = |i: usize| rows.weights.as_ref().map_or(1.0, |weights| weights[i].sqrt()) / self.sigma;
        out.standardised = out.residual.iter().enumerate().map(|(i, residual)| residual * scale(i)).collect();
        Ok(out)
    }

    fn offset(&self, rows: &RowBlock) -> Vec<f64> {
        let mut sum = vec![0.0; rows.rows];
        for column in self.offsets.clone() {
            sum.iter_mut().zip(rows.column(column)).for_each(|(sum, offset)| *sum += offset);
        }
        sum
    }
}

impl<'a> LevelPart<'a> {
    fn new(model: &'a Model, level: &'a Level, effects: &'a [LevelEffects]) -> Self {
        let effects = effects.iter().find(|effects| effects.level == level.name).expect("effects of every level");
        LevelPart {
            level: &level.name,
            z: level.z.iter().map(|&column| (column, model.recipe.columns[column].shift)).collect(),
            effects: &effects.estimate,
        }
    }

    /// Adds `z'b` to the fitted values; `groups` are those of all rows of the block, dropped ones included.
    fn add(&self, groups: &[u32], rows: &RowBlock, out: &mut FittedRows) -> Result<(), FittedError> {
        let r = self.z.len();
        let columns: Vec<(&[f64], f64)> = self.z.iter().map(|&(column, shift)| (rows.column(column), shift)).collect();
        for row in 0..rows.rows {
            let group = groups[rows.kept.as_ref().map_or(row, |kept| kept[row] as usize)];
            if group == MISSING {
                return Err(FittedError::Changed { row: out.row[row], level: self.level.to_owned() });
            }
            let effects = &self.effects[group as usize * r..(group as usize + 1) * r];
            let random = columns.iter().zip(effects).map(|((z, shift), b)| (z[row] + shift) * b);
            out.fitted[row] += random.sum::<f64>();
        }
        Ok(())
    }
}
