//! Converts arithmetic nodes of the tree to an [`Expr`].

use super::ast::{Node, NodeKind, Operator};
use super::error::{FormulaError, FormulaProblem};
use super::expr::{Arithmetic, Expr, Function};
use super::parser::parse_expression;

/// Limit of the depth of an [`Expr`]; a sum counts all its summands, because it nests to the left.
const EXPR_DEPTH: usize = 300;

/// Converts a node to an expression, which must contain a column.
pub(crate) fn expression(source: &str, node: &Node) -> Result<Expr, FormulaError> {
    let expr = build(source, node, 0)?;
    if expr.columns().is_empty() {
        return Err(FormulaProblem::ConstantExpression.at(source, node.span.start));
    }
    Ok(expr)
}

/// Converts the left-hand side: an expression, or `cbind(successes, failures)`, which becomes the share of
/// successes and the number of trials.
pub(crate) fn response(source: &str, node: &Node) -> Result<(Expr, Option<Expr>), FormulaError> {
    match &node.bare().kind {
        NodeKind::Call { function, arguments } if function == "cbind" && arguments.len() == 2 => {
            let successes = Box::new(expression(source, &arguments[0])?);
            let failures = Box::new(expression(source, &arguments[1])?);
            let trials = Expr::Binary(Arithmetic::Add, successes.clone(), failures);
            let share = Expr::Binary(Arithmetic::Divide, successes, Box::new(Expr::Paren(Box::new(trials.clone()))));
            Ok((share, Some(trials)))
        }
        _ => Ok((expression(source, node)?, None)),
    }
}

fn build(source: &str, node: &Node, depth: usize) -> Result<Expr, FormulaError> {
    let fail = |problem: FormulaProblem| Err(problem.at(source, node.span.start));
    let size = if let NodeKind::Sum(summands) = &node.kind { summands.len() } else { 1 };
    let depth = depth + size;
    if depth > EXPR_DEPTH {
        return fail(FormulaProblem::TooDeep(EXPR_DEPTH));
    }
    Ok(match &node.kind {
        NodeKind::Number(value) => Expr::Number(*value),
        NodeKind::Name(name) if name == "." => return fail(FormulaProblem::Dot),
        NodeKind::Name(name) => Expr::Column(name.clone()),
        NodeKind::Paren(inner) => Expr::Paren(Box::new(build(source, inner, depth)?)),
        NodeKind::Sign { minus, operand } => {
            Expr::Sign { minus: *minus, operand: Box::new(build(source, operand, depth)?) }
        }
        NodeKind::Call { function, arguments } => return call(source, node, function, arguments, depth),
        NodeKind::Sum(summands) => {
            let mut sum = build(source, &summands[0].node, depth)?;
            for summand in &summands[1..] {
                let operator = if summand.minus { Arithmetic::Subtract } else { Arithmetic::Add };
                let right = build(source, &summand.node, depth)?;
                sum = Expr::Binary(operator, Box::new(sum), Box::new(right));
            }
            sum
        }
        NodeKind::Binary { operator, position, left, right } => {
            let operator = match operator {
                Operator::Times => Arithmetic::Multiply,
                Operator::Divide => Arithmetic::Divide,
                Operator::Power => Arithmetic::Power,
                Operator::Interact => return Err(FormulaProblem::NotArithmetic(":").at(source, *position)),
                Operator::In => return Err(FormulaProblem::NotArithmetic("%in%").at(source, *position)),
                Operator::Bar | Operator::DoubleBar => {
                    return Err(FormulaProblem::MisplacedRandom.at(source, *position));
                }
            };
            let (left, right) = (build(source, left, depth)?, build(source, right, depth)?);
            Expr::Binary(operator, Box::new(left), Box::new(right))
        }
    })
}

fn call(source: &str, node: &Node, name: &str, arguments: &[Node], depth: usize) -> Result<Expr, FormulaError> {
    let fail = |problem: FormulaProblem| Err(problem.at(source, node.span.start));
    if matches!(name, "factor" | "as.factor" | "offset") {
        return fail(FormulaProblem::NotInArithmetic(name.to_owned()));
    }
    let Some(function) = Function::named(name) else {
        return fail(FormulaProblem::UnknownFunction(name.to_owned()));
    };
    let (most, takes) = match function {
        Function::Log => (2, "one argument, or two with the base: log(x) or log(x, 2)"),
        _ => (1, "one argument"),
    };
    if arguments.is_empty() || arguments.len() > most {
        return fail(FormulaProblem::Arguments { function: format!("{name}()"), takes });
    }
    let arguments: Result<Vec<Expr>, FormulaError> = arguments.iter().map(|a| build(source, a, depth)).collect();
    Ok(Expr::Call(function, arguments?))
}

impl TryFrom<String> for Expr {
    type Error = FormulaError;

    fn try_from(text: String) -> Result<Expr, FormulaError> {
        build(&text, &parse_expression(&text)?, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_printed_as_by_r() {
        for (written, printed) in [
            ("I(x^2+2*z)", "I(x^2 + 2 * z)"),
            ("I((x+1)/z)", "I((x + 1)/z)"),
            ("I( ((x)))", "I(((x)))"),
            ("I(- -x)", "I(--x)"),
            ("I(-x^2)", "I(-x^2)"),
            ("I((-x)^2)", "I((-x)^2)"),
            ("I(2^x^z)", "I(2^x^z)"),
            ("I(x-(z-1))", "I(x - (z - 1))"),
            ("I(1e6*x)", "I(1e+06 * x)"),
            ("I(x^-1)", "I(x^-1)"),
            ("log(x,2)", "log(x, 2)"),
            ("exp(`my x`*2)", "exp(`my x` * 2)"),
        ] {
            let expr = Expr::try_from(written.to_owned()).unwrap();
            assert_eq!(expr.to_string(), printed);
            assert_eq!(Expr::try_from(printed.to_owned()).unwrap(), expr, "reads back");
        }
    }

    #[test]
    fn powers_bind_tighter_than_signs_and_are_right_associative() {
        let square = Expr::try_from("-x^2".to_owned()).unwrap();
        assert!(matches!(square, Expr::Sign { minus: true, .. }));
        let tower = Expr::try_from("2^x^z".to_owned()).unwrap();
        let Expr::Binary(Arithmetic::Power, base, _) = tower else { panic!("{tower}") };
        assert_eq!(*base, Expr::Number(2.0));
    }
}
