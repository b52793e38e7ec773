//! Moments that a database computes: fits to them equal those to the rows. Without python3 that has DuckDB (or
//! the python that the variable `TIERS_PYTHON` names), the tests that run it are skipped, and those of PostgreSQL
//! without the variable `TIERS_PSQL`, which has the options of psql for a database to write to, separated by blanks.

use crate::saved::folder;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tiers::{Fit, Lmm, Moments, Table, Values, lmm};
use tiers_design::{Formula, Plan, Settings, Source};
use tiers_moments::{Definition, HEADER, MomentsHeader, Reading, accumulate_with};
use tiers_sql::{Dialect, MOMENTS, Query, moments_script};

/// A value of a table.
#[derive(Clone, Copy, Debug)]
enum Cell {
    Number(Option<f64>),
    Integer(Option<i64>),
    Text(Option<&'static str>),
}

/// A table, for the library and for DuckDB.
struct Rows {
    columns: Vec<(&'static str, &'static str, Vec<Cell>)>,
}

impl Rows {
    fn table(&self) -> Table {
        let values = |cells: &[Cell]| -> Values {
            match cells[0] {
                Cell::Number(_) => {
                    let number = |cell: &Cell| if let Cell::Number(value) = cell { *value } else { None };
                    cells.iter().map(number).collect::<Vec<Option<f64>>>().into()
                }
                Cell::Integer(_) => {
                    let integer = |cell: &Cell| if let Cell::Integer(value) = cell { *value } else { None };
                    cells.iter().map(integer).collect::<Vec<Option<i64>>>().into()
                }
                Cell::Text(_) => {
                    let text = |cell: &Cell| if let Cell::Text(value) = cell { *value } else { None };
                    cells.iter().map(text).collect::<Vec<Option<&str>>>().into()
                }
            }
        };
        Table::from_columns(self.columns.iter().map(|(name, _, cells)| (*name, values(cells)))).expect("a table")
    }

    /// Writes `rows.csv`; returns what the engine reads it by.
    fn write(&self, folder: &Path, dialect: Dialect) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let mut csv = self.columns.iter().map(|(name, ..)| quoted(name)).collect::<Vec<_>>().join(",") + "\n";
        for row in 0..self.columns[0].2.len() {
            for (place, (_, _, cells)) in self.columns.iter().enumerate() {
                csv.push_str(if place == 0 { "" } else { "," });
                match cells[row] {
                    Cell::Number(Some(value)) => write!(csv, "{value}").expect("a string"),
                    Cell::Integer(Some(value)) => write!(csv, "{value}").expect("a string"),
                    Cell::Text(Some(text)) => csv.push_str(&quoted(text)),
                    _ => {}
                }
            }
            csv.push('\n');
        }
        fs::write(folder.join("rows.csv"), csv).expect("a file");
        if dialect == Dialect::Postgres {
            return self.create(folder);
        }
        let types = self.columns.iter().map(|(name, kind, _)| format!("'{}': '{kind}'", name.replace('\'', "''")));
        format!("read_csv('rows.csv', header = true, columns = {{{}}})", types.collect::<Vec<_>>().join(", "))
    }
}

impl Rows {
    /// Writes `create.sql`, by which psql makes a table of `rows.csv`; returns its name.
    fn create(&self, folder: &Path) -> String {
        let name = folder.file_name().expect("a name").to_string_lossy().replace('-', "_");
        let column = |(name, kind, _): &(&str, &str, Vec<Cell>)| {
            let kind = if *kind == "DOUBLE" { "double precision" } else { kind };
            format!("\"{}\" {kind}", name.replace('"', "\"\""))
        };
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        let create = format!(
            "DROP TABLE IF EXISTS {name};\nCREATE TABLE {name} ({});\n\\copy {name} FROM 'rows.csv' (FORMAT csv, HEADER)\n",
            columns.join(", ")
        );
        fs::write(folder.join("create.sql"), create).expect("a file");
        name
    }
}

/// Runs `create.sql` and the script of a folder; `None` without PostgreSQL.
fn run_postgres(folder: &Path) -> Option<()> {
    let options = std::env::var("TIERS_PSQL").ok()?;
    for script in ["create.sql", MOMENTS] {
        let mut psql = Command::new("psql");
        psql.args(options.split_whitespace()).args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", script]);
        let ran = psql.current_dir(folder).output().expect("psql runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    Some(())
}

/// Returns a python that has DuckDB.
fn python() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("TIERS_PYTHON").unwrap_or_else(|| "python3".into()));
    let has = Command::new(&python).args(["-c", "import duckdb"]).output().is_ok_and(|ran| ran.status.success());
    has.then_some(python)
}

/// Writes header and script for a model of these rows into a folder.
fn write_script(
    folder: &Path,
    formula: &str,
    weights: Option<&str>,
    rows: &Rows,
    (dialect, condition): (Dialect, Option<&str>),
) {
    let (table, parsed) = (rows.table(), formula.parse::<Formula>().expect("a formula"));
    let settings = Settings { weights: weights.map(str::to_owned), ..Settings::default() };
    let plan = Plan::new(&parsed, table.fields(), &settings).expect("a plan");
    let recipe = accumulate_with(&table, &plan, &Reading::default(), &mut ()).expect("moments").recipe;
    let definition = Definition::of(&recipe, &parsed, &settings, table.fields());
    let table = rows.write(folder, dialect);
    let fields = &definition.fields;
    let query = Query { recipe: &recipe, fields, dialect, table: &table, condition, to: None };
    let script = moments_script(&query).expect("a script");
    fs::write(folder.join(MOMENTS), script.text).expect("a file");
    fs::write(folder.join(HEADER), MomentsHeader::of_query(definition, script.counted).to_json()).expect("a file");
}

/// Runs the script of a folder; `None` without DuckDB.
fn run(folder: &Path) -> Option<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiers/run_duckdb.py");
    let ran = Command::new(python()?).arg(script).arg(folder).output().expect("python runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(())
}

fn near(ours: f64, theirs: f64, scale: f64, what: &str) {
    let size = theirs.abs().max(scale);
    assert!((ours - theirs).abs() <= 1e-10 * size, "{what}: {ours:e} and {theirs:e}, {:e}", (ours - theirs) / size);
}

/// Checks that two fits agree.
fn same_fits(ours: &Fit, theirs: &Fit) {
    let (a, b) = (ours.log_likelihood(), theirs.log_likelihood());
    assert!((a - b).abs() <= 1e-12 * b.abs(), "criterion: {a} and {b}");
    for (ours, theirs) in ours.fixed_effects().iter().zip(theirs.fixed_effects()) {
        near(ours.estimate, theirs.estimate, theirs.std_error, &theirs.term);
        near(ours.std_error, theirs.std_error, 0.0, &theirs.term);
    }
    near(ours.sigma(), theirs.sigma(), 0.0, "sigma");
    for (ours, theirs) in ours.variance_components().iter().zip(theirs.variance_components()) {
        ours.sd.iter().zip(&theirs.sd).for_each(|(a, b)| near(*a, *b, 0.0, &theirs.level));
    }
}

/// Fits a model to the moments of each engine that is there, and to the rows.
fn compare(name: &str, model: &Lmm, formula: &str, weights: Option<&str>, rows: &Rows) {
    for dialect in [Dialect::DuckDb, Dialect::Postgres] {
        let folder = folder(&format!("{name}-{}", dialect.name()));
        write_script(&folder, formula, weights, rows, (dialect, None));
        let ran = if dialect == Dialect::DuckDb { run(&folder) } else { run_postgres(&folder) };
        if ran.is_some() {
            same_as_rows(&folder, model, rows);
        }
    }
}

fn same_as_rows(folder: &Path, model: &Lmm, rows: &Rows) {
    let moments = Moments::load([folder]).expect("moments");
    let of_rows = model.moments(&rows.table()).expect("moments");
    assert_eq!((moments.rows(), moments.dropped_rows()), (of_rows.rows(), of_rows.dropped_rows()));
    same_fits(&model.fit_moments(moments).expect("a fit"), &model.fit_moments(of_rows).expect("a fit"));
}

fn spread(i: usize, salt: f64) -> f64 {
    (i as f64 * 78.233 + salt * 3.7).sin() * 43_758.545 % 1.0
}

/// Rows with all that a query can get wrong: nulls, NaN, quotes in names and levels, logarithms of negative numbers.
fn hard_rows() -> Rows {
    let n = 3000;
    let school = |i: usize| i / 75;
    let class = |i: usize| i / 15 % 5;
    let ses = |i: usize| spread(i, 1.0);
    let level = |i: usize| ["A", "B'x", "C\"\\"][(i * 7 + i / 11) % 3];
    let e = |i: usize| 0.5 + 0.4 * spread(i, 5.0);
    let pretest = |i: usize| 3.0 + spread(i, 2.0);
    let score = |i: usize| {
        let own = 0.4 * spread(school(i), 9.0) + 0.3 * spread(school(i) * 5 + class(i), 10.0);
        let slope = 0.5 + 0.3 * spread(school(i), 11.0) + 0.2 * spread(school(i) * 5 + class(i), 12.0);
        let fixed = 0.05 * pretest(i).powi(2) + slope * ses(i) + if level(i) == "A" { 0.0 } else { 0.3 };
        (3.0 * (fixed + own + 0.5 * spread(i, 13.0)) + e(i).ln_1p()).exp()
    };
    let number = |value: f64| Cell::Number(Some(value));
    let column = |of: &dyn Fn(usize) -> Cell| (0..n).map(of).collect::<Vec<_>>();
    let score = column(&|i| number(if i % 97 == 5 { -1.0 } else { score(i) }));
    let pretest = column(&|i| match i % 89 {
        3 => Cell::Number(None),
        4 => number(f64::NAN),
        _ => number(pretest(i)),
    });
    let minority = column(&|i| Cell::Text((i % 101 != 7).then_some(level(i))));
    let class = column(&|i| Cell::Text(Some(["a b", "c,d", "e'f", "g\"h", "07"][class(i)])));
    Rows {
        columns: vec![
            ("the score", "DOUBLE", score),
            ("pre \"test\"", "DOUBLE", pretest),
            ("ses", "DOUBLE", column(&|i| number(ses(i)))),
            ("minority", "VARCHAR", minority),
            ("k", "BIGINT", column(&|i| Cell::Integer((i % 103 != 9).then_some([10, -2, 9][(i / 2) % 3])))),
            ("e", "DOUBLE", column(&|i| number(e(i)))),
            ("w", "DOUBLE", column(&|i| number(0.5 + spread(i, 4.0).abs()))),
            ("school", "BIGINT", column(&|i| Cell::Integer(Some(school(i) as i64 - 7)))),
            ("the class", "VARCHAR", class),
        ],
    }
}

#[test]
fn moments_by_engines_of_a_hard_set_give_the_fit_of_the_rows() {
    let formula = "log(`the score`) ~ I(`pre \"test\"`^2) + `pre \"test\"` + ses * minority + factor(k) + \
                   offset(log1p(e)) + (1 + ses | school/`the class`)";
    let model = lmm(formula).weights("w");
    compare("sql-hard", &model, formula, Some("w"), &hard_rows());
}

#[test]
fn moments_by_engines_of_an_interaction_give_the_fit_of_the_rows() {
    let formula = "`the score` ~ ses * e + (1 | school)";
    compare("sql-interaction", &lmm(formula), formula, None, &hard_rows());
}

/// Returns the students of chem97, or `None` without DuckDB, which reads them.
fn chem97() -> Option<Rows> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/chem97/chem97.parquet");
    let query = format!(
        "import duckdb; [print(*row, sep=',') for row in duckdb.sql(\"SELECT score::DOUBLE, gcsescore::DOUBLE, gender, \
         age::DOUBLE, lea::BIGINT, school::BIGINT FROM '{}'\").fetchall()]",
        data.display()
    );
    let read = Command::new(python()?).args(["-c", &query]).output().expect("python runs");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).expect("text");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let number = |k: usize| lines.iter().map(|line| Cell::Number(line[k].parse().ok())).collect();
    let integer = |k: usize| lines.iter().map(|line| Cell::Integer(line[k].parse().ok())).collect();
    let gender = lines.iter().map(|line| Cell::Text(Some(if line[2] == "M" { "M" } else { "F" }))).collect();
    Some(Rows {
        columns: vec![
            ("score", "DOUBLE", number(0)),
            ("gcsescore", "DOUBLE", number(1)),
            ("gender", "VARCHAR", gender),
            ("age", "DOUBLE", number(3)),
            ("lea", "BIGINT", integer(4)),
            ("school", "BIGINT", integer(5)),
        ],
    })
}

#[test]
fn moments_by_engines_of_chem97_give_the_fit_of_the_rows() {
    let Some(rows) = chem97() else { return };
    assert_eq!(rows.columns[0].2.len(), 31_022);
    let formula = "score ~ gcsescore + gender + age + (1 | lea/school)";
    compare("sql-chem97", &lmm(formula), formula, None, &rows);
}

#[test]
fn a_level_that_a_query_does_not_list_is_refused() {
    let rows = hard_rows();
    let folder = folder("sql-unlisted");
    write_script(&folder, "e ~ ses + minority + (1 | school)", None, &rows, (Dialect::DuckDb, None));
    let path = folder.join(MOMENTS);
    let script = fs::read_to_string(&path).expect("a script").replace("IN ('A', 'B''x', ", "IN ('A', ");
    fs::write(&path, script).expect("a file");
    let Some(()) = run(&folder) else { return };
    let error = Moments::load([&folder]).expect_err("unlisted").to_string();
    assert!(error.contains("complete rows have a level of `minority` that is not listed"), "{error}");
}

#[test]
fn a_condition_selects_rows() {
    let folder = folder("sql-where");
    write_script(
        &folder,
        "e ~ ses + (1 | school)",
        None,
        &hard_rows(),
        (Dialect::DuckDb, Some("school > 0 -- the later ones")),
    );
    let Some(()) = run(&folder) else { return };
    assert_eq!(Moments::load([&folder]).expect("moments").rows(), 75 * 32);
}

/// Folder of moments as a query writes them, changed; returns the error of reading it.
fn refused(name: &str, change: &dyn Fn(&str, String) -> String) -> String {
    let folder = folder(name);
    let header = r#"{"tiers_moments": 1.1, "formula": "y ~ x + (1 | g)", "weights": "w", "counted": ["y", "x", "g"],
        "fields": [{"name": "y", "kind": "Float"}, {"name": "x", "kind": "Float"}, {"name": "w", "kind": "Float"},
        {"name": "g", "kind": "Integer"}], "columns": [{"name": "1"}, {"name": "x"}, {"name": "y"}]}"#;
    let totals = "rows,dropped_rows,s_0_0,s_0_1,s_0_2,s_1_1,s_1_2,s_2_2,n_0,n_1,n_2,sum_log_weights,bad_weights,missing_1\n\
                  3,2,4,10,14,30,41,58,3,3,3,0.5,0,2\n3,0,4,12,13,40,43,47,3,3,3,0.25,0,0\n";
    let cells = "key_0,rows,s_0_0,s_0_1,s_0_2\n1,2,3,7,9\n2,4,5,15,18\n";
    for (file, text) in [("moments.json", header), ("totals.csv", totals), ("cells.csv", cells)] {
        fs::write(folder.join(file), change(file, text.to_owned())).expect("a file");
    }
    match Moments::load([&folder]) {
        Ok(moments) => format!("{} rows, {} dropped", moments.rows(), moments.dropped_rows()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn totals_of_several_rows_are_added_and_checked() {
    assert_eq!(refused("sql-parts", &|_, text| text), "6 rows, 2 dropped");
    let check = |name: &str, file: &str, from: &str, to: &str, words: &str| {
        let change = |at: &str, text: String| {
            assert!(at != file || text.contains(from), "{from}");
            if at == file { text.replace(from, to) } else { text }
        };
        let message = refused(name, &change);
        assert!(message.contains(words), "`{words}` is not in: {message}");
    };
    check("sql-weights", "totals.csv", "0.5,0,2", "0.5,2,2", "in 2 complete rows `w` is missing, or not a positive");
    check("sql-values", "totals.csv", "58,3,3,3", "58,3,2,3", "`x` has a value in 5 of 6 rows");
    check("sql-branch", "totals.csv", "s_1_2", "s_9_2", "is missing; the table needs a column for each sum");
    check("sql-nan", "totals.csv", "41,58", "NaN,NaN", "IS NOT NULL keeps");
    check("sql-rows", "cells.csv", "2,4,5", "2,5,5", "the number of rows is 7 over the cells, but 6");
    check("sql-keys", "cells.csv", "\n1,2,3", "\na,2,3", "`key_0` of its cells holds text");
    check("sql-version", "moments.json", "1.1", "2", "format version 2");
    check("sql-other-rows", "moments.json", "\"weights\"", "\"rows\": 7, \"weights\"", "over 6 rows, but");
    check("sql-count", "totals.csv", "3,2,4", "2.5,2,4", "`rows` is 5.5, but it counts rows");
}
