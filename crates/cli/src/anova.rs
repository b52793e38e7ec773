//! `tiers anova`: F tests of the terms of a saved fit.

use crate::args::Df;
use crate::exit::{Outcome, print};
use crate::job::df_method;
use crate::layout::Column;
use crate::numbers::{column, p_values, round};
use crate::saved::{RefitArgs, Saved};
use crate::section::{Note, Section};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use tiers_reml::{AnovaType, DfMethod, TermTest};

/// Significant digits, as in R's tables of tests.
const DIGITS: usize = 5;

/// Examples below the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  tiers fit \"score ~ pretest + treat*sex + (1 | school/class)\" students.parquet --out results
  tiers anova results
  tiers anova results --type 1 --df kenward-roger

Type III tests the effects of a term, averaged over the factors it interacts with, given all other
terms; type I tests what a term adds to those before it. A --df other than that of the fit makes the
command read the data again.";

/// `tiers anova`.
#[derive(Debug, Args)]
pub(crate) struct AnovaArgs {
    /// Folder of results of `tiers fit --out`, or its fit.json
    #[arg(value_name = "FIT")]
    pub fit: PathBuf,

    /// Type of the tests
    #[arg(long = "type", value_name = "TYPE", value_enum, default_value_t = Type::Three)]
    pub kind: Type,

    /// Degrees of freedom (default: those of the fit)
    #[arg(long, value_name = "METHOD", value_enum)]
    pub df: Option<Df>,

    /// Print the table as JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub refit: RefitArgs,
}

/// Type of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Type {
    /// Each term given all others
    #[value(name = "3", alias = "III")]
    Three,
    /// Each term given those before it
    #[value(name = "1", alias = "I")]
    One,
}

/// Output of `--json`.
#[derive(Debug, Serialize)]
struct Anova<'a> {
    tiers: &'static str,
    formula: &'a str,
    #[serde(rename = "type")]
    kind: AnovaType,
    df_method: DfMethod,
    tests: &'a [TermTest],
}

/// Prints the table.
pub(crate) fn run(args: &AnovaArgs) -> anyhow::Result<Outcome> {
    let saved = Saved::open(&args.fit)?;
    let df = args.df.map(|df| df_method(df, saved.fit().method)).transpose()?;
    let fixed = saved.fixed_by(df, &args.refit)?;
    let kind = match args.kind {
        Type::Three => AnovaType::Three,
        Type::One => AnovaType::One,
    };
    let tests = fixed.anova(&saved.recipe, kind, saved.fit().sigma);
    let df_method = fixed.inference.df_method();
    if args.json {
        let formula = &saved.fit().formula[..];
        let anova = Anova { tiers: env!("CARGO_PKG_VERSION"), formula, kind, df_method, tests: &tests };
        print(&crate::report::json(&anova))?;
    } else {
        print(&section(kind, df_method, &tests, saved.report.data.weights.is_some()).text())?;
    }
    Ok(Outcome::Done)
}

/// Returns the table in lmerTest's layout.
pub(crate) fn section(kind: AnovaType, df: DfMethod, tests: &[TermTest], weighted: bool) -> Section {
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
