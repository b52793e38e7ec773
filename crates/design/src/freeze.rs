//! Freezes a plan against the first block of rows: fixes the levels, columns and shifts of the recipe.

use crate::coding::{CodedColumn, Coding, Resolved, code};
use crate::columns::{Block, Column};
use crate::encode::Encoder;
use crate::error::DesignError;
use crate::formula::Expr;
use crate::levels::{LevelOrder, LevelSet};
use crate::plan::{Plan, PlannedFactor};
use crate::product::Product;
use crate::recipe::{Atom, Coefficient, ColumnSpec, Factor, RandomSpec, Recipe};
use std::collections::HashMap;

/// Number of columns whose means are computed at a time, to bound memory.
const COLUMNS_AT_A_TIME: usize = 64;

impl Plan {
    /// Freezes the plan into a recipe.
    ///
    /// `levels` are the levels of the factors in the order of [`Plan::factor_requests`], each as
    /// [`LevelSet::levels`] returns them, from a pass over all rows. Without them, the levels are those in
    /// the complete rows of `first`. Then a later block may have a new level
    /// ([`crate::EncodeError::NewLevel`]), and the reference level of the settings may be missing
    /// ([`DesignError::needs_all_levels`]); the remedy for both is to collect the levels and freeze again.
    /// [`Recipe::check_levels`] checks that each factor has two levels, once the levels are known to be
    /// complete.
    pub fn freeze(&self, first: &Block, levels: Option<&[Vec<String>]>) -> Result<Recipe, DesignError> {
        let mut recipe = self.provisional();
        let kept = Encoder::new(&recipe).select(first)?.kept;
        recipe.factors = self.factors(first, kept.as_deref(), levels)?;
        let shifted = self.columns(&mut recipe)?;
        // Nothing is shifted yet, so these are the means of the raw columns. A few columns are encoded at a
        // time, since there may be very many. Without columns to shift, one pass finds the response's mean.
        let wanted: Vec<usize> = (0..recipe.columns.len()).filter(|&j| shifted[j]).collect();
        let none: &[usize] = &[];
        for some in wanted.chunks(COLUMNS_AT_A_TIME).chain(wanted.is_empty().then_some(none)) {
            let columns = some.iter().map(|&j| recipe.columns[j].clone()).collect();
            let rows = Encoder::new(&Recipe { columns, response_shift: 0.0, ..recipe.clone() }).encode(first)?;
            for (place, &j) in some.iter().enumerate() {
                recipe.columns[j].shift = short_mean(rows.column(place));
            }
            if recipe.constant.is_some() {
                recipe.response_shift = short_mean(rows.column(some.len()));
            }
        }
        Ok(recipe)
    }

    /// Returns the recipe with only some of the levels, and for each of its columns the column of `frozen`
    /// whose shift it takes. `levels` are as in [`Plan::freeze`], and must be among those of `frozen`.
    pub fn refreeze(&self, frozen: &Recipe, levels: &[Vec<String>]) -> Result<(Recipe, Vec<usize>), DesignError> {
        let mut recipe = Recipe { response_shift: frozen.response_shift, ..self.provisional() };
        recipe.factors = self.factors(&Block::default(), None, Some(levels))?;
        let shifted = self.columns(&mut recipe)?;
        let mut whole = Recipe { factors: frozen.factors.clone(), ..self.provisional() };
        let whole_shifted = self.columns(&mut whole)?;
        let mut known = HashMap::new();
        for (j, &shifted) in whole_shifted.iter().enumerate() {
            known.entry((whole.product(j), shifted)).or_insert(j);
        }
        let place = |j: usize| known[&(recipe.product(j), shifted[j])];
        let columns: Vec<usize> = (0..recipe.columns.len()).map(place).collect();
        for (column, &j) in recipe.columns.iter_mut().zip(&columns) {
            column.shift = frozen.columns[j].shift;
        }
        Ok((recipe, columns))
    }

    /// Whether a block has a complete row, without which [`Plan::freeze`] finds no levels and no means.
    pub fn can_freeze(&self, block: &Block) -> Result<bool, DesignError> {
        let kept = self.complete_rows(block)?;
        Ok(kept.map_or(block.rows, |kept| kept.len()) > 0)
    }

    /// Returns the indices of the complete rows (complete cases) of a block; `None` if all are complete.
    pub fn complete_rows(&self, block: &Block) -> Result<Option<Vec<u32>>, DesignError> {
        Ok(Encoder::new(&self.provisional()).select(block)?.kept)
    }

    /// Returns a recipe without levels whose columns are the numeric variables; it suffices to find the
    /// complete rows.
    fn provisional(&self) -> Recipe {
        let variables = self.fixed.iter().chain(self.random.iter().flat_map(|(_, variables)| variables));
        let column = |resolved: &Resolved| match resolved {
            Resolved::Number(expr) => {
                Some(ColumnSpec { name: expr.to_string(), atoms: vec![Atom::Number(expr.clone())], shift: 0.0 })
            }
            _ => None,
        };
        Recipe {
            formula: self.formula.source.clone(),
            requests: self.requests.clone(),
            factors: Vec::new(),
            columns: variables.filter_map(column).collect(),
            x: Vec::new(),
            term_names: Vec::new(),
            constant: None,
            response: if self.success.is_some() { Expr::Number(0.0) } else { self.formula.response.clone() },
            response_name: self.formula.response_name(),
            response_shift: 0.0,
            offsets: self.formula.offsets.clone(),
            weights: self.weights,
            success: self.success,
            trials: self.formula.trials.clone(),
            keys: self.keys.clone(),
            groupings: self.groupings.clone(),
            random: Vec::new(),
        }
    }

    /// Returns the factors with their levels, the reference level first.
    fn factors(
        &self,
        first: &Block,
        kept: Option<&[u32]>,
        levels: Option<&[Vec<String>]>,
    ) -> Result<Vec<Factor>, DesignError> {
        let mut factors = Vec::with_capacity(self.factors.len());
        for (i, planned) in self.factors.iter().enumerate() {
            let mut own = match (levels, first.columns.get(planned.request)) {
                (Some(levels), _) => levels[i].clone(),
                (None, Some(Column::Labels(labels))) => {
                    let mut set = LevelSet::new();
                    set.absorb_kept(labels, kept);
                    set.levels()
                }
                (None, _) => Vec::new(),
            };
            planned.order.sort(&mut own);
            planned.check(&own)?;
            let reference = self.settings.reference.iter().rev().find(|(column, _)| *column == planned.column);
            if let Some((column, level)) = reference {
                let Some(at) = own.iter().position(|l| l == level) else {
                    let (column, level, complete) = (column.clone(), level.clone(), levels.is_some());
                    return Err(DesignError::UnknownReference { column, level, levels: own, complete });
                };
                own[..=at].rotate_right(1);
            }
            factors.push(Factor { column: planned.column.clone(), request: planned.request, levels: own });
        }
        Ok(factors)
    }

    /// Fills in the columns of X and Z; returns for each column whether it is to be shifted.
    fn columns(&self, recipe: &mut Recipe) -> Result<Vec<bool>, DesignError> {
        let Coding { columns, terms, constant } = code(&self.formula.fixed, &self.fixed, &recipe.factors)?;
        let p = columns.len();
        let shifts = constant.is_some();
        recipe.term_names = terms;
        recipe.constant = constant.map(|ones| (0..p).map(|j| f64::from(u8::from(ones.contains(&j)))).collect());
        let mut distinct = DistinctColumns { factors: recipe.factors.clone(), ..DistinctColumns::default() };
        for (column, coded) in columns.into_iter().enumerate() {
            recipe.x.push(Coefficient { name: coded.name.clone(), column, term: coded.term });
            distinct.push(coded, shifts);
        }
        for ((grouping, resolved), term) in self.random.iter().zip(&self.formula.random) {
            let coding = code(&term.coefficients, resolved, &recipe.factors)?;
            // Shifting a slope leaves the model unchanged only if an intercept absorbs the shift.
            let shifts = shifts && term.coefficients.intercept;
            let names = coding.columns.iter().map(|coded| coded.name.clone()).collect();
            let columns = coding.columns.into_iter().map(|coded| distinct.find_or_push(coded, shifts)).collect();
            recipe.random.push(RandomSpec { grouping: *grouping, text: term.text.clone(), names, columns });
        }
        recipe.columns = distinct.columns;
        Ok(distinct.shifted)
    }
}

impl PlannedFactor {
    /// Checks that all levels are among those listed.
    fn check(&self, levels: &[String]) -> Result<(), DesignError> {
        let LevelOrder::Listed(listed) = &self.order else { return Ok(()) };
        match levels.iter().find(|level| self.closed && !listed.contains(level)) {
            None => Ok(()),
            Some(level) => {
                let (column, level, listed) = (self.column.clone(), level.clone(), listed.clone());
                Err(DesignError::UnlistedLevel { column, level, listed })
            }
        }
    }
}

/// Columns of C, one for each distinct product and choice of shift. The columns of X come
/// first, one per coefficient even if two are equal.
#[derive(Default)]
struct DistinctColumns {
    factors: Vec<Factor>,
    columns: Vec<ColumnSpec>,
    shifted: Vec<bool>,
    known: HashMap<(Product, bool), usize>,
}

impl DistinctColumns {
    /// Returns the key of a column: its product, and whether it is shifted. Constants and dummies are not.
    fn key(&self, coded: &CodedColumn, shifts: bool) -> (Product, bool) {
        let product = Product::new(&coded.atoms, &self.factors);
        let is_shifted = shifts && product.numbers().next().is_some();
        (product, is_shifted)
    }

    fn push(&mut self, coded: CodedColumn, shifts: bool) -> usize {
        let key = self.key(&coded, shifts);
        let index = self.columns.len();
        self.shifted.push(key.1);
        self.known.entry(key).or_insert(index);
        self.columns.push(ColumnSpec { name: coded.name, atoms: coded.atoms, shift: 0.0 });
        index
    }

    fn find_or_push(&mut self, coded: CodedColumn, shifts: bool) -> usize {
        let found = self.known.get(&self.key(&coded, shifts)).copied();
        found.unwrap_or_else(|| self.push(coded, shifts))
    }
}

impl Recipe {
    /// Checks that each factor has at least two levels. Call it when the levels are complete.
    pub fn check_levels(&self) -> Result<(), DesignError> {
        match self.factors.iter().find(|factor| factor.levels.len() < 2) {
            None => Ok(()),
            Some(Factor { column, levels, .. }) => {
                Err(DesignError::SingleLevel { column: column.clone(), level: levels.first().cloned() })
            }
        }
    }
}

/// Returns the mean, rounded to 20 bits of mantissa: a shift with few bits keeps differences of whole
/// numbers exact. If the rounding error exceeds the standard deviation, more bits are kept until it does not.
fn short_mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    // Dividing before summing keeps huge values finite; differences from the first value keep the digits of
    // a small variation.
    let first = values.first().copied().unwrap_or(0.0);
    let simple = values.iter().sum::<f64>() / n;
    let short = rounded(simple, 20);
    if !simple.is_finite() {
        return 0.0;
    }
    let mean = first + values.iter().map(|v| (v - first) / n).sum::<f64>();
    let deviation = (values.iter().map(|v| (v - mean).powi(2) / n).sum::<f64>()).sqrt();
    if !(mean - short).is_finite() || (mean - short).abs() <= deviation {
        return short;
    }
    (21..=52).map(|bits| rounded(mean, bits)).find(|short| (mean - short).abs() <= deviation).unwrap_or(short)
}

/// Rounds a number to some bits of mantissa; returns 0 if the result cannot be a shift.
fn rounded(value: f64, bits: u32) -> f64 {
    if !value.is_normal() {
        return 0.0;
    }
    let dropped = 52 - bits;
    let half = (1_u64 << dropped) >> 1;
    let rounded = f64::from_bits((value.to_bits() + half) & !((1 << dropped) - 1));
    if rounded.is_finite() { rounded } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_mean_is_near_and_has_few_bits() {
        let mean = short_mean(&[1.0, 2.0, 4.0]);
        assert!((mean - 7.0 / 3.0).abs() < 1e-5);
        assert_eq!(mean * f64::from(1 << 20), (mean * f64::from(1 << 20)).round());
        assert_eq!(short_mean(&[]), 0.0);
        assert_eq!(short_mean(&[f64::MAX, f64::MAX]), 0.0);
        assert_eq!(short_mean(&[-1.0e6]), -1.0e6);
        // Twenty bits of 1e12 are accurate to about a million only.
        assert!((short_mean(&[1e12 + 123.25, 1e12 + 124.75]) - (1e12 + 124.0)).abs() <= 0.75);
    }
}
