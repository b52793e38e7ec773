//! Type III hypotheses: about a term's effects averaged over the factors it interacts with.
//!
//! The definition is that of SAS and lmerTest. The *complete* design has for every term a column per
//! combination of all levels of its factors; each is a combination of the columns of X. The coefficients
//! of X are estimable functions of the complete design's, one column of `L` each. Those of a term are made
//! orthogonal to those of the terms that contain it, which averages the containing terms' effects equally
//! over all levels. If every combination of levels occurs, this is Yates' test of averages with equal
//! weights; if some do not (columns of X were dropped), it tests the estimable part.

use nalgebra::{DMatrix, DVector, RowDVector};
use std::collections::{BTreeMap, BTreeSet};
use tiers_design::{Atom, Factor, Product, Recipe, Span};

/// Returns the hypotheses of each term except the intercept, in the coefficients in use. `aliases`
/// (p×p_all) gives every column of X as a combination of those in use.
pub(super) fn hypotheses(recipe: &Recipe, coefficients: &[usize], aliases: &DMatrix<f64>) -> Vec<Hypothesis> {
    let terms = Term::all(recipe);
    let complete = Complete::new(recipe, &terms);
    // L: a row per column of the complete design, a column per coefficient.
    let mut l = (aliases * &complete.by_x).transpose();
    let of_term = |term: usize| -> Vec<usize> {
        (0..coefficients.len()).filter(|&c| recipe.x[coefficients[c]].term == term).collect()
    };
    let mut order: Vec<usize> = (0..terms.len()).filter(|&t| !terms[t].is_intercept()).collect();
    order.sort_by_key(|&t| std::cmp::Reverse(terms[t].order()));
    for &term in &order {
        let containing = order.iter().filter(|&&other| terms[term].is_contained_in(&terms[other]));
        let containing: Vec<usize> = containing.flat_map(|&other| of_term(other)).collect();
        orthogonalise(&mut l, &of_term(term), &containing);
    }
    order.sort_unstable();
    let row = |c: usize| {
        let entry = |&i: &usize| l[(complete.place[&i], c)];
        RowDVector::from_iterator(coefficients.len(), coefficients.iter().map(entry))
    };
    let hypothesis = |&term: &usize| {
        let rows: Vec<_> = of_term(term).into_iter().map(row).filter(|row| row.abs().sum() > 1e-8).collect();
        (!rows.is_empty()).then(|| Hypothesis { term, rows: DMatrix::from_rows(&rows) })
    };
    order.iter().filter_map(hypothesis).collect()
}

/// The tested hypothesis of a term.
pub(super) struct Hypothesis {
    /// Index into [`Recipe::term_names`].
    pub term: usize,
    /// L of L β = 0, in the coefficients in use.
    pub rows: DMatrix<f64>,
}

/// The variables of a term.
struct Term {
    /// The product of its numbers.
    numbers: Product,
    factors: BTreeSet<usize>,
}

impl Term {
    fn all(recipe: &Recipe) -> Vec<Term> {
        let of = |term: usize| {
            let x = recipe.x.iter().find(|x| x.term == term);
            let factor = |atom: &Atom| match atom {
                Atom::Number(_) => None,
                Atom::Indicator { factor, .. } => Some(*factor),
            };
            let atoms = x.map_or(&[][..], |x| &recipe.columns[x.column].atoms);
            let numbers = x.map_or_else(Product::default, |x| recipe.product(x.column).without_indicators());
            Term { numbers, factors: atoms.iter().filter_map(factor).collect() }
        };
        (0..recipe.term_names.len()).map(of).collect()
    }

    fn is_intercept(&self) -> bool {
        self.order() == 0
    }

    fn order(&self) -> usize {
        self.numbers.numbers().count() + self.factors.len()
    }

    /// Whether the other term has the same numbers, all of these factors, and further ones.
    fn is_contained_in(&self, other: &Term) -> bool {
        self.numbers == other.numbers
            && self.factors.len() < other.factors.len()
            && self.factors.is_subset(&other.factors)
    }
}

/// The complete design, in the columns of X.
struct Complete {
    /// All columns of X × columns of the complete design.
    by_x: DMatrix<f64>,
    /// Maps a column of X to its position among those of the complete design.
    place: BTreeMap<usize, usize>,
}

impl Complete {
    fn new(recipe: &Recipe, terms: &[Term]) -> Complete {
        let known = Span::of_x(recipe);
        let p = recipe.x.len();
        let mut columns: Vec<DVector<f64>> = Vec::new();
        let mut place = BTreeMap::new();
        for term in terms {
            for product in term.combinations(recipe) {
                let Some(entries) = known.express(&product) else { continue };
                let mut column = DVector::zeros(p);
                entries.iter().for_each(|&(i, weight)| column[i] += weight);
                if let Some(i) = known.find(&product) {
                    place.entry(i).or_insert(columns.len());
                }
                columns.push(column);
            }
        }
        let by_x = if columns.is_empty() { DMatrix::zeros(p, 0) } else { DMatrix::from_columns(&columns) };
        Complete { by_x, place }
    }
}

impl Term {
    /// Products of all combinations of levels, the first factor's varying fastest.
    fn combinations(&self, recipe: &Recipe) -> Vec<Product> {
        let mut all = vec![self.numbers.clone()];
        for &factor in &self.factors {
            let Factor { column, levels, .. } = &recipe.factors[factor];
            let with = |level| all.iter().map(move |product: &Product| product.with_level(column, level));
            all = levels.iter().map(String::as_str).flat_map(with).collect();
        }
        all
    }
}

/// Makes some columns of a matrix orthogonal to others.
fn orthogonalise(matrix: &mut DMatrix<f64>, columns: &[usize], against: &[usize]) {
    let mut basis: Vec<DVector<f64>> = Vec::new();
    for &other in against {
        let whole = matrix.column(other).clone_owned();
        let rest = less(&whole, &basis);
        if rest.norm() > 1e-9 * whole.norm() {
            basis.push(rest.normalize());
        }
    }
    for &column in columns {
        let rest = less(&matrix.column(column).clone_owned(), &basis);
        matrix.set_column(column, &rest);
    }
}

/// Subtracts a vector's projection on an orthonormal basis, twice for accuracy.
fn less(vector: &DVector<f64>, basis: &[DVector<f64>]) -> DVector<f64> {
    let mut rest = vector.clone();
    for _ in 0..2 {
        for direction in basis {
            let along = direction.dot(&rest);
            rest.axpy(-along, direction, 1.0);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiers_design::{Block, Field, Formula, Kind, Plan, Settings};

    /// Terms whose margins are only in the span of an interaction were once missing from the complete design.
    #[test]
    fn complete_design_has_all_combinations_without_main_effects() {
        let formula: Formula = "y ~ f:g + g:h + f:g:h + (1 | s)".parse().expect("a formula");
        let fields = ["y", "f", "g", "h", "s"];
        let kind = |name| if name == "y" || name == "s" { Kind::Integer } else { Kind::Text };
        let fields = fields.map(|name| Field::new(name, kind(name)));
        let plan = Plan::new(&formula, &fields, &Settings::default()).expect("a plan");
        let levels = [["a", "b"], ["u", "v"], ["p", "q"]].map(|levels| levels.map(str::to_owned).to_vec());
        let recipe = plan.freeze(&Block::default(), Some(&levels)).expect("a recipe");
        let complete = Complete::new(&recipe, &Term::all(&recipe));
        // The constant, 2·2 of f:g, 2·2 of g:h, and 2·2·2 of f:g:h.
        assert_eq!(complete.by_x.ncols(), 1 + 4 + 4 + 8);
    }
}
