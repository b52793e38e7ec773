//! Reads parquet, csv and arrow files as blocks of plain columns, and writes tables of results.
//!
//! This is the only crate that depends on polars. Its public interface uses the plain types of
//! `tiers_design` and exposes none of polars. `tiers_csv` reads the text files.
//!
//! ```text
//! Source::open   paths, folders, globs → files, their common columns, hive partitions  (paths, schema, hive, source)
//! Source::scan   reads with polars' streaming engine in bounded memory                  (query, ranges, reader, scan)
//! TextReader     chunks of text files, cut in order and parsed in parallel              (text, text_reader)
//! Scan           batches re-cut to blocks of exactly BLOCK_ROWS rows, without copies    (scan)
//! RawBlock       one block, to be decoded to plain columns on any thread                (decode, labels, intern)
//! TableSink      results, written to a temporary file and renamed when complete         (write, format)
//! ```
//!
//! The blocks of a scan do not depend on the number of threads: the batches of polars do, so they are
//! re-cut by global row number before any sums are computed from them.

#![forbid(unsafe_code)]

mod cost;
mod decode;
mod error;
mod format;
mod hive;
mod intern;
mod labels;
mod nearest;
mod order;
mod paths;
mod pattern;
mod plan;
mod query;
mod ranges;
mod reader;
mod rows;
mod scan;
mod schema;
mod source;
mod temporal;
mod text;
mod text_reader;
mod threads;
mod write;

pub use cost::check_footers;
pub use error::TableError;
pub use format::Format;
pub use scan::{RawBlock, Scan};
pub use source::{DataFile, Source};
pub use threads::{THREADS_VARIABLE, threads};
pub use tiers_csv::{ColumnType, CsvOptions, Decimal, Encoding, Separator};
pub use write::{Parquet, TableSink, write_parquet};
