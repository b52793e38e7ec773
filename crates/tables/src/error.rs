//! Errors of reading tables. Each message says where the error is, why, and what to try.

use std::io;
use std::path::{Path, PathBuf};

use polars::prelude::PolarsError;

/// A table could not be read.
///
/// `Display` gives a complete message for the user; the fields are for programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// No path was given.
    #[error("no data were named; give at least one file, folder or glob")]
    NothingNamed,

    /// There is no such file or folder.
    #[error("{}: no such file or folder{}", path.display(), did_you_mean(nearest.as_deref()))]
    NotFound {
        /// The path as given.
        path: PathBuf,
        /// A similar name in the same folder.
        nearest: Option<String>,
    },

    /// A glob matched nothing.
    #[error("{}: the pattern matches no file; check it, and quote it so that the shell leaves it alone", pattern.display())]
    NoMatch {
        /// The pattern as given.
        pattern: PathBuf,
    },

    /// A glob is not a valid pattern.
    #[error("{}: not a pattern that can be matched: {reason}", pattern.display())]
    BadPattern {
        /// The pattern as given.
        pattern: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A folder (or a glob of folders) holds no data files.
    #[error("{}: no data files in this folder or below it; files must end in .parquet, .csv, .tsv (also with .gz behind), .arrow, .feather or .ipc", path.display())]
    NoDataFiles {
        /// The folder.
        path: PathBuf,
    },

    /// The file is not of a format that can be read.
    #[error("{}: {what}; parquet (.parquet), csv (.csv, .tsv, .txt, also with .gz behind) and arrow ipc (.arrow, .feather, .ipc) can be read, so convert the file to parquet, or rename it if only its name is wrong", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        what: String,
    },

    /// A pipe, a socket or a device was named.
    #[error("{}: a pipe, a socket or a device, which cannot be read as a table; write the data to a file and name that", path.display())]
    NotRegular {
        /// The path as given.
        path: PathBuf,
    },

    /// The footer of a parquet file, which describes its row groups, would exceed the memory limit.
    #[error(
        "{}: not enough memory: the footer of the file, which describes its row groups, has {footer} bytes and takes \
         about {} MB when it is read; the limit is {} MB. Write the file with row groups of 100,000 rows or more, or \
         raise the limit",
        path.display(), needed.div_ceil(1_000_000), limit / 1_000_000
    )]
    LargeFooter {
        /// The file.
        path: PathBuf,
        /// Bytes of the footer.
        footer: u64,
        /// Bytes that the footer takes in memory.
        needed: u64,
        /// The memory limit in bytes.
        limit: u64,
    },

    /// Files of two formats were named together.
    #[error("{} and {} are of different formats; name files of one format only, for example by a glob such as '*.parquet'", first.display(), second.display())]
    MixedFormats {
        /// A file of one format.
        first: PathBuf,
        /// A file of another.
        second: PathBuf,
    },

    /// A file named as parquet or arrow is something else.
    #[error("{}: not {format}: the file {why}; check that it was written, downloaded and named correctly", path.display())]
    WrongFormat {
        /// The file.
        path: PathBuf,
        /// The format that its name implies.
        format: &'static str,
        /// How the file shows it.
        why: String,
    },

    /// A parquet or arrow file is truncated.
    #[error("{}: the file is cut off: {why}; copy or write it again", path.display())]
    CutOff {
        /// The file.
        path: PathBuf,
        /// What is missing.
        why: String,
    },

    /// The file is damaged or cannot be decoded.
    #[error("{}: the file is damaged or cannot be decoded: {reason}; write it again, or convert it with another program", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reader's message.
        reason: String,
    },

    /// A text file, or a line or a value in it, is not valid.
    #[error("{}: {reason}", path.display())]
    BadCsv {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and the remedy.
        reason: String,
    },

    /// The file system denies access.
    #[error("{}: permission denied; check the rights of the file and of the folders above it", path.display())]
    Denied {
        /// The file or folder.
        path: PathBuf,
    },

    /// Any other error of the file system.
    #[error("{}: {doing} failed: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operation that failed.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },

    /// The path is not valid UTF-8.
    #[error("{}: the name is not valid UTF-8; rename the file or folder", path.display())]
    BadName {
        /// The path.
        path: PathBuf,
    },

    /// The file has zero bytes.
    #[error("{}: the file is empty (0 bytes); write it again or leave it out", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },

    /// The files have columns but no rows.
    #[error("{}: no rows{}; nothing can be fitted", path.display(), and_others(*files))]
    NoRows {
        /// The first file.
        path: PathBuf,
        /// Number of files.
        files: usize,
    },

    /// Two files of one data set do not have the same columns.
    #[error("the files differ: column `{column}` {why} ({} against {}); name only files of one table, or write them again with the same columns", first.display(), second.display())]
    SchemaDiffers {
        /// The file that the others are compared with.
        first: PathBuf,
        /// The file that differs from it.
        second: PathBuf,
        /// The column.
        column: String,
        /// How it differs.
        why: String,
    },

    /// There is no such column.
    #[error("{}: no column `{column}`{}; the columns are {}", path.display(), did_you_mean(nearest.as_deref()), list(columns))]
    UnknownColumn {
        /// The (first) file.
        path: PathBuf,
        /// The requested name.
        column: String,
        /// The most similar name in the file.
        nearest: Option<String>,
        /// The names of all columns.
        columns: Vec<String>,
    },

    /// A column's values cannot be used in the requested role.
    #[error("{}: column `{column}` holds {found} and cannot be used as {wanted}; {remedy}", path.display())]
    WrongKind {
        /// The (first) file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it holds.
        found: String,
        /// The requested role.
        wanted: &'static str,
        /// What to try.
        remedy: &'static str,
    },

    /// A value cannot be a label.
    #[error(
        "column `{column}`, row {row}: {value} cannot be the label of a group: {why}; convert the column to integers or strings"
    )]
    BadLabel {
        /// The column.
        column: String,
        /// Row number over all files, counted from 1.
        row: u64,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },

    /// A file has changed since it was opened.
    #[error("{}: the file {why} while it was being read; run again when nothing writes to it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// How it has changed.
        why: &'static str,
    },

    /// The reader failed, and no single file is the cause.
    #[error("{}{}: reading failed: {reason}", path.display(), and_others(*files))]
    Reader {
        /// The first file.
        path: PathBuf,
        /// Number of files.
        files: usize,
        /// The reader's message.
        reason: String,
    },
}

impl TableError {
    /// Returns the error for a failure of the file system with `path` while `doing` something.
    pub(crate) fn io(path: &Path, doing: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => TableError::NotFound { nearest: crate::nearest::nearest_sibling(&path), path },
            io::ErrorKind::PermissionDenied => TableError::Denied { path },
            _ => TableError::Io { path, doing, source },
        }
    }
}

/// Returns polars' message on one line, without its hints for Python users.
pub(crate) fn words(error: &PolarsError) -> String {
    one_line(&error.to_string())
}

/// Returns the first non-empty line of a message, without final punctuation.
pub(crate) fn one_line(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
    line.trim_end_matches(['.', ':']).to_owned()
}

/// Returns the message of a panic.
pub(crate) fn panic_words(payload: &(dyn std::any::Any + Send)) -> String {
    let words = payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    one_line(&words)
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |name| format!(" (did you mean `{name}`?)"))
}

fn and_others(files: usize) -> String {
    match files {
        0 | 1 => String::new(),
        2 => " and 1 other file".to_owned(),
        n => format!(" and {} other files", n - 1),
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 30;
    let mut text = names.iter().take(SHOWN).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
