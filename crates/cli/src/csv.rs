//! Options of the command line for csv and other text files, and their check against a table.

use anyhow::{anyhow, bail};
use clap::Args;
use std::path::PathBuf;
use tiers_design::{Kind, nearest};
use tiers_tables::{ColumnType, CsvOptions, Source};

/// Options of commands that read text files.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Text files (csv, tsv, txt)")]
pub(crate) struct CsvArgs {
    /// Field separator: a character or `tab` (default: from the extension, else detected)
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    pub sep: Option<String>,

    /// Decimal mark of numbers, `.` (the default) or `,`
    #[arg(long, value_name = "MARK")]
    pub decimal: Option<String>,

    /// Encoding: utf-8, utf-16, latin-1, windows-1252, … (default: from the byte order mark, else utf-8)
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,

    /// Texts that mean a missing value, in addition to empty fields, NA and NaN, as in --na .,NULL,-99
    #[arg(long, value_name = "A,B,…", allow_hyphen_values = true)]
    pub na: Vec<String>,

    /// Types of columns: number, integer, text or boolean, as in --types school=text,age=number
    #[arg(long, value_name = "COLUMN=TYPE,…")]
    pub types: Vec<String>,
}

impl CsvArgs {
    /// Parses the options.
    pub(crate) fn options(&self) -> anyhow::Result<CsvOptions> {
        fn parsed<T: std::str::FromStr<Err = String>>(name: &str, text: Option<&String>) -> anyhow::Result<Option<T>> {
            text.map(|text| text.parse().map_err(|why| anyhow!("--{name} {why}"))).transpose()
        }
        let mut options = CsvOptions {
            sep: parsed("sep", self.sep.as_ref())?,
            decimal: parsed("decimal", self.decimal.as_ref())?,
            encoding: parsed("encoding", self.encoding.as_ref())?,
            na: self.na.iter().flat_map(|list| CsvOptions::parse_na(list)).collect(),
            ..CsvOptions::default()
        };
        for list in &self.types {
            for text in pieces(list) {
                let (column, kind) = CsvOptions::parse_type(&text).map_err(|why| anyhow!("--types {why}"))?;
                options.types.insert(column, kind);
            }
        }
        Ok(options)
    }

    /// Returns the same options as command-line arguments, for a child process.
    pub(crate) fn words(&self) -> Vec<String> {
        let one =
            |name: &str, value: &Option<String>| value.iter().map(|v| format!("--{name}={v}")).collect::<Vec<_>>();
        let all = |name: &str, values: &[String]| values.iter().map(|v| format!("--{name}={v}")).collect::<Vec<_>>();
        [
            one("sep", &self.sep),
            one("decimal", &self.decimal),
            one("encoding", &self.encoding),
            all("na", &self.na),
            all("types", &self.types),
        ]
        .concat()
    }
}

/// Splits a list of types at its commas; a comma may also be part of a column's name.
fn pieces(list: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut open = false;
    for piece in list.split(',') {
        match pieces.last_mut().filter(|_| open) {
            Some(last) => *last = format!("{last},{piece}"),
            None => pieces.push(piece.to_owned()),
        }
        open = !piece.contains('=');
    }
    pieces
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_separated_by_commas() {
        assert_eq!(pieces("school=text,age=number"), ["school=text", "age=number"]);
        assert_eq!(pieces("a,b=text,c=number"), ["a,b=text", "c=number"]);
        assert_eq!(pieces("a"), ["a"]);
    }

    #[test]
    fn words_parse_to_the_same_options() {
        let args = CsvArgs {
            sep: Some(";".into()),
            na: vec!["-99".into(), ".".into()],
            types: vec!["g=text".into()],
            ..CsvArgs::default()
        };
        assert_eq!(args.words(), ["--sep=;", "--na=-99", "--na=.", "--types=g=text"]);
        let options = args.options().unwrap();
        assert_eq!(options.na, ["-99", "."]);
        assert_eq!(options.types["g"], ColumnType::Text);
        assert!(CsvArgs { decimal: Some(";".into()), ..CsvArgs::default() }.options().is_err());
    }
}
