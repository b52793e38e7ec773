//! Predictions for the rows of a block, and why they may not exist.

use tiers_design::{Block, Column, EncodeError, MISSING, Request, RowBlock};
use tiers_moments::PassError;

/// Why predictions could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The pass did not reach the last row.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// A row cannot be encoded.
    #[error(transparent)]
    Encode(EncodeError),
    /// A factor has a level without a coefficient.
    #[error(
        "factor `{column}` has the level `{label}` in row {row} (rows counted from 1), which the fit has not seen, so \
         that there is no coefficient for it; leave out such rows, or recode them"
    )]
    UnseenLevel {
        /// The factor.
        column: String,
        /// The level.
        label: String,
        /// A row that has it, over all files, counted from 1.
        row: u64,
    },
}

impl PredictError {
    pub(super) fn of_encoding(error: EncodeError, requests: &[Request], block: &Block) -> PredictError {
        let EncodeError::NewLevel { column, label } = error else { return PredictError::Encode(error) };
        let has_it = |(request, labels): (&Request, &Column)| match labels {
            Column::Labels(labels) if request.column == column => {
                let code = (0..labels.dictionary.len()).find(|&code| labels.dictionary.label(code) == label)?;
                labels.codes.iter().position(|&of_row| of_row as usize == code)
            }
            _ => None,
        };
        let row = requests.iter().zip(&block.columns).find_map(has_it).unwrap_or(0);
        PredictError::UnseenLevel { row: block.first_row + row as u64 + 1, column, label }
    }
}

/// Predictions for all rows of a block, including those with a missing predictor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PredictedRows {
    /// Number of the first row over all files, from 0.
    pub first_row: u64,
    /// Whether a row has no prediction (and no other result), because a predictor is missing or its mean is
    /// not estimable; `None` if all rows have one.
    pub missing: Option<Vec<bool>>,
    /// Rows of the block (from 0) whose mean is not estimable: the data of the fit do not determine it for
    /// their combination of predictors, for example of levels.
    pub not_estimable: Vec<usize>,
    /// Number of rows in which each of [`Predictor::predictors`](super::Predictor::predictors) is missing.
    pub missing_by: Vec<u64>,
    /// The predictions.
    pub prediction: Vec<f64>,
    /// Standard errors of the mean, without the residual variance; empty if not requested.
    pub std_error: Vec<f64>,
    /// Lower ends of the interval; empty if not requested.
    pub lower: Vec<f64>,
    /// Upper ends.
    pub upper: Vec<f64>,
    /// Per requested level, coarsest first, whether the fit knows the group of the row.
    pub known: Vec<Vec<bool>>,
}

/// What is predicted for encoded rows; errors and intervals are empty if not requested.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The predictions.
    pub prediction: Vec<f64>,
    /// Standard errors of the means.
    pub std_error: Vec<f64>,
    /// Lower ends of the interval.
    pub lower: Vec<f64>,
    /// Upper ends.
    pub upper: Vec<f64>,
}

/// The rows of a block that could be encoded, with their groups and linear predictors.
#[derive(Debug)]
pub struct LinearRows {
    /// The block.
    pub block: Block,
    /// The encoded rows.
    pub rows: RowBlock,
    /// `x'β` with the offsets, and `z'b̂` of the known groups of the requested levels.
    pub value: Vec<f64>,
    /// Per requested level, finest first, and row of the block, the group; [`MISSING`] if it is unknown.
    pub(super) groups: Vec<Vec<u32>>,
    /// Encoded rows whose mean is not estimable.
    pub(super) not_estimable: Vec<usize>,
}

impl LinearRows {
    /// Whether the group of an encoded row at a requested level (counted from the finest) is known.
    pub fn is_known(&self, level: usize, row: usize) -> bool {
        self.groups[level][self.rows.kept.as_ref().map_or(row, |kept| kept[row] as usize)] != MISSING
    }

    /// Returns the block with the predictions of all its rows.
    pub fn predicted(self, figures: Figures) -> (Block, PredictedRows) {
        let LinearRows { block, rows, groups, not_estimable, .. } = self;
        let predicted = PredictedRows::new(block.rows, rows, &groups, figures, &not_estimable);
        (block, predicted)
    }
}

impl PredictedRows {
    pub(super) fn new(
        count: usize,
        rows: RowBlock,
        groups: &[Vec<u32>],
        figures: Figures,
        not_estimable: &[usize],
    ) -> PredictedRows {
        let kept = rows.kept.as_deref();
        let not_estimable: Vec<usize> =
            not_estimable.iter().map(|&i| kept.map_or(i, |kept| kept[i] as usize)).collect();
        let whole = |values: Vec<f64>| spread(values, kept, count);
        let known = |groups: &Vec<u32>| groups.iter().map(|&group| group != MISSING).collect();
        let mut missing = kept.map(|kept| {
            let mut missing = vec![true; count];
            kept.iter().for_each(|&row| missing[row as usize] = false);
            missing
        });
        if !not_estimable.is_empty() {
            let missing = missing.get_or_insert_with(|| vec![false; count]);
            not_estimable.iter().for_each(|&row| missing[row] = true);
        }
        let mut out = PredictedRows {
            first_row: rows.first_row,
            missing,
            known: groups.iter().rev().map(known).collect(),
            ..PredictedRows::default()
        };
        out.prediction = whole(figures.prediction);
        let optional = |values: Vec<f64>| if values.is_empty() { values } else { whole(values) };
        (out.lower, out.upper) = (optional(figures.lower), optional(figures.upper));
        out.std_error = optional(figures.std_error);
        for figures in [&mut out.prediction, &mut out.std_error, &mut out.lower, &mut out.upper] {
            if !figures.is_empty() {
                not_estimable.iter().for_each(|&row| figures[row] = f64::NAN);
            }
        }
        out.not_estimable = not_estimable;
        out.missing_by = rows.missing;
        out.missing_by.extend(rows.not_a_number);
        out
    }
}

/// Spreads the values of the kept rows to their positions among all rows, with NaN elsewhere.
fn spread(values: Vec<f64>, kept: Option<&[u32]>, rows: usize) -> Vec<f64> {
    let Some(kept) = kept else { return values };
    let mut out = vec![f64::NAN; rows];
    kept.iter().zip(values).for_each(|(&row, value)| out[row as usize] = value);
    out
}
