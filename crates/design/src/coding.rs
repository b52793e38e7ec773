//! Codes terms as columns, by R's rules for the dummies of a factor and with R's names.
//!
//! The rule (Chambers & Hastie, *Statistical Models in S*, p. 38, as in R's `model.matrix`): in a
//! term, a factor is coded by contrasts (all levels but the reference) if an earlier term spans the
//! rest of the term, and by indicators of all its levels otherwise. Without an intercept, the first
//! factor of the first term that has a factor gets indicators of all its levels. In an interaction,
//! the levels of the first factor vary fastest.

use crate::error::DesignError;
use crate::formula::{Expr, TermList};
use crate::recipe::{Atom, Factor};

/// Largest number of columns. Blocks are dense, and more columns would fill the memory; the usual cause
/// is a column of ids given as a fixed effect.
const MOST_COLUMNS: usize = 1_000;

/// Name of the intercept, as in R.
pub(crate) const INTERCEPT: &str = "(Intercept)";

/// A variable of a formula, resolved against the columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolved {
    /// A number computed from the row.
    Number(Expr),
    /// A factor, by its index.
    Factor(usize),
    /// A variable in no term.
    Unused,
}

/// The columns of a list of terms.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Coding {
    pub(crate) columns: Vec<CodedColumn>,
    /// Names of the terms; the intercept, if there is one, comes first.
    pub(crate) terms: Vec<String>,
    /// The columns that sum to 1 on every row: the intercept, or all indicators of a term.
    pub(crate) constant: Option<Vec<usize>>,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CodedColumn {
    pub(crate) name: String,
    pub(crate) atoms: Vec<Atom>,
    /// Index into [`Coding::terms`].
    pub(crate) term: usize,
}

/// Codes a list of terms; `resolved` holds the resolution of each of its variables.
pub(crate) fn code(list: &TermList, resolved: &[Resolved], factors: &[Factor]) -> Result<Coding, DesignError> {
    let mut coding = Coding { columns: Vec::new(), terms: Vec::new(), constant: None };
    if list.intercept {
        coding.columns.push(CodedColumn { name: INTERCEPT.to_owned(), atoms: Vec::new(), term: 0 });
        coding.terms.push(INTERCEPT.to_owned());
        coding.constant = Some(vec![0]);
    }
    let is_factor: Vec<bool> = resolved.iter().map(|r| matches!(r, Resolved::Factor(_))).collect();
    let full = full_indicators(list, &is_factor);
    for (t, variables) in list.terms.iter().enumerate() {
        let first = coding.columns.len();
        let term = coding.terms.len();
        let parts: Vec<Vec<(String, Atom)>> = variables
            .iter()
            .zip(&full[t])
            .map(|(&v, &full)| part(&list.variables[v].label, &resolved[v], full, factors))
            .collect();
        let count = parts.iter().fold(1_usize, |n, part| n.saturating_mul(part.len()));
        if first.saturating_add(count) > MOST_COLUMNS {
            return Err(DesignError::TooManyColumns { term: list.term_name(t), columns: count, most: MOST_COLUMNS });
        }
        coding.columns.extend((0..count).map(|i| product(&parts, i, term)));
        coding.terms.push(list.term_name(t));
        let spans_one = variables.iter().all(|&v| is_factor[v]) && full[t].iter().all(|&f| f) && count > 0;
        if coding.constant.is_none() && spans_one {
            coding.constant = Some((first..first + count).collect());
        }
    }
    Ok(coding)
}

/// Returns, for each term and variable of the term, whether the variable is coded by all its indicators.
fn full_indicators(list: &TermList, is_factor: &[bool]) -> Vec<Vec<bool>> {
    let mut full: Vec<Vec<bool>> = Vec::with_capacity(list.terms.len());
    for (t, term) in list.terms.iter().enumerate() {
        let earlier = &list.terms[..t];
        let codes = term.iter().map(|&v| {
            let mut rest = term.iter().filter(|&&other| other != v).peekable();
            // A main effect is coded against the intercept.
            let alone = rest.peek().is_none();
            let rest: Vec<&usize> = rest.collect();
            is_factor[v] && !alone && !earlier.iter().any(|e| rest.iter().all(|r| e.contains(r)))
        });
        full.push(codes.collect());
    }
    if !list.intercept {
        let first =
            list.terms.iter().enumerate().find_map(|(t, term)| Some((t, term.iter().position(|&v| is_factor[v])?)));
        if let Some((t, v)) = first {
            full[t][v] = true;
        }
    }
    full
}

/// The columns of one variable in a term, with their names.
fn part(label: &str, resolved: &Resolved, full: bool, factors: &[Factor]) -> Vec<(String, Atom)> {
    match resolved {
        Resolved::Number(expr) => vec![(label.to_owned(), Atom::Number(expr.clone()))],
        Resolved::Factor(factor) => {
            let levels = factors[*factor].levels.iter().enumerate().skip(usize::from(!full));
            levels.map(|(level, text)| (format!("{label}{text}"), Atom::Indicator { factor: *factor, level })).collect()
        }
        Resolved::Unused => Vec::new(),
    }
}

/// Returns column `i` of an interaction; the mixed-radix digits of `i`, first part fastest, select its parts.
fn product(parts: &[Vec<(String, Atom)>], i: usize, term: usize) -> CodedColumn {
    let mut rest = i;
    let (mut names, mut atoms) = (Vec::new(), Vec::new());
    for part in parts {
        let (name, atom) = &part[rest % part.len()];
        rest /= part.len();
        names.push(name.as_str());
        atoms.push(atom.clone());
    }
    CodedColumn { name: names.join(":"), atoms, term }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::{Formula, VariableKind};

    /// Codes with factors f (A, B), g (u, v, w), h (p, q), k (1, 2, 3), flag (FALSE, TRUE); other variables are
    /// numbers.
    fn coded(list: &TermList) -> Coding {
        let factors: Vec<Factor> = [
            ("f", vec!["A", "B"]),
            ("g", vec!["u", "v", "w"]),
            ("h", vec!["p", "q"]),
            ("k", vec!["1", "2", "3"]),
            ("flag", vec!["FALSE", "TRUE"]),
        ]
        .into_iter()
        .map(|(column, levels)| Factor {
            column: column.to_owned(),
            request: 0,
            levels: levels.into_iter().map(str::to_owned).collect(),
        })
        .collect();
        let resolve = |kind: &VariableKind| match kind {
            VariableKind::Column(c) if c == "k" => Resolved::Number(Expr::Column(c.clone())),
            VariableKind::Column(c) | VariableKind::Factor(c) => factors
                .iter()
                .position(|f| f.column == *c)
                .map_or_else(|| Resolved::Number(Expr::Column(c.clone())), Resolved::Factor),
            VariableKind::Number(expr) => Resolved::Number(expr.clone()),
        };
        let resolved: Vec<Resolved> = list.variables.iter().map(|v| resolve(&v.kind)).collect();
        code(list, &resolved, &factors).unwrap()
    }

    fn names(list: &TermList) -> String {
        coded(list).columns.into_iter().map(|c| c.name).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn columns_are_those_of_model_matrix() {
        // colnames(model.matrix(formula, d)), R 4.
        for (formula, expected) in [
            ("y ~ x + f", "(Intercept) | x | fB"),
            ("y ~ f + x + f:x", "(Intercept) | fB | x | fB:x"),
            ("y ~ x:f", "(Intercept) | x:fA | x:fB"),
            ("y ~ f:x", "(Intercept) | fA:x | fB:x"),
            ("y ~ 0 + x:f", "x:fA | x:fB"),
            ("y ~ f - 1", "fA | fB"),
            ("y ~ 0 + f + g", "fA | fB | gv | gw"),
            ("y ~ f:g", "(Intercept) | fA:gu | fB:gu | fA:gv | fB:gv | fA:gw | fB:gw"),
            ("y ~ 0 + f:g", "fA:gu | fB:gu | fA:gv | fB:gv | fA:gw | fB:gw"),
            ("y ~ f + f:g", "(Intercept) | fB | fA:gv | fB:gv | fA:gw | fB:gw"),
            ("y ~ g + f:g", "(Intercept) | gv | gw | gu:fB | gv:fB | gw:fB"),
            ("y ~ f*g", "(Intercept) | fB | gv | gw | fB:gv | fB:gw"),
            ("y ~ f*g*x", "(Intercept) | fB | gv | gw | x | fB:gv | fB:gw | fB:x | gv:x | gw:x | fB:gv:x | fB:gw:x"),
            (
                "y ~ f:g + x:f:g",
                "(Intercept) | fA:gu | fB:gu | fA:gv | fB:gv | fA:gw | fB:gw | fA:gu:x | fB:gu:x | fA:gv:x | fB:gv:x | fA:gw:x | fB:gw:x",
            ),
            ("y ~ x + f:x + g:x - 1", "x | x:fA | x:fB | x:gv | x:gw"),
            ("y ~ f*g - f", "(Intercept) | gv | gw | fB:gu | fB:gv | fB:gw"),
            (
                "y ~ f*g*h - f:g",
                "(Intercept) | fB | gv | gw | hq | fB:hq | gv:hq | gw:hq | fB:gv:hp | fB:gw:hp | fB:gv:hq | fB:gw:hq",
            ),
            ("y ~ I(x^2) + log(x) + factor(k)", "(Intercept) | I(x^2) | log(x) | factor(k)2 | factor(k)3"),
            (
                "y ~ factor(k)*x + flag",
                "(Intercept) | factor(k)2 | factor(k)3 | x | flagTRUE | factor(k)2:x | factor(k)3:x",
            ),
            ("y ~ 0 + flag + f", "flagFALSE | flagTRUE | fB"),
            ("y ~ (x+z+f)^2", "(Intercept) | x | z | fB | x:z | x:fB | z:fB"),
            ("y ~ x*f - x", "(Intercept) | fB | x:fA | x:fB"),
            ("y ~ f:x + z + g", "(Intercept) | z | gv | gw | fA:x | fB:x"),
            ("y ~ f:g + g:h", "(Intercept) | fA:gu | fB:gu | fA:gv | fB:gv | fA:gw | fB:gw | gu:hq | gv:hq | gw:hq"),
            ("y ~ f + g:h", "(Intercept) | fB | gu:hp | gv:hp | gw:hp | gu:hq | gv:hq | gw:hq"),
            ("y ~ 0 + x + f:g", "x | fA:gu | fB:gu | fA:gv | fB:gv | fA:gw | fB:gw"),
            ("y ~ (f+g+h)^2 - g", "(Intercept) | fB | hq | fA:gv | fB:gv | fA:gw | fB:gw | fB:hq | gv:hq | gw:hq"),
            ("y ~ f + h:f + x:h - 1", "fA | fB | fA:hq | fB:hq | hp:x | hq:x"),
            ("y ~ h:x:f", "(Intercept) | hp:x:fA | hq:x:fA | hp:x:fB | hq:x:fB"),
            ("y ~ (x+f):(g+z)", "(Intercept) | x:gu | x:gv | x:gw | x:z | fB:gu | fB:gv | fB:gw | fB:z"),
            ("y ~ g/f", "(Intercept) | gv | gw | gu:fB | gv:fB | gw:fB"),
            ("y ~ flag:x + f", "(Intercept) | fB | flagFALSE:x | flagTRUE:x"),
            ("y ~ 1", "(Intercept)"),
            ("y ~ 0", ""),
        ] {
            let parsed: Formula = formula.parse().unwrap();
            assert_eq!(names(&parsed.fixed), expected, "{formula}");
        }
    }

    #[test]
    fn random_coefficients_are_those_of_lme4() {
        // lFormula(…)$reTrms$cnms, lme4 1.1.
        for (random, expected) in [
            ("(1 + x | s)", "(Intercept) | x"),
            ("(f | s)", "(Intercept) | fB"),
            ("(0 + f | s)", "fA | fB"),
            ("(f - 1 | s)", "fA | fB"),
            ("(x:f | s)", "(Intercept) | x:fA | x:fB"),
            ("(f*x | s)", "(Intercept) | fB | x | fB:x"),
            ("(0 + f:x | s)", "fA:x | fB:x"),
            ("(0 + f:g | s)", "fA:gu | fB:gu | fA:gv | fB:gv | fA:gw | fB:gw"),
            ("(x*f || s)", "(Intercept); x; fA | fB; x:fA | x:fB"),
            ("(f*g || s)", "(Intercept); fA | fB; gu | gv | gw; fA:gu | fB:gu | fA:gv | fB:gv | fA:gw | fB:gw"),
            ("(0 + x + f || s)", "x; fA | fB"),
            ("(I(x^2) | s)", "(Intercept) | I(x^2)"),
        ] {
            let parsed: Formula = format!("y ~ 1 + {random}").parse().unwrap();
            let terms: Vec<String> = parsed.random.iter().map(|r| names(&r.coefficients)).collect();
            assert_eq!(terms.join("; "), expected, "{random}");
        }
    }

    #[test]
    fn the_constant_is_the_intercept_or_all_indicators_of_a_term() {
        for (formula, expected) in [
            ("y ~ x + f", Some(vec![0])),
            ("y ~ 0 + x + f", Some(vec![1, 2])),
            ("y ~ 0 + x:f", None),
            ("y ~ 0 + f:h", Some(vec![0, 1, 2, 3])),
            ("y ~ 0 + x", None),
        ] {
            let parsed: Formula = formula.parse().unwrap();
            assert_eq!(coded(&parsed.fixed).constant, expected, "{formula}");
        }
    }
}
