//! `tiers sql`: what it writes, and what it refuses.

use crate::support::{Folder, run_err, run_ok, students};

const FORMULA: &str = "y ~ x + sex + (1 + x | school)";

const SCHEMA: &str = r#"{"fields": [{"name": "y", "kind": "Float"}, {"name": "x", "kind": "Float"},
    {"name": "sex", "kind": "Text"}, {"name": "school", "kind": "Integer"}]}"#;

/// Runs `tiers sql` into a folder, with these further arguments.
fn arguments<'a>(rest: &[&'a str], out: &'a str) -> Vec<&'a str> {
    [&["sql", FORMULA, "--dialect", "duckdb", "--table", "t", "--out", out], rest].concat()
}

fn read(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("a file")
}

#[test]
fn a_script_and_its_description_are_written() {
    let folder = Folder::new();
    let (schema, out) = (folder.text("schema.json", SCHEMA), folder.join("m"));
    let said = run_ok(&arguments(&["--schema", &schema, "--levels", "sex=F,M", "--shift", "x=2.5"], &out));
    assert!(said.contains("moments.sql for DuckDB") && said.contains("tiers fit --moments"), "{said}");
    let script = read(&folder, "m/moments.sql");
    assert!(script.contains("TO 'cells.parquet'") && script.contains("(r_1) - 2.5e0"), "{script}");
    let header: serde_json::Value = serde_json::from_str(&read(&folder, "m/moments.json")).expect("JSON");
    assert_eq!(header["tiers_moments"], serde_json::json!(1.1));
    assert!(header.get("rows").is_none());
    assert_eq!(header["columns"][1], serde_json::json!({"name": "x", "shift": 2.5}));
}

#[test]
fn columns_levels_and_shifts_are_read_from_rows() {
    let folder = Folder::new();
    let (data, out) = (folder.parquet("rows.parquet", students()), folder.join("m"));
    run_ok(&arguments(&[&data, "--quiet"], &out));
    let header: serde_json::Value = serde_json::from_str(&read(&folder, "m/moments.json")).expect("JSON");
    assert_eq!(header["columns"].as_array().map(Vec::len), Some(4));
    assert_eq!(header["levels"]["sex"].as_array().map(Vec::len), Some(2));
}

#[test]
fn levels_that_are_not_known_are_found_by_a_script_first() {
    let folder = Folder::new();
    let (schema, out) = (folder.text("schema.json", SCHEMA), folder.join("m"));
    let said = run_ok(&arguments(&["--schema", &schema], &out));
    assert!(said.contains("levels.sql") && said.contains("`sex`"), "{said}");
    assert_eq!(folder.names("m"), ["levels.sql"]);
    std::fs::write(folder.join("m/levels.csv"), "factor,level\nsex,M\nsex,F\n").expect("a file");
    run_ok(&arguments(&["--schema", &schema], &out));
    assert!(read(&folder, "m/moments.sql").contains("IN ('F', 'M')"));
}

#[test]
fn bad_input_is_refused() {
    let folder = Folder::new();
    let (schema, out) = (folder.text("schema.json", SCHEMA), folder.join("m"));
    let other = folder.text("other.json", &SCHEMA.replace("\"x\"", "\"xx\""));
    let run = |rest: &[&str], words: &[&str]| run_err(&arguments(rest, &out), words);
    run(&["--schema", &other, "--levels", "sex=F,M"], &["x", "xx"]);
    run(&["--schema", &schema, "--family", "binomial"], &["no sufficient statistics"]);
    run(&["--schema", &schema, "--levels", "sex=F,M", "--shift", "z=1"], &["--shift z=1", "no column `z`"]);
    run(&["--schema", &schema, "--levels", "sex=F,M", "--shift", "sexM=1"], &["sexM", "another model"]);
    run(&["--schema", &schema, "--levels", "sex=F,M", "--shift", "x"], &["--shift x"]);
    let not_a_schema = folder.text("list.json", "[]");
    run(&["--schema", &not_a_schema], &["--schema", "fields"]);
    let dialect = ["sql", FORMULA, "--schema", &schema, "--dialect", "oracle", "--table", "t", "--out", &out];
    run_err(&dialect, &["`oracle` is not a dialect", "duckdb, spark"]);
    std::fs::create_dir(&out).expect("a folder");
    std::fs::write(folder.join("m/totals.csv"), "").expect("a file");
    run(&["--schema", &schema, "--levels", "sex=F,M"], &["the result of another script"]);
}
