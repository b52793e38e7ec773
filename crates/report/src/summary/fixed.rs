//! Table of the coefficients with their uncertainty.

use super::DIGITS;
use crate::layout::Column;
use crate::numbers::{column, decimals_of_smallest, fixed_point, p_values, round, trim_number};
use crate::report::Report;
use crate::section::{Note, Section};
use tiers_reml::{DfMethod, FactorLevels, Fit, FixedEffect, Robust, Sandwich};

/// Returns the coefficients with the requested standard errors.
pub fn coefficients(fit: &Fit) -> &[FixedEffect] {
    fit.robust.as_ref().map_or(&fit.fixed_effects, |robust| &robust.coefficients)
}

/// Returns the table of the coefficients with their uncertainty.
pub fn fixed_effects(report: &Report) -> Section {
    let robust = report.fit.robust.as_ref();
    let (effects, dropped) = (coefficients(&report.fit), dropped_columns(&report.fit));
    if effects.is_empty() {
        let notes = dropped.into_iter().collect();
        return Section { title: "No fixed effects".to_owned(), notes, ..Section::default() };
    }
    // Values that do not exist are NaN, and are printed as NA.
    let of = |value: fn(&FixedEffect) -> f64| -> Vec<f64> { effects.iter().map(value).collect() };
    let (estimates, errors) = (of(|e| e.estimate), of(|e| e.std_error));
    let both = [&estimates[..], &errors[..]].concat();
    let there: Vec<f64> = both.iter().copied().filter(|value| !value.is_nan()).collect();
    let decimals = decimals_of_smallest(&there, DIGITS as i32);
    let rounded: Vec<f64> = both.iter().map(|&value| round(value, decimals)).collect();
    let cells = known(&rounded, |values| column(values, DIGITS));
    let (estimate_cells, error_cells) = cells.split_at(effects.len());
    // The intervals have the decimals of the estimates.
    let decimals = estimate_cells[0].split_once('.').map_or(0, |(_, rest)| rest.len());
    let scientific = cells.iter().any(|cell| cell.contains('e'));
    let bounds = [of(|e| e.lower), of(|e| e.upper)].concat();
    let bounds: Vec<String> = match scientific {
        true => known(&bounds, |values| column(values, DIGITS)),
        false => known(&bounds, |values| values.iter().map(|&value| fixed_point(value, decimals)).collect()),
    };
    let (lower, upper) = bounds.split_at(effects.len());
    let statistics: Vec<f64> = of(|e| e.t_value).iter().map(|&t| round(t, DIGITS - 1)).collect();
    let percent = |share: f64| format!("{} %", trim_number(100.0 * share));
    let tail = 0.5 * (1.0 - report.confidence_level);
    let (letter, by) = tests_by(report.fit.df_method);
    let letter = if robust.is_some() { 't' } else { letter };
    let mut columns = vec![
        Column::names("", effects.iter().map(|e| e.term.clone()).collect()),
        Column::numbers("Estimate", estimate_cells.to_vec()),
        Column::numbers(if robust.is_some() { "Robust SE" } else { "Std. Error" }, error_cells.to_vec()),
        Column::numbers(&format!("{letter} value"), known(&statistics, |values| column(values, DIGITS))),
        Column::numbers(&format!("Pr(>|{letter}|)"), known(&of(|e| e.p_value), p_values)),
        Column::numbers(&percent(tail), lower.to_vec()),
        Column::numbers(&percent(1.0 - tail), upper.to_vec()),
    ];
    if report.fit.df_method != DfMethod::None || robust.is_some() {
        columns.insert(3, Column::numbers("df", degrees(effects)));
    }
    let level = trim_number(100.0 * report.confidence_level);
    let by = robust.map_or_else(|| by.to_owned(), robust_by);
    let note = Note::new(format!("{letter}, Pr and the {level} % confidence intervals {by}"), 0);
    let notes = std::iter::once(note).chain(reference_levels(&report.fit)).chain(dropped).collect();
    Section { title: "Fixed effects:".to_owned(), columns, notes, ..Section::default() }
}

/// Returns the letter of the test statistic, and the method for its distribution.
fn tests_by(method: DfMethod) -> (char, &'static str) {
    match method {
        DfMethod::Satterthwaite => ('t', "with Satterthwaite's degrees of freedom"),
        DfMethod::KenwardRoger => ('t', "with Kenward and Roger's covariance and degrees of freedom"),
        DfMethod::None => ('z', "by the normal approximation"),
    }
}

/// Describes the method of robust tests.
fn robust_by(robust: &Robust) -> String {
    let Robust { kind, cluster, clusters, .. } = robust;
    let df = match kind {
        Sandwich::Cr2 => "Satterthwaite's degrees of freedom",
        _ => "clusters - 1 degrees of freedom",
    };
    format!("with standard errors robust to clusters ({kind}, {clusters} clusters of {cluster}) and {df}")
}

/// Formats degrees of freedom, with a decimal if some are below 100. Missing or very large ones are
/// `Inf`, for the normal distribution.
fn degrees(effects: &[FixedEffect]) -> Vec<String> {
    const UNCOUNTED: f64 = 1e9;
    let counted = |effect: &FixedEffect| effect.df.filter(|df| df.abs() < UNCOUNTED);
    let fewest = effects.iter().filter_map(counted).fold(f64::INFINITY, f64::min);
    let decimals = usize::from(fewest < 100.0);
    let none = |effect: &FixedEffect| if effect.p_value.is_nan() { "NA" } else { "Inf" }.to_owned();
    let one = |effect| counted(effect).map_or_else(|| none(effect), |df| fixed_point(df, decimals));
    effects.iter().map(one).collect()
}

/// Formats numbers; NaN becomes `NA`.
fn known(values: &[f64], format: impl Fn(&[f64]) -> Vec<String>) -> Vec<String> {
    let there: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let mut cells = format(&there).into_iter();
    let cell = |value: &f64| if value.is_nan() { None } else { cells.next() };
    values.iter().map(cell).map(|cell| cell.unwrap_or_else(|| "NA".to_owned())).collect()
}

/// Returns the note on the reference levels of factors.
fn reference_levels(fit: &Fit) -> Option<Note> {
    let level = |factor: &FactorLevels| Some(format!("{} {}", factor.name, factor.reference.as_ref()?));
    let levels: Vec<String> = fit.factors.iter().filter_map(level).collect();
    (!levels.is_empty()).then(|| Note::new(format!("Reference levels: {}", levels.join(", ")), 2))
}

fn dropped_columns(fit: &Fit) -> Option<Note> {
    let names = &fit.dropped_columns;
    let what = match names.len() {
        0 => return None,
        1 => "1 column / coefficient".to_owned(),
        n => format!("{n} columns / coefficients"),
    };
    let names = names.join(", ");
    Some(Note::new(format!("fixed-effect model matrix is rank deficient so dropping {what}: {names}"), 2))
}
