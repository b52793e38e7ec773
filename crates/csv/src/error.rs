//! Errors of text files. Each message says where the error is, why it is one, and what to try.

use std::io;

/// A text file could not be read. The caller adds the path of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// The file system, the decompression or the decoding failed.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),

    /// The bytes are not valid text in the encoding.
    #[error("{place}: the text is not valid {encoding}; name its encoding, as in --encoding {remedy}")]
    Encoding {
        /// Where in the file, as far as known.
        place: String,
        /// The encoding that was assumed.
        encoding: String,
        /// An encoding to try.
        remedy: &'static str,
    },

    /// There is no header.
    #[error("there is no header: the file holds nothing but {what}")]
    NoHeader {
        /// What the file holds instead.
        what: &'static str,
    },

    /// Lines end in carriage returns alone.
    #[error(
        "the lines end in carriage returns without line feeds (classic Mac OS); save the file with other line ends"
    )]
    CarriageReturns,

    /// A row has more fields than the header.
    #[error(
        "line {line} has {fields} fields and the header {names}; put fields that hold the separator `{separator}` \
         (a decimal comma, say) in double quotes, or name another separator, as in --sep ';'"
    )]
    LongRow {
        /// Line of the file, from 1.
        line: u64,
        /// Number of fields in the line.
        fields: usize,
        /// Number of fields in the header.
        names: usize,
        /// The separator.
        separator: String,
    },

    /// Every row has one field more than the header, as in files written by R's `write.table`.
    #[error(
        "the rows have {fields} fields and the header {names} (line {line} is the first): the header lacks a name for \
         the row names, as R's write.table leaves it; put a name such as `row{separator}` before the first name of the \
         header, or write the file with row.names = FALSE"
    )]
    RowNames {
        /// Line of the first row.
        line: u64,
        /// Number of fields in the rows.
        fields: usize,
        /// Number of fields in the header.
        names: usize,
        /// The separator.
        separator: String,
    },

    /// A line is longer than [`MAX_RECORD`](crate::MAX_RECORD).
    #[error("line {line} is longer than {megabytes} MB, which no row of a table is; check that the file is text")]
    LongLine {
        /// Line of the file, from 1.
        line: u64,
        /// The limit.
        megabytes: usize,
    },

    /// A quoted field does not end.
    #[error(
        "line {line}: a double quote opens a field here and no other closes it; close it, or double it if it is part of the text"
    )]
    OpenQuote {
        /// Line of the opening quote, from 1.
        line: u64,
    },

    /// A value does not fit the type of its column.
    #[error("row {row} (line {line}), column `{column}`: `{value}` is not {wanted}, {because}; {remedy}")]
    BadValue {
        /// Row of this file, from 1, without the header.
        row: u64,
        /// Line of the file, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// What the value should be.
        wanted: &'static str,
        /// Why it should be that.
        because: &'static str,
        /// What to try.
        remedy: String,
    },
}
