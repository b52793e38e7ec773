//! Arithmetic expressions over the columns of a row, and their text as R prints it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A number computed from a row. It displays as R's `deparse` prints it, and is serialised as that text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Expr {
    /// A constant.
    Number(f64),
    /// The value of a column.
    Column(String),
    /// An expression in parentheses, which R keeps in names.
    Paren(Box<Expr>),
    /// `-x`, or `+x`.
    Sign {
        /// Whether it is `-`.
        minus: bool,
        /// The operand of the sign.
        operand: Box<Expr>,
    },
    /// A binary operation, such as `x + 1`.
    Binary(Arithmetic, Box<Expr>, Box<Expr>),
    /// A function call, such as `log(x)`.
    Call(Function, Vec<Expr>),
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `^`
    Power,
}

/// A function of one number; `log` may have the base as a second argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `I(x)`, the identity, which marks arithmetic among the terms of a formula.
    I,
    /// Natural logarithm, or `log(x, base)`.
    Log,
    /// Logarithm to the base 2.
    Log2,
    /// Logarithm to the base 10.
    Log10,
    /// log(1 + x), accurate for small x.
    Log1p,
    /// Exponential.
    Exp,
    /// exp(x) - 1, accurate for small x.
    Expm1,
    /// Square root.
    Sqrt,
    /// Absolute value.
    Abs,
}

impl Function {
    const ALL: [(Function, &'static str); 9] = [
        (Function::I, "I"),
        (Function::Log, "log"),
        (Function::Log2, "log2"),
        (Function::Log10, "log10"),
        (Function::Log1p, "log1p"),
        (Function::Exp, "exp"),
        (Function::Expm1, "expm1"),
        (Function::Sqrt, "sqrt"),
        (Function::Abs, "abs"),
    ];

    /// Returns the function with this name.
    pub(crate) fn named(name: &str) -> Option<Function> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(f, _)| *f)
    }

    /// Returns its name in a formula.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(f, _)| *f == self).map_or("", |(_, n)| *n)
    }

    /// Lists the names of all functions, for a message.
    pub(crate) fn list() -> String {
        Self::ALL.map(|(_, name)| name).join(", ")
    }
}

impl Expr {
    /// Returns the names of the columns it uses, in order of appearance, with repeats.
    pub fn columns(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.visit(&mut |name| found.push(name));
        found
    }

    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        match self {
            Expr::Number(_) => {}
            Expr::Column(name) => see(name),
            Expr::Paren(inner) => inner.visit(see),
            Expr::Sign { operand, .. } => operand.visit(see),
            Expr::Binary(_, left, right) => {
                left.visit(see);
                right.visit(see);
            }
            Expr::Call(_, arguments) => arguments.iter().for_each(|a| a.visit(see)),
        }
    }
}

impl From<Expr> for String {
    fn from(expr: Expr) -> String {
        expr.to_string()
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Number(value) => f.write_str(&number(*value)),
            Expr::Column(name) => f.write_str(&quoted(name)),
            Expr::Paren(inner) => write!(f, "({inner})"),
            Expr::Sign { minus, operand } => write!(f, "{}{operand}", if *minus { '-' } else { '+' }),
            Expr::Binary(operator, left, right) => match operator {
                Arithmetic::Add => write!(f, "{left} + {right}"),
                Arithmetic::Subtract => write!(f, "{left} - {right}"),
                Arithmetic::Multiply => write!(f, "{left} * {right}"),
                Arithmetic::Divide => write!(f, "{left}/{right}"),
                Arithmetic::Power => write!(f, "{left}^{right}"),
            },
            Expr::Call(function, arguments) => {
                let list: Vec<String> = arguments.iter().map(Expr::to_string).collect();
                write!(f, "{}({})", function.name(), list.join(", "))
            }
        }
    }
}

/// Returns a name as R prints it in a formula, in backticks if it needs them.
pub(crate) fn quoted(name: &str) -> String {
    if super::lexer::is_plain_name(name) {
        name.to_owned()
    } else {
        format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
    }
}

/// Formats a number as R prints it: the shortest digits (at most 15 unless the value needs more), in
/// fixed notation unless scientific notation is shorter.
fn number(value: f64) -> String {
    let mut digits = format!("{value:.14e}");
    if digits.parse() != Ok(value) {
        digits = format!("{value:e}");
    }
    let Some((mantissa, exponent)) = digits.split_once('e') else { return digits };
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let scientific = format!("{mantissa}e{sign}{:02}", exponent.abs());
    let fixed = format!("{value}");
    if fixed.len() <= scientific.len() { fixed } else { scientific }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_by_r() {
        for (value, text) in [
            (1.0, "1"),
            (100000.0, "1e+05"),
            (123456.0, "123456"),
            (1e6, "1e+06"),
            (0.1, "0.1"),
            (0.0001, "1e-04"),
            (1e-10, "1e-10"),
            (1234567.5, "1234567.5"),
            (1.5e300, "1.5e+300"),
            (0.0, "0"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
