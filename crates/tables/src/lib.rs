//! Tables in and out: parquet, csv and arrow files as blocks of plain columns, results as parquet.
//!
//! This is the only crate that knows polars. Text files are read by `tiers_csv`. What goes in and comes out are the plain types of
//! `tiers_design`; nothing of polars shows.
//!
//! ```text
//! Source::open   paths, folders, globs → files, their common columns, hive partitions   (paths, schema, hive, source)
//! Source::scan   polars' streaming engine on a thread of its own, in bounded memory      (query, scan)
//! TextReader     chunks of text files, cut in order and parsed side by side             (text, text_reader)
//! Scan           its batches re-cut to blocks of exactly BLOCK_ROWS rows, without copies  (scan)
//! RawBlock       decoded to plain columns by whichever thread likes to                    (decode, labels, intern)
//! TableSink      results, written aside and renamed when whole                            (write, format, aside)
//! ```
//!
//! The blocks of a scan are the same for any number of threads: polars cuts its batches by the
//! number of threads, so they are re-cut by global row number before anyone sums over them.

#![forbid(unsafe_code)]

mod aside;
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

pub use aside::{Aside, destination, is_abandoned, write_file};
pub use cost::check_footers;
pub use error::TableError;
pub use format::Format;
pub use scan::{RawBlock, Scan};
pub use source::{DataFile, Source};
pub use threads::{THREADS_VARIABLE, threads};
pub use tiers_csv::{ColumnType, CsvOptions, Decimal, Encoding, Separator};
pub use write::{OutColumn, OutField, OutKind, OutValues, TableSink, write_parquet};
