//! Tables of results as plain columns, and the traits that file formats implement.
//!
//! The crate `tables` implements them for parquet, by polars; `tiers` for csv, without polars.

use crate::error::OutputError;
use std::path::{Path, PathBuf};
use tiers_design::{PackedText, Source, SourceError};

/// A file format for tables of results.
pub trait TableFormat: Sync {
    /// Extension of the files, such as `parquet`.
    fn extension(&self) -> &'static str;

    /// Begins a file with these columns. It appears under its name only when it is finished.
    ///
    /// # Errors
    /// If two columns have the same name, or the file cannot be created.
    fn create(&self, path: &Path, fields: &[OutField]) -> Result<Box<dyn TableWriter>, OutputError>;

    /// Opens a table for reading. A format without types cannot distinguish the text `7` from the number:
    /// `texts` names the columns that hold texts.
    ///
    /// # Errors
    /// If the file does not exist or is not a table.
    fn open(&self, path: &Path, texts: &[String]) -> Result<Box<dyn TableReader>, SourceError>;
}

/// A table that is being written in parts. If it is dropped before it is finished, nothing is left of it.
pub trait TableWriter {
    /// Adds rows. The columns must be those of the file, in the same order, and of equal length.
    ///
    /// # Errors
    /// If they are not, or the disk fails.
    fn push(&mut self, columns: Vec<OutColumn>) -> Result<(), OutputError>;

    /// Writes the remaining rows and moves the file into place.
    ///
    /// # Errors
    /// If the disk fails; then there is no file.
    fn finish(self: Box<Self>) -> Result<(), OutputError>;
}

/// A table of results that was opened for reading.
pub trait TableReader: Source {
    /// Returns the number of rows, if the format states it.
    fn rows(&self) -> Option<u64>;

    /// Returns the files that are read: more than one if the path is a folder of files.
    fn files(&self) -> Vec<PathBuf>;
}

/// Writes a table that is in memory.
///
/// # Errors
/// If the columns differ in length or repeat a name, or the disk fails.
pub fn write_table(format: &dyn TableFormat, path: &Path, columns: Vec<OutColumn>) -> Result<(), OutputError> {
    let fields: Vec<OutField> = columns.iter().map(OutColumn::field).collect();
    let mut writer = format.create(path, &fields)?;
    writer.push(columns)?;
    writer.finish()
}

/// Checks that no two columns of a file have the same name.
///
/// # Errors
/// If two have.
pub fn check_fields(path: &Path, fields: &[OutField]) -> Result<(), OutputError> {
    let repeated = |(i, field): (usize, &OutField)| fields[..i].iter().any(|other| other.name == field.name);
    match fields.iter().enumerate().find(|&at| repeated(at)) {
        Some((_, field)) => Err(OutputError::unusable(path, format!("two columns are named `{}`", field.name))),
        None => Ok(()),
    }
}

/// Checks that columns are those of a file, in the same order, and of equal length; returns their number
/// of rows.
///
/// # Errors
/// If they are not.
pub fn check_columns(path: &Path, fields: &[OutField], columns: &[OutColumn]) -> Result<usize, OutputError> {
    let is_field =
        |(column, field): (&OutColumn, &OutField)| column.name == field.name && column.values.kind() == field.kind;
    if columns.len() != fields.len() || !columns.iter().zip(fields).all(is_field) {
        return Err(OutputError::unusable(path, "the columns are not those that the file began with"));
    }
    let rows = columns.first().map_or(0, |column| column.values.len());
    for column in columns {
        let flags = column.missing.as_ref().map_or(rows, Vec::len);
        if column.values.len() != rows || flags != rows {
            let reason = format!("column `{}` does not have the {rows} rows of the first", column.name);
            return Err(OutputError::unusable(path, reason));
        }
    }
    Ok(rows)
}

/// Returns the name, or the first of `name_2`, `name_3`, … that is not taken.
pub fn own_name<S: AsRef<str>>(name: &str, taken: &[S]) -> String {
    let is_free = |name: &String| taken.iter().all(|other| other.as_ref() != name);
    let further = (2..).map(|n| format!("{name}_{n}"));
    std::iter::once(name.to_owned()).chain(further).find(is_free).expect("a name that is free")
}

/// Values of one column to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum OutValues {
    /// Floating-point numbers. NaN is written as NaN, not as a missing value.
    F64(Vec<f64>),
    /// Signed integers.
    I64(Vec<i64>),
    /// Unsigned integers.
    U32(Vec<u32>),
    /// Strings.
    Text(PackedText),
    /// Booleans.
    Bool(Vec<bool>),
}

/// The type of a column to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutKind {
    /// Type of [`OutValues::F64`].
    F64,
    /// Type of [`OutValues::I64`].
    I64,
    /// Type of [`OutValues::U32`].
    U32,
    /// Type of [`OutValues::Text`].
    Text,
    /// Type of [`OutValues::Bool`].
    Bool,
}

/// One column to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct OutColumn {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: OutValues,
    /// Which rows are missing and written as null, whatever their value; `None` means that no row is
    /// missing.
    pub missing: Option<Vec<bool>>,
}

/// Name and kind of one column of a file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutField {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: OutKind,
}

impl OutValues {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            OutValues::F64(v) => v.len(),
            OutValues::I64(v) => v.len(),
            OutValues::U32(v) => v.len(),
            OutValues::Text(v) => v.len(),
            OutValues::Bool(v) => v.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the values.
    pub fn kind(&self) -> OutKind {
        match self {
            OutValues::F64(_) => OutKind::F64,
            OutValues::I64(_) => OutKind::I64,
            OutValues::U32(_) => OutKind::U32,
            OutValues::Text(_) => OutKind::Text,
            OutValues::Bool(_) => OutKind::Bool,
        }
    }
}

impl OutColumn {
    /// Returns a column without missing values.
    pub fn new(name: impl Into<String>, values: OutValues) -> Self {
        OutColumn { name: name.into(), values, missing: None }
    }

    /// Returns the name and kind of the column.
    pub fn field(&self) -> OutField {
        OutField { name: self.name.clone(), kind: self.values.kind() }
    }
}
