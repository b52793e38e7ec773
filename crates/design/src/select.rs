//! Which rows of a block are used: those where nothing is missing.

use crate::columns::{Block, Column, MISSING, Request};
use crate::encode::Expression;
use crate::error::EncodeError;

/// The rows of a block that are used, why others are not, and the values of the expressions, which
/// had to be computed to know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selection {
    /// Indices of the kept rows; `None` where all are kept.
    pub(crate) kept: Option<Vec<u32>>,
    /// Per request the rows in which it is missing.
    pub(crate) missing: Vec<u64>,
    /// Per expression the rows that are complete and where it is not a number.
    pub(crate) not_a_number: Vec<u64>,
    /// Per expression its values on all rows of the block.
    pub(crate) values: Vec<Vec<f64>>,
}

/// Selects the rows of a block.
pub(crate) fn select(
    block: &Block,
    requests: &[Request],
    expressions: &[Expression],
) -> Result<Selection, EncodeError> {
    let mut dropped = Dropped { rows: block.rows, flags: Vec::new() };
    let mut missing = Vec::with_capacity(requests.len());
    for (request, column) in requests.iter().zip(&block.columns) {
        missing.push(match column {
            Column::Numbers(values) => dropped.nan(values).map_err(|row| EncodeError::InfiniteColumn {
                column: request.column.clone(),
                row: block.first_row + row as u64 + 1,
            })?,
            Column::Labels(labels) => dropped.unlabelled(&labels.codes),
        });
    }
    let mut not_a_number = Vec::with_capacity(expressions.len());
    let mut all_values = Vec::with_capacity(expressions.len());
    for expression in expressions {
        let values = expression.compiled.evaluate(block);
        let count = dropped.nan_among_kept(&values).map_err(|row| EncodeError::InfiniteExpression {
            expression: expression.text.clone(),
            row: block.first_row + row as u64 + 1,
        })?;
        not_a_number.push(count);
        all_values.push(values);
    }
    Ok(Selection { kept: dropped.kept(), missing, not_a_number, values: all_values })
}

/// Whether all are finite; counting keeps the loop free of branches.
pub(crate) fn all_finite(values: &[f64]) -> bool {
    values.chunks(1024).all(|chunk| chunk.iter().filter(|v| !v.is_finite()).count() == 0)
}

/// Flags of dropped rows, allocated when the first is dropped.
struct Dropped {
    rows: usize,
    flags: Vec<bool>,
}

impl Dropped {
    fn drop_row(&mut self, row: usize) {
        if self.flags.is_empty() {
            self.flags = vec![false; self.rows];
        }
        self.flags[row] = true;
    }

    fn is_dropped(&self, row: usize) -> bool {
        self.flags.get(row).copied().unwrap_or(false)
    }

    /// Drops the rows that are NaN and counts them; the error is the first infinite row.
    fn nan(&mut self, values: &[f64]) -> Result<u64, usize> {
        if all_finite(values) {
            return Ok(0);
        }
        let mut count = 0;
        for (row, value) in values.iter().enumerate() {
            if value.is_nan() {
                count += 1;
                self.drop_row(row);
            } else if value.is_infinite() {
                return Err(row);
            }
        }
        Ok(count)
    }

    /// The same for a computed column, judged on rows not yet dropped: what is computed from a
    /// missing value is missing itself, and not the expression's fault.
    fn nan_among_kept(&mut self, values: &[f64]) -> Result<u64, usize> {
        if all_finite(values) {
            return Ok(0);
        }
        let mut count = 0;
        for (row, value) in values.iter().enumerate() {
            if value.is_finite() || self.is_dropped(row) {
                continue;
            }
            if value.is_infinite() {
                return Err(row);
            }
            count += 1;
            self.drop_row(row);
        }
        Ok(count)
    }

    fn unlabelled(&mut self, codes: &[u32]) -> u64 {
        let count = codes.iter().filter(|&&code| code == MISSING).count();
        if count > 0 {
            (0..codes.len()).filter(|&row| codes[row] == MISSING).for_each(|row| self.drop_row(row));
        }
        count as u64
    }

    fn kept(self) -> Option<Vec<u32>> {
        let flags = &self.flags;
        (!flags.is_empty()).then(|| (0..self.rows as u32).filter(|&row| !flags[row as usize]).collect())
    }
}
