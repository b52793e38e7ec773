//! Parser of lme4's formula language.
//!
//! Parsing has four steps: characters to tokens (`lexer`), tokens to a tree (`parser`, `ast`), the tree
//! to terms by R's algebra of model formulas (`expand`, with the random terms in `random`), and function
//! calls to arithmetic on columns (`arithmetic`, `expr`). Every step keeps positions in the text, so that
//! an error points at a character.

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

/// A formula with its terms expanded. It holds names, not yet resolved against a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    /// The formula as written.
    pub source: String,
    /// The response; it displays as R prints it.
    pub response: Expr,
    /// The number of trials, where the response is written `cbind(successes, failures)`; then `response` is the
    /// share of successes.
    pub trials: Option<Expr>,
    /// The fixed-effect terms.
    pub fixed: TermList,
    /// The arguments of `offset()`, in order.
    pub offsets: Vec<Expr>,
    /// The random terms, in order, after the expansion of `||` and of `/` in groupings.
    pub random: Vec<RandomTerm>,
    /// Name and byte position of every column in the text.
    names: Vec<(String, usize)>,
}

/// Terms in R's order: by degree, then by appearance, without duplicates.
#[derive(Clone, Debug, PartialEq)]
pub struct TermList {
    /// Whether there is an intercept.
    pub intercept: bool,
    /// The variables, in order of first appearance; some may be in no term (`x - x`).
    pub variables: Vec<Variable>,
    /// For each term, the variables in its product, as ascending indices into `variables`.
    pub terms: Vec<Vec<usize>>,
}

/// A variable in the terms of a formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name as R prints it: `x`, `log(x)`, `factor(grade)`.
    pub label: String,
    /// Its kind.
    pub kind: VariableKind,
}

/// The kinds of [`Variable`].
#[derive(Clone, Debug, PartialEq)]
pub enum VariableKind {
    /// A column; its kind in the table decides whether it is a number or a factor.
    Column(String),
    /// A column used as a factor whatever its kind: `factor(grade)`.
    Factor(String),
    /// A number computed from the row.
    Number(Expr),
}

/// One random term: coefficients per group of a grouping.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomTerm {
    /// The coefficients that vary between the groups.
    pub coefficients: TermList,
    /// The columns whose combinations are the groups, coarsest first as written.
    pub grouping: Vec<String>,
    /// The term as written, after expansion: `1 + year | school:class`.
    pub text: String,
    /// Whether it comes from the expansion of a `||`.
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
    /// The response as R prints it.
    pub fn response_name(&self) -> String {
        match (&self.trials, &self.response) {
            (Some(Expr::Binary(_, successes, failures)), _) => format!("cbind({successes}, {failures})"),
            _ => self.response.to_string(),
        }
    }

    /// Returns the place where a column's name first occurs in the formula.
    pub fn place(&self, column: &str) -> Option<Caret> {
        let (_, position) = self.names.iter().find(|(name, _)| name == column)?;
        Some(Caret { formula: self.source.clone(), position: *position })
    }
}

impl FromStr for Formula {
    type Err = FormulaError;

    fn from_str(source: &str) -> Result<Formula, FormulaError> {
        let parsed = parser::parse(source)?;
        let (response, trials) = arithmetic::response(source, &parsed.left)?;
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
            trials,
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
