//! Writes tables of results as parquet, csv or arrow.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Float64Chunked, Int64Chunked, IntoColumn, IntoSeries, NamedFrom,
    NewChunkedArray, PolarsError, Schema, Series, StringChunked, UInt32Chunked,
};
use tiers_design::PackedText;

use crate::aside::Aside;
use crate::error::{TableError, words};
use crate::format::{BatchWriter, Format};

/// Rows of a row group: large enough to compress well, small enough to hold a few in memory.
const ROW_GROUP_ROWS: usize = 1 << 18;

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

    fn into_polars(self) -> Column {
        let name = self.name.as_str().into();
        if let Some(missing) = &self.missing {
            return with_nulls(&self, missing).with_name(name).into_column();
        }
        match self.values {
            OutValues::F64(v) => Float64Chunked::from_vec(name, v).into_series(),
            OutValues::I64(v) => Int64Chunked::from_vec(name, v).into_series(),
            OutValues::U32(v) => UInt32Chunked::from_vec(name, v).into_series(),
            OutValues::Text(v) => StringChunked::from_iter_values(name, v.iter()).into_series(),
            OutValues::Bool(v) => Series::new(name, v),
        }
        .into_column()
    }
}

/// Returns the series of a column with nulls.
fn with_nulls(column: &OutColumn, missing: &[bool]) -> Series {
    fn kept<'a, T: Copy>(v: &'a [T], missing: &'a [bool]) -> impl Iterator<Item = Option<T>> + 'a {
        v.iter().zip(missing).map(|(&v, &gone)| (!gone).then_some(v))
    }
    match &column.values {
        OutValues::F64(v) => kept(v, missing).collect::<Float64Chunked>().into_series(),
        OutValues::I64(v) => kept(v, missing).collect::<Int64Chunked>().into_series(),
        OutValues::U32(v) => kept(v, missing).collect::<UInt32Chunked>().into_series(),
        OutValues::Bool(v) => kept(v, missing).collect::<BooleanChunked>().into_series(),
        OutValues::Text(v) => {
            v.iter().zip(missing).map(|(v, &gone)| (!gone).then_some(v)).collect::<StringChunked>().into_series()
        }
    }
}

/// Writes a table to a parquet file, which appears under its name only when it is complete.
///
/// # Errors
/// If the columns differ in length or repeat a name, or the disk fails.
pub fn write_parquet(path: &Path, columns: Vec<OutColumn>) -> Result<(), TableError> {
    let fields: Vec<OutField> = columns.iter().map(OutColumn::field).collect();
    let mut sink = TableSink::parquet(path, &fields)?;
    sink.push(columns)?;
    sink.finish()
}

/// Writes a table in parts, for tables that do not fit in memory.
///
/// The file appears under its name only when it is finished. If the sink is dropped before, nothing is
/// left of it.
pub struct TableSink {
    fields: Vec<OutField>,
    schema: Schema,
    writer: BatchWriter<Shared>,
    out: Shared,
    aside: Aside,
    /// Rows that do not yet fill a row group.
    waiting: DataFrame,
    rows: u64,
}

impl TableSink {
    /// Begins a parquet file with these columns.
    ///
    /// # Errors
    /// If two columns have the same name, or the file cannot be created.
    pub fn parquet(path: &Path, fields: &[OutField]) -> Result<TableSink, TableError> {
        TableSink::create(path, fields, Format::Parquet)
    }

    /// Begins a file of the given format with these columns.
    ///
    /// # Errors
    /// If two columns have the same name, or the file cannot be created.
    pub fn create(path: &Path, fields: &[OutField], format: Format) -> Result<TableSink, TableError> {
        let mut schema = Schema::default();
        for field in fields {
            if schema.insert(field.name.as_str().into(), dtype(field.kind)).is_some() {
                return Err(bad_output(path, format!("two columns are named `{}`", field.name)));
            }
        }
        let aside = Aside::create(path)?;
        let file = BufWriter::new(aside.handle()?);
        let out = Shared(Arc::new(Mutex::new(Output { file, failure: None })));
        let writer = BatchWriter::new(format, out.clone(), &schema).map_err(|e| polars_error(path, &e))?;
        Ok(TableSink {
            waiting: DataFrame::empty_with_schema(&schema),
            fields: fields.to_vec(),
            schema,
            writer,
            out,
            aside,
            rows: 0,
        })
    }

    /// Adds rows. The columns must be those of the file, in the same order, and of equal length.
    ///
    /// # Errors
    /// If they are not, or the disk fails.
    pub fn push(&mut self, columns: Vec<OutColumn>) -> Result<(), TableError> {
        let rows = self.check(&columns)?;
        let columns = columns.into_iter().map(OutColumn::into_polars).collect();
        let path = self.aside.target();
        let batch = DataFrame::new(rows, columns).map_err(|e| polars_error(path, &e))?;
        self.waiting.vstack_mut_owned(batch).map_err(|e| polars_error(path, &e))?;
        self.rows += rows as u64;
        while self.waiting.height() >= ROW_GROUP_ROWS {
            let (group, rest) = self.waiting.split_at(ROW_GROUP_ROWS as i64);
            self.waiting = rest;
            self.write(group)?;
        }
        Ok(())
    }

    /// Number of rows added so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the remaining rows and moves the file into place.
    ///
    /// # Errors
    /// If the disk fails; then there is no file.
    pub fn finish(mut self) -> Result<(), TableError> {
        let rest = std::mem::replace(&mut self.waiting, DataFrame::empty_with_schema(&self.schema));
        if rest.height() > 0 {
            self.write(rest)?;
        }
        let path = self.aside.target();
        self.writer.finish().map_err(|e| self.failed(&e))?;
        self.out.clone().flush().map_err(|e| TableError::writing(path, e))?;
        self.aside.commit()
    }

    fn check(&self, columns: &[OutColumn]) -> Result<usize, TableError> {
        let path = self.aside.target();
        let same = columns.len() == self.fields.len() && columns.iter().zip(&self.fields).all(|(c, f)| c.field() == *f);
        if !same {
            return Err(bad_output(path, "the columns are not those that the file began with".to_owned()));
        }
        let rows = columns.first().map_or(0, |c| c.values.len());
        for column in columns {
            let flags = column.missing.as_ref().map_or(rows, Vec::len);
            if column.values.len() != rows || flags != rows {
                let reason = format!("column `{}` does not have the {rows} rows of the first", column.name);
                return Err(bad_output(path, reason));
            }
        }
        Ok(rows)
    }

    fn write(&mut self, mut group: DataFrame) -> Result<(), TableError> {
        // Join the chunks of each column, because the writer makes a row group of every chunk.
        group.rechunk_mut();
        self.writer.write(&group).map_err(|e| self.failed(&e))
    }

    /// Returns why the writer failed. If writing to the file failed, this is the error of the system, of
    /// which polars passes on only the message.
    fn failed(&self, error: &PolarsError) -> TableError {
        let path = self.aside.target();
        let failure = self.out.0.lock().unwrap_or_else(PoisonError::into_inner).failure.take();
        failure.map_or_else(|| polars_error(path, error), |failure| TableError::writing(path, failure))
    }
}

fn dtype(kind: OutKind) -> DataType {
    match kind {
        OutKind::F64 => DataType::Float64,
        OutKind::I64 => DataType::Int64,
        OutKind::U32 => DataType::UInt32,
        OutKind::Text => DataType::String,
        OutKind::Bool => DataType::Boolean,
    }
}

fn bad_output(path: &Path, reason: String) -> TableError {
    TableError::BadOutput { path: path.to_owned(), reason }
}

fn polars_error(path: &Path, error: &PolarsError) -> TableError {
    match error {
        PolarsError::IO { error, .. } => TableError::writing(path, io::Error::new(error.kind(), error.to_string())),
        other => bad_output(path, words(other)),
    }
}

/// A buffered file, shared between the writer, which does not give it back, and the sink, which flushes it.
#[derive(Clone)]
struct Shared(Arc<Mutex<Output>>);

struct Output {
    file: BufWriter<File>,
    /// The first error of the system while writing.
    failure: Option<io::Error>,
}

impl Shared {
    fn attempt<T>(&self, act: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>) -> io::Result<T> {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut output.file).inspect_err(|error| {
            let kept = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            output.failure.get_or_insert(kept);
        })
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(BufWriter::flush)
    }
}
