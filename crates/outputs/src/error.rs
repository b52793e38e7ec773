//! Errors of writing. Each message says where the error is, why, and what to try.

use std::io;
use std::path::{Path, PathBuf};

/// A file, a table or a folder of results cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The path cannot be a file of results, or the columns of a table do not match.
    #[error("{}: cannot be written: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why it cannot be written.
        reason: String,
    },

    /// The file system denies access.
    #[error("{}: permission denied; check the rights of the file and of the folders above it", path.display())]
    Denied {
        /// The file or folder.
        path: PathBuf,
    },

    /// The disk or the writer failed.
    #[error("{}: writing failed: {source}; check the free space and the rights of the folder", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// A folder cannot receive results, with the place, the reason and the remedy.
    #[error("{0}")]
    Folder(String),
}

impl OutputError {
    /// Returns the error for a failure of the file system while writing `path`.
    pub fn writing(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => OutputError::Denied { path },
            _ => OutputError::Write { path, source },
        }
    }

    /// Returns the error for a path or columns that cannot be written.
    pub fn unusable(path: &Path, reason: impl Into<String>) -> Self {
        OutputError::Unusable { path: path.to_owned(), reason: reason.into() }
    }
}

/// The error of a folder that cannot receive results, from a format string.
macro_rules! refused {
    ($($words:tt)*) => { $crate::error::OutputError::Folder(format!($($words)*)) };
}
pub(crate) use refused;
