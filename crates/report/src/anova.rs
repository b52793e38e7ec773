//! The table of F tests, in lmerTest's layout.

use crate::layout::Column;
use crate::numbers::{column, p_values, round};
use crate::section::{Note, Section};
use tiers_reml::{AnovaType, DfMethod, TermTest};

/// Significant digits, as in R's tables of tests.
const DIGITS: usize = 5;

/// Returns the table of F tests of terms; `weighted` says whether the fit has weights.
pub fn section(kind: AnovaType, df: DfMethod, tests: &[TermTest], weighted: bool) -> Section {
    let by = match df {
        DfMethod::Satterthwaite => "with Satterthwaite's method",
        DfMethod::KenwardRoger => "with Kenward and Roger's method",
        DfMethod::None => "by the chi-squared approximation",
    };
    let roman = match kind {
        AnovaType::One => "I",
        AnovaType::Three => "III",
    };
    let (title, lead) = (format!("Type {roman} Analysis of Variance Table"), by.to_owned());
    if tests.is_empty() {
        let notes = vec![Note::new("No terms but the intercept", 0)];
        return Section { title, lead, notes, ..Section::default() };
    }
    let of = |value: fn(&TermTest) -> f64| -> Vec<f64> { tests.iter().map(value).collect() };
    let mut columns = vec![
        Column::names("", tests.iter().map(|test| test.term.clone()).collect()),
        Column::numbers("Sum Sq", figures(&of(|t| t.sum_sq))),
        Column::numbers("Mean Sq", figures(&of(|t| t.mean_sq))),
        Column::numbers("NumDF", column(&of(|t| t.num_df), DIGITS)),
        Column::numbers("F value", column(&of(|t| round(t.f_value, DIGITS - 1)), DIGITS)),
        Column::numbers("Pr(>F)", p_values(&of(|t| t.p_value))),
    ];
    if df != DfMethod::None {
        columns.insert(4, Column::numbers("DenDF", figures(&of(|t| t.den_df.unwrap_or(f64::INFINITY)))));
    }
    let weights = || Note::new("What a term adds is judged with the weights of the fit (lmerTest: without).", 0);
    let notes = (weighted && kind == AnovaType::One).then(weights).into_iter().collect();
    Section { title, lead, columns, notes, ..Section::default() }
}

/// Returns the table of Wald tests of terms of a generalised fit, in the layout of `car::Anova`.
pub fn wald_section(tests: &[TermTest]) -> Section {
    let title = "Analysis of Deviance Table (Type III Wald chi-squared tests)".to_owned();
    if tests.is_empty() {
        return Section { title, notes: vec![Note::new("No terms but the intercept", 0)], ..Section::default() };
    }
    let chi: Vec<f64> = tests.iter().map(|test| round(test.f_value * test.num_df, DIGITS - 1)).collect();
    let columns = vec![
        Column::names("", tests.iter().map(|test| test.term.clone()).collect()),
        Column::numbers("Chisq", column(&chi, DIGITS)),
        Column::numbers("Df", column(&tests.iter().map(|test| test.num_df).collect::<Vec<_>>(), DIGITS)),
        Column::numbers("Pr(>Chisq)", p_values(&tests.iter().map(|test| test.p_value).collect::<Vec<_>>())),
    ];
    Section { title, columns, ..Section::default() }
}

/// Formats a column, rounded to the significant digits of its largest number like R's `zapsmall`.
fn figures(values: &[f64]) -> Vec<String> {
    let largest = values.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
    let whole = if largest > 0.0 { largest.log10().ceil() as i32 } else { 0 };
    let decimals = (DIGITS as i32 - whole).max(0) as usize;
    column(
        &values.iter().map(|&value| if value.is_finite() { round(value, decimals) } else { value }).collect::<Vec<_>>(),
        DIGITS,
    )
}
