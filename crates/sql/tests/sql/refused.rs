//! Models and settings for which no script can be written.

use crate::support::plain;
use tiers_design::{Block, DesignError, Field, Formula, Kind, Plan, Recipe, Settings};
use tiers_sql::{Dialect, Query, moments_script};

fn recipe_of(formula: &str, fields: &[Field]) -> Recipe {
    let formula: Formula = formula.parse().expect("a formula");
    let plan = Plan::new(&formula, fields, &Settings::default()).expect("a plan");
    plan.freeze(&Block::default(), Some(&[])).expect("a recipe")
}

fn message(recipe: &Recipe, fields: &[Field], dialect: Dialect, to: Option<&str>) -> String {
    let query = Query { recipe, fields, dialect, table: "t", condition: None, to };
    moments_script(&query).expect_err("refused").to_string()
}

#[test]
fn unknown_dialects_are_refused() {
    let error = "oracle".parse::<Dialect>().expect_err("unknown").to_string();
    assert_eq!(error, "`oracle` is not a dialect; the dialects are duckdb, spark, postgres, bigquery, snowflake");
    for dialect in Dialect::ALL {
        assert_eq!(dialect.name().parse(), Ok(dialect));
    }
}

#[test]
fn engines_that_write_to_storage_need_a_place() {
    let model = plain();
    for dialect in [Dialect::BigQuery, Dialect::Snowflake] {
        let message = message(&model.recipe, &model.fields, dialect, None);
        assert!(message.contains("--to"), "{message}");
    }
    let message = message(&model.recipe, &model.fields, Dialect::Postgres, Some("/tmp"));
    assert!(message.contains("leave out --to"), "{message}");
}

#[test]
fn points_in_time_cannot_be_groups() {
    let fields = [Field::new("y", Kind::Float), Field::new("t", Kind::DateTime)];
    let recipe = recipe_of("y ~ 1 + (1 | t)", &fields);
    let message = message(&recipe, &fields, Dialect::DuckDb, None);
    assert!(message.starts_with("`t` holds points in time"), "{message}");
}

#[test]
fn more_columns_than_an_engine_allows_are_refused() {
    let names: Vec<String> = (0..60).map(|i| format!("x{i}")).collect();
    let mut fields: Vec<Field> = names.iter().map(|name| Field::new(name, Kind::Float)).collect();
    fields.extend([Field::new("y", Kind::Float), Field::new("g", Kind::Integer)]);
    let recipe = recipe_of(&format!("y ~ {} + (1 | g)", names.join(" + ")), &fields);
    let message = message(&recipe, &fields, Dialect::Postgres, None);
    assert!(message.contains("PostgreSQL allows 1664"), "{message}");
    let query =
        Query { recipe: &recipe, fields: &fields, dialect: Dialect::DuckDb, table: "t", condition: None, to: None };
    moments_script(&query).expect("a script");
}

#[test]
fn a_schema_without_a_column_is_refused() {
    let formula: Formula = "y ~ x + (1 | g)".parse().expect("a formula");
    let fields = [Field::new("y", Kind::Float), Field::new("xx", Kind::Float), Field::new("g", Kind::Integer)];
    let error = Plan::new(&formula, &fields, &Settings::default()).expect_err("no column x");
    assert!(matches!(&error, DesignError::UnknownColumn { column, .. } if column == "x"), "{error}");
}
