//! Estimated marginal means: the fixed effects' prediction with some factors at given levels, the others
//! averaged over, and numbers at their means (Searle, Speed and Milliken 1980).

use super::FixedModel;
use nalgebra::{DMatrix, DVector};
use std::collections::{BTreeMap, BTreeSet};
use tiers_design::{Atom, Expr, Product, Recipe, Span, nearest};

/// Why a mean cannot be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MeansError {
    /// The fixed effects have no such variable.
    #[error("`{name}` is not a variable of the fixed effects; they are {}{}", known.join(", "), did_you_mean(name, known))]
    Unknown {
        /// The requested name.
        name: String,
        /// The variables.
        known: Vec<String>,
    },
    /// The factor has no such level.
    #[error("`{factor}` has no level `{level}`; its levels are {}", levels.join(", "))]
    Level {
        /// The factor.
        factor: String,
        /// The requested level.
        level: String,
        /// Its levels.
        levels: Vec<String>,
    },
    /// Values of a number must be given.
    #[error("`{name}` is a number, not a factor: say at which values, as in --at {name}=0,1")]
    NoValues {
        /// The variable.
        name: String,
    },
    /// The mean of a number is not among the moments.
    #[error(
        "the mean of `{name}` cannot be computed from the columns of the model; give its value, as in --at {name}=0"
    )]
    NoMean {
        /// The variable.
        name: String,
    },
    /// The frequency of a combination is not among the moments.
    #[error(
        "the frequencies of the levels that are averaged over cannot be computed from the columns of the model; leave out --weights proportional"
    )]
    NoFrequencies,
}

fn did_you_mean(name: &str, known: &[String]) -> String {
    nearest(name, known).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

/// The value or level at which a variable is set.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// A factor at a level (index into its levels).
    Level(usize),
    /// A number at a value.
    Value(f64),
}

/// Weights of the levels of the factors that are averaged over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Averaging {
    /// Equal weights.
    #[default]
    Equal,
    /// Weights proportional to the frequencies of the levels.
    Proportional,
}

/// The variables of the fixed effects, with their levels and means as far as the moments give them.
pub struct Grid<'a> {
    fixed: &'a FixedModel,
    recipe: &'a Recipe,
    span: Span<'a>,
    averaging: Averaging,
    aliases: DMatrix<f64>,
}

impl<'a> Grid<'a> {
    /// Prepares the grid of a fit.
    pub fn new(fixed: &'a FixedModel, recipe: &'a Recipe, averaging: Averaging) -> Self {
        let span = Span::new(recipe, 0..recipe.columns.len());
        Grid { fixed, recipe, span, averaging, aliases: fixed.aliases(recipe) }
    }

    /// Returns the factors and numbers of the fixed effects, in the formula's order.
    pub fn variables(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for atom in self.recipe.x.iter().flat_map(|x| &self.recipe.columns[x.column].atoms) {
            let own = match atom {
                Atom::Indicator { factor, .. } => vec![self.recipe.factors[*factor].column.clone()],
                Atom::Number(expression) => expression.columns().into_iter().map(str::to_owned).collect(),
            };
            own.into_iter().for_each(|name| {
                if !names.contains(&name) {
                    names.push(name);
                }
            });
        }
        names
    }

    /// Returns the index of the factor of this name in the fixed effects.
    pub fn factor(&self, name: &str) -> Option<usize> {
        let in_use = |factor: usize| {
            let atoms = self.recipe.x.iter().flat_map(|x| &self.recipe.columns[x.column].atoms);
            atoms.into_iter().any(|atom| matches!(atom, Atom::Indicator { factor: f, .. } if *f == factor))
        };
        (0..self.recipe.factors.len()).find(|&f| self.recipe.factors[f].column == name && in_use(f))
    }

    /// Returns the settings of a variable at which means are computed: a factor's levels, or a number's
    /// given values; without values, a number that is 0 or 1 on all rows has both.
    pub fn settings(&self, name: &str, values: Option<&[f64]>) -> Result<Vec<(String, Setting)>, MeansError> {
        if let Some(factor) = self.factor(name) {
            let levels = &self.recipe.factors[factor].levels;
            return Ok(levels.iter().enumerate().map(|(i, l)| (l.clone(), Setting::Level(i))).collect());
        }
        if !self.variables().iter().any(|other| other == name) {
            return Err(MeansError::Unknown { name: name.to_owned(), known: self.variables() });
        }
        let values = match values {
            Some(values) => values,
            None if self.is_zero_or_one(name) => &[0.0, 1.0],
            None => return Err(MeansError::NoValues { name: name.to_owned() }),
        };
        Ok(values.iter().map(|&value| (value.to_string(), Setting::Value(value))).collect())
    }

    /// Returns the factors that are averaged over, and the numbers that are at their means, when some
    /// variables are set.
    pub fn others(&self, set: &[&str]) -> (Vec<String>, Vec<(String, f64)>) {
        let (mut factors, mut numbers) = (Vec::new(), Vec::new());
        for name in self.variables().into_iter().filter(|name| !set.contains(&&name[..])) {
            match self.factor(&name) {
                Some(_) => factors.push(name),
                None => {
                    if let Some(mean) = self.mean(&Product::of_number(&Expr::Column(name.clone()))) {
                        numbers.push((name, mean));
                    }
                }
            }
        }
        (factors, numbers)
    }

    /// Returns the combination of the coefficients in use that gives the mean under these settings; `None`
    /// where the data do not determine it (a combination of levels that does not occur).
    pub fn mean_at(&self, set: &BTreeMap<String, Setting>) -> Result<Option<DVector<f64>>, MeansError> {
        let entry = |x: &tiers_design::Coefficient| self.entry(&self.recipe.columns[x.column].atoms, set);
        let all: Vec<f64> = self.recipe.x.iter().map(entry).collect::<Result<_, _>>()?;
        let own = &self.fixed.coefficients;
        let row = DVector::from_iterator(own.len(), own.iter().map(|&i| all[i]));
        // A dropped column is X b: the mean is estimable if its entry for that column equals that for X b.
        let implied = self.aliases.transpose() * &row;
        let size = row.amax().max(1.0);
        let estimable = all.iter().zip(implied.iter()).all(|(entry, implied)| (entry - implied).abs() <= 1e-7 * size);
        Ok(estimable.then_some(row))
    }

    /// Average of one column under these settings.
    fn entry(&self, atoms: &[Atom], set: &BTreeMap<String, Setting>) -> Result<f64, MeansError> {
        let (mut product, mut averaged) = (1.0, Vec::new());
        for atom in atoms {
            match atom {
                Atom::Number(expression) => product *= self.number(expression, set)?,
                Atom::Indicator { factor, level } => match set.get(&self.recipe.factors[*factor].column) {
                    Some(Setting::Level(at)) => product *= f64::from(u8::from(at == level)),
                    _ => averaged.push(atom.clone()),
                },
            }
        }
        if averaged.is_empty() || product == 0.0 {
            return Ok(product);
        }
        let share = match self.averaging {
            Averaging::Equal => averaged.iter().map(|atom| self.equal_share(atom)).product(),
            Averaging::Proportional => {
                self.mean(&Product::new(&averaged, &self.recipe.factors)).ok_or(MeansError::NoFrequencies)?
            }
        };
        Ok(product * share)
    }

    fn equal_share(&self, atom: &Atom) -> f64 {
        match atom {
            Atom::Indicator { factor, .. } => 1.0 / self.recipe.factors[*factor].levels.len() as f64,
            Atom::Number(_) => 1.0,
        }
    }

    /// Value of an expression: at the values of its variables if all are known, else its own mean.
    fn number(&self, expression: &Expr, set: &BTreeMap<String, Setting>) -> Result<f64, MeansError> {
        let names: BTreeSet<&str> = expression.columns().into_iter().collect();
        let known: BTreeMap<&str, f64> = names
            .iter()
            .filter_map(|&name| match set.get(name) {
                Some(Setting::Value(value)) => Some((name, *value)),
                _ => Some((name, self.mean(&Product::of_number(&Expr::Column(name.to_owned())))?)),
            })
            .collect();
        if known.len() == names.len() {
            return Ok(expression.value_at(&|name| known[name]));
        }
        let is_set = names.iter().find(|name| set.contains_key(**name));
        let missing = names.iter().find(|name| !known.contains_key(**name)).expect("not all are known");
        match (is_set, self.mean(&Product::of_number(expression))) {
            (None, Some(mean)) => Ok(mean),
            _ => Err(MeansError::NoMean { name: (*missing).to_owned() }),
        }
    }

    /// The (weighted) mean of a product over the rows, if the moments give it.
    fn mean(&self, product: &Product) -> Option<f64> {
        let constant = self.recipe.columns.iter().position(|column| column.atoms.is_empty())?;
        let cross = &self.fixed.cross;
        let of = |c: usize| cross[(constant, c)] / cross[(constant, constant)] + self.recipe.columns[c].shift;
        let combination = self.span.express(product)?;
        Some(combination.iter().map(|&(c, weight)| weight * of(c)).sum())
    }

    /// Whether a number is 0 or 1 on all rows, as far as the moments show: its sum equals that of its
    /// squares.
    fn is_zero_or_one(&self, name: &str) -> bool {
        let number = Product::of_number(&Expr::Column(name.to_owned()));
        let Some(column) = self.span.find(&number) else { return false };
        let Some(mean) = self.mean(&number) else { return false };
        let constant = self.recipe.columns.iter().position(|column| column.atoms.is_empty()).expect("a constant");
        let cross = &self.fixed.cross;
        let weight = cross[(constant, constant)];
        let shifted = cross[(constant, column)] / weight;
        let variance = cross[(column, column)] / weight - shifted * shifted;
        mean > 0.0 && mean < 1.0 && (variance - mean * (1.0 - mean)).abs() < 1e-9
    }
}
