//! Delimited text (csv, tsv and their relatives) as columns of numbers and strings.
//!
//! ```text
//! CsvOptions   how the files are written: separator, decimal mark, encoding, missing values, types  (options)
//! TextFile     an open file: decompressed and decoded, header read, separator found         (stream, table)
//! Chunk        about a megabyte of whole records, cut in file order                                 (cutter)
//! Tally        counts of what a column's values look like; the column's kind follows from them       (tally)
//! Chunk::parse the requested columns of a chunk, on any thread                              (parse, fields)
//! ```
//!
//! Cutting is sequential and cheap: it only looks for line ends and quotes. Parsing is the expensive
//! part, and chunks can be parsed in parallel. Memory is bounded by the chunks, and time is linear in
//! the number of bytes, also for long lines; a record longer than [`MAX_RECORD`] is an error.
//!
//! The crate depends on no data-frame library, so it can be tested and fuzzed by itself.

#![forbid(unsafe_code)]

mod cutter;
mod dates;
mod error;
mod fields;
mod kind;
mod options;
mod parse;
mod stream;
mod table;
mod tally;
mod value;

pub use cutter::{CHUNK_BYTES, Chunk, MAX_RECORD};
pub use error::CsvError;
pub use kind::{ColumnKind, Mixed};
pub use options::{ColumnType, CsvOptions, Decimal, Encoding, Separator};
pub use parse::{TextColumn, Values, Wanted, WantedColumn};
pub use table::{TextFile, default_separator};
pub use tally::{Odd, Tally};
pub use value::{Rules, needs_text};
