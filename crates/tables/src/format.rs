//! The output formats for tables, and polars' writers for them.

use std::io::Write;
use std::path::Path;

use polars::io::csv::write::BatchedWriter as CsvBatches;
use polars::io::ipc::BatchedWriter as IpcBatches;
use polars::io::parquet::write::BatchedWriter as ParquetBatches;
use polars::prelude::{CompatLevel, CsvWriter, DataFrame, IpcWriter, ParquetWriter, PolarsResult, Schema, SerWriter};

/// An output format for tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated text with a header; nulls are empty fields.
    Csv,
    /// Tab-separated text, otherwise like [`Format::Csv`].
    Tsv,
    /// Arrow IPC, which is Feather version 2.
    Arrow,
}

impl Format {
    /// Returns the format that a file's extension implies: `.csv`, `.tsv`, `.arrow` (also `.ipc` and
    /// `.feather`), in upper or lower case; parquet otherwise.
    pub fn of(path: &Path) -> Format {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match ending.as_str() {
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "arrow" | "ipc" | "feather" => Format::Arrow,
            _ => Format::Parquet,
        }
    }
}

/// Writes a table in batches.
pub(crate) enum BatchWriter<W: Write> {
    /// Boxed, because it is much larger than the others.
    Parquet(Box<ParquetBatches<W>>),
    Csv(CsvBatches<W>),
    Arrow(IpcBatches<W>),
}

impl<W: Write> BatchWriter<W> {
    pub(crate) fn new(format: Format, to: W, schema: &Schema) -> PolarsResult<Self> {
        match format {
            Format::Csv => CsvWriter::new(to).batched(schema).map(BatchWriter::Csv),
            Format::Tsv => CsvWriter::new(to).with_separator(b'\t').batched(schema).map(BatchWriter::Csv),
            Format::Parquet => {
                ParquetWriter::new(to).batched(schema).map(|writer| BatchWriter::Parquet(Box::new(writer)))
            }
            Format::Arrow => {
                // Write text in the layout that every version of Arrow can read.
                let writer = IpcWriter::new(to).with_compat_level(CompatLevel::oldest());
                let fields = (0..schema.len()).map(|_| Default::default()).collect();
                writer.batched(schema, fields).map(BatchWriter::Arrow)
            }
        }
    }

    pub(crate) fn write(&mut self, batch: &DataFrame) -> PolarsResult<()> {
        match self {
            BatchWriter::Parquet(writer) => writer.write_batch(batch),
            BatchWriter::Csv(writer) => writer.write_batch(batch),
            BatchWriter::Arrow(writer) => writer.write_batch(batch),
        }
    }

    pub(crate) fn finish(&mut self) -> PolarsResult<()> {
        match self {
            BatchWriter::Parquet(writer) => writer.finish().map(drop),
            BatchWriter::Csv(writer) => writer.finish(),
            BatchWriter::Arrow(writer) => writer.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_extension() {
        let of = |name: &str| Format::of(Path::new(name));
        assert_eq!([of("p.csv"), of("p.CSV"), of("a.parquet/p.tsv")], [Format::Csv, Format::Csv, Format::Tsv]);
        assert_eq!([of("p.arrow"), of("p.feather"), of("p.ipc")], [Format::Arrow; 3]);
        assert_eq!([of("p.parquet"), of("p"), of("p.dat"), of(".csv")], [Format::Parquet; 4]);
    }
}
