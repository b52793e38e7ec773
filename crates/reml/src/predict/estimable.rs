//! Checks which rows have an estimable mean, that is, one determined by the data of the fit.
//!
//! If columns of X were dropped because others determined them on the rows of the fit, `x'β` is
//! estimable only for rows with the same dependence: x must lie in the row space of X. A combination of
//! levels that never occurred violates it, and a prediction without the dropped column would depend on
//! which columns were dropped, that is, on the reference levels.

use super::FixedPart;
use tiers_design::RowBlock;

/// Largest deviation of a dropped column from the combination of the others, relative to the row; as for
/// means.
const TOLERANCE: f64 = 1e-7;

/// The dependences between the columns of X on the rows of the fit. Nothing is checked where no column
/// was dropped.
#[derive(Debug, Default)]
pub(super) struct Estimable {
    /// Column and shift of each coefficient in use.
    kept: Vec<(usize, f64)>,
    /// Each dropped column, its shift, and the combination of those in use that it equals.
    dropped: Vec<(usize, f64, Vec<f64>)>,
}

impl Estimable {
    pub(super) fn new(fixed: FixedPart<'_>) -> Estimable {
        let recipe = fixed.recipe;
        let column = |i: usize| (recipe.x[i].column, recipe.columns[recipe.x[i].column].shift);
        let dropped = (0..recipe.x.len()).filter(|i| !fixed.coefficients.contains(i));
        let dropped: Vec<_> = dropped
            .map(|i| {
                let (at, shift) = column(i);
                (at, shift, fixed.aliases.column(i).iter().copied().collect())
            })
            .collect();
        match dropped.is_empty() {
            true => Estimable::default(),
            false => Estimable { kept: fixed.coefficients.iter().map(|&i| column(i)).collect(), dropped },
        }
    }

    /// The columns that the check needs.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.dropped.iter().map(|(column, ..)| *column)
    }

    /// Renumbers the columns as in an encoder.
    pub(super) fn among(mut self, at: &impl Fn(usize) -> usize) -> Estimable {
        self.kept.iter_mut().for_each(|(column, _)| *column = at(*column));
        self.dropped.iter_mut().for_each(|(column, ..)| *column = at(*column));
        self
    }

    /// Returns the encoded rows whose mean is not estimable.
    pub(super) fn failing_rows(&self, rows: &RowBlock) -> Vec<usize> {
        if self.dropped.is_empty() {
            return Vec::new();
        }
        let fails = |&i: &usize| {
            let x: Vec<f64> = self.kept.iter().map(|&(column, shift)| rows.column(column)[i] + shift).collect();
            let size = x.iter().fold(1.0_f64, |size, x| size.max(x.abs()));
            self.dropped.iter().any(|(column, shift, alias)| {
                let implied: f64 = alias.iter().zip(&x).map(|(a, x)| a * x).sum();
                (rows.column(*column)[i] + shift - implied).abs() > TOLERANCE * size
            })
        };
        (0..rows.rows).filter(fails).collect()
    }
}
