//! The recipe: a formula frozen against a table, so that every block is encoded in the same way.

use crate::columns::Request;
use crate::formula::Expr;
use serde::{Deserialize, Serialize};

/// Everything needed to encode a [`crate::columns::Block`], decided once.
///
/// The columns of the moments are `C = [recipe.columns, y]`, so `m = columns.len() + 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The formula as the user wrote it.
    pub formula: String,
    /// The columns to read, in this order.
    pub requests: Vec<Request>,
    /// The factors used in fixed or random terms, with frozen levels.
    pub factors: Vec<Factor>,
    /// The distinct columns of X and Z.
    pub columns: Vec<ColumnSpec>,
    /// X: the column of each fixed-effect coefficient, in R's order of coefficients.
    pub x: Vec<Coefficient>,
    /// Names of the fixed-effect terms (`(Intercept)`, `treat`, `a:b`), in R's order.
    pub term_names: Vec<String>,
    /// A combination of the coefficients' columns that is 1 on every row (length p, entries 0 and 1):
    /// the intercept, or the dummies of a fully coded factor. If `None`, X does not span the constant and
    /// nothing is shifted.
    pub constant: Option<Vec<f64>>,
    /// The response.
    pub response: Expr,
    /// The response as written, for reports.
    pub response_name: String,
    /// Constant that is subtracted from the response before summing (a provisional mean).
    pub response_shift: f64,
    /// Offsets, subtracted from the response.
    pub offsets: Vec<Expr>,
    /// Index into `requests` of the weights.
    pub weights: Option<usize>,
    /// The factor whose second level is a success, if the response of a generalised model is not a number. Then
    /// `response` is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<usize>,
    /// The number of trials, if the response of a generalised model is `cbind(successes, failures)`. Then
    /// `response` is the share of successes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<Expr>,
    /// The grouping columns: indices into `requests` (role Label).
    pub keys: Vec<usize>,
    /// The distinct grouping factors, in order of first appearance in the formula.
    pub groupings: Vec<Grouping>,
    /// The random-effect terms, in order of appearance after expansion of `/` and `||`.
    pub random: Vec<RandomSpec>,
}

/// A factor with its levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Factor {
    /// Name of the column.
    pub column: String,
    /// Index into `requests` (role Label).
    pub request: usize,
    /// The levels: the reference first, then the others in order (see [`crate::LevelOrder`]).
    pub levels: Vec<String>,
}

/// One column of C: a product of atoms minus a shift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// Name as R prints it (`(Intercept)`, `SC:TV`, `genderM`).
    pub name: String,
    /// Factors of the product; empty for the constant 1.
    pub atoms: Vec<Atom>,
    /// Constant that is subtracted from the product on every row (a provisional mean); 0 if not shifted.
    pub shift: f64,
}

/// One factor of a column's product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Atom {
    /// A number computed from the row.
    Number(Expr),
    /// 1 if the factor has this level, otherwise 0.
    Indicator {
        /// Index into [`Recipe::factors`].
        factor: usize,
        /// Index into [`Factor::levels`].
        level: usize,
    },
}

/// One fixed-effect coefficient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// Name as R prints it.
    pub name: String,
    /// Index into [`Recipe::columns`].
    pub column: usize,
    /// Index into [`Recipe::term_names`].
    pub term: usize,
}

/// One grouping factor: `school`, or `school:class` by two key columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grouping {
    /// Name: the key columns joined by `:`, coarsest first (`school:class`).
    pub name: String,
    /// Indices into [`Recipe::keys`].
    pub keys: Vec<usize>,
}

/// One random-effect term: correlated coefficients per group of a grouping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomSpec {
    /// Index into [`Recipe::groupings`].
    pub grouping: usize,
    /// The term as written (`1 + year | childid`), for messages.
    pub text: String,
    /// Names of the coefficients as lme4 prints them.
    pub names: Vec<String>,
    /// Column of each coefficient, an index into [`Recipe::columns`].
    pub columns: Vec<usize>,
}
