//! Tests of the whole formula language; the expected terms are those of R's `terms.formula` and lme4.

use super::*;
use proptest::prelude::*;

fn terms(formula: &str) -> (bool, Vec<String>) {
    let formula: Formula = formula.parse().unwrap_or_else(|e| panic!("{e}"));
    let list = &formula.fixed;
    (list.intercept, (0..list.terms.len()).map(|t| list.term_name(t)).collect())
}

#[test]
fn terms_are_those_of_r() {
    // attr(terms(f), "intercept") and attr(terms(f), "term.labels"), R 4.
    for (formula, intercept, labels) in [
        ("y ~ x + f", true, "x f"),
        ("y ~ g + f:g", true, "g g:f"),
        ("y ~ f*g*x", true, "f g x f:g f:x g:x f:g:x"),
        ("y ~ f*g*h - f:g", true, "f g h f:h g:h f:g:h"),
        ("y ~ x + f:x + g:x - 1", false, "x x:f x:g"),
        ("y ~ (x+z+f)^2 - x:z", true, "x z f x:f z:f"),
        ("y ~ f:x + z + g", true, "z g f:x"),
        ("y ~ z:x + x + z", true, "x z z:x"),
        ("y ~ x + x + x:x + f:f", true, "x f"),
        ("y ~ 1 + x - 1 + 1", true, "x"),
        ("y ~ -1 + x + 0", false, "x"),
        ("y ~ x - 0", true, "x"),
        ("y~(x+f):(g+z)", true, "x:g x:z f:g f:z"),
        ("y~x*(f+g)", true, "x f g x:f x:g"),
        ("y ~ (f+g+h)^2 - g", true, "f h f:g f:h g:h"),
        ("y~ f + h:f + x:h - 1", false, "f f:h h:x"),
        ("y ~ h:x:f", true, "h:x:f"),
        ("y ~ `x`+ I(`x`^2)", true, "x I(x^2)"),
        ("y ~ (x+f)^3", true, "x f x:f"),
        ("y ~ 1", true, ""),
        ("y ~ 0", false, ""),
        ("y ~ x - (x+f) + f", true, "f"),
        ("y ~ (1+x):f", true, "x:f"),
        ("y ~ z+(x-1)", false, "z x"),
        ("y ~ +x", true, "x"),
        ("y ~ -x + x", true, "x"),
        ("y ~ g/f", true, "g g:f"),
        ("y ~ x + offset(z)", true, "x"),
        ("y ~ x + (1 | s) - 1", false, "x"),
        ("y ~ factor(k)*x", true, "factor(k) x factor(k):x"),
    ] {
        let expected: Vec<String> = labels.split_whitespace().map(str::to_owned).collect();
        assert_eq!(terms(formula), (intercept, expected), "{formula}");
    }
}

#[test]
fn random_terms_are_expanded_as_by_lme4() {
    for (random, expected) in [
        ("(1 | s)", "1 | s"),
        ("(1+x|s)", "1+x | s"),
        ("((x | s))", "x | s"),
        ("(1 | s/c)", "1 | s; 1 | s:c"),
        ("(1 | a/b/c)", "1 | a; 1 | a:b; 1 | a:b:c"),
        ("(1 | a/(b:c))", "1 | a; 1 | a:b:c"),
        ("(1 | a:b/c)", "1 | a:b; 1 | a:b:c"),
        ("(1 | (a:b):c)", "1 | a:b:c"),
        ("(x || s)", "1 | s; 0 + x | s"),
        ("(1 || s)", "1 | s"),
        ("(0 + x || s)", "0 + x | s"),
        ("(x-1||s)", "0 + x | s"),
        ("(x*f || s)", "1 | s; 0 + x | s; 0 + f | s; 0 + x:f | s"),
        ("(x || s/c)", "1 | s; 1 | s:c; 0 + x | s; 0 + x | s:c"),
        ("(x | s) + (1 | s)", "x | s; 1 | s"),
        ("(z + (0 + x | s))", "0 + x | s"),
        ("(1 | `the school`)", "1 | the school"),
    ] {
        let formula: Formula = format!("y ~ w + {random}").parse().unwrap_or_else(|e| panic!("{e}"));
        let texts: Vec<&str> = formula.random.iter().map(|r| r.text.as_str()).collect();
        assert_eq!(texts.join("; "), expected, "{random}");
    }
}

#[test]
fn each_semantic_error_has_its_own_message_and_place() {
    use FormulaProblem as P;
    let name = str::to_owned;
    for (source, expected, position) in [
        ("y ~ x + 1 | g", P::BareBar, 10),
        ("y ~ 1 | g", P::BareBar, 6),
        ("y ~ x*(1 | g)", P::MisplacedRandom, 6),
        ("y ~ x - (1 | g)", P::MisplacedRandom, 8),
        ("y ~ I(x + (1 | g))", P::MisplacedRandom, 13),
        ("y ~ (1 + (1 | h) | g)", P::MisplacedRandom, 9),
        ("y ~ (0 | g)", P::NoRandomCoefficient, 5),
        ("y ~ (x - x - 1 | g)", P::NoRandomCoefficient, 5),
        ("y ~ (1 | g + h)", P::Grouping, 9),
        ("y ~ (1 | g * h)", P::Grouping, 11),
        ("y ~ (1 | g | h)", P::Grouping, 13),
        ("y ~ (1 | 1)", P::Grouping, 9),
        ("y ~ (1 | factor(g))", P::GroupingCall, 9),
        ("y ~ (1 | g) + (1 | g)", P::DuplicateRandom(name("1 | g")), 15),
        ("y ~ (1 + x | a:b) + (x | b:a)", P::DuplicateRandom(name("x | b:a")), 21),
        ("y ~ (1 | g/h) + (1 | g)", P::DuplicateRandom(name("1 | g")), 17),
        ("y ~ poly(x, 2)", P::UnknownFunction(name("poly")), 4),
        ("y ~ I(scale(x))", P::UnknownFunction(name("scale")), 6),
        ("y ~ 2", P::NumberAsTerm, 4),
        ("y ~ x + 2*z", P::NumberAsTerm, 8),
        ("y ~ x/2", P::NumberAsTerm, 6),
        ("y ~ x:1", P::InterceptOperand, 6),
        ("y ~ x^2", P::PowerOfColumn(name("x^2")), 4),
        ("y ~ (x + z)^0", P::Exponent, 11),
        ("y ~ (x + z)^w", P::Exponent, 11),
        ("y ~ f %in% g", P::In, 6),
        ("y ~ x:(-z)", P::MinusInside, 7),
        ("y ~ I(x:z)", P::NotArithmetic(":"), 7),
        ("y ~ I(factor(x))", P::NotInArithmetic(name("factor")), 6),
        ("y ~ factor(x + 1)", P::FactorArgument, 4),
        ("y ~ x - offset(z)", P::MisplacedOffset, 8),
        ("y ~ (offset(z) | g)", P::MisplacedOffset, 5),
        ("y ~ I(2)", P::ConstantExpression, 4),
        ("3 ~ x", P::ConstantExpression, 0),
        ("y ~ z + x:y", P::ResponseAgain(name("y")), 10),
        ("y ~ .", P::Dot, 4),
        (
            "y ~ x < 3",
            P::Character {
                found: name("<"),
                instead: Some("comparisons and logic are not supported: compute such a column beforehand"),
            },
            6,
        ),
    ] {
        let error = source.parse::<Formula>().unwrap_err();
        assert_eq!((error.problem, error.place.position), (expected, position), "{source}");
    }
}

#[test]
fn an_error_shows_the_place() {
    let error = "score ~ pretest + (1 | )".parse::<Formula>().unwrap_err();
    let expected = "a random term has no grouping factor after the bar; name one, as in (1 | school)\n    \
                    score ~ pretest + (1 | )\n                         ^";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_formula_with_too_many_terms_is_an_error() {
    let names: Vec<String> = (0..40).map(|i| format!("x{i}")).collect();
    for rhs in [names.join("*"), format!("({})^20", names.join("+"))] {
        let error = format!("y ~ {rhs}").parse::<Formula>().unwrap_err();
        assert!(matches!(error.problem, FormulaProblem::TooManyTerms(_)), "{error}");
    }
}

#[test]
fn response_and_offsets_may_be_expressions() {
    let formula: Formula = "log(y) ~ x + offset(log(n)) + offset(w)".parse().unwrap();
    assert_eq!(formula.response.to_string(), "log(y)");
    let offsets: Vec<String> = formula.offsets.iter().map(Expr::to_string).collect();
    assert_eq!(offsets, ["log(n)", "w"]);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = text.parse::<Formula>();
    }

    #[test]
    fn no_text_of_formula_characters_panics(text in "y ~ [xyzI1 0()+*:/^|`.,~%-]{0,40}") {
        if let Err(error) = text.parse::<Formula>() {
            prop_assert!(error.place.position <= text.len());
            prop_assert!(error.to_string().contains('^'));
        }
    }

    #[test]
    fn an_expression_reads_back_from_its_text(text in "I\\([xz2() +*/^-]{1,20}\\)") {
        if let Ok(expr) = Expr::try_from(text) {
            let again = Expr::try_from(expr.to_string()).unwrap();
            prop_assert_eq!(again, expr);
        }
    }
}
