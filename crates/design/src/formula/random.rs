//! Expands random terms: `||` into uncorrelated terms, `/` into one term per level of the nest.

use super::ast::{Node, NodeKind, Operator};
use super::error::{FormulaError, FormulaProblem};
use super::expand::coefficients;
use super::{RandomTerm, TermList};
use std::collections::HashSet;

/// Returns the random terms of the bars of a formula.
pub(super) fn terms(source: &str, bars: &[&Node]) -> Result<Vec<RandomTerm>, FormulaError> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    for bar in bars {
        for term in term(source, bar)? {
            if !seen.insert(identity(&term)) {
                return Err(FormulaProblem::DuplicateRandom(term.text).at(source, term.position));
            }
            all.push(term);
        }
    }
    Ok(all)
}

/// Returns the terms of one bar: one for each block of correlated coefficients (several for `||`) and
/// each level of the nest, coarsest first.
fn term(source: &str, bar: &Node) -> Result<Vec<RandomTerm>, FormulaError> {
    let Some((left, right, double)) = bar.bar() else {
        return Err(FormulaProblem::BareBar.at(source, bar.span.start));
    };
    let position = bar.span.start;
    if left.bar().is_some() {
        return Err(FormulaProblem::Grouping.at(source, right.span.start));
    }
    let written = coefficients(source, left)?;
    let groupings = groupings(source, right)?;
    if !written.intercept && written.terms.is_empty() {
        return Err(FormulaProblem::NoRandomCoefficient.at(source, position));
    }
    let blocks = if double {
        uncorrelated(&written)
    } else {
        let text = source[left.span.start..left.span.end].split_whitespace().collect::<Vec<_>>().join(" ");
        vec![(written, text)]
    };
    let mut all = Vec::new();
    for (coefficients, text) in blocks {
        for grouping in &groupings {
            all.push(RandomTerm {
                coefficients: coefficients.clone(),
                grouping: grouping.clone(),
                text: format!("{text} | {}", grouping.join(":")),
                uncorrelated: double,
                position,
            });
        }
    }
    Ok(all)
}

/// Splits the coefficients of a `||` into one block per term: `(a*b || g)` is `(1 | g) + (0 + a | g) +
/// (0 + b | g) + (0 + a:b | g)`. The dummies of a factor belong to one term, so they stay correlated, as
/// in lme4.
fn uncorrelated(written: &TermList) -> Vec<(TermList, String)> {
    let intercept = TermList { intercept: true, variables: Vec::new(), terms: Vec::new() };
    let first = written.intercept.then(|| (intercept, "1".to_owned()));
    let slopes = written.terms.iter().enumerate().map(|(i, term)| {
        let variables = term.iter().map(|&v| written.variables[v].clone()).collect();
        let alone = TermList { intercept: false, variables, terms: vec![(0..term.len()).collect()] };
        (alone, format!("0 + {}", written.term_name(i)))
    });
    first.into_iter().chain(slopes).collect()
}

/// Returns the groupings on the right side of a bar: `a/b` is `a` and `a:b`.
fn groupings(source: &str, node: &Node) -> Result<Vec<Vec<String>>, FormulaError> {
    match &node.kind {
        NodeKind::Name(name) if name == "." => Err(FormulaProblem::Dot.at(source, node.span.start)),
        NodeKind::Name(name) => Ok(vec![vec![name.clone()]]),
        NodeKind::Paren(inner) => groupings(source, inner),
        NodeKind::Call { .. } => Err(FormulaProblem::GroupingCall.at(source, node.span.start)),
        NodeKind::Binary { operator: Operator::Divide, left, right, .. } => {
            let mut nest = groupings(source, left)?;
            let outer = nest.last().cloned().unwrap_or_default();
            nest.extend(groupings(source, right)?.iter().map(|inner| together(&outer, inner)));
            Ok(nest)
        }
        NodeKind::Binary { operator: Operator::Interact, position, left, right } => {
            match (groupings(source, left)?.as_slice(), groupings(source, right)?.as_slice()) {
                ([one], [other]) => Ok(vec![together(one, other)]),
                _ => Err(FormulaProblem::Grouping.at(source, *position)),
            }
        }
        NodeKind::Binary { position, .. } => Err(FormulaProblem::Grouping.at(source, *position)),
        _ => Err(FormulaProblem::Grouping.at(source, node.span.start)),
    }
}

/// Returns the columns of both, each once.
fn together(one: &[String], other: &[String]) -> Vec<String> {
    let mut columns = one.to_vec();
    for column in other {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    columns
}

/// Returns what identifies a random term: its coefficients and the set of its grouping columns.
fn identity(term: &RandomTerm) -> (bool, Vec<Vec<String>>, Vec<String>) {
    let list = &term.coefficients;
    let mut terms: Vec<Vec<String>> = list
        .terms
        .iter()
        .map(|term| {
            let mut labels: Vec<String> = term.iter().map(|&v| list.variables[v].label.clone()).collect();
            labels.sort();
            labels
        })
        .collect();
    terms.sort();
    let mut grouping = term.grouping.clone();
    grouping.sort();
    (list.intercept, terms, grouping)
}
