//! Parses tokens into a tree, with R's precedences: `^` (right-associative), signs, `:`, `%in%`, `* /`,
//! `+ -`, `|`.

use super::ast::{Node, NodeKind, Operator, Parsed, Summand};
use super::error::{FormulaError, FormulaProblem};
use super::lexer::{Span, Token, tokens};

/// Limit of the nesting of parentheses, signs and powers, and (doubled) of the height of the tree.
pub(crate) const DEPTH: usize = 100;

/// Precedence of the operand of a sign, which binds less strongly than `^` and more strongly than the rest.
const SIGN: u8 = 9;

/// Parses `response ~ terms`.
pub(crate) fn parse(source: &str) -> Result<Parsed, FormulaError> {
    let mut parser = Parser::new(source)?;
    if parser.tokens.len() == 1 {
        return Err(FormulaProblem::Empty.at(source, 0));
    }
    if *parser.token() == Token::Tilde {
        return parser.fail(FormulaProblem::NothingAtLeft);
    }
    let left = parser.expression(0)?;
    match parser.token() {
        Token::Tilde => parser.next += 1,
        Token::End => return Err(FormulaProblem::NoTilde.at(source, source.trim_end().len())),
        _ => return Err(parser.misplaced()),
    }
    if *parser.token() == Token::End {
        return parser.fail(FormulaProblem::NothingAtRight);
    }
    let right = parser.expression(0)?;
    match parser.token() {
        Token::End => Ok(Parsed { left, right, names: parser.names }),
        _ => Err(parser.misplaced()),
    }
}

/// Parses an expression without `~`.
pub(crate) fn parse_expression(source: &str) -> Result<Node, FormulaError> {
    let mut parser = Parser::new(source)?;
    let node = parser.expression(0)?;
    if *parser.token() == Token::End { Ok(node) } else { Err(parser.misplaced()) }
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<(Token, Span)>,
    next: usize,
    depth: usize,
    names: Vec<(String, usize)>,
}

/// An operator between two operands.
enum Infix {
    Sum { minus: bool },
    Binary(Operator),
}

/// Returns the operator of a token, its precedence, and the least precedence of operators in its right
/// operand.
fn infix(token: &Token) -> Option<(Infix, u8, u8)> {
    Some(match token {
        Token::Bar => (Infix::Binary(Operator::Bar), 1, 2),
        Token::DoubleBar => (Infix::Binary(Operator::DoubleBar), 1, 2),
        Token::Plus => (Infix::Sum { minus: false }, 5, 6),
        Token::Minus => (Infix::Sum { minus: true }, 5, 6),
        Token::Star => (Infix::Binary(Operator::Times), 6, 7),
        Token::Slash => (Infix::Binary(Operator::Divide), 6, 7),
        Token::In => (Infix::Binary(Operator::In), 7, 8),
        Token::Colon => (Infix::Binary(Operator::Interact), 8, 9),
        Token::Caret => (Infix::Binary(Operator::Power), 10, 10),
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Result<Self, FormulaError> {
        Ok(Parser { source, tokens: tokens(source)?, next: 0, depth: 0, names: Vec::new() })
    }

    fn token(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn span(&self) -> Span {
        self.tokens[self.next].1
    }

    /// Returns an error at the current token.
    fn fail<T>(&self, problem: FormulaProblem) -> Result<T, FormulaError> {
        Err(problem.at(self.source, self.span().start))
    }

    /// Returns the error for the current token, which cannot follow a complete expression.
    fn misplaced(&self) -> FormulaError {
        let problem = match self.token() {
            Token::Close => FormulaProblem::Unopened,
            Token::Tilde => FormulaProblem::SecondTilde,
            Token::Comma => FormulaProblem::Comma,
            _ => FormulaProblem::MissingOperator,
        };
        problem.at(self.source, self.span().start)
    }

    /// Parses an expression of operators of precedence `least` or higher.
    fn expression(&mut self, least: u8) -> Result<Node, FormulaError> {
        self.depth += 1;
        if self.depth > 2 * DEPTH {
            return self.fail(FormulaProblem::TooDeep(DEPTH));
        }
        let mut left = self.operand()?;
        while let Some((infix, binding, right_least)) = infix(self.token()) {
            if binding < least {
                break;
            }
            let position = self.span().start;
            self.next += 1;
            self.check_right_side(&infix)?;
            let right = self.expression(right_least)?;
            left = self.join(left, infix, position, right)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Reports an operator without a right operand, at the position of the operator.
    fn check_right_side(&self, infix: &Infix) -> Result<(), FormulaError> {
        let operator = &self.tokens[self.next - 1];
        let ends = matches!(self.token(), Token::End | Token::Close | Token::Comma | Token::Tilde);
        let problem = match infix {
            Infix::Binary(Operator::Bar | Operator::DoubleBar) if ends => FormulaProblem::NoGrouping,
            _ if ends => FormulaProblem::TrailingOperator(operator.0.text()),
            _ => return Ok(()),
        };
        Err(problem.at(self.source, operator.1.start))
    }

    fn join(&self, left: Node, infix: Infix, position: usize, right: Node) -> Result<Node, FormulaError> {
        let span = Span { start: left.span.start, end: right.span.end };
        let height = 1 + left.height.max(right.height);
        let node = match (infix, left) {
            (Infix::Sum { minus }, Node { kind: NodeKind::Sum(mut summands), height: sum_height, .. }) => {
                let height = sum_height.max(1 + right.height);
                summands.push(Summand { minus, node: right });
                Node { span, height, kind: NodeKind::Sum(summands) }
            }
            (Infix::Sum { minus }, left) => {
                let summands = vec![Summand { minus: false, node: left }, Summand { minus, node: right }];
                Node { span, height, kind: NodeKind::Sum(summands) }
            }
            (Infix::Binary(operator), left) => {
                let kind = NodeKind::Binary { operator, position, left: Box::new(left), right: Box::new(right) };
                Node { span, height, kind }
            }
        };
        // A chain such as a:b:c:… grows to the left without nesting in the text.
        if node.height > 2 * DEPTH { Err(FormulaProblem::TooDeep(DEPTH).at(self.source, position)) } else { Ok(node) }
    }

    /// Parses a number, a name, a call, a parenthesis, or a sign and its operand.
    fn operand(&mut self) -> Result<Node, FormulaError> {
        let (token, span) = self.tokens[self.next].clone();
        self.next += 1;
        let leaf = |kind| Ok(Node { span, height: 1, kind });
        match token {
            Token::Number(value) => leaf(NodeKind::Number(value)),
            Token::Name(name) if *self.token() == Token::Open => self.call(name, span),
            Token::Name(name) => {
                self.names.push((name.clone(), span.start));
                leaf(NodeKind::Name(name))
            }
            Token::Open => self.parentheses(span),
            Token::Plus | Token::Minus => {
                if matches!(self.token(), Token::End | Token::Close | Token::Comma) {
                    return Err(FormulaProblem::TrailingOperator(token.text()).at(self.source, span.start));
                }
                let operand = Box::new(self.expression(SIGN)?);
                let (end, height) = (operand.span.end, operand.height + 1);
                let kind = NodeKind::Sign { minus: token == Token::Minus, operand };
                Ok(Node { span: Span { start: span.start, end }, height, kind })
            }
            _ => {
                self.next -= 1;
                Err(self.no_operand())
            }
        }
    }

    /// Returns the error for the current token, which cannot begin an operand.
    fn no_operand(&self) -> FormulaError {
        let problem = match self.token() {
            Token::Bar | Token::DoubleBar => FormulaProblem::EmptyRandom,
            Token::Close => FormulaProblem::Unopened,
            Token::Tilde => FormulaProblem::SecondTilde,
            Token::Comma => FormulaProblem::Comma,
            token => FormulaProblem::MissingOperand(token.text()),
        };
        problem.at(self.source, self.span().start)
    }

    fn parentheses(&mut self, open: Span) -> Result<Node, FormulaError> {
        match self.token() {
            Token::Close => return Err(FormulaProblem::EmptyParentheses.at(self.source, open.start)),
            Token::End => return Err(FormulaProblem::Unclosed.at(self.source, open.start)),
            _ => {}
        }
        let inner = self.expression(0)?;
        let end = self.close(open)?;
        let height = inner.height + 1;
        Ok(Node { span: Span { start: open.start, end }, height, kind: NodeKind::Paren(Box::new(inner)) })
    }

    fn call(&mut self, function: String, name: Span) -> Result<Node, FormulaError> {
        let open = self.span();
        self.next += 1;
        let mut arguments = Vec::new();
        if *self.token() != Token::Close {
            if *self.token() == Token::End {
                return Err(FormulaProblem::Unclosed.at(self.source, open.start));
            }
            arguments.push(self.expression(0)?);
            while *self.token() == Token::Comma {
                self.next += 1;
                arguments.push(self.expression(0)?);
            }
        }
        let end = self.close(open)?;
        let height = 1 + arguments.iter().map(|a: &Node| a.height).max().unwrap_or(0);
        Ok(Node { span: Span { start: name.start, end }, height, kind: NodeKind::Call { function, arguments } })
    }

    /// Consumes the parenthesis that closes `open` and returns its end.
    fn close(&mut self, open: Span) -> Result<usize, FormulaError> {
        match self.token() {
            Token::Close => {
                self.next += 1;
                Ok(self.tokens[self.next - 1].1.end)
            }
            Token::End | Token::Tilde => Err(FormulaProblem::Unclosed.at(self.source, open.start)),
            _ => Err(self.misplaced()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(source: &str) -> (FormulaProblem, usize) {
        let error = parse(source).unwrap_err();
        (error.problem, error.place.position)
    }

    #[test]
    fn each_syntax_error_has_its_own_message_and_place() {
        use FormulaProblem as P;
        for (source, expected, position) in [
            ("", P::Empty, 0),
            ("  ", P::Empty, 0),
            ("y", P::NoTilde, 1),
            ("y + x ", P::NoTilde, 5),
            ("~ x", P::NothingAtLeft, 0),
            ("y ~ ", P::NothingAtRight, 4),
            ("y ~ x ~ z", P::SecondTilde, 6),
            ("y ~ (x + z", P::Unclosed, 4),
            ("y ~ log(x", P::Unclosed, 7),
            ("(y ~ x)", P::Unclosed, 0),
            ("y ~ x) + z", P::Unopened, 5),
            ("y ~ x + ", P::TrailingOperator("+"), 6),
            ("y ~ (x * ) + z", P::TrailingOperator("*"), 7),
            ("y ~ (x -", P::TrailingOperator("-"), 7),
            ("y ~ * x", P::MissingOperand("*"), 4),
            ("y ~ x * * z", P::MissingOperand("*"), 8),
            ("y ~ x z", P::MissingOperator, 6),
            ("y ~ 2x", P::MissingOperator, 5),
            ("y ~ (1 | )", P::NoGrouping, 7),
            ("y ~ (1 || )", P::NoGrouping, 7),
            ("y ~ ( | g)", P::EmptyRandom, 6),
            ("y ~ ()", P::EmptyParentheses, 4),
            ("y ~ `x + z", P::UnterminatedBacktick, 4),
            ("y ~ x, z", P::Comma, 5),
        ] {
            assert_eq!(problem(source), (expected, position), "{source}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_stack_overflow() {
        for text in ["(", "-", "2^", "log(", "x:", "x*", "(x|", "((x+"] {
            let source = format!("y ~ {}", text.repeat(100_000));
            parse(&source).unwrap_err();
            let source = format!("y ~ {}x{}", text.repeat(100_000), ")".repeat(100_000));
            let error = parse(&source).unwrap_err();
            assert_eq!(error.problem, FormulaProblem::TooDeep(DEPTH), "{text}");
        }
        let source = format!("y ~ {}", vec!["x"; 100_000].join(" + "));
        assert!(parse(&source).is_ok(), "a sum may be long");
    }
}
