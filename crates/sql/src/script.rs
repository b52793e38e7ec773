//! The scripts: statements that sum the rows, and where their results go.

use crate::dialect::Dialect;
use crate::error::SqlError;
use crate::rows::{Rows, alias};
use tiers_design::{Field, Recipe};

/// Name of the script that computes the moments.
pub const MOMENTS: &str = "moments.sql";
/// Name of the script that finds the levels of factors.
pub const LEVELS: &str = "levels.sql";

/// What a script is written for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The formula frozen against the schema and the levels of its factors, with shifts.
    pub recipe: &'a Recipe,
    /// The schema.
    pub fields: &'a [Field],
    /// The engine.
    pub dialect: Dialect,
    /// What follows `FROM`: a table, a function of tables, or a query in brackets, in the engine's dialect.
    pub table: &'a str,
    /// A condition on the rows, in the engine's dialect.
    pub condition: Option<&'a str>,
    /// Folder or URI that the engine writes to; `None`: beside the script.
    pub to: Option<&'a str>,
}

/// A script that computes moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its text.
    pub text: String,
    /// The columns and expressions that the counts `missing_0`, `unlisted_0`, … of the totals are of.
    pub counted: Vec<String>,
}

/// Writes the script that computes the moments: the tables `cells` and `totals` of `docs/moments.md`, with
/// positional names. A row counts if it is a complete case and has only levels that the recipe lists; the others are
/// counted by their cause.
///
/// # Errors
/// If the engine cannot compute or write them.
pub fn moments_script(query: &Query<'_>) -> Result<Script, SqlError> {
    let rows = Rows::new(query)?;
    let with = rows.columns()?;
    let (counted, totals) = totals(query, &rows);
    let cells = cells(query);
    let columns = totals.len().max(cells.len());
    if let Some(most) = query.dialect.most_columns().filter(|&most| columns > most) {
        return Err(SqlError::TooManyColumns { dialect: query.dialect, columns, most });
    }
    let keys: Vec<String> = query.recipe.keys.iter().map(|&key| alias(key)).collect();
    let group = if keys.is_empty() { String::new() } else { format!("\nGROUP BY {}", keys.join(", ")) };
    let cells = format!("{with}\nSELECT\n  {}\nFROM tiers_columns\nWHERE used = 1{group}", cells.join(",\n  "));
    let totals = format!("{with}\nSELECT\n  {}\nFROM tiers_columns", totals.join(",\n  "));
    let head = head(query, "Moments of", "then `tiers fit --moments` of that folder", MOMENTS);
    let write = |sql: &str, stem| query.dialect.write(sql, stem, query.to);
    let text = format!("{head}\n{}\n{}", write(&cells, "cells")?, write(&totals, "totals")?);
    Ok(Script { text, counted })
}

/// Writes the script that finds the levels of all factors: a table `levels.csv` with the columns `factor` and
/// `level`. The recipe's own levels do not matter.
///
/// # Errors
/// If the engine cannot compute or write them.
pub fn levels_script(query: &Query<'_>) -> Result<String, SqlError> {
    let levels = Rows::new(query)?.levels()?;
    let head = head(query, "Levels of the factors of", "then repeat `tiers sql`", LEVELS);
    Ok(format!("{head}\n{}", query.dialect.write(&levels, "levels", query.to)?))
}

/// Returns the comment at the top: what the script computes, and how to run it.
fn head(query: &Query<'_>, what: &str, then: &str, name: &str) -> String {
    let formula: String = query.recipe.formula.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let call = match query.dialect {
        Dialect::DuckDb => format!("duckdb < {name}"),
        Dialect::Spark => format!("spark-sql -f {name}"),
        Dialect::Postgres => format!("psql -f {name}"),
        Dialect::BigQuery => format!("bq query --use_legacy_sql=false < {name}"),
        Dialect::Snowflake => format!("snow sql -f {name}"),
    };
    format!("-- {what} {formula}\n-- For {}. Run it from its folder, as by: {call}; {then}.\n", query.dialect)
}

/// Returns the product of two columns of C, weighted.
fn product(recipe: &Recipe, i: usize, j: usize) -> String {
    let is_constant = |j: usize| recipe.columns.get(j).is_some_and(|column| column.atoms.is_empty());
    let weight = recipe.weights.map(alias);
    let factors = [i, j].into_iter().filter(|&j| !is_constant(j)).map(|j| format!("c_{j}"));
    let factors: Vec<String> = weight.into_iter().chain(factors).collect();
    // Of a constant and a constant. Weights count on used rows only, which a column of C shows.
    match (factors.len(), recipe.weights) {
        (0, _) => format!("c_{i}"),
        (1, Some(_)) => format!("{} * c_{i}", factors[0]),
        _ => factors.join(" * "),
    }
}

/// Returns the columns of the cells.
fn cells(query: &Query<'_>) -> Vec<String> {
    let (recipe, m) = (query.recipe, query.recipe.columns.len() + 1);
    let quoted = |name: String| query.dialect.column(&name);
    let keys = recipe.keys.iter().enumerate();
    let mut columns: Vec<String> =
        keys.map(|(k, &request)| format!("{} AS {}", alias(request), quoted(format!("key_{k}")))).collect();
    columns.push(format!("count(*) AS {}", quoted("rows".to_owned())));
    let is_random = |j: &usize| recipe.random.iter().any(|term| term.columns.contains(j));
    let z: Vec<usize> = (0..recipe.columns.len()).filter(is_random).collect();
    for &i in &z {
        for j in (0..m).filter(|j| *j >= i || !z.contains(j)) {
            let (a, b) = (i.min(j), i.max(j));
            columns.push(format!("sum({}) AS {}", product(recipe, a, b), quoted(format!("s_{a}_{b}"))));
        }
    }
    columns
}

/// Returns the names of what is counted, and the columns of the totals.
fn totals(query: &Query<'_>, rows: &Rows<'_>) -> (Vec<String>, Vec<String>) {
    let (recipe, dialect) = (query.recipe, query.dialect);
    let m = recipe.columns.len() + 1;
    let quoted = |name: &str| dialect.column(name);
    let count =
        |condition: &str, name: &str| format!("sum(CASE WHEN {condition} THEN 1 ELSE 0 END) AS {}", quoted(name));
    let mut columns = vec![count("used = 1", "rows"), count("complete = 0", "dropped_rows")];
    for i in 0..m {
        columns.extend((i..m).map(|j| format!("sum({}) AS {}", product(recipe, i, j), quoted(&format!("s_{i}_{j}")))));
    }
    columns.extend((0..m).map(|j| format!("count(c_{j}) AS {}", quoted(&format!("n_{j}")))));
    if let Some(weights) = recipe.weights.map(alias) {
        let (one, zero) = (dialect.number(1.0), dialect.number(0.0));
        let logs = format!("ln(CASE WHEN used = 1 AND {weights} > {zero} THEN {weights} ELSE {one} END)");
        columns.push(format!("sum({logs}) AS {}", quoted("sum_log_weights")));
        let good = format!("{} AND {weights} > {zero}", dialect.is_number(&weights));
        let bad = format!("complete = 1 AND CASE WHEN {good} THEN 0 ELSE 1 END = 1");
        columns.push(count(&bad, "bad_weights"));
    }
    let mut counted: Vec<String> = Vec::new();
    for request in rows.own() {
        let column = &recipe.requests[request].column;
        if !counted.contains(column) {
            let missing = format!("CASE WHEN {} THEN 0 ELSE 1 END = 1", rows.is_present(request));
            columns.push(count(&missing, &format!("missing_{}", counted.len())));
            counted.push(column.clone());
        }
    }
    let mut before = "present = 1".to_owned();
    for (place, text) in rows.expressions().enumerate() {
        let is_number = rows.is_computed(place);
        let missing = format!("{before} AND CASE WHEN {is_number} THEN 0 ELSE 1 END = 1");
        columns.push(count(&missing, &format!("missing_{}", counted.len())));
        counted.push(text.clone());
        before = format!("{before} AND {is_number}");
    }
    for factor in &recipe.factors {
        let place = counted.iter().position(|name| *name == factor.column).expect("a factor's column is requested");
        let unlisted = format!("complete = 1 AND NOT ({})", rows.is_listed(factor));
        columns.push(count(&unlisted, &format!("unlisted_{place}")));
    }
    (counted, columns)
}
