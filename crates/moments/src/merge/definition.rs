//! Definition of the columns that a part's moments were computed from, sufficient to freeze the formula
//! again without rows. `docs/moments.md` documents it for other programs that compute moments.

use crate::merge::PartError;
use crate::merge::cell_columns::claim;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tiers_design::{Atom, Block, Field, Formula, Kind, Plan, Recipe, Settings};

/// The definition of moments: a formula, the properties of the table that it needs, and the shifts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The formula as written.
    pub formula: String,
    /// Column of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Whether the model is generalised: the response may then be a factor, or successes and failures.
    #[serde(default, skip_serializing_if = "is_false")]
    pub generalised: bool,
    /// Reference levels that were set, by factor; the reference of other factors is the first level in order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reference: BTreeMap<String, String>,
    /// Columns of the table that the formula or the settings name, with their kinds and, for factors, the
    /// order of the levels as listed in the settings or defined by the table.
    pub fields: Vec<Field>,
    /// Levels of each factor, in any order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<String, Vec<String>>,
    /// The columns of C, in order, y last.
    pub columns: Vec<DefinedColumn>,
}

/// One column of C.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefinedColumn {
    /// Its name (see [`column_names`]).
    pub name: String,
    /// Constant that was subtracted from it on every row before summing.
    #[serde(default)]
    pub shift: f64,
}

impl Definition {
    /// Returns the definition of a recipe that was frozen from `formula` and `settings` against a table with
    /// these fields.
    pub fn of(recipe: &Recipe, formula: &Formula, settings: &Settings, fields: &[Field]) -> Definition {
        let named = |field: &&Field| {
            formula.place(&field.name).is_some() || recipe.requests.iter().any(|r| r.column == field.name)
        };
        let mut levels = BTreeMap::new();
        for factor in &recipe.factors {
            levels.insert(factor.column.clone(), factor.levels.clone());
        }
        let with_order = |field: &Field| {
            let listed = settings.levels.iter().rev().find(|(factor, _)| *factor == field.name);
            Field { levels: listed.map_or_else(|| field.levels.clone(), |(_, levels)| levels.clone()), ..field.clone() }
        };
        let shifts = recipe.columns.iter().map(|c| c.shift).chain([recipe.response_shift]);
        let columns = column_names(recipe).into_iter().zip(shifts);
        Definition {
            formula: recipe.formula.clone(),
            weights: settings.weights.clone(),
            generalised: settings.generalised,
            reference: settings.reference.iter().cloned().collect(),
            fields: fields.iter().filter(named).map(with_order).map(settled).collect(),
            levels,
            columns: columns.map(|(name, shift)| DefinedColumn { name, shift }).collect(),
        }
    }

    /// Resolves the formula against the fields.
    pub fn plan(&self) -> Result<Plan, PartError> {
        let formula: Formula = self.formula.parse().map_err(tiers_design::DesignError::from)?;
        let reference = self.reference.iter().map(|(f, l)| (f.clone(), l.clone())).collect();
        let settings =
            Settings { weights: self.weights.clone(), reference, levels: Vec::new(), generalised: self.generalised };
        Ok(Plan::new(&formula, &self.fields, &settings)?)
    }

    /// Returns the recipe with these levels instead of the definition's own, and without shifts.
    pub(crate) fn unshifted(&self, levels: &BTreeMap<String, Vec<String>>) -> Result<Recipe, PartError> {
        let plan = self.plan()?;
        let mut of_factors = Vec::new();
        for request in plan.factor_requests() {
            let Some(levels) = levels.get(&request.column) else {
                return Err(PartError::NoLevels { factor: request.column });
            };
            of_factors.push(levels.clone());
        }
        Ok(plan.freeze(&Block::default(), Some(&of_factors))?)
    }

    /// Returns the recipe that the moments were computed with.
    pub fn recipe(&self) -> Result<Recipe, PartError> {
        let mut recipe = self.unshifted(&self.levels)?;
        let names = column_names(&recipe);
        if !names.iter().eq(self.columns.iter().map(|c| &c.name)) {
            let found = self.columns.iter().map(|c| c.name.clone()).collect();
            return Err(PartError::Columns { expected: names, found });
        }
        let y = recipe.columns.len();
        for (j, column) in self.columns.iter().enumerate() {
            let may = match j {
                j if j == y => recipe.constant.is_some(),
                j => may_be_shifted(&recipe, j),
            };
            if !column.shift.is_finite() || (column.shift != 0.0 && !may) {
                return Err(PartError::Shift { column: column.name.clone(), shift: column.shift });
            }
            match recipe.columns.get_mut(j) {
                Some(spec) => spec.shift = column.shift,
                None => recipe.response_shift = column.shift,
            }
        }
        Ok(recipe)
    }

    /// Sets the shift of a column of C. [`Definition::recipe`] checks whether the column may have one.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn set_shift(&mut self, column: &str, shift: f64) -> Result<(), PartError> {
        match self.columns.iter_mut().find(|own| own.name == column) {
            Some(own) => {
                own.shift = shift;
                Ok(())
            }
            None => {
                let columns = self.columns.iter().map(|own| own.name.clone()).collect();
                Err(PartError::NoColumn { column: column.to_owned(), columns })
            }
        }
    }

    /// Returns the field of a column that the formula names.
    pub(crate) fn field(&self, column: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == column)
    }

    /// Returns for each key column whether its labels are integers (those of whole floating-point numbers
    /// included) rather than strings.
    pub fn integer_keys(&self, recipe: &Recipe) -> Vec<bool> {
        let field = |&request: &usize| self.field(&recipe.requests[request].column);
        let is_integer = |request| matches!(field(request), Some(Field { kind: Kind::Integer | Kind::Float, .. }));
        recipe.keys.iter().map(is_integer).collect()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Returns the field as the model uses it: a column whose kind was in doubt is used as text.
fn settled(field: Field) -> Field {
    match field.kind {
        Kind::Mixed(_) => Field { kind: Kind::Text, ..field },
        _ => field,
    }
}

/// Whether shifting column `j` leaves the model unchanged: the columns of X span the constant, and every
/// random term that has the column has an intercept of its own.
fn may_be_shifted(recipe: &Recipe, j: usize) -> bool {
    let is_number = recipe.columns[j].atoms.iter().any(|atom| matches!(atom, Atom::Number(_)));
    let has_intercept = |columns: &[usize]| columns.iter().any(|&c| recipe.columns[c].atoms.is_empty());
    let terms = recipe.random.iter().filter(|term| term.columns.contains(&j));
    is_number && recipe.constant.is_some() && terms.into_iter().all(|term| has_intercept(&term.columns))
}

/// Returns the names of the columns of C in files: `1` for the constant, otherwise as R prints them, y
/// last. The second column of a name is called `name (2)`.
pub fn column_names(recipe: &Recipe) -> Vec<String> {
    let name = |c: &tiers_design::ColumnSpec| if c.atoms.is_empty() { "1".to_owned() } else { c.name.clone() };
    let names = recipe.columns.iter().map(name).chain([recipe.response_name.clone()]);
    let mut taken = Vec::new();
    names.for_each(|name| claim(&mut taken, &name));
    taken
}
