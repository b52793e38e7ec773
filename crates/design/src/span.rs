//! The space that columns of a recipe span, judged by the columns' definitions as products of numbers and
//! indicators.
//!
//! On every complete row exactly one indicator of a factor is 1. So a product that is not among the
//! columns may be a combination of them in two ways:
//!
//! ```text
//! P      = Σ_l P·[f = l]              over all levels l of a factor f
//! P·[f = reference] = P − Σ_l P·[f = l]     over all levels l but the reference
//! ```

use crate::product::Product;
use crate::recipe::{Factor, Recipe};
use std::collections::{BTreeMap, HashMap};

/// A linear combination of columns: pairs of a column's position and its coefficient, by position.
pub type Combination = Vec<(usize, f64)>;

/// Columns of a recipe, of which other products are expressed as linear combinations. Columns are
/// identified by their positions in the list that the span was made of, without their shifts.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    factors: &'a [Factor],
    /// For each product, the positions of its columns: several if they have different shifts.
    positions: HashMap<Product, Vec<usize>>,
    /// For the first position of each product, all of them.
    same: BTreeMap<usize, Vec<usize>>,
    /// Largest number of indicators in the product of a column.
    most_indicators: usize,
}

impl<'a> Span<'a> {
    /// The span of some columns of the recipe, as indices into [`Recipe::columns`].
    pub fn new(recipe: &'a Recipe, columns: impl IntoIterator<Item = usize>) -> Self {
        let mut positions: HashMap<Product, Vec<usize>> = HashMap::new();
        for (position, column) in columns.into_iter().enumerate() {
            positions.entry(recipe.product(column)).or_default().push(position);
        }
        let same = positions.values().map(|positions| (positions[0], positions.clone())).collect();
        let most_indicators = positions.keys().map(|product| product.indicators().count()).max().unwrap_or(0);
        Span { factors: &recipe.factors, positions, same, most_indicators }
    }

    /// The span of the columns of X; positions are those in [`Recipe::x`].
    pub fn of_x(recipe: &'a Recipe) -> Self {
        Span::new(recipe, recipe.x.iter().map(|x| x.column))
    }

    /// Returns the first column that is this product.
    pub fn find(&self, product: &Product) -> Option<usize> {
        self.positions.get(product).map(|positions| positions[0])
    }

    /// Returns the positions of all columns with the product of the column at `first`, which
    /// [`Span::find`] or [`Span::express`] returned.
    pub fn same(&self, first: usize) -> &[usize] {
        &self.same[&first]
    }

    /// Returns a product as a combination of the columns without their shifts, valid on every complete row;
    /// of columns with the same product the first is used. `None` if the product is not in the span as far
    /// as the definitions show.
    pub fn express(&self, product: &Product) -> Option<Combination> {
        let sum = self.sum(product)?;
        Some(sum.into_iter().filter(|(_, weight)| *weight != 0.0).collect())
    }

    fn sum(&self, product: &Product) -> Option<BTreeMap<usize, f64>> {
        // Few factors are tried before many, so that the constant is the intercept where there is one, and
        // the indicators of one factor rather than those of an interaction.
        let spare = self.most_indicators.saturating_sub(product.indicators().count());
        let over_levels = (0..=spare).find_map(|further| self.over_levels(product, 0, further));
        over_levels.or_else(|| self.complement(product))
    }

    /// Returns a product that is a column, or its sum over all levels of at most `further` factors. Factors
    /// before `first` are not used.
    fn over_levels(&self, product: &Product, first: usize, further: usize) -> Option<BTreeMap<usize, f64>> {
        if let Some(position) = self.find(product) {
            return Some(BTreeMap::from([(position, 1.0)]));
        }
        let further = further.checked_sub(1)?;
        let is_free = |f: &usize| product.indicators().all(|(factor, _)| factor != self.factors[*f].column);
        (first..self.factors.len()).filter(is_free).find_map(|f| {
            let Factor { column, levels, .. } = &self.factors[f];
            let mut sum = BTreeMap::new();
            for level in levels {
                add(&mut sum, &self.over_levels(&product.with_level(column, level), f + 1, further)?, 1.0);
            }
            Some(sum)
        })
    }

    /// Replaces the indicator of a reference level by 1 minus the indicators of the other levels.
    fn complement(&self, product: &Product) -> Option<BTreeMap<usize, f64>> {
        product.indicators().enumerate().find_map(|(at, (column, level))| {
            let factor = self.factors.iter().find(|factor| factor.column == column)?;
            let (reference, others) = factor.levels.split_first()?;
            if reference != level {
                return None;
            }
            let rest = product.without_indicator(at);
            let mut sum = self.sum(&rest)?;
            for other in others {
                add(&mut sum, &self.sum(&rest.with_level(column, other))?, -1.0);
            }
            Some(sum)
        })
    }
}

fn add(sum: &mut BTreeMap<usize, f64>, other: &BTreeMap<usize, f64>, weight: f64) {
    other.iter().for_each(|(&position, own)| *sum.entry(position).or_insert(0.0) += weight * own);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, Field, Formula, Kind, Plan, Settings};

    /// Freezes `y ~ formula + (1 | s)` with factors f (a, b, c), g (u, v) and h (p, q).
    fn recipe(formula: &str) -> Recipe {
        let formula: Formula = format!("y ~ {formula} + (1 | s)").parse().expect("a formula");
        let text = ["f", "g", "h"].map(|name| Field::new(name, Kind::Text));
        let fields = [["y", "x", "s"].map(|name| Field::new(name, Kind::Integer)), text].concat();
        let plan = Plan::new(&formula, &fields, &Settings::default()).expect("a plan");
        let levels = |column: &str| match column {
            "f" => vec!["a", "b", "c"],
            "g" => vec!["u", "v"],
            _ => vec!["p", "q"],
        };
        let levels = plan.factor_requests().into_iter().map(|r| levels(&r.column).into_iter().map(str::to_owned));
        plan.freeze(&Block::default(), Some(&levels.map(Iterator::collect).collect::<Vec<_>>())).expect("a recipe")
    }

    /// Expresses a product, as in `fa:gv`, in the columns of X; returns the combination as text.
    fn expressed(formula: &str, product: &str) -> Option<String> {
        let recipe = recipe(formula);
        let atoms = product.split(':').filter(|atom| !atom.is_empty());
        let product = atoms.fold(Product::default(), |product, atom| match atom {
            "x" => product.times(&Product::of_number(&crate::Expr::Column("x".to_owned()))).expect("not 0"),
            _ => product.with_level(&atom[..1], &atom[1..]),
        });
        let combination = Span::of_x(&recipe).express(&product)?;
        let name = |(i, weight): &(usize, f64)| format!("{weight:+} {}", recipe.x[*i].name);
        Some(combination.iter().map(name).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn products_are_combinations_of_columns() {
        for (formula, product, expected) in [
            ("f", "", Some("+1 (Intercept)")),
            ("f", "fa", Some("+1 (Intercept) -1 fb -1 fc")),
            ("f * g", "fa:gu", Some("+1 (Intercept) -1 fb -1 fc -1 gv +1 fb:gv +1 fc:gv")),
            ("f + f:x", "x", Some("+1 fa:x +1 fb:x +1 fc:x")),
            ("0 + f + g", "", Some("+1 fa +1 fb +1 fc")),
            ("0 + f + g", "gu", Some("+1 fa +1 fb +1 fc -1 gv")),
            ("0 + f:g", "fb", Some("+1 fb:gu +1 fb:gv")),
            // The indicators of one factor, rather than those of an interaction.
            ("0 + g:h + f", "", Some("+1 fa +1 fb +1 fc")),
            ("0 + f:g + g:h", "gu:hp", Some("+1 fa:gu +1 fb:gu +1 fc:gu -1 gu:hq")),
            ("f", "x", None),
            ("f", "gu", None),
            ("f", "fd", None),
            ("0 + x", "", None),
        ] {
            assert_eq!(expressed(formula, product).as_deref(), expected, "`{product}` in {formula}");
        }
    }
}
