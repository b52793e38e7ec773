//! Arithmetic of a formula in SQL.
//!
//! `tiers fit` drops a row where an expression is not a number (`log(-1)`, `0/0`) and refuses infinite values
//! (`log(0)`, `1/0`), where engines differ: some raise an error, some return null or NaN. So functions are guarded:
//! null where the value is not a number, infinity where it is infinite, which then shows in the sums.

use crate::dialect::Dialect;
use crate::error::SqlError;
use tiers_design::{Arithmetic, Expr, Function};

/// Most bytes of an expression in SQL. Guards repeat their argument, so that nested functions grow fast.
const MOST_BYTES: usize = 100_000;

/// Returns an expression without what does not change its value: parentheses, `+`, `I()`.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) | Expr::Sign { minus: false, operand: inner } => bare(inner),
        Expr::Call(Function::I, arguments) => bare(&arguments[0]),
        other => other,
    }
}

/// Writes expressions; `column` returns the alias under which a column is a number.
pub(crate) struct Expressions<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) column: &'a dyn Fn(&str) -> String,
}

impl Expressions<'_> {
    /// Returns the SQL of an expression.
    pub(crate) fn sql(&self, expr: &Expr) -> Result<String, SqlError> {
        self.value(expr).ok_or_else(|| SqlError::TooLong { expression: expr.to_string() })
    }

    /// Returns the SQL, or `None` if it is too long.
    fn value(&self, expr: &Expr) -> Option<String> {
        let expr = bare(expr);
        if expr.columns().is_empty() {
            return Some(self.number(expr.value_at(&|_| f64::NAN)));
        }
        let sql = match expr {
            Expr::Column(name) => (self.column)(name),
            Expr::Sign { operand, .. } => format!("(- {})", self.value(operand)?),
            Expr::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            Expr::Call(function, arguments) => {
                let value = self.call(*function, &self.value(&arguments[0])?);
                match arguments.get(1) {
                    Some(base) => self.quotient(&value, &self.call(*function, &self.value(base)?)),
                    None => value,
                }
            }
            Expr::Number(_) | Expr::Paren(_) => unreachable!("constants and parentheses were handled"),
        };
        (sql.len() <= MOST_BYTES).then_some(sql)
    }

    fn number(&self, value: f64) -> String {
        self.dialect.number(value)
    }

    fn infinity(&self) -> String {
        self.number(f64::INFINITY)
    }

    fn binary(&self, operator: Arithmetic, left: &Expr, right: &Expr) -> Option<String> {
        let (a, b) = (self.value(left)?, self.value(right)?);
        Some(match operator {
            Arithmetic::Add => format!("({a} + {b})"),
            Arithmetic::Subtract => format!("({a} - {b})"),
            Arithmetic::Multiply => format!("({a} * {b})"),
            Arithmetic::Divide => self.quotient(&a, &b),
            Arithmetic::Power => {
                let constant = right.columns().is_empty().then(|| right.value_at(&|_| f64::NAN));
                self.power(&a, &b, constant)
            }
        })
    }

    /// Returns a/b: null for 0/0.
    fn quotient(&self, a: &str, b: &str) -> String {
        let (zero, infinity) = (self.number(0.0), self.infinity());
        format!("(CASE WHEN {b} <> {zero} THEN {a} / {b} WHEN {a} <> {zero} THEN {infinity} END)")
    }

    /// Returns a power; squares and cubes are products, as in the encoder of `tiers fit`.
    fn power(&self, a: &str, b: &str, exponent: Option<f64>) -> String {
        let zero = self.number(0.0);
        match exponent {
            Some(2.0) => format!("({a} * {a})"),
            Some(3.0) => format!("({a} * {a} * {a})"),
            Some(whole) if whole.fract() == 0.0 => format!("power({a}, {b})"),
            Some(_) => format!("(CASE WHEN {a} >= {zero} THEN power({a}, {b}) END)"),
            None => format!("(CASE WHEN {a} >= {zero} OR floor({b}) = {b} THEN power({a}, {b}) END)"),
        }
    }

    fn call(&self, function: Function, x: &str) -> String {
        let constant = |value: f64| self.number(value);
        match function {
            Function::I => x.to_owned(),
            Function::Log => self.log(x),
            Function::Log2 => format!("({} / {})", self.log(x), constant(std::f64::consts::LN_2)),
            Function::Log10 => format!("({} / {})", self.log(x), constant(std::f64::consts::LN_10)),
            Function::Log1p => self.log1p(x),
            Function::Exp => self.exp(x),
            Function::Expm1 => self.expm1(x),
            Function::Sqrt => format!("(CASE WHEN {x} >= {} THEN sqrt({x}) END)", constant(0.0)),
            Function::Abs => format!("abs({x})"),
        }
    }

    fn log(&self, x: &str) -> String {
        let (zero, infinity) = (self.number(0.0), self.infinity());
        format!("(CASE WHEN {x} > {zero} THEN ln({x}) WHEN {x} = {zero} THEN - {infinity} END)")
    }

    /// Returns log(1 + x) to full accuracy (W. Kahan; D. Goldberg, "What every computer scientist should know
    /// about floating-point arithmetic", 1991, theorem 4): with `u = 1 + x` rounded, `x ln(u) / (u - 1)`, or x
    /// if u is 1.
    fn log1p(&self, x: &str) -> String {
        let (one, infinity) = (self.number(1.0), self.infinity());
        let u = format!("({one} + {x})");
        let inner = match self.dialect.has_log1p() {
            true => format!("log1p({x})"),
            false => format!("(CASE WHEN {u} = {one} THEN {x} ELSE ln({u}) * ({x} / ({u} - {one})) END)"),
        };
        format!("(CASE WHEN {x} > - {one} THEN {inner} WHEN {x} = - {one} THEN - {infinity} END)")
    }

    /// Returns the exponential; PostgreSQL raises an error where it is too small for a number.
    fn exp(&self, x: &str) -> String {
        match self.dialect {
            Dialect::Postgres => {
                let (zero, least) = (self.number(0.0), self.number(-745.2));
                format!("(CASE WHEN {x} < {least} THEN {zero} ELSE exp({x}) END)")
            }
            _ => format!("exp({x})"),
        }
    }

    /// Returns exp(x) - 1 to full accuracy (W. Kahan; N. J. Higham, "Accuracy and stability of numerical
    /// algorithms", 2002, section 1.14.1): with `u = exp(x)` rounded, `(u - 1) x / ln(u)`.
    fn expm1(&self, x: &str) -> String {
        if self.dialect.has_log1p() {
            return format!("expm1({x})");
        }
        let (one, large, u) = (self.number(1.0), self.number(1.0), self.exp(x));
        format!(
            "(CASE WHEN abs({x}) >= {large} THEN {u} - {one} WHEN {u} = {one} THEN {x} \
             ELSE ({u} - {one}) * ({x} / ln({u})) END)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(dialect: Dialect, text: &str) -> Result<String, SqlError> {
        let expr = Expr::try_from(text.to_owned()).expect("an expression");
        let column = |name: &str| dialect.column(name);
        Expressions { dialect, column: &column }.sql(&expr)
    }

    #[test]
    fn arithmetic_is_written_in_the_dialect() {
        assert_eq!(sql(Dialect::DuckDb, "I(x^2 - 2*z)").expect("sql"), "((\"x\" * \"x\") - (2e0 * \"z\"))");
        assert_eq!(sql(Dialect::Spark, "I(-x)").expect("sql"), "(- `x`)");
        assert_eq!(
            sql(Dialect::BigQuery, "log(`a b`)").expect("sql"),
            "(CASE WHEN `a b` > 0e0 THEN ln(`a b`) WHEN `a b` = 0e0 THEN - CAST('inf' AS FLOAT64) END)"
        );
        // Constants are computed here.
        assert_eq!(sql(Dialect::DuckDb, "I(x * exp(0))").expect("sql"), "(\"x\" * 1e0)");
        assert_eq!(
            sql(Dialect::Postgres, "I(x^0.5)").expect("sql"),
            "(CASE WHEN \"x\" >= CAST(0e0 AS double precision) THEN power(\"x\", CAST(5e-1 AS double precision)) END)"
        );
    }

    #[test]
    fn functions_nested_too_deeply_are_an_error() {
        let nested = (0..12).fold("x".to_owned(), |inner, _| format!("log({inner})"));
        let error = sql(Dialect::DuckDb, &nested).expect_err("too long");
        assert!(error.to_string().contains("nests functions"), "{error}");
    }
}
