//! Evaluates expressions over the rows of a block, column by column.

use crate::columns::{Block, Column};
use crate::formula::{Arithmetic, Expr, Function};

/// An expression whose columns are indices of requests, so that names are not looked up for every block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Compiled {
    Constant(f64),
    Request(usize),
    Negate(Box<Compiled>),
    Binary(Arithmetic, Box<Compiled>, Box<Compiled>),
    Call(Function, Box<Compiled>),
}

impl Compiled {
    /// Compiles an expression; `request` returns the request of a column.
    pub(crate) fn new(expr: &Expr, request: &dyn Fn(&str) -> usize) -> Compiled {
        let compile = |e: &Expr| Box::new(Compiled::new(e, request));
        match expr {
            Expr::Number(value) => Compiled::Constant(*value),
            Expr::Column(name) => Compiled::Request(request(name)),
            Expr::Paren(inner) | Expr::Sign { minus: false, operand: inner } => Compiled::new(inner, request),
            Expr::Sign { minus: true, operand } => Compiled::Negate(compile(operand)),
            Expr::Binary(operator, left, right) => Compiled::Binary(*operator, compile(left), compile(right)),
            Expr::Call(Function::I, arguments) => Compiled::new(&arguments[0], request),
            Expr::Call(function, arguments) => {
                let value = Compiled::Call(*function, compile(&arguments[0]));
                match arguments.get(1) {
                    // log(x, base)
                    Some(base) => Compiled::Binary(
                        Arithmetic::Divide,
                        Box::new(value),
                        Box::new(Compiled::Call(*function, compile(base))),
                    ),
                    None => value,
                }
            }
        }
    }

    /// Returns the values on all rows of a block.
    pub(crate) fn evaluate(&self, block: &Block) -> Vec<f64> {
        match self.value(block) {
            Value::Constant(value) => vec![value; block.rows],
            Value::Borrowed(values) => values.to_vec(),
            Value::Owned(values) => values,
        }
    }

    fn value<'a>(&self, block: &'a Block) -> Value<'a> {
        match self {
            Compiled::Constant(value) => Value::Constant(*value),
            Compiled::Request(request) => Value::Borrowed(numbers(block, *request)),
            Compiled::Negate(operand) => operand.value(block).map(|x| -x),
            Compiled::Call(function, argument) => call(*function, argument.value(block)),
            Compiled::Binary(operator, left, right) => {
                let (left, right) = (left.value(block), right.value(block));
                match operator {
                    Arithmetic::Add => left.join(right, |a, b| a + b),
                    Arithmetic::Subtract => left.join(right, |a, b| a - b),
                    Arithmetic::Multiply => left.join(right, |a, b| a * b),
                    Arithmetic::Divide => left.join(right, |a, b| a / b),
                    Arithmetic::Power => power(left, right),
                }
            }
        }
    }
}

impl Expr {
    /// Returns its value for the given values of the columns.
    pub fn value_at(&self, value: &dyn Fn(&str) -> f64) -> f64 {
        let names = self.columns();
        let columns = names.iter().map(|name| Column::Numbers(vec![value(name)])).collect();
        let block = Block { rows: 1, columns, ..Block::default() };
        let place = |name: &str| names.iter().position(|other| *other == name).expect("a column of the expression");
        Compiled::new(self, &place).evaluate(&block)[0]
    }
}

/// Returns the numbers of a requested column.
pub(crate) fn numbers(block: &Block, request: usize) -> &[f64] {
    match &block.columns[request] {
        Column::Numbers(values) => values,
        Column::Labels(_) => panic!("request {request} is for numbers, and the block has labels"),
    }
}

fn call(function: Function, argument: Value<'_>) -> Value<'_> {
    match function {
        Function::I => argument,
        Function::Log => argument.map(f64::ln),
        Function::Log2 => argument.map(f64::log2),
        Function::Log10 => argument.map(f64::log10),
        Function::Log1p => argument.map(f64::ln_1p),
        Function::Exp => argument.map(f64::exp),
        Function::Expm1 => argument.map(f64::exp_m1),
        Function::Sqrt => argument.map(f64::sqrt),
        Function::Abs => argument.map(f64::abs),
    }
}

/// Raises to a power; squares and cubes are multiplications, which are fast and exact for small integers.
fn power<'a>(base: Value<'a>, exponent: Value<'a>) -> Value<'a> {
    match exponent {
        Value::Constant(2.0) => base.map(|x| x * x),
        Value::Constant(3.0) => base.map(|x| x * x * x),
        exponent => base.join(exponent, f64::powf),
    }
}

/// One value per row, or one for all rows.
enum Value<'a> {
    Constant(f64),
    Borrowed(&'a [f64]),
    Owned(Vec<f64>),
}

impl<'a> Value<'a> {
    fn map(self, f: impl Fn(f64) -> f64) -> Value<'a> {
        match self {
            Value::Constant(x) => Value::Constant(f(x)),
            Value::Borrowed(xs) => Value::Owned(xs.iter().map(|&x| f(x)).collect()),
            Value::Owned(mut xs) => {
                xs.iter_mut().for_each(|x| *x = f(*x));
                Value::Owned(xs)
            }
        }
    }

    fn join(self, right: Value<'a>, f: impl Fn(f64, f64) -> f64) -> Value<'a> {
        match (self, right) {
            (left, Value::Constant(b)) => left.map(|a| f(a, b)),
            (Value::Constant(a), right) => right.map(|b| f(a, b)),
            (Value::Owned(mut left), right) => {
                left.iter_mut().zip(right.slice()).for_each(|(a, &b)| *a = f(*a, b));
                Value::Owned(left)
            }
            (left, Value::Owned(mut right)) => {
                right.iter_mut().zip(left.slice()).for_each(|(b, &a)| *b = f(a, *b));
                Value::Owned(right)
            }
            (left, right) => Value::Owned(left.slice().iter().zip(right.slice()).map(|(&a, &b)| f(a, b)).collect()),
        }
    }

    fn slice(&self) -> &[f64] {
        match self {
            Value::Constant(_) => &[],
            Value::Borrowed(values) => values,
            Value::Owned(values) => values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_that_of_r() {
        let block = Block {
            first_row: 0,
            rows: 2,
            columns: vec![Column::Numbers(vec![4.0, 0.25]), Column::Numbers(vec![3.0, 2.0])],
        };
        let request = |name: &str| usize::from(name == "z");
        for (text, expected) in [
            ("I(x^2)", [16.0, 0.0625]),
            ("I(-x^2)", [-16.0, -0.0625]),
            ("I((-x)^2)", [16.0, 0.0625]),
            ("I(2^z^2)", [512.0, 16.0]),
            ("I(x - z - 1)", [0.0, -2.75]),
            ("I(1/x*z)", [0.75, 8.0]),
            ("sqrt(x)", [2.0, 0.5]),
            ("log(x, 2)", [2.0, -2.0]),
            ("log2(x)", [2.0, -2.0]),
            ("abs(-x)", [4.0, 0.25]),
            ("I(x*z)", [12.0, 0.5]),
            ("I(x/z + x)", [4.0 / 3.0 + 4.0, 0.375]),
            ("I(exp(0)*x)", [4.0, 0.25]),
        ] {
            let expr = Expr::try_from(text.to_owned()).unwrap();
            let values = Compiled::new(&expr, &request).evaluate(&block);
            assert_eq!(values, expected, "{text}");
        }
    }
}
