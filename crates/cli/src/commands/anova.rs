//! `tiers anova`: F tests of the terms of a saved fit.

use crate::args::Df;
use crate::exit::{Outcome, print};
use crate::job::df_method;
use crate::saved::{RefitArgs, Saved};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use tiers_reml::{AnovaType, DfMethod, TermTest};

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
        print(&tiers_report::json(&anova))?;
    } else {
        print(&tiers_report::anova::section(kind, df_method, &tests, saved.report.data.weights.is_some()).text())?;
    }
    Ok(Outcome::Done)
}
