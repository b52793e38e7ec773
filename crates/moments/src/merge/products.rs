//! Checks that sums read from files can be sums of squares and products of a recipe's columns over rows.
//! Sums computed by another program have no fingerprint, and a wrong sum would silently give wrong
//! estimates.
//!
//! For the totals `M = C'WC`, with C the shifted columns:
//!
//! - squares are not negative, `|M_ij| ≤ √(M_ii M_jj)` (Cauchy and Schwarz), and M is positive
//!   semidefinite;
//! - products of different pairs of columns that are equal on every row have the same sum: an
//!   indicator is its own square, `x` times the indicator `fb` is `x:fb` times the constant;
//! - indicators of two levels of one factor are never 1 on the same row, so their product sums to 0;
//! - without weights the constant sums to the number of rows, and products of indicators to a count.
//!
//! All checks allow for rounding. A cell's sums are bounded in the same way, by its own squares and those
//! of the totals.

use crate::merge::cells::{Cells, Totals};
use crate::merge::{PartError, column_names, upper};
use crate::moments::Summands;
use std::collections::HashMap;
use tiers_design::{Atom, Product, Recipe};

/// Tolerance for rounding, relative to a bound of the sum of absolute terms; it allows for programs that
/// add in any order.
const ROUNDING: f64 = 1e-9;

impl Totals {
    /// Checks that the totals can be sums over rows of this recipe's columns.
    pub fn check_products(&self, recipe: &Recipe) -> Result<(), PartError> {
        let m = recipe.columns.len() + 1;
        let checked = Products { totals: self, recipe, m };
        let damage = checked.damage();
        damage.map_or(Ok(()), |what| Err(PartError::NotProducts { what }))
    }
}

struct Products<'a> {
    totals: &'a Totals,
    recipe: &'a Recipe,
    m: usize,
}

/// Sums of the columns without their shifts.
struct Unshifted {
    /// Row-major m×m.
    sums: Vec<f64>,
    /// Size of each column: the roots of the sums of squares of the shifted column and of the shift, added.
    /// Rounding is relative to it even if the two cancel.
    size: Vec<f64>,
    /// Σ w, if the columns of X span the constant.
    weight: Option<f64>,
}

impl Products<'_> {
    /// Describes the first impossible value, if there is one.
    fn damage(&self) -> Option<String> {
        if self.totals.cross.len() != self.m * self.m {
            return Some(format!("they have {} entries for {} columns", self.totals.cross.len(), self.m));
        }
        if self.totals.rows == 0 {
            let is_nothing = self.totals.cross.iter().all(|&sum| sum == 0.0) && self.totals.sum_log_weights == 0.0;
            return (!is_nothing).then(|| "there are no rows, but sums that are not 0".to_owned());
        }
        let unshifted = self.unshifted();
        self.pairs()
            .or_else(|| self.weights(&unshifted))
            .or_else(|| self.equal_products(&unshifted))
            .or_else(|| self.indefinite())
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.totals.cross[i * self.m + j]
    }

    fn name(&self, i: usize) -> String {
        column_names(self.recipe).swap_remove(i)
    }

    fn pair(&self, i: usize, j: usize) -> String {
        format!("`{}` and `{}`", self.name(i), self.name(j))
    }

    /// Checks the squares, and the products against the squares.
    fn pairs(&self) -> Option<String> {
        for i in 0..self.m {
            let square = self.at(i, i);
            if !(0.0..f64::INFINITY).contains(&square) {
                return Some(format!(
                    "the sum of squares of `{}` is {square} (did integers overflow? convert values to floating-point \
                     numbers before multiplying)",
                    self.name(i)
                ));
            }
        }
        let size: Vec<f64> = (0..self.m).map(|i| self.at(i, i).sqrt()).collect();
        for i in 0..self.m {
            for j in 0..self.m {
                let (sum, most) = (self.at(i, j), size[i] * size[j]);
                if sum.is_nan() || sum.abs() > most * (1.0 + ROUNDING) {
                    return Some(format!("the sum of {} is {sum}, but their squares allow {most}", self.pair(i, j)));
                }
                if sum.to_bits() != self.at(j, i).to_bits() {
                    return Some(format!("the sum of {} is {sum} and {}", self.pair(i, j), self.at(j, i)));
                }
            }
        }
        None
    }

    fn unshifted(&self) -> Unshifted {
        let (m, recipe) = (self.m, self.recipe);
        let shifts = recipe.columns.iter().map(|column| column.shift).chain([recipe.response_shift]);
        let shifts: Vec<f64> = shifts.collect();
        // The columns that the constant consists of are never shifted.
        let ones: Option<Vec<usize>> = recipe.constant.as_ref().map(|constant| {
            let used = constant.iter().zip(&recipe.x).filter(|(weight, _)| **weight != 0.0);
            used.map(|(_, x)| x.column).collect()
        });
        let of_constant = |i: usize| ones.iter().flatten().map(|&k| self.at(i, k)).sum::<f64>();
        let weight = ones.as_ref().map(|ones| ones.iter().map(|&k| of_constant(k)).sum::<f64>());
        let sums: Vec<f64> = (0..m).map(of_constant).collect();
        let of_pair = |i: usize, j: usize| {
            let shifted = shifts[j] * sums[i] + shifts[i] * sums[j] + shifts[i] * shifts[j] * weight.unwrap_or(0.0);
            self.at(i, j) + shifted
        };
        let sums: Vec<f64> = (0..m).flat_map(|i| (0..m).map(move |j| (i, j))).map(|(i, j)| of_pair(i, j)).collect();
        let of_shift = |i: usize| shifts[i].abs() * weight.unwrap_or(0.0).max(0.0).sqrt();
        let size = (0..m).map(|i| self.at(i, i).max(0.0).sqrt() + of_shift(i)).collect();
        Unshifted { sums, size, weight }
    }

    /// Checks the sum of weights, or the number of rows.
    fn weights(&self, unshifted: &Unshifted) -> Option<String> {
        let (rows, logs) = (self.totals.rows as f64, self.totals.sum_log_weights);
        if self.recipe.weights.is_none() {
            if logs != 0.0 {
                return Some(format!("the sum of the logarithms of the weights is {logs}, but there are no weights"));
            }
            let weight = unshifted.weight.filter(|weight| (weight - rows).abs() > ROUNDING * rows);
            return weight.map(|weight| format!("the constant sums to {weight} over {rows} rows"));
        }
        // An upper bound, because the logarithm is concave.
        let most = unshifted.weight.map(|weight| rows * (weight / rows).ln());
        let size = |most: f64| ROUNDING * rows * (1.0 + (most / rows).abs());
        let is_more = |most: &f64| !logs.is_finite() || logs > most + size(*most);
        let most = most.filter(is_more);
        most.map(|most| format!("the logarithms of the weights sum to {logs}, but the weights allow {most}"))
    }

    /// Checks products of columns that are equal on every row, products that are 0, and counts.
    fn equal_products(&self, unshifted: &Unshifted) -> Option<String> {
        // The response is a separate number even if a column has its name, because it may contain offsets.
        let y = self.m - 1;
        let mut columns: Vec<Product> = (0..y).map(|j| self.recipe.product(j)).collect();
        columns.push(Product::default());
        let power_of_y = |i: usize, j: usize| usize::from(i == y) + usize::from(j == y);
        let mut seen: HashMap<(Product, usize), (usize, usize)> = HashMap::new();
        let at = |i: usize, j: usize| unshifted.sums[i * self.m + j];
        let room = |i: usize, j: usize| ROUNDING * unshifted.size[i] * unshifted.size[j];
        // Indicators first: a wrong sum of theirs also shows in the products of shifted numbers.
        let has_number = |j: usize| j == y || columns[j].numbers().next().is_some();
        let mut pairs: Vec<(usize, usize)> = upper(self.m).collect();
        pairs.sort_by_key(|&(i, j)| has_number(i) || has_number(j));
        for (i, j) in pairs {
            let Some(product) = columns[i].times(&columns[j]) else {
                if at(i, j).abs() > room(i, j) {
                    return Some(format!(
                        "the sum of {} is {}, but they are never both other than 0: an indicator is 1 on the rows of \
                             its own level alone",
                        self.pair(i, j),
                        at(i, j)
                    ));
                }
                continue;
            };
            let is_one_or_zero = product.numbers().next().is_none() && power_of_y(i, j) == 0;
            let is_count = self.recipe.weights.is_none() && is_one_or_zero;
            if is_count && (at(i, j) - at(i, j).round()).abs() > self.totals.rows as f64 * ROUNDING {
                return Some(format!("the sum of {} is {}, but it counts rows", self.pair(i, j), at(i, j)));
            }
            let &mut (k, l) = seen.entry((product, power_of_y(i, j))).or_insert((i, j));
            if (at(i, j) - at(k, l)).abs() > room(i, j).max(room(k, l)) {
                return Some(format!(
                    "the sum of {} is {}, but that of {}, which must be the same, is {}{}",
                    self.pair(i, j),
                    at(i, j),
                    self.pair(k, l),
                    at(k, l),
                    self.usual_cause(&[i, j, k, l])
                ));
            }
        }
        None
    }

    /// States the usual cause of unequal sums of products that are equal on every row.
    fn usual_cause(&self, columns: &[usize]) -> String {
        let atoms = |j: &usize| self.recipe.columns.get(*j).map_or(&[][..], |column| &column.atoms[..]);
        let is_number = |atom: &Atom| matches!(atom, Atom::Number(_));
        let product = columns.iter().find(|j| atoms(j).len() > 1 && atoms(j).iter().any(is_number));
        let indicator = columns.iter().find(|j| !atoms(j).is_empty() && !atoms(j).iter().any(is_number));
        match (product, indicator) {
            (Some(&product), _) => format!(
                "; `{}` must be the product of values as they are in the table: a shift is subtracted from a product, \
                 never inside it",
                self.name(product)
            ),
            (None, Some(&indicator)) => {
                format!("; `{}` must be 1 on the rows of its level and 0 on all others", self.name(indicator))
            }
            (None, None) => String::new(),
        }
    }

    /// Checks that M, scaled to a unit diagonal, is positive semidefinite: it must have a Cholesky factor
    /// after the tolerance for rounding is added to the diagonal.
    fn indefinite(&self) -> Option<String> {
        let m = self.m;
        let scale: Vec<f64> =
            (0..m).map(|i| if self.at(i, i) > 0.0 { self.at(i, i).sqrt().recip() } else { 0.0 }).collect();
        let mut factor = vec![0.0; m * m];
        for i in 0..m {
            for j in 0..=i {
                let (before, own) = factor.split_at(i * m);
                let other = if i == j { &own[..j] } else { &before[j * m..j * m + j] };
                let known: f64 = own[..j].iter().zip(other).map(|(a, b)| a * b).sum();
                if i == j {
                    let pivot = 1.0 + ROUNDING * m as f64 - known;
                    if pivot <= 0.0 {
                        return Some(format!(
                            "they are not positive semidefinite: the columns before `{}` explain more than its sum of squares",
                            self.name(i)
                        ));
                    }
                    factor[i * m + i] = pivot.sqrt();
                } else {
                    factor[i * m + j] = (self.at(i, j) * scale[i] * scale[j] - known) / factor[j * m + j];
                }
            }
        }
        None
    }
}

impl Cells {
    /// Checks that the sums of each cell can be sums over its rows; `first` is the number of the first
    /// cell, from 0.
    pub fn check(&self, recipe: &Recipe, totals: &Totals, first: u64) -> Result<(), PartError> {
        let (z, m) = (Summands::new(recipe, Vec::new()).z, recipe.columns.len() + 1);
        let (room, per_cell) = (1.0 + ROUNDING, z.len() * m);
        let constant = z.iter().position(|&column| recipe.columns[column].atoms.is_empty());
        let counted = constant.filter(|_| recipe.weights.is_none());
        let place = |j: usize| z.iter().position(|&column| column == j);
        let own: Vec<Option<usize>> = (0..m).map(place).collect();
        let bad = |cell: usize, t: usize, j: usize, sum: f64| {
            let names = column_names(recipe);
            let what =
                format!("{sum} for its sum `{}*{}`, which its rows and squares do not allow", names[z[t]], names[j]);
            PartError::BadCell { cell: first + cell as u64 + 1, what }
        };
        for (cell, (sums, &rows)) in self.sums.chunks_exact(per_cell.max(1)).zip(&self.rows).enumerate() {
            let square = |t: usize| sums[t * m + z[t]];
            if let Some(t) = counted.filter(|&t| (square(t) - rows as f64).abs() > ROUNDING * rows as f64) {
                return Err(bad(cell, t, z[t], square(t)));
            }
            for t in 0..z.len() {
                let own_square = square(t);
                if own_square < 0.0 || own_square > totals.cross[z[t] * m + z[t]] * room {
                    return Err(bad(cell, t, z[t], own_square));
                }
                for (j, own) in own.iter().enumerate() {
                    let other = own.map_or(totals.cross[j * m + j], square);
                    let sum = sums[t * m + j];
                    if sum * sum > own_square * other * room * room {
                        return Err(bad(cell, t, j, sum));
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
