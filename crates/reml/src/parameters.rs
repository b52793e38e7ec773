//! The free entries of the relative covariance factors, and the chain rule from G to them.
//!
//! Per level k the factor `Λ_k` is block-diagonal over the level's terms, each block lower
//! triangular; `G_k = Λ_k Λ_k'`. The optimiser works on scaled entries, `Λ_k = D_k Λ̃_k` with D the
//! inverse root mean squares of the z columns, so that every entry is of the order of one. The entries
//! are unbounded: changing the sign of a factor's column leaves the criterion as it is, and the
//! criterion is smooth everywhere. (lme4's theta, which is reported, has the entries of the factors of the
//! user's own columns.)

use crate::order::by_groups;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use std::ops::Range;
use tiers_equations::{Covariances, Direction};
use tiers_moments::{Level, RowTotals};

/// One free entry of a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Level, as numbered in the model.
    pub level: usize,
    /// Term: an index into [`tiers_design::Recipe::random`].
    pub term: usize,
    /// Row in the level's factor.
    pub row: usize,
    /// Column in the level's factor.
    pub column: usize,
}

/// The layout of the entries of the factors.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// Position of each entry; term by term, the lower triangle by column. Terms are in lme4's
    /// order: by decreasing number of groups, ties as in the formula.
    pub entries: Vec<Entry>,
    /// The entries of G (upper triangle within each term) by which derivatives are taken, level by level in the
    /// order of the model.
    pub directions: Vec<Direction>,
    /// r of each level.
    pub r: Vec<usize>,
    /// Per level, the diagonal of D: one over the root mean square of each z column.
    pub scale: Vec<Vec<f64>>,
}

/// Returns the terms of a level, with the rows of each in the level's factor.
fn terms(level: &Level) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
    let end = |t: usize| level.terms.get(t + 1).map_or(level.r(), |next| next.1);
    level.terms.iter().enumerate().map(move |(t, &(term, start))| (term, start..end(t)))
}

impl Parameters {
    /// Lays out the parameters of a model's levels and terms.
    pub fn new(levels: &[Level], totals: &RowTotals<'_>) -> Self {
        let mut entries = Vec::new();
        for k in by_groups(levels) {
            for (term, rows) in terms(&levels[k]) {
                let of_column = |column| (column..rows.end).map(move |row| Entry { level: k, term, row, column });
                entries.extend(rows.clone().flat_map(of_column));
            }
        }
        let mut directions = Vec::new();
        for (k, level) in levels.iter().enumerate() {
            for (_, rows) in terms(level) {
                let of_row = |a| (a..rows.end).map(move |b| Direction { level: k, a, b });
                directions.extend(rows.clone().flat_map(of_row));
            }
        }
        let mean_square = |c: usize| totals.get(c, c) / totals.rows as f64;
        let scale = |c: &usize| match mean_square(*c) {
            s if s > 0.0 => 1.0 / s.sqrt(),
            _ => 1.0,
        };
        Parameters {
            entries,
            directions,
            r: levels.iter().map(Level::r).collect(),
            scale: levels.iter().map(|level| level.z.iter().map(scale).collect()).collect(),
        }
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the factors `Λ_k = D_k Λ̃_k` for scaled entries `scaled`.
    pub fn factors(&self, scaled: &[f64]) -> Vec<DMatrix<f64>> {
        let mut factors: Vec<_> = self.r.iter().map(|&r| DMatrix::zeros(r, r)).collect();
        for (entry, &value) in self.entries.iter().zip(scaled) {
            factors[entry.level][(entry.row, entry.column)] = self.scale[entry.level][entry.row] * value;
        }
        factors
    }

    /// Returns the relative covariances `G_k = Λ_k Λ_k'`.
    pub fn covariances(&self, scaled: &[f64]) -> Covariances {
        Covariances::from_factors(self.factors(scaled))
    }

    /// Returns scaled entries that give the covariances of these factors, with diagonals ≥ 0: the
    /// inverse of [`Self::covariances`].
    pub fn from_factors(&self, factors: &[DMatrix<f64>]) -> Vec<f64> {
        let order = self.row_order();
        let triangular = |(f, order): (&DMatrix<f64>, &Vec<usize>)| lower_triangular(&f.select_rows(order));
        let canonical: Vec<_> = factors.iter().zip(&order).map(triangular).collect();
        let place = |e: &Entry| order[e.level].iter().position(|&row| row == e.row).expect("a row");
        let value = |e: &Entry| canonical[e.level][(place(e), e.column)] / self.scale[e.level][e.row];
        self.entries.iter().map(value).collect()
    }

    /// Per level, the rows of its factor in the order in which the factor is triangular, each column's
    /// pivot first.
    fn row_order(&self) -> Vec<Vec<usize>> {
        let mut order: Vec<Vec<usize>> = self.r.iter().map(|&r| vec![usize::MAX; r]).collect();
        for entry in self.entries.iter().rev() {
            order[entry.level][entry.column] = entry.row;
        }
        order
    }

    /// Returns coordinates with the rows of each term reordered for these factors, as in a Cholesky
    /// factorisation with pivoting; `None` where the present order is good enough.
    ///
    /// If a pivot is small compared with a row below it, that row can be rotated into its other columns
    /// with hardly any change of G: the criterion has a long curved valley, which straight steps
    /// follow slowly. With the longest row first, a short row is short in all its entries.
    pub(crate) fn pivoted(&self, factors: &[DMatrix<f64>]) -> Option<Parameters> {
        /// A pivot row is swapped if it is shorter than this share of the longest row.
        const SHORTER: f64 = 0.3;
        let old = self.row_order();
        let mut new = old.clone();
        for (level, order) in new.iter_mut().enumerate() {
            let mut rows = factors[level].clone();
            rows.row_iter_mut().zip(&self.scale[level]).for_each(|(mut row, s)| row /= *s);
            for at in 0..order.len() {
                let ends = self.entries.iter().filter(|e| (e.level, e.column) == (level, at)).count() + at;
                let length = |i: usize| rows.row(order[i]).norm();
                let longest = (at..ends).max_by(|&a, &b| length(a).total_cmp(&length(b))).expect("a row");
                if length(at) < SHORTER * length(longest) {
                    order.swap(at, longest);
                }
                // Project the rows below onto the complement of the pivot row.
                let pivot = rows.row(order[at]).clone_owned();
                let square = pivot.norm_squared();
                for &row in order[at + 1..ends].iter().filter(|_| square > 0.0) {
                    let along = rows.row(row).dot(&pivot) / square;
                    let rest = rows.row(row) - &pivot * along;
                    rows.set_row(row, &rest);
                }
            }
        }
        if new == old {
            return None;
        }
        let mut out = self.clone();
        for entry in &mut out.entries {
            let place = old[entry.level].iter().position(|&row| row == entry.row).expect("a row");
            entry.row = new[entry.level][place];
        }
        Some(out)
    }

    /// Returns scaled entries for these entries of G by direction. They need not form positive definite
    /// matrices: small and negative eigenvalues are raised.
    pub fn from_covariances(&self, g: impl Fn(usize) -> f64) -> Vec<f64> {
        const LEAST: f64 = 1e-3;
        let mut factors: Vec<_> = self.r.iter().map(|&r| DMatrix::zeros(r, r)).collect();
        for (i, direction) in self.directions.iter().enumerate() {
            let scale = &self.scale[direction.level];
            let value = g(i) / (scale[direction.a] * scale[direction.b]);
            factors[direction.level][(direction.a, direction.b)] = value;
            factors[direction.level][(direction.b, direction.a)] = value;
        }
        for (factor, scale) in factors.iter_mut().zip(&self.scale) {
            let eigen = SymmetricEigen::new(factor.clone());
            let roots = eigen.eigenvalues.map(|v| v.max(LEAST).sqrt());
            *factor = eigen.eigenvectors * DMatrix::from_diagonal(&roots);
            factor.row_iter_mut().zip(scale).for_each(|(mut row, s)| row *= *s);
        }
        self.from_factors(&factors)
    }

    /// Per parameter, -1 where its column of the factor has a negative diagonal, else 1.
    pub fn signs(&self, scaled: &[f64]) -> Vec<f64> {
        let negative = |e: &Entry| {
            let diagonal = |(d, _): &(&Entry, &f64)| (d.level, d.row, d.column) == (e.level, e.column, e.column);
            self.entries.iter().zip(scaled).find(diagonal).is_some_and(|(_, t)| *t < 0.0)
        };
        self.entries.iter().map(|e| if negative(e) { -1.0 } else { 1.0 }).collect()
    }

    /// The Jacobian of the entries of G with respect to scaled: directions × parameters.
    pub fn jacobian(&self, scaled: &[f64]) -> DMatrix<f64> {
        let factors = self.factors(scaled);
        DMatrix::from_fn(self.directions.len(), self.len(), |d, t| {
            let (direction, entry) = (self.directions[d], self.entries[t]);
            if direction.level != entry.level {
                return 0.0;
            }
            let (l, s) = (&factors[entry.level], self.scale[entry.level][entry.row]);
            let (a, b) = (direction.a, direction.b);
            let with_a = if a == entry.row { l[(b, entry.column)] } else { 0.0 };
            let with_b = if b == entry.row { l[(a, entry.column)] } else { 0.0 };
            s * (with_a + with_b)
        })
    }

    /// Converts derivatives with respect to entries of G (each with its mirror entry) to derivatives
    /// with respect to scaled.
    pub fn chain(
        &self,
        scaled: &[f64],
        gradient: &DVector<f64>,
        hessian: Option<&DMatrix<f64>>,
    ) -> (DVector<f64>, Option<DMatrix<f64>>) {
        let jacobian = self.jacobian(scaled);
        let hessian = hessian.map(|h| {
            let mut out = jacobian.transpose() * h * &jacobian;
            for (t, a) in self.entries.iter().enumerate() {
                for (u, b) in self.entries.iter().enumerate() {
                    if (a.level, a.column) == (b.level, b.column) {
                        let (lo, hi) = (a.row.min(b.row), a.row.max(b.row));
                        let at = Direction { level: a.level, a: lo, b: hi };
                        let d = self.directions.iter().position(|d| *d == at).expect("rows of one term");
                        let twice = if lo == hi { 2.0 } else { 1.0 };
                        out[(t, u)] += twice * self.scale[a.level][a.row] * self.scale[a.level][b.row] * gradient[d];
                    }
                }
            }
            out
        });
        (jacobian.transpose() * gradient, hessian)
    }
}

/// Returns the lower-triangular factor with diagonals ≥ 0 that has the same `Λ Λ'`: `R'` of `Λ' = Q R`.
pub fn lower_triangular(factor: &DMatrix<f64>) -> DMatrix<f64> {
    let mut lower = factor.transpose().qr().r().transpose();
    // Entries that are zero up to rounding become exactly zero, without a sign.
    let noise = 1e-15 * lower.amax();
    for j in 0..lower.ncols() {
        let sign = if lower[(j, j)] < 0.0 { -1.0 } else { 1.0 };
        lower.column_mut(j).apply(|v| *v = if v.abs() <= noise { 0.0 } else { sign * *v });
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_triangular_keeps_the_covariance() {
        let factor = DMatrix::from_row_slice(3, 3, &[1.0, 2.0, 0.5, -1.0, 0.3, 0.0, 2.0, 2.0, -4.0]);
        let lower = lower_triangular(&factor);
        assert!(((&lower * lower.transpose()) - &factor * factor.transpose()).norm() < 1e-13);
        assert!((0..3).all(|i| lower[(i, i)] >= 0.0 && (i + 1..3).all(|j| lower[(i, j)].abs() < 1e-15)));
    }
}
