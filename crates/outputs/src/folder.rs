//! A folder that is to receive results: what is there, and how it may be replaced.

use crate::contents::{Contents, Use, hidden_name};
use crate::error::{OutputError, refused};
use crate::leftovers::tidy;
use crate::paths::{cannot, check_is_folder, inside, is_renamable, resolve};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A folder that is to receive results.
#[derive(Debug)]
pub struct Folder {
    /// Name of the folder in messages: the option that named it and the path.
    called: String,
    /// The path as the user named it.
    pub(crate) named: PathBuf,
    /// Absolute path of the folder, which may not exist yet.
    pub(crate) target: PathBuf,
    /// The data files that are read.
    read: Vec<PathBuf>,
    pub(crate) contents: &'static Contents,
    pub(crate) end: End,
}

/// How results are put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The folder does not exist yet.
    Rename,
    /// It exists and may be replaced.
    Replace,
    /// It exists and stays.
    OneByOne,
}

impl Folder {
    /// Checks that files of a kind can be written to a folder, and cleans up what killed runs left there.
    /// Leaves nothing behind.
    ///
    /// `named` is the path, `option` what named it in messages (such as `--out`, or nothing), `read` the
    /// data files that are read, which are kept.
    ///
    /// # Errors
    /// If the folder cannot be written, would replace data that are read, or holds files with our names
    /// that tiers did not write.
    pub fn open(
        option: &str,
        named: &Path,
        read: &[PathBuf],
        contents: &'static Contents,
    ) -> Result<Folder, OutputError> {
        let called = format!("{option} {}", named.display()).trim_start().to_owned();
        let called = &called[..];
        let target = resolve(named).map_err(|error| refused!("{called}: {}", cannot(contents.called, &error)))?;
        let mut folder = Folder {
            called: called.to_owned(),
            named: named.to_owned(),
            target,
            read: read.to_vec(),
            contents,
            end: End::Rename,
        };
        check_is_folder(called, &folder.target)?;
        tidy(&folder.target, contents).map_err(|error| folder.cannot(&error))?;
        folder.end = folder.how_to_end()?;
        folder.probe().map_err(|error| folder.cannot(&error))?;
        Ok(folder)
    }

    /// Checks that the folder holds nothing else, as one of moments must not.
    ///
    /// # Errors
    /// If it does, or it has no name of its own.
    pub fn alone(self) -> Result<Folder, OutputError> {
        let (called, what) = (&self.called, self.contents.called);
        if self.target.file_name().is_none() {
            return Err(refused!("{called}: name a folder of its own for the {what}"));
        }
        if self.target.exists() {
            let strangers = self.contents.strangers(&self.target).map_err(|error| self.cannot(&error))?;
            if let Some(name) = strangers.first() {
                let name = self.named.join(name);
                return Err(refused!(
                    "{called}: it holds {}, which is not a file of {what}; name another folder",
                    name.display()
                ));
            }
        }
        Ok(self)
    }

    /// Returns how results would be put in place now.
    pub(crate) fn how_to_end(&self) -> Result<End, OutputError> {
        check_is_folder(&self.called, &self.target)?;
        if !self.target.exists() {
            return Ok(End::Rename);
        }
        self.keep_data()?;
        self.keep_others()?;
        match self.stays() {
            Ok(true) => Ok(End::OneByOne),
            Ok(false) => Ok(End::Replace),
            Err(error) => Err(self.cannot(&error)),
        }
    }

    /// Returns an error if results would replace the data that are read.
    fn keep_data(&self) -> Result<(), OutputError> {
        match inside(&self.target, &self.read).find(|path| self.contents.has(path)) {
            None => Ok(()),
            Some(path) => Err(refused!(
                "{}: the {} would replace {}, which is read as data; name another folder",
                self.called,
                self.contents.called,
                self.named.join(path).display()
            )),
        }
    }

    /// Returns an error if results would replace files that have our names but are not ours.
    pub(crate) fn keep_others(&self) -> Result<(), OutputError> {
        match self.contents.standing(&self.target) {
            Some(name) if !self.contents.is_complete(&self.target) => Err(refused!(
                "{}: {} exists, but no {} that marks it as a result of tiers, so it is not replaced; \
                name another folder, or remove the file",
                self.called,
                self.named.join(name).display(),
                self.contents.last()
            )),
            _ => Ok(()),
        }
    }

    /// Whether the folder has to stay, so that files are moved into it.
    fn stays(&self) -> io::Result<bool> {
        let current = std::env::current_dir().and_then(fs::canonicalize);
        Ok(current.is_ok_and(|current| current.starts_with(&self.target))
            || inside(&self.target, &self.read).next().is_some()
            || !self.contents.strangers(&self.target)?.is_empty()
            || !is_renamable(&self.target))
    }

    /// Creates a folder in the place of the staging folder, and removes it.
    fn probe(&self) -> io::Result<()> {
        let staging = self.staging();
        // Missing parent folders are created at the end; the first that exists must be writable.
        let above = staging.ancestors().skip(1).find(|folder| folder.exists());
        let above = above.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let trial = above.join(staging.file_name().unwrap_or(OsStr::new(".tiers.tmp")));
        fs::create_dir(&trial)?;
        fs::remove_dir(&trial)
    }

    pub(crate) fn staging(&self) -> PathBuf {
        match (self.end, self.target.file_name()) {
            (End::OneByOne, _) | (_, None) => self.target.join(hidden_name(OsStr::new("results"), Use::New)),
            (_, Some(name)) => self.target.with_file_name(hidden_name(name, Use::New)),
        }
    }

    pub(crate) fn cannot(&self, error: &io::Error) -> OutputError {
        refused!("{}: {}", self.called, cannot(self.contents.called, error))
    }
}
