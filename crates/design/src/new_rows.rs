//! Applies a frozen design to new rows without a response, for prediction.

use crate::columns::{Request, Role};
use crate::formula::Expr;
use crate::recipe::{Atom, ColumnSpec, Recipe};

impl Recipe {
    /// Returns the recipe of some of the columns, followed by the offsets, without what only a fit needs:
    /// it has no keys, and its response is 0.
    ///
    /// Columns keep their shifts and are in the order of `columns` (indices into [`Recipe::columns`]); each
    /// offset is a column after them. Only the columns of the table that these need are requested, and the
    /// weights if `with_weights`.
    pub fn for_new_rows(&self, columns: &[usize], with_weights: bool) -> Recipe {
        let offset = |expr: &Expr| ColumnSpec {
            name: format!("offset({expr})"),
            atoms: vec![Atom::Number(expr.clone())],
            shift: 0.0,
        };
        let mut new = NewRows { fitted: self, recipe: self.without_rows() };
        new.recipe.columns = columns.iter().map(|&column| new.column(&self.columns[column])).collect();
        let offsets: Vec<ColumnSpec> = self.offsets.iter().map(|expr| new.column(&offset(expr))).collect();
        new.recipe.columns.extend(offsets);
        if let (true, Some(weights)) = (with_weights, self.weights) {
            new.recipe.weights = Some(new.request(&self.requests[weights].column, Role::Number));
        }
        new.recipe
    }

    fn without_rows(&self) -> Recipe {
        Recipe {
            formula: self.formula.clone(),
            requests: Vec::new(),
            factors: Vec::new(),
            columns: Vec::new(),
            x: Vec::new(),
            term_names: Vec::new(),
            constant: None,
            response: Expr::Number(0.0),
            response_name: self.response_name.clone(),
            response_shift: 0.0,
            offsets: Vec::new(),
            weights: None,
            success: None,
            trials: None,
            keys: Vec::new(),
            groupings: Vec::new(),
            random: Vec::new(),
        }
    }
}

/// A recipe under construction.
struct NewRows<'a> {
    fitted: &'a Recipe,
    recipe: Recipe,
}

impl NewRows<'_> {
    /// Requests the inputs of a column, and returns it with references to the new recipe.
    fn column(&mut self, spec: &ColumnSpec) -> ColumnSpec {
        let atoms = spec.atoms.iter().map(|atom| match atom {
            Atom::Number(expr) => {
                expr.columns().into_iter().for_each(|column| {
                    self.request(column, Role::Number);
                });
                atom.clone()
            }
            Atom::Indicator { factor, level } => Atom::Indicator { factor: self.factor(*factor), level: *level },
        });
        ColumnSpec { name: spec.name.clone(), atoms: atoms.collect(), shift: spec.shift }
    }

    fn factor(&mut self, factor: usize) -> usize {
        let mut factor = self.fitted.factors[factor].clone();
        let found = self.recipe.factors.iter().position(|known| known.column == factor.column);
        found.unwrap_or_else(|| {
            factor.request = self.request(&factor.column, self.fitted.requests[factor.request].role);
            self.recipe.factors.push(factor);
            self.recipe.factors.len() - 1
        })
    }

    fn request(&mut self, column: &str, role: Role) -> usize {
        let requests = &mut self.recipe.requests;
        let found = requests.iter().position(|r| r.column == column && r.role == role);
        found.unwrap_or_else(|| {
            requests.push(Request { column: column.to_owned(), role });
            requests.len() - 1
        })
    }
}
