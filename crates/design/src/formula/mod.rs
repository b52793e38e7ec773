//! lme4's formula language.
//!
//! A formula goes through four steps, a file each: characters to tokens (`lexer`), tokens to a
//! tree (`parser`, `ast`), the tree to terms by R's algebra of model formulas (`expand`, with the
//! random terms in `random`), and function calls to arithmetic on columns (`arithmetic`, `expr`).
//! Every step knows its place in the text, so that an error points at a character.

mod arithmetic;
mod ast;
mod error;
mod expand;
mod expr;
mod lexer;
mod parser;
mod random;
#[cfg(test)]
mod tests;

pub use error::{Caret, FormulaError, FormulaProblem};
pub use expr::{Arithmetic, Expr, Function};
use std::fmt;
use std::str::FromStr;

/// A formula with its terms expanded; it knows names but no table.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    /// The formula as written.
    pub source: String,
    /// The response; its text is what R prints.
    pub response: Expr,
    /// The fixed-effect terms.
    pub fixed: TermList,
    /// What `offset()` holds, in order.
    pub offsets: Vec<Expr>,
    /// The random terms, in order, after the expansion of `||` and of `/` in groupings.
    pub random: Vec<RandomTerm>,
    /// Every column's name where it stands.
    names: Vec<(String, usize)>,
}

/// Terms in R's order: by degree, then by appearance, without duplicates.
#[derive(Clone, Debug, PartialEq)]
pub struct TermList {
    /// Whether there is an intercept.
    pub intercept: bool,
    /// The variables, in order of first appearance; some may be in no term (`x - x`).
    pub variables: Vec<Variable>,
    /// Per term the variables in its product, indices into `variables`, ascending.
    pub terms: Vec<Vec<usize>>,
}

/// Something that terms are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name as R prints it: `x`, `log(x)`, `factor(grade)`.
    pub label: String,
    /// What it is.
    pub kind: VariableKind,
}

/// The kinds of [`Variable`].
#[derive(Clone, Debug, PartialEq)]
pub enum VariableKind {
    /// A column, whose kind decides whether it is a number or a factor.
    Column(String),
    /// A column taken as a factor whatever its kind: `factor(grade)`.
    Factor(String),
    /// A number computed from the row.
    Number(Expr),
}

/// One random term: coefficients per group of a grouping.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomTerm {
    /// What varies between the groups.
    pub coefficients: TermList,
    /// The columns whose combinations are the groups, coarsest first as written.
    pub grouping: Vec<String>,
    /// The term as written, after expansion: `1 + year | school:class`.
    pub text: String,
    /// Whether it is one of the terms that a `||` was expanded to.
    pub uncorrelated: bool,
    /// Byte position in the formula.
    pub position: usize,
}

impl TermList {
    /// The term's name as R prints it: the labels of its variables joined by `:`.
    pub fn term_name(&self, term: usize) -> String {
        let labels: Vec<&str> = self.terms[term].iter().map(|&v| self.variables[v].label.as_str()).collect();
        labels.join(":")
    }
}

impl Formula {
    /// Where a column's name stands first in the formula.
    pub fn place(&self, column: &str) -> Option<Caret> {
        let (_, position) = self.names.iter().find(|(name, _)| name == column)?;
        Some(Caret { formula: self.source.clone(), position: *position })
    }
}

impl FromStr for Formula {
    type Err = FormulaError;

    fn from_str(source: &str) -> Result<Formula, FormulaError> {
        let parsed = parser::parse(source)?;
        let response = arithmetic::expression(source, &parsed.left)?;
        let expanded = expand::fixed(source, &parsed.right)?;
        let own = response.to_string();
        if let Some(variable) = expanded.terms.variables.iter().find(|v| v.label == own) {
            let position = expand::position_of(source, &parsed.right, variable);
            return Err(FormulaProblem::ResponseAgain(own).at(source, position));
        }
        let random = random::terms(source, &expanded.bars)?;
        Ok(Formula {
            source: source.to_owned(),
            response,
            fixed: expanded.terms,
            offsets: expanded.offsets,
            random,
            names: parsed.names,
        })
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
