//! Errors of formulas. A message states the problem and a remedy, and a caret marks the character.

use super::expr::Function;
use std::fmt;

/// A formula that cannot be parsed, and the place of the error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}\n{place}")]
pub struct FormulaError {
    /// The problem.
    pub problem: FormulaProblem,
    /// Its place.
    pub place: Caret,
}

/// A byte position in a formula; displayed as the formula with a caret under the character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caret {
    /// The whole formula.
    pub formula: String,
    /// Byte position of the character; the formula's length for its end.
    pub position: usize,
}

/// Problems of a formula.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // each message describes the problem
pub enum FormulaProblem {
    #[error("the formula is empty; write one such as y ~ x + (1 | school)")]
    Empty,
    #[error("the formula has no `~`; write the response, `~` and the terms, as in y ~ x + (1 | school)")]
    NoTilde,
    #[error("nothing stands left of `~`; name the response there, as in y ~ x + (1 | school)")]
    NothingAtLeft,
    #[error("nothing stands right of `~`; write 1 there for an intercept alone")]
    NothingAtRight,
    #[error("a formula has one `~`, and this is a second one")]
    SecondTilde,
    #[error("this parenthesis is never closed; add a `)`")]
    Unclosed,
    #[error("this `)` closes no parenthesis; remove it or add a `(` before it")]
    Unopened,
    #[error("a name in backticks is never closed; add a backtick after the name")]
    UnterminatedBacktick,
    #[error("there is no name between these backticks; write a column's name there")]
    EmptyName,
    #[error("`{found}` is not part of the formula language{}", remedy(.instead))]
    Character { found: String, instead: Option<&'static str> },
    #[error("`{0}` is not a number that can be represented; write a smaller one")]
    NumberTooLarge(String),
    #[error("`{0}` has nothing at its right; write a term after it or remove it")]
    TrailingOperator(&'static str),
    #[error("a term is expected before `{0}`; write one or remove the operator")]
    MissingOperand(&'static str),
    #[error("there is nothing between these parentheses; write a term there or remove them")]
    EmptyParentheses,
    #[error("an operator is missing before this; join terms with `+`, and write products of numbers as I(a * b)")]
    MissingOperator,
    #[error("a comma stands only between the arguments of a function; join terms with `+`")]
    Comma,
    #[error("parentheses and operators are nested more than {0} deep; simplify the formula")]
    TooDeep(usize),
    #[error("the formula expands to more than {0} terms; write fewer interactions")]
    TooManyTerms(usize),
    #[error("a random term has no grouping factor after the bar; name one, as in (1 | school)")]
    NoGrouping,
    #[error("a random term has nothing before the bar; write 1 for an intercept, as in (1 | school)")]
    EmptyRandom,
    #[error(
        "this random term has no coefficient left; keep an intercept or a slope, as in (1 | school) or (0 + x | school)"
    )]
    NoRandomCoefficient,
    #[error("a bar stands outside parentheses; write a random term as + (1 | school)")]
    BareBar,
    #[error("a random term can only be added with `+`; write it by itself, as in y ~ x + (1 | school)")]
    MisplacedRandom,
    #[error(
        "a grouping factor is a column, or columns joined by `:` or `/`, as in (1 | school/class); for two separate groupings write two terms, (1 | a) + (1 | b)"
    )]
    Grouping,
    #[error("a grouping column is always taken as a factor; write the column by itself, as in (1 | school)")]
    GroupingCall,
    #[error("the random term ({0}) occurs twice, so its variance is not identified; keep one of them")]
    DuplicateRandom(String),
    #[error("there is no function `{0}`; the functions are {list}, factor and offset", list = Function::list())]
    UnknownFunction(String),
    #[error("{function} takes {takes}")]
    Arguments { function: String, takes: &'static str },
    #[error(
        "only 0 and 1 stand as numbers in a formula, for the intercept; write arithmetic inside I(), as in I(2 * x)"
    )]
    NumberAsTerm,
    #[error("the intercept cannot be part of this operation; write it as a term of its own, as in y ~ 1 + x")]
    InterceptOperand,
    #[error(
        "outside I() the power `{0}` is a crossing of a term with itself, which gives the term again; write I({0}) for the number"
    )]
    PowerOfColumn(String),
    #[error(
        "an exponent in a formula is a whole number of at least 1, as in (a + b)^2; write powers of numbers inside I()"
    )]
    Exponent,
    #[error("`%in%` is not supported; write the interaction a:b instead")]
    In,
    #[error("a minus sign cannot stand inside an interaction; remove the whole term, as in - a:b")]
    MinusInside,
    #[error("`{0}` means nothing in arithmetic; use + - * / ^ and functions there")]
    NotArithmetic(&'static str),
    #[error("{0}() cannot be part of arithmetic; write it as a term of its own")]
    NotInArithmetic(String),
    #[error("factor() takes the name of one column, as in factor(grade)")]
    FactorArgument,
    #[error("an offset can only be added with `+` among the fixed effects")]
    MisplacedOffset,
    #[error("this expression names no column, so it is the same on every row; name a column in it")]
    ConstantExpression,
    #[error("the response `{0}` also stands at the right of `~`; a response cannot explain itself: remove it there")]
    ResponseAgain(String),
    #[error("`.` for all other columns is not supported; name the columns")]
    Dot,
}

fn remedy(instead: &Option<&'static str>) -> String {
    instead.map_or_else(|| "; put a name with such a character in backticks".to_owned(), |s| format!("; {s}"))
}

impl FormulaProblem {
    /// Returns the error for this problem at a byte position of a formula.
    pub(crate) fn at(self, formula: &str, position: usize) -> FormulaError {
        FormulaError { problem: self, place: Caret { formula: formula.to_owned(), position } }
    }
}

impl fmt::Display for Caret {
    /// Writes two lines: the formula (a window of it if it is long) and the caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WINDOW: usize = 100;
        const LEAD: usize = 70;
        let at = self.formula.char_indices().take_while(|(i, _)| *i < self.position).count();
        let start = at.saturating_sub(LEAD);
        // One column per character: a line break or a tab would misplace the caret.
        let line = self.formula.chars().map(|c| if c.is_control() { ' ' } else { c });
        let total = self.formula.chars().count();
        let before = if start > 0 { "…" } else { "" };
        let after = if total > start + WINDOW { "…" } else { "" };
        let shown: String = line.skip(start).take(WINDOW).collect();
        let indent = at - start + before.chars().count();
        write!(f, "    {before}{shown}{after}\n    {:indent$}^", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_is_under_the_character_after_multibyte_ones() {
        let formula = "größe ~ x )".to_owned();
        let position = formula.find(')').unwrap();
        let shown = Caret { formula, position }.to_string();
        assert_eq!(shown, "    größe ~ x )\n              ^");
    }

    #[test]
    fn a_long_formula_is_shown_around_the_caret() {
        let formula = format!("y ~ {}", "abcdefghi + ".repeat(100));
        let shown = Caret { formula, position: 600 }.to_string();
        assert!(shown.lines().all(|line| line.chars().count() < 110));
        assert!(shown.starts_with("    …") && shown.contains("…\n"));
    }
}
