//! Opens tables with the user's options for text files, and checks the options against the table.

use anyhow::bail;
use std::path::PathBuf;
use tiers_design::{Kind, nearest};
use tiers_tables::{ColumnType, CsvOptions, Source};

/// An option that does not fit the table: its name and the reason.
pub(crate) struct Misfit {
    pub option: String,
    pub why: String,
}

/// Checks options against a table: text options need text files, and columns with a given type must
/// exist and hold values of that type.
pub(crate) fn check(source: &Source, options: &CsvOptions) -> Result<(), Misfit> {
    let misfit = |option: &str, why: String| Err(Misfit { option: option.to_owned(), why });
    if !source.is_text() {
        let said = [
            ("sep", options.sep.is_some()),
            ("decimal", options.decimal.is_some()),
            ("encoding", options.encoding.is_some()),
            ("na", !options.na.is_empty()),
        ];
        if let Some((option, _)) = said.iter().find(|(_, said)| *said) {
            return misfit(
                option,
                "this is for csv and other text files; these files specify it themselves".to_owned(),
            );
        }
    }
    for (column, wanted) in &options.types {
        let Some(field) = source.fields().iter().find(|field| field.name == *column) else {
            return misfit(&format!("types.{column}"), no_column(column, source));
        };
        if let Some(found) = unlike(&field.kind, *wanted) {
            let why = format!("`{column}` must hold {}, but in the files it holds {found}", plural(*wanted));
            return misfit(&format!("types.{column}"), why);
        }
    }
    Ok(())
}

/// Opens a table with options of the command line, and checks the options against it.
pub(crate) fn open(paths: &[PathBuf], options: &CsvOptions) -> anyhow::Result<Source> {
    checked(Source::open_with(paths, options)?, options)
}

/// Returns the table if these options of the command line fit it.
pub(crate) fn checked(source: Source, options: &CsvOptions) -> anyhow::Result<Source> {
    if let Err(Misfit { option, why }) = check(&source, options) {
        match option.strip_prefix("types.") {
            Some(column) => bail!("--types {column}: {why}"),
            None => bail!("--{option}: {why}"),
        }
    }
    Ok(source)
}

/// Returns what the column holds if that does not match the type.
fn unlike(kind: &Kind, wanted: ColumnType) -> Option<String> {
    let (found, holds) = match kind {
        Kind::Float => ("numbers that need not be integers", wanted == ColumnType::Number),
        Kind::Integer => ("integers", matches!(wanted, ColumnType::Number | ColumnType::Integer)),
        Kind::Boolean => ("booleans", wanted == ColumnType::Boolean),
        Kind::Text => ("text", wanted == ColumnType::Text),
        Kind::Date => ("dates", wanted == ColumnType::Number),
        Kind::DateTime => ("points in time", wanted == ColumnType::Number),
        Kind::Unequal(why) => return Some(format!("something else in each file: {why}")),
        Kind::Digits => ("numbers", wanted == ColumnType::Number),
        Kind::Mixed(_) => ("numbers and text", wanted == ColumnType::Text),
        Kind::Other(kind) => (kind.as_str(), false),
    };
    (!holds).then(|| found.to_owned())
}

fn plural(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Number => "numbers",
        ColumnType::Integer => "integers",
        ColumnType::Text => "text",
        ColumnType::Boolean => "booleans",
    }
}

/// Returns the error text for a column that a table lacks.
pub(crate) fn no_column(column: &str, source: &Source) -> String {
    let names: Vec<String> = source.fields().iter().map(|field| field.name.clone()).collect();
    match nearest(column, &names) {
        Some(near) => format!("there is no column `{column}`; did you mean `{near}`?"),
        None => format!("there is no column `{column}`; the columns are {}", names.join(", ")),
    }
}
