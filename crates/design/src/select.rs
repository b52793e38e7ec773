//! Which rows of a block are used: those where nothing is missing.

use crate::columns::{Block, Column, MISSING, Request};
use crate::encode::Expression;
use crate::error::EncodeError;

/// The rows of a block that are used, why others are not, and the values of the expressions, which
/// had to be computed to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Indices of the kept rows; `None` where all are kept.
    pub kept: Option<Vec<u32>>,
    /// Per request asked about the rows in which it is missing.
    pub missing: Vec<u64>,
    /// Per expression the rows that are complete and where it is not a number.
    pub not_a_number: Vec<u64>,
    /// The same rows themselves; rows that an earlier expression drops are not among them.
    pub nan_rows: Vec<Vec<u32>>,
    /// Per expression its values on all rows of the block.
    pub values: Vec<Vec<f64>>,
}

/// Selects the rows of a block, in which none of the requests `own` may be missing. A missing weight (the request `weights`) drops no row: it is for
/// the caller to refuse where the row is complete.
pub(crate) fn select(
    block: &Block,
    (requests, own): (&[Request], &[usize]),
    weights: Option<usize>,
    expressions: &[Expression],
) -> Result<Selection, EncodeError> {
    let mut dropped = Dropped { rows: block.rows, flags: Vec::new() };
    let mut missing = Vec::with_capacity(own.len());
    for &i in own {
        let (request, column) = (&requests[i], &block.columns[i]);
        let infinite =
            |row| EncodeError::InfiniteColumn { column: request.column.clone(), row: block.first_row + row as u64 + 1 };
        missing.push(match column {
            Column::Numbers(values) if weights == Some(i) => match first_infinite(values) {
                Some(row) => return Err(infinite(row)),
                None => 0,
            },
            Column::Numbers(values) => dropped.nan(values).map_err(infinite)?,
            Column::Labels(labels) => dropped.unlabelled(&labels.codes),
        });
    }
    let mut not_a_number = Vec::with_capacity(expressions.len());
    let mut nan_rows = Vec::with_capacity(expressions.len());
    let mut all_values = Vec::with_capacity(expressions.len());
    for expression in expressions {
        let values = expression.compiled.evaluate(block);
        let rows = dropped.nan_among_kept(&values).map_err(|row| EncodeError::InfiniteExpression {
            expression: expression.text.clone(),
            row: block.first_row + row as u64 + 1,
        })?;
        not_a_number.push(rows.len() as u64);
        nan_rows.push(rows);
        all_values.push(values);
    }
    Ok(Selection { kept: dropped.kept(), missing, not_a_number, nan_rows, values: all_values })
}

/// Whether all are finite; counting keeps the loop free of branches.
fn all_finite(values: &[f64]) -> bool {
    values.chunks(1024).all(|chunk| chunk.iter().filter(|v| !v.is_finite()).count() == 0)
}

fn first_infinite(values: &[f64]) -> Option<usize> {
    if all_finite(values) { None } else { values.iter().position(|v| v.is_infinite()) }
}

/// The first number that is infinite or none.
pub(crate) fn first_not_finite(values: &[f64]) -> Option<usize> {
    if all_finite(values) { None } else { values.iter().position(|v| !v.is_finite()) }
}

/// Flags of dropped rows; empty until the first is dropped.
struct Dropped {
    rows: usize,
    flags: Vec<bool>,
}

impl Dropped {
    fn flags(&mut self) -> &mut [bool] {
        self.flags.resize(self.rows, false);
        &mut self.flags
    }

    /// Drops the rows that are NaN and counts them; the error is the first infinite row.
    fn nan(&mut self, values: &[f64]) -> Result<u64, usize> {
        if all_finite(values) {
            return Ok(0);
        }
        if let Some(row) = values.iter().position(|v| v.is_infinite()) {
            return Err(row);
        }
        self.flags().iter_mut().zip(values).for_each(|(dropped, v)| *dropped |= v.is_nan());
        Ok(values.iter().filter(|v| v.is_nan()).count() as u64)
    }

    /// The same for a computed column, judged on rows not yet dropped: what is computed from a
    /// missing value is missing itself, and not the expression's fault.
    fn nan_among_kept(&mut self, values: &[f64]) -> Result<Vec<u32>, usize> {
        if all_finite(values) {
            return Ok(Vec::new());
        }
        let flags = self.flags();
        if let Some(row) = flags.iter().zip(values).position(|(&dropped, v)| !dropped && v.is_infinite()) {
            return Err(row);
        }
        let newly = |&row: &usize| !flags[row] & values[row].is_nan();
        let rows: Vec<u32> = (0..values.len()).filter(newly).map(|row| row as u32).collect();
        rows.iter().for_each(|&row| flags[row as usize] = true);
        Ok(rows)
    }

    fn unlabelled(&mut self, codes: &[u32]) -> u64 {
        let count = codes.iter().filter(|&&code| code == MISSING).count();
        if count > 0 {
            self.flags().iter_mut().zip(codes).for_each(|(dropped, &code)| *dropped |= code == MISSING);
        }
        count as u64
    }

    /// Every row is written and the place moves on for those kept: no branch to mispredict.
    fn kept(self) -> Option<Vec<u32>> {
        if !self.flags.contains(&true) {
            return None;
        }
        let mut kept = vec![0; self.rows];
        let mut place = 0;
        for (row, dropped) in self.flags.iter().enumerate() {
            kept[place] = row as u32;
            place += usize::from(!dropped);
        }
        kept.truncate(place);
        Some(kept)
    }
}
