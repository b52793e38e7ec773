//! Whether sums that were read from files can be sums of squares and products of a recipe's columns
//! over rows at all. Sums that another program made carry no fingerprint, and a wrong one would give
//! wrong estimates without a word.
//!
//! For the totals `M = C'WC`, with C the shifted columns:
//!
//! - squares are not negative, `|M_ij| ≤ √(M_ii M_jj)` (Cauchy and Schwarz), and M is positive
//!   semidefinite;
//! - products that are the same on every row have the same sum, whatever columns they come from: an
//!   indicator is its own square, `x` times the indicator `fb` is `x:fb` times the constant;
//! - indicators of two levels of one factor are never 1 on the same row, so their product sums to 0;
//! - without weights the constant sums to the number of rows, and products of indicators to a count.
//!
//! All to rounding. A cell's sums are bounded alike, by its own squares and those of the totals.

use crate::merge::cells::{Cells, Totals};
use crate::merge::{PartError, column_names};
use crate::moments::Summands;
use std::collections::HashMap;
use tiers_design::{Atom, Recipe};

/// How far sums may be off, relative to what the terms of the sum can add up to: that of other
/// programs, which add in any order.
const ROUNDING: f64 = 1e-9;

impl Totals {
    /// Whether the totals can be sums over rows of this recipe's columns.
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

/// Sums of the columns as they are, without their shifts.
struct Unshifted {
    /// Row-major m×m.
    sums: Vec<f64>,
    /// Per column what it is made of, the column less its shift and the shift, each by the root of its sum
    /// of squares: rounding is relative to that, even where the two cancel.
    size: Vec<f64>,
    /// Σ w, where the columns of X span the constant.
    weight: Option<f64>,
}

impl Products<'_> {
    /// What cannot be, in words.
    fn damage(&self) -> Option<String> {
        if self.totals.cross.len() != self.m * self.m {
            return Some(format!("they are of {} entries, not of {} columns", self.totals.cross.len(), self.m));
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

    /// Squares, and pairs against them.
    fn pairs(&self) -> Option<String> {
        for i in 0..self.m {
            let square = self.at(i, i);
            if !(0.0..f64::INFINITY).contains(&square) {
                return Some(format!("the sum of squares of `{}` is {square}", self.name(i)));
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
        // The columns that make up the constant are never shifted.
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

    /// The weights, or the number of rows.
    fn weights(&self, unshifted: &Unshifted) -> Option<String> {
        let (rows, logs) = (self.totals.rows as f64, self.totals.sum_log_weights);
        if self.recipe.weights.is_none() {
            if logs != 0.0 {
                return Some(format!("the sum of the logarithms of the weights is {logs}, but there are no weights"));
            }
            let weight = unshifted.weight.filter(|weight| (weight - rows).abs() > ROUNDING * rows);
            return weight.map(|weight| format!("the constant sums to {weight} over {rows} rows"));
        }
        // The logarithm is concave.
        let most = unshifted.weight.map(|weight| rows * (weight / rows).ln());
        let size = |most: f64| ROUNDING * rows * (1.0 + (most / rows).abs());
        let is_more = |most: &f64| !logs.is_finite() || logs > most + size(*most);
        let most = most.filter(is_more);
        most.map(|most| format!("the logarithms of the weights sum to {logs}, but the weights allow {most}"))
    }

    /// Products of columns that are the same on every row, those that are 0, and counts.
    fn equal_products(&self, unshifted: &Unshifted) -> Option<String> {
        let atoms = self.atoms();
        let mut seen: HashMap<Vec<u32>, (usize, usize)> = HashMap::new();
        let at = |i: usize, j: usize| unshifted.sums[i * self.m + j];
        let room = |i: usize, j: usize| ROUNDING * unshifted.size[i] * unshifted.size[j];
        for i in 0..self.m {
            for j in i..self.m {
                let Some(product) = Monomial::product(&atoms[i], &atoms[j]) else {
                    if at(i, j).abs() > room(i, j) {
                        return Some(format!(
                            "the sum of {} is {}, but they are never both other than 0",
                            self.pair(i, j),
                            at(i, j)
                        ));
                    }
                    continue;
                };
                let is_count = self.recipe.weights.is_none() && product.numbers.is_empty();
                if is_count && (at(i, j) - at(i, j).round()).abs() > self.totals.rows as f64 * ROUNDING {
                    return Some(format!("the sum of {} is {}, but it counts rows", self.pair(i, j), at(i, j)));
                }
                let &mut (k, l) = seen.entry(product.key()).or_insert((i, j));
                if (at(i, j) - at(k, l)).abs() > room(i, j).max(room(k, l)) {
                    return Some(format!(
                        "the sum of {} is {}, but that of {}, which is the same, {}",
                        self.pair(i, j),
                        at(i, j),
                        self.pair(k, l),
                        at(k, l)
                    ));
                }
            }
        }
        None
    }

    /// The products of which the columns consist, numbers by their place in a list of all.
    fn atoms(&self) -> Vec<Monomial> {
        let mut names: Vec<String> = Vec::new();
        let mut number = |name: String| {
            let place = names.iter().position(|other| *other == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            place as u32
        };
        let mut all = Vec::with_capacity(self.m);
        for column in &self.recipe.columns {
            let mut monomial = Monomial::default();
            for atom in &column.atoms {
                match atom {
                    Atom::Number(expression) => monomial.numbers.push(number(expression.to_string())),
                    Atom::Indicator { factor, level } => monomial.indicators.push((*factor as u32, *level as u32)),
                }
            }
            all.push(monomial);
        }
        // The response is a number of its own, even where a column has its name: offsets may be in it.
        all.push(Monomial { numbers: vec![u32::MAX], indicators: Vec::new() });
        all
    }

    /// Whether M, of unit diagonal, is not positive semidefinite: it has no Cholesky factor though the
    /// diagonal is raised by rounding.
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
                            "they are not positive semidefinite: the square of `{}` is less than the columns before it \
                             explain of it",
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

/// A product of numbers and indicators.
#[derive(Clone, Debug, Default)]
struct Monomial {
    numbers: Vec<u32>,
    indicators: Vec<(u32, u32)>,
}

impl Monomial {
    /// The product of two; `None` where it is 0 on every row.
    fn product(one: &Monomial, other: &Monomial) -> Option<Monomial> {
        let mut numbers = [&one.numbers[..], &other.numbers].concat();
        let mut indicators = [&one.indicators[..], &other.indicators].concat();
        numbers.sort_unstable();
        indicators.sort_unstable();
        indicators.dedup();
        let contradict = indicators.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!contradict).then_some(Monomial { numbers, indicators })
    }

    fn key(&self) -> Vec<u32> {
        let indicators = self.indicators.iter().flat_map(|&(factor, level)| [factor, level]);
        std::iter::once(self.numbers.len() as u32).chain(self.numbers.iter().copied()).chain(indicators).collect()
    }
}

impl Cells {
    /// Whether the sums of each cell can be sums over its rows; `first` is the number of the first
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
mod tests {
    use super::*;
    use crate::merge::{DefinedColumn, Definition};
    use tiers_design::{Field, Kind};

    /// Rows of y, x and a factor with three levels, and the recipe of `y ~ x * f + (1 | g)`.
    fn definition(shift: f64) -> Definition {
        let field = |name: &str, kind| Field::new(name, kind);
        let column = |name: &str| DefinedColumn {
            name: name.to_owned(),
            shift: if name == "x" || name == "y" { shift } else { 0.0 },
        };
        Definition {
            formula: "y ~ x * f + (1 | g)".to_owned(),
            weights: None,
            reference: [].into(),
            fields: vec![
                field("y", Kind::Float),
                field("x", Kind::Float),
                field("f", Kind::Text),
                field("g", Kind::Integer),
            ],
            levels: [("f".to_owned(), ["a", "b", "c"].map(str::to_owned).to_vec())].into(),
            columns: ["1", "x", "fb", "fc", "x:fb", "x:fc", "y"].map(column).to_vec(),
        }
    }

    fn totals(shift: f64) -> Totals {
        let mut cross = vec![0.0; 49];
        for i in 0..30_usize {
            let x = (i * 7 % 11) as f64 * 0.37;
            let [b, c] = [1, 2].map(|level| f64::from(u8::from(i % 3 == level)));
            let y = 2.0 + x - b + (i as f64).sin();
            let row = [1.0, x - shift, b, c, x * b, x * c, y - shift];
            for (j, one) in row.iter().enumerate() {
                row.iter().enumerate().for_each(|(k, other)| cross[j * 7 + k] += one * other);
            }
        }
        Totals { rows: 30, sum_log_weights: 0.0, cross }
    }

    /// The error for totals with these entries changed.
    fn told(shift: f64, changes: &[(usize, usize, f64)]) -> Option<String> {
        let recipe = definition(shift).recipe().expect("a recipe");
        let mut totals = totals(shift);
        for &(i, j, value) in changes {
            (totals.cross[i * 7 + j], totals.cross[j * 7 + i]) = (value, value);
        }
        totals.check_products(&recipe).err().map(|error| error.to_string())
    }

    #[test]
    fn sums_over_rows_are_products() {
        for shift in [0.0, 1.25, 1e4] {
            assert_eq!(told(shift, &[]), None, "shift {shift}");
        }
        let recipe = definition(0.0).recipe().expect("a recipe");
        let none = Totals { rows: 0, sum_log_weights: 0.0, cross: vec![0.0; 49] };
        assert_eq!(none.check_products(&recipe), Ok(()));
    }

    #[test]
    fn what_no_rows_can_have_is_told() {
        let told = |changes: &[(usize, usize, f64)], words: &str| {
            let told = told(1.25, changes).expect("an error");
            assert!(told.contains(words), "`{words}` is not in: {told}");
        };
        told(&[(1, 1, -1.0)], "the sum of squares of `x` is -1");
        // Twenty times what Cauchy and Schwarz allow.
        told(&[(1, 6, 1e6)], "`x` and `y` is 1000000, but their squares allow");
        // Levels that exclude each other, by a number that their squares allow.
        told(&[(2, 3, 5.0)], "`fb` and `fc` is 5, but they are never both");
        told(&[(0, 0, 31.0)], "the constant sums to 31 over 30 rows");
        told(&[(0, 2, 9.0)], "the same");
        told(&[(0, 4, 3.0)], "the same");
        told(&[(2, 2, 9.5), (0, 2, 9.5)], "counts rows");
    }

    /// A part that lacks a level, summed with the shifts of another part.
    #[test]
    fn shifted_columns_that_are_all_zero_are_told_by_no_rounding() {
        let mut definition = definition(0.0);
        definition.columns[4].shift = 1.37;
        let recipe = definition.recipe().expect("a recipe");
        let mut cross = vec![0.0; 49];
        for i in 0..30_usize {
            let (x, c) = ((i * 7 % 11) as f64 * 0.37, f64::from(u8::from(i % 3 == 2)));
            let row = [1.0, x, 0.0, c, -1.37, x * c, x + (i as f64).sin()];
            for (j, one) in row.iter().enumerate() {
                row.iter().enumerate().for_each(|(k, other)| cross[j * 7 + k] += one * other);
            }
        }
        let totals = Totals { rows: 30, sum_log_weights: 0.0, cross };
        assert_eq!(totals.check_products(&recipe), Ok(()));
    }

    #[test]
    fn totals_must_be_positive_semidefinite() {
        // Each pair of the three is possible, all three together are not.
        let recipe = Definition {
            formula: "y ~ 0 + x + z + (0 + x | g)".to_owned(),
            fields: ["y", "x", "z", "g"].map(|name| Field::new(name, Kind::Float)).to_vec(),
            levels: [].into(),
            columns: ["x", "z", "y"].map(|name| DefinedColumn { name: name.to_owned(), shift: 0.0 }).to_vec(),
            ..definition(0.0)
        };
        let mut recipe = recipe;
        recipe.fields[3].kind = Kind::Integer;
        let recipe = recipe.recipe().expect("a recipe");
        let of = |last: f64| Totals {
            rows: 9,
            sum_log_weights: 0.0,
            cross: vec![4.0, 3.8, 3.8, 3.8, 4.0, last, 3.8, last, 4.0],
        };
        assert_eq!(of(3.5).check_products(&recipe), Ok(()));
        let told = of(3.0).check_products(&recipe).expect_err("indefinite").to_string();
        assert!(told.contains("positive semidefinite") && told.contains("`y`"), "{told}");
    }

    #[test]
    fn cells_are_bounded_by_their_squares() {
        let recipe = definition(0.0).recipe().expect("a recipe");
        let totals = totals(0.0);
        let cell = |change: Option<(usize, f64)>| {
            let mut cells = Cells::none(&[true]);
            cells.rows = vec![10];
            cells.sums = vec![10.0, 12.0, 3.0, 3.0, 4.0, 4.0, 30.0];
            change.iter().for_each(|&(place, value)| cells.sums[place] = value);
            cells.check(&recipe, &totals, 4)
        };
        assert_eq!(cell(None), Ok(()));
        let told = cell(Some((0, 9.0))).expect_err("not its rows").to_string();
        assert!(told.contains("cell 5") && told.contains("`1*1`"), "{told}");
        let told = cell(Some((6, 1e4))).expect_err("too large").to_string();
        assert!(told.contains("`1*y`"), "{told}");
    }
}
