//! Writes tables of results as parquet, csv or arrow.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Float64Chunked, Int64Chunked, IntoColumn, IntoSeries, NamedFrom,
    NewChunkedArray, PolarsError, Schema, Series, StringChunked, UInt32Chunked,
};
use tiers_csv::{ColumnType, CsvOptions};
use tiers_design::SourceError;
use tiers_outputs::{
    Aside, OutColumn, OutField, OutKind, OutValues, OutputError, TableFormat, TableReader, TableWriter, check_columns,
    check_fields,
};

use crate::error::words;
use crate::format::{BatchWriter, Format};
use crate::source::Source;

/// Rows of a row group: large enough to compress well, small enough to hold a few in memory.
const ROW_GROUP_ROWS: usize = 1 << 18;

fn into_polars(column: OutColumn) -> Column {
    let name = column.name.as_str().into();
    if let Some(missing) = &column.missing {
        return with_nulls(&column, missing).with_name(name).into_column();
    }
    match column.values {
        OutValues::F64(v) => Float64Chunked::from_vec(name, v).into_series(),
        OutValues::I64(v) => Int64Chunked::from_vec(name, v).into_series(),
        OutValues::U32(v) => UInt32Chunked::from_vec(name, v).into_series(),
        OutValues::Text(v) => StringChunked::from_iter_values(name, v.iter()).into_series(),
        OutValues::Bool(v) => Series::new(name, v),
    }
    .into_column()
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
pub fn write_parquet(path: &Path, columns: Vec<OutColumn>) -> Result<(), OutputError> {
    let fields: Vec<OutField> = columns.iter().map(OutColumn::field).collect();
    let mut sink = TableSink::parquet(path, &fields)?;
    sink.push(columns)?;
    sink.finish()
}

/// Parquet as the format of tables of results. Opens text files, too, as the library without polars
/// writes them.
#[derive(Clone, Copy, Debug)]
pub struct Parquet;

impl TableFormat for Parquet {
    fn extension(&self) -> &'static str {
        "parquet"
    }

    fn create(&self, path: &Path, fields: &[OutField]) -> Result<Box<dyn TableWriter>, OutputError> {
        Ok(Box::new(TableSink::parquet(path, fields)?))
    }

    fn open(&self, path: &Path, texts: &[String]) -> Result<Box<dyn TableReader>, SourceError> {
        let types = texts.iter().map(|name| (name.clone(), ColumnType::Text)).collect();
        Ok(Box::new(Source::open_with(&[path.to_owned()], &CsvOptions { types, ..CsvOptions::default() })?))
    }
}

impl TableReader for Source {
    fn rows(&self) -> Option<u64> {
        self.rows()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files().iter().map(|file| file.path.clone()).collect()
    }
}

impl TableWriter for TableSink {
    fn push(&mut self, columns: Vec<OutColumn>) -> Result<(), OutputError> {
        self.push(columns)
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        TableSink::finish(*self)
    }
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
    pub fn parquet(path: &Path, fields: &[OutField]) -> Result<TableSink, OutputError> {
        TableSink::create(path, fields, Format::Parquet)
    }

    /// Begins a file of the given format with these columns.
    ///
    /// # Errors
    /// If two columns have the same name, or the file cannot be created.
    pub fn create(path: &Path, fields: &[OutField], format: Format) -> Result<TableSink, OutputError> {
        check_fields(path, fields)?;
        let schema = fields.iter().map(|field| (field.name.as_str().into(), dtype(field.kind))).collect::<Schema>();
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
    pub fn push(&mut self, columns: Vec<OutColumn>) -> Result<(), OutputError> {
        let rows = check_columns(self.aside.target(), &self.fields, &columns)?;
        let columns = columns.into_iter().map(into_polars).collect();
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
    pub fn finish(mut self) -> Result<(), OutputError> {
        let rest = std::mem::replace(&mut self.waiting, DataFrame::empty_with_schema(&self.schema));
        if rest.height() > 0 {
            self.write(rest)?;
        }
        let path = self.aside.target();
        self.writer.finish().map_err(|e| self.failed(&e))?;
        self.out.clone().flush().map_err(|e| OutputError::writing(path, e))?;
        self.aside.commit()
    }

    fn write(&mut self, mut group: DataFrame) -> Result<(), OutputError> {
        // Join the chunks of each column, because the writer makes a row group of every chunk.
        group.rechunk_mut();
        self.writer.write(&group).map_err(|e| self.failed(&e))
    }

    /// Returns why the writer failed. If writing to the file failed, this is the error of the system, of
    /// which polars passes on only the message.
    fn failed(&self, error: &PolarsError) -> OutputError {
        let path = self.aside.target();
        let failure = self.out.0.lock().unwrap_or_else(PoisonError::into_inner).failure.take();
        failure.map_or_else(|| polars_error(path, error), |failure| OutputError::writing(path, failure))
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

fn polars_error(path: &Path, error: &PolarsError) -> OutputError {
    match error {
        PolarsError::IO { error, .. } => OutputError::writing(path, io::Error::new(error.kind(), error.to_string())),
        other => OutputError::unusable(path, words(other)),
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
