//! `tiers anova`: F tests of the terms of a saved fit.

use crate::args::AnovaArgs;
use crate::exit::{Outcome, print};
use crate::job::df_method;
use crate::saved::Saved;
use serde::Serialize;
use tiers_reml::{AnovaType, DfMethod, TermTest};

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
