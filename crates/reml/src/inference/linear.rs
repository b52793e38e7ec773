//! Linear hypotheses about coefficients as text: `treat - 2*female = 0`.
//!
//! ```text
//! hypothesis = sum [ "=" sum ]
//! sum        = [ sign ] product { sign product }
//! product    = factor { ( "*" | "/" ) factor }
//! factor     = number | name | "(" sum ")"
//! ```
//!
//! A name is that of a coefficient as printed, including `(Intercept)`, `I(x^2)` and `sexM:treat`; it may
//! be in backticks.

use super::{FTest, FixedInference, TTest};
use nalgebra::{DMatrix, DVector};
use tiers_design::nearest;

/// Largest depth of nested parentheses; each level takes some of the stack.
const DEPTH: usize = 100;

/// Why a text is not a valid hypothesis.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{text}: at character {}: {problem}", place + 1)]
pub struct LinearError {
    /// The text.
    pub text: String,
    /// Position of the error, in characters from 0.
    pub place: usize,
    /// What is wrong.
    pub problem: String,
}

/// The hypothesis that a combination of coefficients equals a number.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHypothesis {
    /// Weight of every coefficient.
    pub weights: Vec<f64>,
    /// Hypothesised value of the combination.
    pub value: f64,
}

impl LinearHypothesis {
    /// Parses a text; `names` are the coefficients in use, in their order.
    pub fn parse(text: &str, names: &[String]) -> Result<LinearHypothesis, LinearError> {
        let mut parser = Parser { text, rest: text, names, depth: 0 };
        let mut sum = parser.sum()?;
        if parser.take('=') {
            let right = parser.sum()?;
            sum = sum.plus(&right, -1.0);
        }
        parser.skip();
        if !parser.rest.is_empty() {
            return Err(parser.failed("an operator (+, -, *, / or =) is missing here".to_owned()));
        }
        if sum.weights.iter().all(|weight| *weight == 0.0) {
            parser.rest = text;
            return Err(parser.failed("no coefficient is left in this".to_owned()));
        }
        Ok(LinearHypothesis { weights: sum.weights, value: -sum.constant })
    }

    /// Returns the t test of the hypothesis, and the interval of the combination.
    pub fn test(&self, inference: &FixedInference) -> TTest {
        inference.t_test_of(&DVector::from_column_slice(&self.weights), self.value)
    }

    /// Returns the joint F test of several hypotheses.
    pub fn test_all(hypotheses: &[LinearHypothesis], inference: &FixedInference) -> Result<FTest, Contradiction> {
        let p = hypotheses.first().map_or(0, |hypothesis| hypothesis.weights.len());
        let l = DMatrix::from_fn(hypotheses.len(), p, |i, j| hypotheses[i].weights[j]);
        let c = DVector::from_iterator(hypotheses.len(), hypotheses.iter().map(|hypothesis| hypothesis.value));
        // If some β has L β = c, the least squares solution does.
        let scale = DVector::from_iterator(l.nrows(), l.row_iter().map(|row| row.norm()));
        let svd = l.clone().svd(true, true);
        let beta = svd.solve(&c, 1e-12 * svd.singular_values.amax()).unwrap_or_else(|_| DVector::zeros(p));
        let missed = &l * &beta - &c;
        let size = beta.amax().max(1e-300);
        match missed.iter().zip(scale.iter()).all(|(missed, scale)| missed.abs() <= 1e-8 * scale * size) {
            true => Ok(inference.f_test_of(&l, &c)),
            false => Err(Contradiction),
        }
    }
}

/// Hypotheses that cannot all be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hypotheses contradict each other: no values of the coefficients make all of them true")]
pub struct Contradiction;

/// A sum of weighted coefficients and a constant.
#[derive(Clone, Debug)]
struct Sum {
    weights: Vec<f64>,
    constant: f64,
}

impl Sum {
    fn plus(&self, other: &Sum, times: f64) -> Sum {
        let weights = self.weights.iter().zip(&other.weights).map(|(a, b)| a + times * b).collect();
        Sum { weights, constant: self.constant + times * other.constant }
    }

    fn times(&self, factor: f64) -> Sum {
        Sum { weights: self.weights.iter().map(|w| w * factor).collect(), constant: self.constant * factor }
    }

    fn is_constant(&self) -> bool {
        self.weights.iter().all(|weight| *weight == 0.0)
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    names: &'a [String],
    /// Number of open parentheses.
    depth: usize,
}

impl Parser<'_> {
    fn sum(&mut self) -> Result<Sum, LinearError> {
        let mut sum = Sum { weights: vec![0.0; self.names.len()], constant: 0.0 };
        let mut sign = 1.0;
        loop {
            // Signs may pile up, as in `a - -b`.
            loop {
                match (self.take('-'), self.take('+')) {
                    (true, _) => sign = -sign,
                    (false, true) => {}
                    (false, false) => break,
                }
            }
            sum = sum.plus(&self.product()?, sign);
            self.skip();
            match self.rest.chars().next() {
                Some('+' | '-') => sign = 1.0,
                _ => return Ok(sum),
            }
        }
    }

    fn product(&mut self) -> Result<Sum, LinearError> {
        let mut product = self.factor()?;
        loop {
            if self.take('*') {
                let place = self.rest;
                let other = self.factor()?;
                product = match (product.is_constant(), other.is_constant()) {
                    (true, _) => other.times(product.constant),
                    (_, true) => product.times(other.constant),
                    _ => {
                        self.rest = place;
                        return Err(self.failed("a product of coefficients is not linear".to_owned()));
                    }
                };
            } else if self.take('/') {
                let place = self.rest;
                let other = self.factor()?;
                if !other.is_constant() || other.constant == 0.0 {
                    self.rest = place;
                    return Err(self.failed("only a number that is not 0 can divide".to_owned()));
                }
                product = product.times(1.0 / other.constant);
            } else {
                return Ok(product);
            }
        }
    }

    fn factor(&mut self) -> Result<Sum, LinearError> {
        self.skip();
        let zero = Sum { weights: vec![0.0; self.names.len()], constant: 0.0 };
        if let Some(coefficient) = self.name()? {
            let mut weights = zero.weights;
            weights[coefficient] = 1.0;
            return Ok(Sum { weights, constant: 0.0 });
        }
        if self.take('(') {
            self.depth += 1;
            if self.depth > DEPTH {
                return Err(self.failed(format!("parentheses may be nested {DEPTH} deep")));
            }
            let sum = self.sum()?;
            self.depth -= 1;
            return match self.take(')') {
                true => Ok(sum),
                false => Err(self.failed("a closing parenthesis is missing".to_owned())),
            };
        }
        let digits = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        let exponent = self.rest[digits..].strip_prefix(['e', 'E']).map_or(0, |rest| {
            let sign = usize::from(rest.starts_with(['+', '-']));
            let length = rest[sign..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - sign);
            if length > 0 { 1 + sign + length } else { 0 }
        });
        let (number, rest) = self.rest.split_at(digits + if digits > 0 { exponent } else { 0 });
        match number.parse() {
            Ok(constant) => {
                self.rest = rest;
                Ok(Sum { constant, ..zero })
            }
            Err(_) => Err(self.unknown()),
        }
    }

    /// Reads the name of a coefficient at this position, the longest that fits.
    fn name(&mut self) -> Result<Option<usize>, LinearError> {
        if let Some(rest) = self.rest.strip_prefix('`') {
            let Some((name, after)) = rest.split_once('`') else {
                return Err(self.failed("a closing backtick is missing".to_owned()));
            };
            return match self.names.iter().position(|own| own == name || own == &format!("`{name}`")) {
                Some(i) => {
                    self.rest = after;
                    Ok(Some(i))
                }
                None => Err(self.unknown()),
            };
        }
        let in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':');
        let fits = |name: &&String| {
            let ends_in_name = name.chars().next_back().is_some_and(in_name);
            let after = self.rest.strip_prefix(name.as_str());
            after.is_some_and(|after| !after.starts_with(in_name) || (!ends_in_name && !after.starts_with(':')))
        };
        let found = self.names.iter().filter(fits).max_by_key(|name| name.len());
        let Some(name) = found else { return Ok(None) };
        self.rest = &self.rest[name.len()..];
        Ok(self.names.iter().position(|own| own == name))
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The error for a word that is neither a number nor a coefficient.
    fn unknown(&self) -> LinearError {
        let end = self.rest.find(|c: char| c.is_whitespace() || "+-*/=".contains(c)).unwrap_or(self.rest.len());
        let word = self.rest[..end].trim_matches('`');
        if word.is_empty() {
            return self.failed("a coefficient or a number is missing here".to_owned());
        }
        let meant = nearest(word, self.names).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"));
        let names = self.names.join(", ");
        self.failed(format!("`{word}` is not a coefficient of the fit{meant}; they are {names}"))
    }

    fn failed(&self, problem: String) -> LinearError {
        let place = self.text[..self.text.len() - self.rest.len()].chars().count();
        LinearError { text: self.text.to_owned(), place, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["(Intercept)", "treat", "treatB", "I(x^2)", "treat:x", "`my var`"].map(str::to_owned).to_vec()
    }

    fn parsed(text: &str) -> (Vec<f64>, f64) {
        let LinearHypothesis { weights, value } = LinearHypothesis::parse(text, &names()).expect(text);
        (weights, value)
    }

    #[test]
    fn sums_of_coefficients() {
        assert_eq!(parsed("treat"), (vec![0.0, 1.0, 0.0, 0.0, 0.0, 0.0], 0.0));
        assert_eq!(parsed("treatB - 2*treat = 0"), (vec![0.0, -2.0, 1.0, 0.0, 0.0, 0.0], 0.0));
        assert_eq!(parsed("(Intercept) + 2*(treat - I(x^2))/4 = 1"), (vec![1.0, 0.5, 0.0, -0.5, 0.0, 0.0], 1.0));
        assert_eq!(parsed("3 = - -treat:x - 1"), (vec![0.0, 0.0, 0.0, 0.0, -1.0, 0.0], -4.0));
        assert_eq!(parsed("`treat:x`*1e-1 + `my var`"), (vec![0.0, 0.0, 0.0, 0.0, 0.1, 1.0], 0.0));
        assert_eq!(parsed("treat = treatB"), (vec![0.0, 1.0, -1.0, 0.0, 0.0, 0.0], 0.0));
    }

    #[test]
    fn errors_say_where_and_what_was_meant() {
        let failed = |text: &str| LinearHypothesis::parse(text, &names()).expect_err(text);
        let error = failed("treat - 2*trea = 0");
        assert_eq!(error.place, 10);
        assert!(error.problem.contains("did you mean `treat`"), "{error}");
        assert!(failed("treat*treatB").problem.contains("not linear"));
        assert!(failed("treat/0").problem.contains("divide"));
        assert!(failed("treat - treat").problem.contains("no coefficient"));
        assert!(failed("treat treatB").problem.contains("operator"));
        assert!(failed("(treat").problem.contains("parenthesis"));
        assert!(failed(&"(".repeat(200_000)).problem.contains("100 deep"));
        assert!(failed(&"-(".repeat(200_000)).problem.contains("100 deep"));
        assert!(failed("").problem.contains("missing"));
        assert!(failed("treat = ").problem.contains("missing"));
        assert!(failed("`treat").problem.contains("backtick"));
    }
}
