//! Results while they are written, until they are put in place.

use crate::error::{OutputError, refused};
use crate::folder::{End, Folder};
use crate::paths::cannot;
use crate::place;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Results being written; removed if dropped before they are put in place.
#[derive(Debug)]
pub struct Staged<'a> {
    folder: &'a Folder,
    path: PathBuf,
    /// Parent folders that were created for it, innermost first.
    new: Vec<PathBuf>,
    done: bool,
    /// The staging folder, locked for the lifetime of this value.
    _lock: Option<File>,
}

impl<'a> Staged<'a> {
    /// Creates the staging folder.
    ///
    /// # Errors
    /// If the system cannot create it.
    pub fn new(folder: &'a Folder) -> Result<Staged<'a>, OutputError> {
        let path = folder.staging();
        let new = path.ancestors().skip(1).take_while(|above| !above.exists()).map(Path::to_owned).collect();
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::create_dir(&path));
        made.map_err(|error| folder.cannot(&error))?;
        // The lock shows other processes that this one is alive; without it they check its number.
        let lock = File::open(&path).ok().filter(|folder| folder.try_lock().is_ok());
        Ok(Staged { folder, path, new, done: false, _lock: lock })
    }

    /// Writes a text file.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn write(&self, name: &str, text: &str) -> Result<(), OutputError> {
        let write = || {
            let mut file = File::create(self.path.join(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error: io::Error| self.failed(name, &error))
    }

    /// Creates a subfolder.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn folder(&self, name: &str) -> Result<(), OutputError> {
        fs::create_dir(self.path(name)).map_err(|error| self.failed(name, &error))
    }

    /// Returns the path to write a file or folder of this name to.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Converts an error of writing a file in the staging folder, with its path in the folder that the
    /// user named.
    pub fn renamed(&self, error: OutputError) -> OutputError {
        match error {
            OutputError::Write { path, source } => {
                self.failed(&path.strip_prefix(&self.path).unwrap_or(&path).to_string_lossy(), &source)
            }
            other => other,
        }
    }

    /// Puts everything in place. Files that others put into the folder since the start are kept.
    ///
    /// # Errors
    /// If the disk fails, or files with our names that tiers did not write appeared in the folder.
    pub fn put_in_place(mut self) -> Result<(), OutputError> {
        let Folder { target, contents, .. } = self.folder;
        contents.folder.iter().for_each(|folder| place::sync(&self.path.join(folder)));
        place::sync(&self.path);
        // A folder that had to stay at the start contains the staging folder.
        let end = match self.folder.end {
            End::OneByOne => End::OneByOne,
            End::Rename | End::Replace => self.folder.how_to_end()?,
        };
        let moved = match end {
            End::Rename => fs::rename(&self.path, target),
            End::Replace => place::replace(&self.path, target, contents),
            End::OneByOne => {
                self.folder.keep_others()?;
                place::one_by_one(&self.path, target, contents)
            }
        };
        moved.map_err(|error| self.failed("", &error))?;
        target.parent().into_iter().for_each(place::sync);
        self.done = true;
        Ok(())
    }

    /// Returns the error for a file that could not be written.
    pub fn failed(&self, name: &str, error: &io::Error) -> OutputError {
        refused!("{}: {}", self.folder.named.join(name).display(), cannot(self.folder.contents.called, error))
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // After a failed exchange this holds the former results, where others may have put files.
        if self.folder.contents.strangers(&self.path).is_ok_and(|strangers| strangers.is_empty()) {
            fs::remove_dir_all(&self.path).ok();
        }
        // Only empty folders are removed.
        self.new.iter().all(|above| fs::remove_dir(above).is_ok());
    }
}
