//! Folders of results and of moments, replaced as a whole.
//!
//! Everything is first written into a *staging* folder with a hidden temporary name, synced to
//! disk, and then put in place by renaming. So a reader never sees partial results, and a run that
//! fails leaves the former ones. What happens at the end depends on what exists *then*:
//!
//! - Nothing: the staging folder, a sibling, is renamed to its final name.
//! - An empty folder, or one with nothing but results of a former run: the two exchange their names,
//!   in one step if the file system supports that, and the former one is removed.
//! - A folder that holds files with our names that tiers did not write: an error.
//! - A folder that holds other files, or one that cannot be renamed (a mount point, the current
//!   folder): it stays, and the files are renamed into it one by one. The old `fit.json` is removed
//!   first and the new one is moved last: if there is a `fit.json`, all files beside it are of the
//!   same fit. Files of a former fit that the new one does not have are removed.
//!
//! Before the data are read, all this is tried out, and what killed runs left is cleaned up.
//!
//! ```text
//! contents   names of our files, to distinguish them from others
//! place      exchanges two folders, renames in two steps, or moves files one by one
//! leftovers  cleans up after killed runs
//! ```

mod contents;
mod leftovers;
mod place;

pub(crate) use contents::{Contents, parse_hidden};
pub(crate) use leftovers::{repair, tidy};

use anyhow::{anyhow, bail, ensure};
use contents::{Use, hidden_name};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tiers_report::page::PAGE;
use tiers_tables::{TableError, destination};

/// Name of the folder of random effects.
pub(crate) const EFFECTS: &str = "random_effects";

/// A folder of results. Files that later commands write are included, since they belong to the fit
/// and are removed with it.
pub(crate) const RESULTS: Contents = Contents {
    called: "results",
    files: &[
        "summary.txt",
        PAGE,
        "fitted.parquet",
        "by.parquet",
        // Written by a job, or by `tiers confint --out`, which may name the folder of the fit.
        "profile.parquet",
        "replicates.parquet",
        "confint.json",
        // Written by `tiers influence --out`.
        "influence.parquet",
        "model.json",
        "fit.json",
    ],
    folder: Some(EFFECTS),
    key: "tiers",
};

/// A folder of moments.
pub(crate) const MOMENTS: Contents = Contents {
    called: "moments",
    files: &[crate::commands::moments::TOTALS, crate::commands::moments::CELLS, crate::commands::moments::HEADER],
    folder: None,
    key: "tiers_moments",
};

/// A folder that is to receive results.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Name of the folder in messages: the option that named it and the path.
    called: String,
    /// The path as the user named it.
    named: PathBuf,
    /// Absolute path of the folder, which may not exist yet.
    target: PathBuf,
    /// The data files that are read.
    read: Vec<PathBuf>,
    contents: &'static Contents,
    end: End,
}

/// How results are put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The folder does not exist yet.
    Rename,
    /// It exists and may be replaced.
    Replace,
    /// It exists and stays.
    OneByOne,
}

impl Folder {
    /// Checks that results can be written to the folder that `--out` names. Leaves nothing behind.
    pub(crate) fn open(named: &Path, read: &[PathBuf]) -> anyhow::Result<Folder> {
        Folder::open_as(&format!("--out {}", named.display()), named, read, &RESULTS)
    }

    /// Like [`Folder::open`], for a folder within that of a job.
    pub(crate) fn of_job(named: &Path, read: &[PathBuf]) -> anyhow::Result<Folder> {
        Folder::open_as(&named.display().to_string(), named, read, &RESULTS)
    }

    /// Like [`Folder::open`], for a folder of moments, which must hold nothing else at the start.
    pub(crate) fn of_moments(named: &Path) -> anyhow::Result<Folder> {
        let folder = Folder::open_as(&format!("--out {}", named.display()), named, &[], &MOMENTS)?;
        ensure!(folder.target.file_name().is_some(), "{}: name a folder of its own for the moments", folder.called);
        if folder.target.exists() {
            let strangers = MOMENTS.strangers(&folder.target).map_err(|error| folder.cannot(&error))?;
            if let Some(name) = strangers.first() {
                bail!(
                    "{}: it holds {}, which is not a file of moments; name another folder",
                    folder.called,
                    folder.named.join(name).display()
                );
            }
        }
        Ok(folder)
    }

    fn open_as(called: &str, named: &Path, read: &[PathBuf], contents: &'static Contents) -> anyhow::Result<Folder> {
        let target = resolve(named).map_err(|error| anyhow!("{called}: {}", cannot(contents, &error)))?;
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

    /// Returns how results would be put in place now.
    fn how_to_end(&self) -> anyhow::Result<End> {
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
    fn keep_data(&self) -> anyhow::Result<()> {
        match inside(&self.target, &self.read).find(|path| self.contents.has(path)) {
            None => Ok(()),
            Some(path) => bail!(
                "{}: the {} would replace {}, which is read as data; name another folder",
                self.called,
                self.contents.called,
                self.named.join(path).display()
            ),
        }
    }

    /// Returns an error if results would replace files that have our names but are not ours.
    fn keep_others(&self) -> anyhow::Result<()> {
        match self.contents.standing(&self.target) {
            Some(name) if !self.contents.is_complete(&self.target) => bail!(
                "{}: {} exists, but no {} that marks it as a result of tiers, so it is not replaced; \
                name another folder, or remove the file",
                self.called,
                self.named.join(name).display(),
                self.contents.last()
            ),
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

    fn staging(&self) -> PathBuf {
        match (self.end, self.target.file_name()) {
            (End::OneByOne, _) | (_, None) => self.target.join(hidden_name(OsStr::new("results"), Use::New)),
            (_, Some(name)) => self.target.with_file_name(hidden_name(name, Use::New)),
        }
    }

    /// Creates the staging folder.
    pub(crate) fn stage(&self) -> anyhow::Result<Staged<'_>> {
        let path = self.staging();
        let new = path.ancestors().skip(1).take_while(|above| !above.exists()).map(Path::to_owned).collect();
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::create_dir(&path));
        made.map_err(|error| self.cannot(&error))?;
        // The lock shows other processes that this one is alive; without it they check its number.
        let lock = File::open(&path).ok().filter(|folder| folder.try_lock().is_ok());
        Ok(Staged { folder: self, path, new, done: false, _lock: lock })
    }

    fn cannot(&self, error: &io::Error) -> anyhow::Error {
        anyhow!("{}: {}", self.called, cannot(self.contents, error))
    }
}

/// Results being written; removed if dropped before they are put in place.
#[derive(Debug)]
pub(crate) struct Staged<'a> {
    folder: &'a Folder,
    path: PathBuf,
    /// Parent folders that were created for it, innermost first.
    new: Vec<PathBuf>,
    done: bool,
    /// The staging folder, locked for the lifetime of this value.
    _lock: Option<File>,
}

impl Staged<'_> {
    /// Writes a text file.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let write = || {
            let mut file = File::create(self.path.join(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error: io::Error| self.failed(name, &error))
    }

    /// Creates a subfolder.
    pub(crate) fn folder(&self, name: &str) -> anyhow::Result<()> {
        fs::create_dir(self.path(name)).map_err(|error| self.failed(name, &error))
    }

    /// Returns the path to write a file or folder of this name to.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Converts an error of writing a table, with the path in the folder that the user named.
    pub(crate) fn told(&self, error: TableError) -> anyhow::Error {
        match error {
            TableError::Write { path, source } => {
                self.failed(&path.strip_prefix(&self.path).unwrap_or(&path).to_string_lossy(), &source)
            }
            other => other.into(),
        }
    }

    /// Puts everything in place. Files that others put into the folder since the start are kept.
    pub(crate) fn put_in_place(mut self) -> anyhow::Result<()> {
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
    pub(crate) fn failed(&self, name: &str, error: &io::Error) -> anyhow::Error {
        anyhow!("{}: {}", self.folder.named.join(name).display(), cannot(self.folder.contents, error))
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

/// Checks that a command can write single files of these names into the folder that `--out` names.
pub(crate) fn check_files(folder: &Path, names: &[&str]) -> anyhow::Result<()> {
    check_is_folder(&format!("--out {}", folder.display()), folder)?;
    let check = |name: &&str| destination(&folder.join(name)).map(drop).map_err(|error| anyhow!("--out {error}"));
    names.iter().try_for_each(check)
}

/// Creates a folder for single files if it does not exist.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let cannot = |error: io::Error| anyhow!("--out {}: {}", folder.display(), cannot(&RESULTS, &error));
    fs::create_dir_all(folder).map_err(cannot)
}

/// Returns an error if the path exists and is not a folder.
fn check_is_folder(called: &str, path: &Path) -> anyhow::Result<()> {
    match fs::metadata(path) {
        Ok(about) if about.is_file() => bail!("{called}: this is a file; name a folder, which may but need not exist"),
        Ok(about) if !about.is_dir() => bail!(
            "{called}: this is no ordinary file or folder but a device, a pipe or a socket; name a folder, which may \
             but need not exist"
        ),
        _ => Ok(()),
    }
}

/// Returns the absolute path of a folder that may not exist yet. Links are followed, even if their
/// target does not exist.
fn resolve(named: &Path) -> io::Result<PathBuf> {
    let mut path = named.to_owned();
    for _ in 0..40 {
        match fs::canonicalize(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        match fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return std::path::absolute(&path),
        }
    }
    Err(io::Error::other("this symbolic link leads in a circle"))
}

/// Returns the paths, relative to the folder, of the data files in it.
fn inside<'a>(folder: &'a Path, read: &'a [PathBuf]) -> impl Iterator<Item = PathBuf> + 'a {
    let files = read.iter().filter_map(|file| fs::canonicalize(file).ok());
    files.filter_map(move |file| file.strip_prefix(folder).ok().map(Path::to_owned))
}

/// Whether a folder can be renamed within its parent: it is not a mount point, and the parent is
/// writable.
fn is_renamable(folder: &Path) -> bool {
    let (Some(above), Some(name)) = (folder.parent(), folder.file_name()) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let device = |path: &Path| fs::metadata(path).map(|about| about.dev()).ok();
        if device(above) != device(folder) {
            return false;
        }
    }
    // A name that differs from the staging folder, which may exist already.
    let trial = above.join(hidden_name(name, Use::Moving));
    fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)).is_ok()
}

/// Formats the reason and a remedy for results that cannot be written.
fn cannot(contents: &Contents, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; name a folder where you may write, or change the rights of the one above it"
        }
        io::ErrorKind::NotADirectory => "; a part of this path is a file, not a folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space, or name a folder elsewhere",
        io::ErrorKind::FileTooLarge => "; raise the limit on the size of files (ulimit -f)",
        _ => "; name another folder",
    };
    format!("{} cannot be written here: {error}{remedy}", contents.called)
}
