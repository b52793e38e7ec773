//! Delimited text (csv, tsv and their relatives) as columns of numbers and strings.
//!
//! ```text
//! CsvOptions   what the user says of the files: separator, decimal mark, encoding, missing values, types  (options)
//! TextFile     a file opened: decompressed and decoded, header read, separator found               (stream, table)
//! Chunk        about a megabyte of whole records, cut in file order                                       (cutter)
//! Tally        what the values of a column look like, from which its kind follows                         (tally)
//! Chunk::parse the wanted columns of a chunk, by whichever thread has time                        (parse, fields)
//! ```
//!
//! Cutting is sequential and cheap (it looks for line ends and quotes only); parsing is the work, and
//! chunks can be parsed in parallel. Memory is bounded by chunks, and time is linear in the bytes,
//! however long a line is: a line beyond [`MAX_RECORD`] is an error.
//!
//! The crate knows no data-frame library, so it can be tested and fuzzed by itself.

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
