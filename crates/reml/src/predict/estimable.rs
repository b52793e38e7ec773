//! Which rows have a mean that the data of the fit determine.
//!
//! Where columns of X were dropped, since others determined them on the rows of the fit, `x'β` is
//! estimable only for rows on which the same dependence holds: x must lie in the row space of X. A
//! combination of levels that never occurred breaks it, and a prediction that left the dropped column
//! out would depend on which columns were dropped, that is on the reference levels.

use super::FixedPart;
use tiers_design::RowBlock;

/// How far a dropped column may be from what the others say of it, relative to the row; as for means.
const TOLERANCE: f64 = 1e-7;

/// The dependences between the columns of X on the rows of the fit. Nothing is checked where no column
/// was dropped.
#[derive(Debug, Default)]
pub(super) struct Estimable {
    /// Per coefficient in use its column and what was subtracted from it.
    kept: Vec<(usize, f64)>,
    /// Per dropped column the same, and the combination of those in use that it was.
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

    /// The columns that are needed to tell.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.dropped.iter().map(|(column, ..)| *column)
    }

    /// The same, by the places of the columns among those of an encoder.
    pub(super) fn among(mut self, at: &impl Fn(usize) -> usize) -> Estimable {
        self.kept.iter_mut().for_each(|(column, _)| *column = at(*column));
        self.dropped.iter_mut().for_each(|(column, ..)| *column = at(*column));
        self
    }

    /// The encoded rows whose mean is not estimable.
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
