//! Scripts as they are kept in `tests/golden`. With the variable `TIERS_BLESS` set, the files are written instead.

use crate::support::{Model, hard, plain};
use sqlparser::dialect as grammars;
use sqlparser::parser::Parser;
use std::fs;
use std::path::Path;
use tiers_sql::{Dialect, Query, levels_script, moments_script};

fn place(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::DuckDb | Dialect::Postgres => None,
        Dialect::Spark => Some("s3://bucket/moments"),
        Dialect::BigQuery => Some("gs://bucket/moments"),
        Dialect::Snowflake => Some("@stage/moments"),
    }
}

fn query(model: &Model, dialect: Dialect) -> Query<'_> {
    let condition = (model.name == "hard").then_some("year = 2024 -- only one");
    let table = if model.name == "hard" { "(SELECT * FROM school.students)" } else { "students" };
    Query { recipe: &model.recipe, fields: &model.fields, dialect, table, condition, to: place(dialect) }
}

fn grammar(dialect: Dialect) -> Box<dyn grammars::Dialect> {
    match dialect {
        Dialect::DuckDb => Box::new(grammars::DuckDbDialect {}),
        Dialect::Spark => Box::new(grammars::SparkSqlDialect {}),
        Dialect::Postgres => Box::new(grammars::PostgreSqlDialect {}),
        Dialect::BigQuery => Box::new(grammars::BigQueryDialect {}),
        Dialect::Snowflake => Box::new(grammars::SnowflakeDialect {}),
    }
}

/// Returns what the grammar is to accept: the script less what belongs to a client or is not in the grammar.
fn parsed_part(dialect: Dialect, script: &str) -> String {
    let line = |line: &str| match dialect {
        // psql's own command at the end of a statement.
        Dialect::Postgres => line.split_once(" \\g ").map_or(line.to_owned(), |(sql, _)| format!("{sql};")),
        // The grammar knows `STORED AS`, not `USING`.
        Dialect::Spark if line.starts_with("INSERT OVERWRITE DIRECTORY") => String::new(),
        // It takes a backslash as such, where Spark escapes by it.
        Dialect::Spark => line.replace("\\\\", "/").replace("\\'", "''"),
        // A backtick in a name: the grammar has no escapes in names.
        Dialect::BigQuery => line.replace("\\`", "'"),
        _ => line.to_owned(),
    };
    script.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn check(name: &str, dialect: Dialect, script: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.{}.sql", dialect.name()));
    if std::env::var_os("TIERS_BLESS").is_some() {
        fs::write(&path, script).expect("a file");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(script, kept, "{} is another script", path.display());
    // One by one, since the grammar takes the `;` for a part of Snowflake's COPY INTO.
    let text = parsed_part(dialect, script);
    let statements = text.split_inclusive(";\n").filter(|statement| !statement.trim().is_empty());
    let parse = |statement: &str| {
        let parsed = Parser::parse_sql(&*grammar(dialect), statement.trim_end().trim_end_matches(';'));
        parsed.unwrap_or_else(|error| panic!("{name}, {dialect}: {error}")).len()
    };
    let expected = if name.ends_with("levels") { 1 } else { 2 };
    assert_eq!(statements.map(parse).sum::<usize>(), expected, "{name}, {dialect}");
}

#[test]
fn scripts_are_those_kept_and_valid_in_their_dialect() {
    for dialect in Dialect::ALL {
        for model in [plain(), hard()] {
            let query = query(&model, dialect);
            check(model.name, dialect, &moments_script(&query).expect("a script").text);
            check(&format!("{}_levels", model.name), dialect, &levels_script(&query).expect("a script"));
        }
    }
}

#[test]
fn counts_are_of_columns_and_expressions() {
    let model = hard();
    let script = moments_script(&query(&model, Dialect::DuckDb)).expect("a script");
    let columns = ["score", "pre \"test\"", "ses", "minority", "k", "r", "flag", "day", "e", "school", "the class"];
    assert_eq!(script.counted[..columns.len()], columns);
    let expressions = ["I(`pre \"test\"`^2)", "sqrt(abs(ses))", "I(day/7)", "log(score)", "log1p(e)"];
    assert_eq!(script.counted[columns.len()..], expressions);
    for (place, _) in script.counted.iter().enumerate() {
        assert!(script.text.contains(&format!("\"missing_{place}\"")), "{place}");
    }
    assert!(script.text.contains("\"unlisted_3\"") && script.text.contains("\"unlisted_6\""));
}

#[test]
fn shifts_are_subtracted_from_products() {
    let model = plain();
    let script = moments_script(&query(&model, Dialect::DuckDb)).expect("a script").text;
    assert!(script.contains("(r_1) - (-5.05e1) END AS c_1"), "{script}");
    assert!(script.contains("(r_1 * r_2) - 1.2e2 END AS c_4"), "{script}");
    assert!(script.contains("(r_0) - 5e2 END AS c_5"), "{script}");
}
