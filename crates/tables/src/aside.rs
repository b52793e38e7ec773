//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::TableError;

/// A file that is written beside its place, under a hidden temporary name, and renamed into it at
/// the end. Removed if dropped before.
#[derive(Debug)]
pub(crate) struct Aside {
    target: PathBuf,
    temporary: PathBuf,
    file: File,
    done: bool,
}

impl Aside {
    /// Creates the temporary file.
    pub(crate) fn create(target: &Path) -> Result<Aside, TableError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Some(name) = target.file_name() else {
            return Err(TableError::BadOutput {
                path: target.to_owned(),
                reason: "the path does not end in the name of a file".to_owned(),
            });
        };
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let hidden = format!(".{}.{}-{count}.tmp", name.to_string_lossy(), process::id());
            let temporary = target.with_file_name(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    return Ok(Aside { target: target.to_owned(), temporary, file, done: false });
                }
                // Left behind by a process of the same number that was killed.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(TableError::writing(target, e)),
            }
        }
    }

    /// Where the file will be.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A handle to write with.
    pub(crate) fn handle(&self) -> Result<File, TableError> {
        self.file.try_clone().map_err(|e| TableError::writing(&self.target, e))
    }

    /// Puts the file into its place, replacing what was there.
    pub(crate) fn commit(mut self) -> Result<(), TableError> {
        self.put_in_place().map_err(|e| TableError::writing(&self.target, e))
    }

    fn put_in_place(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.done = true;
        // The name, too, must survive a loss of power; not every file system can promise it.
        let folder = match self.target.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        if let Ok(folder) = File::open(folder) {
            folder.sync_all().ok();
        }
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.done {
            fs::remove_file(&self.temporary).ok();
        }
    }
}
