//! Products of numbers and indicators: what a column is, apart from its shift.

use crate::formula::Expr;
use crate::recipe::{Atom, Factor, Recipe};
use std::sync::Arc;

/// A product of numbers and of indicators of levels. Two columns are the same up to their shifts if their
/// products are equal.
///
/// A number is identified by its expression as R prints it, an indicator by the names of its factor and
/// its level. So products of different recipes for the same table can be compared, even if the recipes
/// number factors and levels differently. The order of multiplication does not matter. The default is the
/// empty product, the constant 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Product {
    /// Sorted; a number may occur several times.
    numbers: Vec<Arc<str>>,
    /// Pairs of factor and level, sorted; each occurs once, because an indicator is its own square.
    indicators: Vec<(Arc<str>, Arc<str>)>,
}

impl Product {
    /// Returns the product of atoms, whose indices of factors refer to `factors`.
    pub fn new(atoms: &[Atom], factors: &[Factor]) -> Product {
        let mut product = Product::default();
        for atom in atoms {
            match atom {
                Atom::Number(expr) => product.numbers.push(expr.to_string().into()),
                Atom::Indicator { factor, level } => {
                    let Factor { column, levels, .. } = &factors[*factor];
                    product.indicators.push((column.as_str().into(), levels[*level].as_str().into()));
                }
            }
        }
        product.sorted()
    }

    /// Returns a single number as a product.
    pub fn of_number(expr: &Expr) -> Product {
        Product { numbers: vec![expr.to_string().into()], indicators: Vec::new() }
    }

    /// Returns the expressions of its numbers, in sorted order.
    pub fn numbers(&self) -> impl Iterator<Item = &str> {
        self.numbers.iter().map(|number| &**number)
    }

    /// Returns the factor and the level of each of its indicators, in sorted order.
    pub fn indicators(&self) -> impl Iterator<Item = (&str, &str)> {
        self.indicators.iter().map(|(factor, level)| (&**factor, &**level))
    }

    /// Whether it is the constant 1.
    pub fn is_constant(&self) -> bool {
        self.numbers.is_empty() && self.indicators.is_empty()
    }

    /// Returns the product of its numbers alone.
    #[must_use]
    pub fn without_indicators(&self) -> Product {
        Product { numbers: self.numbers.clone(), indicators: Vec::new() }
    }

    /// Returns the product of the two, or `None` if it is 0 on every row because it has the indicators of
    /// two levels of one factor.
    pub fn times(&self, other: &Product) -> Option<Product> {
        let numbers = [&self.numbers[..], &other.numbers].concat();
        let indicators = [&self.indicators[..], &other.indicators].concat();
        let product = Product { numbers, indicators }.sorted();
        let contradicts = product.indicators.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!contradicts).then_some(product)
    }

    /// Returns its product with the indicator of a level.
    #[must_use]
    pub fn with_level(&self, factor: &str, level: &str) -> Product {
        let mut product = self.clone();
        product.indicators.push((factor.into(), level.into()));
        product.sorted()
    }

    /// Returns the product of all but one of the factors of this product: without indicator `at`.
    pub(crate) fn without_indicator(&self, at: usize) -> Product {
        let mut product = self.clone();
        product.indicators.remove(at);
        product
    }

    fn sorted(mut self) -> Product {
        self.numbers.sort_unstable();
        self.indicators.sort_unstable();
        self.indicators.dedup();
        self
    }
}

impl Recipe {
    /// Returns the product that column `column` of C is, apart from its shift.
    pub fn product(&self, column: usize) -> Product {
        Product::new(&self.columns[column].atoms, &self.factors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(column: &str, levels: &[&str]) -> Factor {
        Factor { column: column.to_owned(), request: 0, levels: levels.iter().map(|&l| l.to_owned()).collect() }
    }

    fn number(text: &str) -> Atom {
        Atom::Number(Expr::try_from(text.to_owned()).expect("an expression"))
    }

    #[test]
    fn order_and_numbering_do_not_matter() {
        let one = [factor("f", &["a", "b"]), factor("g", &["u"])];
        let other = [factor("g", &["u"]), factor("f", &["b", "c", "a"])];
        let (f, g) = (Atom::Indicator { factor: 0, level: 1 }, Atom::Indicator { factor: 1, level: 0 });
        let product = Product::new(&[number("x"), f, number("I(x^2)"), g], &one);
        let (f, g) = (Atom::Indicator { factor: 1, level: 0 }, Atom::Indicator { factor: 0, level: 0 });
        assert_eq!(product, Product::new(&[g, number("I(x^2)"), number("x"), f], &other));
        assert_ne!(product, Product::new(&[number("x"), number("x")], &one));
    }

    #[test]
    fn products_multiply_as_the_columns_do() {
        let level = |factor, level| Product::default().with_level(factor, level);
        let x = Product::of_number(&Expr::Column("x".to_owned()));
        let xa = x.times(&level("f", "a")).expect("not 0");
        assert_eq!(xa.numbers().collect::<Vec<_>>(), ["x"]);
        assert_eq!(xa.indicators().collect::<Vec<_>>(), [("f", "a")]);
        // An indicator is its own square, a number is not.
        assert_eq!(xa.times(&level("f", "a")), Some(xa.clone()));
        assert_ne!(x.times(&x), Some(x.clone()));
        // A row has one level of a factor only.
        assert_eq!(xa.times(&level("f", "b")), None);
        assert_eq!(xa.times(&level("g", "b")), Some(xa.with_level("g", "b")));
        assert_eq!(xa.without_indicators(), x);
        assert!(Product::default().is_constant() && !x.is_constant());
    }
}
