//! The space that some columns of a recipe span, judged by the columns' definitions as products of
//! numbers and indicators.

use std::collections::HashMap;
use tiers_design::{Atom, Recipe};

/// Columns, indexed by their products.
pub(crate) struct Span<'a> {
    recipe: &'a Recipe,
    columns: HashMap<Vec<String>, usize>,
    /// A combination of the columns that is 1 on every row.
    constant: Option<Vec<(usize, f64)>>,
}

impl<'a> Span<'a> {
    /// The span of the columns of X, numbered as in [`Recipe::x`].
    pub(crate) fn of_x(recipe: &'a Recipe) -> Self {
        let columns = recipe.x.iter().map(|x| x.column);
        let nonzero = |constant: &Vec<f64>| {
            constant.iter().enumerate().filter(|(_, w)| **w != 0.0).map(|(i, w)| (i, *w)).collect()
        };
        Span { recipe, columns: by_product(recipe, columns), constant: recipe.constant.as_ref().map(nonzero) }
    }

    /// The span of some columns of the recipe, numbered by their position in the list.
    pub(crate) fn of_columns(recipe: &'a Recipe, columns: &[usize]) -> Self {
        let columns = by_product(recipe, columns.iter().copied());
        let sum_of = |factor: usize| -> Option<Vec<(usize, f64)>> {
            let levels = 0..recipe.factors[factor].levels.len();
            levels.map(|level| Some((*columns.get(&key(&[Atom::Indicator { factor, level }]))?, 1.0))).collect()
        };
        let constant = (0..recipe.factors.len()).find_map(sum_of);
        Span { recipe, columns, constant }
    }

    /// Returns the column that is this product.
    pub(crate) fn find(&self, atoms: &[Atom]) -> Option<usize> {
        self.columns.get(&key(atoms)).copied()
    }

    /// Writes a product as a combination of the columns, with a reference level as 1 less all others.
    pub(crate) fn expand(&self, atoms: &[Atom]) -> Option<Vec<(usize, f64)>> {
        if let Some(i) = self.find(atoms) {
            return Some(vec![(i, 1.0)]);
        }
        if atoms.is_empty() {
            return self.constant.clone();
        }
        let references = atoms.iter().enumerate().filter_map(|(at, atom)| match atom {
            Atom::Indicator { factor, level: 0 } => Some((at, *factor)),
            _ => None,
        });
        let replaced = |(at, factor): (usize, usize)| {
            let mut rest = atoms.to_vec();
            rest.remove(at);
            let mut sum = self.expand(&rest)?;
            for level in 1..self.recipe.factors[factor].levels.len() {
                let mut other = rest.clone();
                other.insert(at, Atom::Indicator { factor, level });
                sum.extend(self.expand(&other)?.into_iter().map(|(i, weight)| (i, -weight)));
            }
            Some(sum)
        };
        references.into_iter().find_map(replaced)
    }

    /// Whether the span contains a column of another recipe of the same data.
    pub(crate) fn has(&self, atoms: &[Atom], other: &Recipe) -> bool {
        let translated = |atom: &Atom| match atom {
            Atom::Number(_) => Some(atom.clone()),
            Atom::Indicator { factor, level } => {
                let theirs = &other.factors[*factor];
                let factor = self.recipe.factors.iter().position(|own| own.column == theirs.column)?;
                let level = self.recipe.factors[factor].levels.iter().position(|own| *own == theirs.levels[*level])?;
                Some(Atom::Indicator { factor, level })
            }
        };
        let atoms: Option<Vec<Atom>> = atoms.iter().map(translated).collect();
        atoms.is_some_and(|atoms| self.expand(&atoms).is_some())
    }
}

fn by_product(recipe: &Recipe, columns: impl Iterator<Item = usize>) -> HashMap<Vec<String>, usize> {
    let mut out = HashMap::new();
    for (i, column) in columns.enumerate() {
        out.entry(key(&recipe.columns[column].atoms)).or_insert(i);
    }
    out
}

/// A key of a product that does not depend on the order of its atoms.
fn key(atoms: &[Atom]) -> Vec<String> {
    let one = |atom: &Atom| match atom {
        Atom::Number(expression) => format!("x{expression}"),
        Atom::Indicator { factor, level } => format!("f{factor}={level}"),
    };
    let mut key: Vec<String> = atoms.iter().map(one).collect();
    key.sort_unstable();
    key
}
