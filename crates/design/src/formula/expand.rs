//! R's algebra of model formulas: expands a tree into terms, as R's `terms.formula` does.
//!
//! A term is a set of variables. `a + b` joins lists of terms, `a:b` pairs every term of one list
//! with every term of the other, `a*b` is `a + b + a:b`, `a/b` is `a + a:b`, `(…)^n` repeats `*`,
//! and `-` removes terms; 1 and 0 switch the intercept on and off.

use super::arithmetic::expression;
use super::ast::{Node, NodeKind, Operator, Summand};
use super::error::{FormulaError, FormulaProblem};
use super::expr::{Expr, quoted};
use super::{TermList, Variable, VariableKind};
use std::collections::{HashMap, HashSet};

/// Largest number of terms; stops `(a + b + …)^9` before it fills the memory.
const MOST_TERMS: usize = 10_000;

/// The set of variables in a product, ascending.
type Term = Vec<usize>;

/// The parts of the right side of a formula.
pub(super) struct Expanded<'a> {
    pub(super) terms: TermList,
    pub(super) offsets: Vec<Expr>,
    /// The bar nodes of the random terms.
    pub(super) bars: Vec<&'a Node>,
}

/// Expands the right side of a formula.
pub(super) fn fixed<'a>(source: &'a str, node: &'a Node) -> Result<Expanded<'a>, FormulaError> {
    expand(source, node, true)
}

/// Expands the coefficients before the bar of a random term.
pub(super) fn coefficients(source: &str, node: &Node) -> Result<TermList, FormulaError> {
    Ok(expand(source, node, false)?.terms)
}

fn expand<'a>(source: &'a str, node: &'a Node, whole: bool) -> Result<Expanded<'a>, FormulaError> {
    let mut expander = Expander {
        source,
        whole,
        intercept: true,
        variables: Vec::new(),
        numbered: HashMap::new(),
        offsets: Vec::new(),
        bars: Vec::new(),
    };
    let mut terms = expander.encode(node, Place { added: true, summand: true })?;
    terms.sort_by_key(Vec::len);
    let Expander { intercept, variables, offsets, bars, .. } = expander;
    Ok(Expanded { terms: TermList { intercept, variables, terms }, offsets, bars })
}

/// Returns the position of the first node that denotes a variable, for messages.
pub(super) fn position_of(source: &str, node: &Node, variable: &Variable) -> usize {
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        if super::expand::variable(source, node).is_ok_and(|v| v.label == variable.label) {
            return node.span.start;
        }
        match &node.kind {
            NodeKind::Paren(inner) | NodeKind::Sign { operand: inner, .. } => waiting.push(inner),
            NodeKind::Sum(summands) => waiting.extend(summands.iter().rev().map(|s| &s.node)),
            NodeKind::Binary { left, right, .. } => waiting.extend([&**right, &**left]),
            _ => {}
        }
    }
    node.span.start
}

/// Returns the variable that a name or a call denotes.
fn variable(source: &str, node: &Node) -> Result<Variable, FormulaError> {
    let kind = match &node.kind {
        NodeKind::Name(name) if name == "." => return Err(FormulaProblem::Dot.at(source, node.span.start)),
        NodeKind::Name(name) => VariableKind::Column(name.clone()),
        NodeKind::Call { function, arguments } if matches!(function.as_str(), "factor" | "as.factor") => {
            match arguments.as_slice() {
                [Node { kind: NodeKind::Name(name), .. }] => {
                    let label = format!("{function}({})", quoted(name));
                    return Ok(Variable { label, kind: VariableKind::Factor(name.clone()) });
                }
                _ => return Err(FormulaProblem::FactorArgument.at(source, node.span.start)),
            }
        }
        _ => VariableKind::Number(expression(source, node)?),
    };
    let label = match &kind {
        VariableKind::Column(name) | VariableKind::Factor(name) => quoted(name),
        VariableKind::Number(expr) => expr.to_string(),
    };
    Ok(Variable { label, kind })
}

/// Position of a node in the formula, which decides its meaning.
#[derive(Clone, Copy)]
struct Place {
    /// Under an even number of minus signs, so that 1 adds the intercept rather than removing it.
    added: bool,
    /// Reached through sums and parentheses alone, so that random terms and offsets are allowed.
    summand: bool,
}

impl Place {
    fn inside(self) -> Place {
        Place { summand: false, ..self }
    }

    fn subtracted(self) -> Place {
        Place { added: !self.added, ..self }
    }

    fn allows_random(self) -> bool {
        self.added && self.summand
    }
}

struct Expander<'a> {
    source: &'a str,
    /// Whether this is the right side of a formula, where random terms and offsets are allowed.
    whole: bool,
    intercept: bool,
    variables: Vec<Variable>,
    numbered: HashMap<String, usize>,
    offsets: Vec<Expr>,
    bars: Vec<&'a Node>,
}

impl<'a> Expander<'a> {
    fn fail<T>(&self, problem: FormulaProblem, position: usize) -> Result<T, FormulaError> {
        Err(problem.at(self.source, position))
    }

    fn encode(&mut self, node: &'a Node, place: Place) -> Result<Vec<Term>, FormulaError> {
        let start = node.span.start;
        match &node.kind {
            NodeKind::Number(value) if *value == 1.0 => {
                self.intercept = place.added;
                Ok(Vec::new())
            }
            NodeKind::Number(value) if *value == 0.0 => {
                self.intercept = !place.added;
                Ok(Vec::new())
            }
            NodeKind::Number(_) => self.fail(FormulaProblem::NumberAsTerm, start),
            NodeKind::Call { function, arguments } if function == "offset" => self.offset(node, arguments, place),
            NodeKind::Name(_) | NodeKind::Call { .. } => Ok(vec![vec![self.number(node)?]]),
            NodeKind::Paren(inner) if inner.bare().bar().is_some() => {
                if !(self.whole && place.allows_random()) {
                    return self.fail(FormulaProblem::MisplacedRandom, start);
                }
                self.bars.push(inner.bare());
                Ok(Vec::new())
            }
            NodeKind::Paren(inner) => self.encode(inner, place),
            NodeKind::Sign { minus: false, operand } => self.encode(operand, place),
            NodeKind::Sign { minus: true, operand } => {
                if !place.summand {
                    return self.fail(FormulaProblem::MinusInside, start);
                }
                self.encode(operand, place.subtracted())?;
                Ok(Vec::new())
            }
            NodeKind::Sum(summands) => self.sum(summands, place),
            NodeKind::Binary { operator, position, left, right } => {
                self.binary(*operator, *position, left, right, place.inside())
            }
        }
    }

    /// Returns the number of a variable; assigns it at the first appearance.
    fn number(&mut self, node: &Node) -> Result<usize, FormulaError> {
        let variable = variable(self.source, node)?;
        let next = self.variables.len();
        let number = *self.numbered.entry(variable.label.clone()).or_insert(next);
        if number == next {
            self.variables.push(variable);
        }
        Ok(number)
    }

    fn offset(&mut self, node: &Node, arguments: &[Node], place: Place) -> Result<Vec<Term>, FormulaError> {
        if !(self.whole && place.allows_random()) {
            return self.fail(FormulaProblem::MisplacedOffset, node.span.start);
        }
        let [argument] = arguments else {
            let problem = FormulaProblem::Arguments { function: "offset()".to_owned(), takes: "one argument" };
            return self.fail(problem, node.span.start);
        };
        self.offsets.push(expression(self.source, argument)?);
        Ok(Vec::new())
    }

    fn sum(&mut self, summands: &'a [Summand], place: Place) -> Result<Vec<Term>, FormulaError> {
        let mut sum = Distinct::default();
        for Summand { minus, node } in summands {
            if *minus {
                let removed = self.encode(node, place.subtracted())?;
                sum.remove(&removed);
            } else {
                self.encode(node, place)?.into_iter().for_each(|term| sum.push(term));
            }
            self.limit(sum.terms.len(), node.span.start)?;
        }
        Ok(sum.terms)
    }

    fn limit(&self, terms: usize, position: usize) -> Result<(), FormulaError> {
        if terms > MOST_TERMS { self.fail(FormulaProblem::TooManyTerms(MOST_TERMS), position) } else { Ok(()) }
    }

    fn binary(
        &mut self,
        operator: Operator,
        position: usize,
        left: &'a Node,
        right: &'a Node,
        place: Place,
    ) -> Result<Vec<Term>, FormulaError> {
        match operator {
            Operator::Bar | Operator::DoubleBar => return self.fail(FormulaProblem::BareBar, position),
            Operator::In => return self.fail(FormulaProblem::In, position),
            Operator::Power => return self.power(position, left, right, place),
            _ => {}
        }
        for side in [left, right] {
            match side.bare().kind {
                NodeKind::Number(v) if v == 0.0 || v == 1.0 => {
                    return self.fail(FormulaProblem::InterceptOperand, side.span.start);
                }
                NodeKind::Number(_) => return self.fail(FormulaProblem::NumberAsTerm, side.span.start),
                _ => {}
            }
        }
        let left = self.encode(left, place)?;
        let right = self.encode(right, place)?;
        match operator {
            Operator::Interact => self.interact(&left, &right, position),
            Operator::Divide => {
                // b within a: every term of b combined with all the variables of a.
                let within = left.iter().fold(Term::new(), |all, term| union(&all, term));
                let nested = self.interact(&[within], &right, position)?;
                Ok(Distinct::of([left, nested]))
            }
            _ => self.cross(left, right, position),
        }
    }

    fn interact(&self, left: &[Term], right: &[Term], position: usize) -> Result<Vec<Term>, FormulaError> {
        self.limit(left.len().saturating_mul(right.len()), position)?;
        let pairs = left.iter().flat_map(|l| right.iter().map(move |r| union(l, r)));
        Ok(Distinct::of([pairs.collect()]))
    }

    fn cross(&self, left: Vec<Term>, right: Vec<Term>, position: usize) -> Result<Vec<Term>, FormulaError> {
        let pairs = self.interact(&left, &right, position)?;
        let all = Distinct::of([left, right, pairs]);
        self.limit(all.len(), position)?;
        Ok(all)
    }

    fn power(
        &mut self,
        position: usize,
        base: &'a Node,
        exponent: &'a Node,
        place: Place,
    ) -> Result<Vec<Term>, FormulaError> {
        if !matches!(base.kind, NodeKind::Paren(_)) {
            let power = self.source[base.span.start..exponent.span.end].to_owned();
            return self.fail(FormulaProblem::PowerOfColumn(power), base.span.start);
        }
        let NodeKind::Number(times) = exponent.kind else {
            return self.fail(FormulaProblem::Exponent, position);
        };
        if times < 1.0 || times.fract() != 0.0 {
            return self.fail(FormulaProblem::Exponent, position);
        }
        let base = self.encode(base, place)?;
        let mut power = base.clone();
        // With n terms in the base, more than n rounds add no term.
        for _ in 1..(times as usize).min(base.len()) {
            power = self.cross(power, base.clone(), position)?;
        }
        Ok(power)
    }
}

/// Terms in order of first appearance, each once.
#[derive(Default)]
struct Distinct {
    terms: Vec<Term>,
    seen: HashSet<Term>,
}

impl Distinct {
    fn of<const N: usize>(lists: [Vec<Term>; N]) -> Vec<Term> {
        let mut distinct = Distinct::default();
        lists.into_iter().flatten().for_each(|term| distinct.push(term));
        distinct.terms
    }

    fn push(&mut self, term: Term) {
        if self.seen.insert(term.clone()) {
            self.terms.push(term);
        }
    }

    fn remove(&mut self, removed: &[Term]) {
        let gone: HashSet<&Term> = removed.iter().filter(|term| self.seen.remove(*term)).collect();
        if !gone.is_empty() {
            self.terms.retain(|term| !gone.contains(term));
        }
    }
}

/// Returns the union of two ascending sets.
fn union(a: &[usize], b: &[usize]) -> Term {
    let mut all = [a, b].concat();
    all.sort_unstable();
    all.dedup();
    all
}
