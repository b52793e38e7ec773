//! Opens text files as a table: reads their headers and infers the kinds of columns from the first rows.

use std::io;
use std::path::Path;

use tiers_csv::{ColumnKind, ColumnType, CsvError, CsvOptions, Rules, Tally, TextFile, Wanted};
use tiers_design::{Doubt, Field, Kind, Role};

use crate::error::TableError;
use crate::source::DataFile;

/// Most bytes examined to infer the kinds of columns, per file and in all files together.
const BYTES_OF_FILE: u64 = 32 << 20;
const BYTES_OF_ALL: u64 = 256 << 20;
/// Bytes examined in every file, even if there are many files.
const BYTES_AT_LEAST: u64 = 1 << 20;

/// Text files of one table.
#[derive(Debug)]
pub(crate) struct TextTable {
    pub(crate) options: CsvOptions,
    pub(crate) rules: Rules,
    /// The header of each file.
    pub(crate) headers: Vec<Header>,
    pub(crate) columns: Vec<TextColumn>,
}

/// The header of a file.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) names: Vec<String>,
    pub(crate) separator: u8,
}

/// A column of the table.
#[derive(Debug)]
pub(crate) struct TextColumn {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Whether the user stated its type.
    stated: bool,
    /// Number of a file that lacks the column, if any.
    pub(crate) absent: Option<usize>,
}

impl TextTable {
    /// Reads the header and the first rows of every file.
    pub(crate) fn open(files: &[DataFile], options: &CsvOptions) -> Result<TextTable, TableError> {
        let rules = Rules::new(options);
        let budget = (BYTES_OF_ALL / files.len().max(1) as u64).clamp(BYTES_AT_LEAST, BYTES_OF_FILE);
        let mut headers = Vec::with_capacity(files.len());
        let mut columns: Vec<(String, Tally, Vec<usize>)> = Vec::new();
        for (i, file) in files.iter().enumerate() {
            let of_file = |error| text_error(&file.path, error);
            let text = TextFile::open(&file.path, options).map_err(of_file)?;
            let header = Header { names: text.names().to_vec(), separator: text.separator() };
            let (tallies, _) = text.tally(&rules, budget).map_err(of_file)?;
            for (name, tally) in header.names.iter().zip(&tallies) {
                match columns.iter_mut().find(|(known, ..)| known == name) {
                    Some((_, all, holders)) => {
                        all.merge(tally, i);
                        holders.push(i);
                    }
                    None => {
                        let mut all = Tally::default();
                        all.merge(tally, i);
                        columns.push((name.clone(), all, vec![i]));
                    }
                }
            }
            headers.push(header);
        }
        let column = |(name, tally, holders): (String, Tally, Vec<usize>)| {
            let stated = options.types.get(&name).copied();
            let kind = kind(&name, &tally, stated, files);
            let absent = (0..files.len()).zip(holders.iter().copied().chain([usize::MAX])).find(|(i, h)| i != h);
            TextColumn { name, kind, stated: stated.is_some(), absent: absent.map(|(i, _)| i) }
        };
        let columns = columns.into_iter().map(column).collect();
        Ok(TextTable { options: options.clone(), rules, headers, columns })
    }

    /// Iterates over the columns as a model sees them.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        self.columns.iter().map(|column| Field::new(column.name.clone(), column.kind.clone()))
    }
}

impl TextColumn {
    /// Returns the form in which the column is parsed for a role, and whether the user stated its type.
    pub(crate) fn wanted(&self, role: Role) -> (Wanted, bool) {
        let form = match (&self.kind, role) {
            (Kind::Boolean, _) => Wanted::Booleans,
            (Kind::Text | Kind::Mixed(_), _) | (Kind::Digits, Role::Label | Role::Level) => Wanted::Text,
            (Kind::Date, _) => Wanted::Days,
            (Kind::DateTime, _) => Wanted::Microseconds,
            (_, Role::Number) | (Kind::Float, _) => Wanted::Numbers,
            _ if self.stated => Wanted::Integers,
            _ => Wanted::Ids,
        };
        (form, self.stated)
    }
}

/// Returns the kind of a column as a model sees it.
fn kind(name: &str, tally: &Tally, stated: Option<ColumnType>, files: &[DataFile]) -> Kind {
    match ColumnKind::of(tally, stated) {
        ColumnKind::Float | ColumnKind::Integer if tally.needs_text && stated.is_none() => Kind::Digits,
        ColumnKind::Float => Kind::Float,
        ColumnKind::Integer => Kind::Integer,
        ColumnKind::Boolean => Kind::Boolean,
        ColumnKind::Date => Kind::Date,
        ColumnKind::DateTime => Kind::DateTime,
        ColumnKind::Text => Kind::Text,
        ColumnKind::Mixed(mixed) => {
            let place = |odd: &tiers_csv::Odd| match files.len() {
                1 => format!("`{}` in row {}", odd.value, odd.row),
                _ => format!("`{}` in row {} of {}", odd.value, odd.row, files[odd.file].path.display()),
            };
            let odd = tally.odd().into_iter().map(place).collect::<Vec<_>>().join(", ");
            let values = tally.odd().iter().map(|odd| odd.value.replace(',', "\\,")).collect::<Vec<_>>().join(",");
            let remedy = match mixed.other_decimals {
                true => "if the comma separates the decimals, write --decimal ,".to_owned(),
                false => {
                    format!("if these stand for missing values, write --na '{values}' (in a job file na under [data])")
                }
            };
            let remedy = format!("{remedy}; if the column is meant as text, --types {name}=text");
            Kind::Mixed(Doubt { odd, remedy, like_ids: mixed.like_ids && !mixed.other_decimals })
        }
    }
}

/// Converts the error of a text file.
pub(crate) fn text_error(path: &Path, error: CsvError) -> TableError {
    match error {
        CsvError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            TableError::BadCsv { path: path.to_owned(), reason: error.to_string() }
        }
        CsvError::Io(error) => TableError::io(path, "reading", error),
        error => TableError::BadCsv { path: path.to_owned(), reason: error.to_string() },
    }
}
