//! Sums over all rows, which do not depend on the groupings.

/// Sums over the rows of a data set or of a part of it.
#[derive(Clone, Copy, Debug)]
pub struct RowTotals<'a> {
    /// Number of columns of C, y (the last) included.
    pub m: usize,
    /// `C'WC`, m×m row-major.
    pub cross: &'a [f64],
    /// n.
    pub rows: u64,
    /// `Σ log w`; 0 without weights.
    pub sum_log_weights: f64,
}

impl RowTotals<'_> {
    /// Returns entry (i, j) of `C'WC`.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        self.cross[i * self.m + j]
    }

    /// Returns the column of y, the last one.
    pub fn y(&self) -> usize {
        self.m - 1
    }
}
