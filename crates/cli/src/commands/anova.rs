//! `tiers anova`: F tests of the terms of a saved fit.

use crate::args::AnovaArgs;
use crate::exit::{Outcome, print};
use crate::job::df_method;
use crate::saved::{Saved, open_any};
use anyhow::ensure;
use serde::Serialize;
use tiers_reml::{AnovaType, DfMethod, TermTest};
use tiers_report::saved::{AnySaved, SavedGlmm};

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
    let saved = match open_any(&args.fit)? {
        AnySaved::Generalised(saved) => return generalised(args, &saved),
        AnySaved::Linear(saved) => Saved::of(*saved),
    };
    let df = args.df.map(|df| df_method(df, saved.fit().method)).transpose()?;
    let fixed = saved.fixed_by(df, &args.refit)?;
    let kind = args.kind;
    let tests = fixed.anova(&saved.recipe, kind, saved.fit().sigma);
    let df_method = fixed.inference.df_method();
    if args.json {
        let formula = &saved.fit().formula[..];
        let anova = Anova { tiers: env!("CARGO_PKG_VERSION"), formula, kind, df_method, tests: &tests };
        print(&tiers_report::json(&anova))?;
    } else {
        print(&tiers_report::anova::section(kind, df_method, &tests, saved.report.data.weights.is_some()).text())?;
    }
    Ok(Outcome::Done)
}

/// Output of `--json` for a generalised fit.
#[derive(Debug, Serialize)]
struct WaldTests<'a> {
    tiers: &'static str,
    formula: &'a str,
    #[serde(rename = "type")]
    kind: AnovaType,
    tests: Vec<WaldTest<'a>>,
}

#[derive(Debug, Serialize)]
struct WaldTest<'a> {
    term: &'a str,
    chi_squared: f64,
    df: f64,
    p_value: f64,
}

impl WaldTest<'_> {
    fn of(test: &TermTest) -> WaldTest<'_> {
        let (df, p_value) = (test.num_df, test.p_value);
        WaldTest { term: &test.term, chi_squared: test.f_value * df, df, p_value }
    }
}

/// Prints Wald tests of the terms of a generalised fit.
fn generalised(args: &AnovaArgs, saved: &SavedGlmm) -> anyhow::Result<Outcome> {
    ensure!(
        args.kind == AnovaType::Three,
        "--type I: sequential tests of a generalised fit need a fit for each term; compare fits by `tiers compare`, or \
         take --type III"
    );
    ensure!(
        args.df.is_none(),
        "--df: tests of a generalised fit are by the normal approximation, without degrees of freedom"
    );
    let tests = saved.model.inference.fixed.anova(&saved.recipe, args.kind, 1.0);
    if args.json {
        let tests = tests.iter().map(WaldTest::of).collect();
        let formula = &saved.fit().formula[..];
        print(&tiers_report::json(&WaldTests { tiers: env!("CARGO_PKG_VERSION"), formula, kind: args.kind, tests }))?;
    } else {
        print(&tiers_report::anova::wald_section(&tests).text())?;
    }
    Ok(Outcome::Done)
}
