//! `tiers sql`: writes a script by which a database computes moments, and their description.

use crate::args::SqlArgs;
use crate::exit::{Outcome, print};
use crate::memory::check_heads;
use crate::progress::Progress;
use anyhow::{anyhow, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use tiers_design::{Block, Field, Formula, Plan, Recipe, Settings};
use tiers_moments::{Definition, HEADER, LEVELS_TABLE, MomentsHeader, Reading, Until, accumulate_with, read_levels};
use tiers_outputs::{WRITTEN_BY_HAND, make_folder, read_text, write_file};
use tiers_sql::{LEVELS, MOMENTS, Query, levels_script, moments_script};
use tiers_tables::Parquet;

/// Tables of an earlier run of the script, which must not be taken for those of another.
const RESULTS: [&str; 4] = ["cells.parquet", "cells.csv", "totals.parquet", "totals.csv"];

/// The part of a schema file that is read.
#[derive(Deserialize)]
struct Schema {
    fields: Vec<Field>,
}

/// Writes the script and the header of its moments, or the script that finds the levels.
pub(crate) fn run(args: &SqlArgs) -> anyhow::Result<Outcome> {
    if let Some(family) = &args.family {
        bail!(
            "--family {family}: a generalised model has no sufficient statistics, so no sums can replace its rows; fit it \
             to the rows by `tiers fit --family {family}`"
        );
    }
    check_is_free(&args.out)?;
    let formula: Formula = args.formula.parse()?;
    let reference = args.reference.iter().map(|text| crate::job::reference(text)).collect::<anyhow::Result<_>>()?;
    let levels = args.levels.iter().map(|text| crate::job::levels(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let shifts = args.shift.iter().map(|text| shift(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let settings = Settings { weights: args.weights.clone(), reference, levels: levels.clone(), generalised: false };
    let known: BTreeMap<String, Vec<String>> = levels.into_iter().collect();
    match &args.schema {
        None => {
            let (recipe, fields) = of_rows(args, &formula, &settings, known)?;
            write_moments_script(args, &formula, &settings, (&recipe, &fields), &shifts)
        }
        Some(schema) => {
            let fields = read_schema(schema)?;
            let plan = Plan::new(&formula, &fields, &settings)?;
            let table = args.out.join(LEVELS_TABLE);
            let found = if table.exists() { read_levels(&table, &Parquet, &fields)? } else { BTreeMap::new() };
            let levels: BTreeMap<_, _> = found.into_iter().chain(known).collect();
            let factors: Vec<String> = plan.factor_requests().into_iter().map(|request| request.column).collect();
            let lacking: Vec<&String> = factors.iter().filter(|factor| !levels.contains_key(*factor)).collect();
            if !lacking.is_empty() {
                return write_levels_script(args, &plan, &settings, &fields, &lacking);
            }
            let of_factors: Vec<Vec<String>> = factors.iter().map(|factor| levels[factor].clone()).collect();
            let recipe = plan.freeze(&Block::default(), Some(&of_factors))?;
            write_moments_script(args, &formula, &settings, (&recipe, &fields), &shifts)
        }
    }
}

/// Checks that the folder has no tables of an earlier run.
fn check_is_free(out: &Path) -> anyhow::Result<()> {
    match RESULTS.iter().map(|name| out.join(name)).find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => bail!(
            "--out {}: it holds {}, the result of another script; remove the moments, or name another folder",
            out.display(),
            path.display()
        ),
    }
}

/// Parses `column=number`.
fn shift(text: &str) -> anyhow::Result<(String, f64)> {
    // The name of a column may have a `=`, a number has none.
    let parsed = text.rsplit_once('=').filter(|(column, _)| !column.is_empty());
    let number = parsed.and_then(|(column, number)| Some((column.to_owned(), number.parse::<f64>().ok()?)));
    number.filter(|(_, number)| number.is_finite()).ok_or_else(|| {
        anyhow!("--shift {text}: write the column of the model, `=` and a number, as in --shift year=2000")
    })
}

/// Reads the columns of a table and their kinds.
fn read_schema(path: &Path) -> anyhow::Result<Vec<Field>> {
    let shown = path.display();
    let text = read_text(path, WRITTEN_BY_HAND).map_err(|error| anyhow!("--schema {shown}: {error}"))?;
    let schema: Schema = serde_json::from_str(&text).map_err(|error| {
        anyhow!(
            "--schema {shown}: {error}; it must be JSON such as {{\"fields\": [{{\"name\": \"score\", \"kind\": \
             \"Float\"}}, …]}}, with the kinds Float, Integer, Boolean, Text, Date, DateTime"
        )
    })?;
    Ok(schema.fields)
}

/// Freezes the formula against rows: their columns, the levels of factors and the shifts.
fn of_rows(
    args: &SqlArgs,
    formula: &Formula,
    settings: &Settings,
    levels: BTreeMap<String, Vec<String>>,
) -> anyhow::Result<(Recipe, Vec<Field>)> {
    let limit = args.resources.limit()?;
    check_heads(limit, &args.data)?;
    let source = crate::csv::open(&args.data, &args.csv.options()?)?;
    let plan = Plan::new(formula, source.fields(), settings)?;
    let limit = limit.of_rows(source.rows(), Until::Moments);
    let reading = Reading { recipe: None, levels, part: true, limit };
    let mut watch = Progress::new(args.quiet).reading(source.rows());
    let ingested = accumulate_with(&source, &plan, &reading, &mut watch);
    drop(watch);
    Ok((ingested?.recipe, source.fields().to_vec()))
}

/// Writes `moments.json` and `moments.sql`.
fn write_moments_script(
    args: &SqlArgs,
    formula: &Formula,
    settings: &Settings,
    (recipe, fields): (&Recipe, &[Field]),
    shifts: &[(String, f64)],
) -> anyhow::Result<Outcome> {
    recipe.check_levels()?;
    let mut definition = Definition::of(recipe, formula, settings, fields);
    for (column, by) in shifts {
        definition.set_shift(column, *by).map_err(|error| anyhow!("--shift {column}={by}: {error}"))?;
    }
    let recipe = definition.recipe().map_err(|error| anyhow!("--shift: {error}"))?;
    let fields = definition.fields.clone();
    let script = moments_script(&query(args, &recipe, &fields))?;
    let header = MomentsHeader::of_query(definition, script.counted);
    make_folder("--out", &args.out)?;
    write_file(&args.out.join(HEADER), header.to_json().as_bytes())?;
    write_file(&args.out.join(MOMENTS), script.text.as_bytes())?;
    say(args, MOMENTS, &format!("tiers fit --moments {}", args.out.display()))
}

/// Writes `levels.sql`, for factors whose levels are not known.
fn write_levels_script(
    args: &SqlArgs,
    plan: &Plan,
    settings: &Settings,
    fields: &[Field],
    lacking: &[&String],
) -> anyhow::Result<Outcome> {
    // The script does not depend on levels, but a recipe needs some: those of the settings.
    let placeholder = |column: &String| {
        let listed = settings.levels.iter().find(|(factor, _)| factor == column).map(|(_, levels)| levels.clone());
        let reference = settings.reference.iter().rev().find(|(factor, _)| factor == column);
        listed.unwrap_or_else(|| reference.map(|(_, level)| level.clone()).into_iter().collect())
    };
    let levels: Vec<Vec<String>> = plan.factor_requests().iter().map(|r| placeholder(&r.column)).collect();
    let recipe = plan.freeze(&Block::default(), Some(&levels))?;
    let script = levels_script(&query(args, &recipe, fields))?;
    make_folder("--out", &args.out)?;
    write_file(&args.out.join(LEVELS), script.as_bytes())?;
    let names = lacking.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let then = format!("the same `tiers sql` again, which reads the levels of {names} from {LEVELS_TABLE}");
    say(args, LEVELS, &then)
}

fn query<'a>(args: &'a SqlArgs, recipe: &'a Recipe, fields: &'a [Field]) -> Query<'a> {
    Query {
        recipe,
        fields,
        dialect: args.dialect,
        table: &args.table,
        condition: args.condition.as_deref(),
        to: args.to.as_deref(),
    }
}

/// Prints what comes next.
fn say(args: &SqlArgs, name: &str, then: &str) -> anyhow::Result<Outcome> {
    if !args.quiet {
        let (dialect, out) = (args.dialect, args.out.display());
        let fetched = match &args.to {
            Some(to) => format!("copy what it writes to {to} into {out}"),
            None => "it writes its results there".to_owned(),
        };
        print(&format!("{out}: {name} for {dialect}\nNext: run {name} in that folder; {fetched}; then {then}\n"))?;
    }
    Ok(Outcome::Done)
}
