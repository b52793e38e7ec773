//! Folders of results and of moments, put in place as a whole.
//!
//! Everything is first written into a *staging* folder with a hidden temporary name, synced to
//! disk, and then put in place by renaming, so that a reader never sees half a result and a run
//! that fails leaves what was there. What happens at the end depends on what is there *then*:
//!
//! - Nothing: the staging folder, a sibling, is renamed to its final name.
//! - An empty folder, or one with nothing but results of a former run: the two exchange their names,
//!   in one step where the file system can, and the former one is removed.
//! - A folder that holds files with names of ours which tiers did not write: an error.
//! - A folder that holds other files, or one that cannot be renamed (a mount point, the current
//!   folder): it stays, and the files are renamed into it one by one. The old `fit.json` goes first
//!   and the new one comes last: where there is a `fit.json`, all that stands beside it is of the
//!   same fit. Files of a former fit that the new one does not have are removed.
//!
//! Whether all this will be possible is tried out before the data are read; what killed runs left is
//! tidied then.
//!
//! ```text
//! contents   the names of our own files, by which others are told from them
//! place      the exchange, two renames where there is none, and the moving of files one by one
//! leftovers  what killed runs left: removed, or their last steps taken
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

/// A folder of results: names of the files of a fit, whether it writes them itself or a later
/// command does: they say nothing about another fit.
pub(crate) const RESULTS: Contents = Contents {
    called: "results",
    files: &[
        "summary.txt",
        PAGE,
        "fitted.parquet",
        "by.parquet",
        // By a job, or by `tiers confint --out`, which may name the folder of the fit.
        "profile.parquet",
        "replicates.parquet",
        "confint.json",
        // By `tiers influence --out`.
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
    files: &[crate::moments::TOTALS, crate::moments::CELLS, crate::moments::HEADER],
    folder: None,
    key: "tiers_moments",
};

/// A folder that is to receive results.
#[derive(Debug)]
pub(crate) struct Folder {
    /// What messages call it: the option that named it and the name.
    called: String,
    /// As the user named it.
    named: PathBuf,
    /// Where it is or will be, absolute.
    target: PathBuf,
    /// The data files that are read.
    read: Vec<PathBuf>,
    contents: &'static Contents,
    end: End,
}

/// How results get into their place.
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
    /// Finds out whether results can be written to the folder that `--out` names. Leaves nothing behind.
    pub(crate) fn open(named: &Path, read: &[PathBuf]) -> anyhow::Result<Folder> {
        Folder::open_as(&format!("--out {}", named.display()), named, read, &RESULTS)
    }

    /// The same for a folder within that of a job.
    pub(crate) fn of_job(named: &Path, read: &[PathBuf]) -> anyhow::Result<Folder> {
        Folder::open_as(&named.display().to_string(), named, read, &RESULTS)
    }

    /// The same for a folder of moments, which holds nothing else at the start.
    pub(crate) fn of_moments(named: &Path) -> anyhow::Result<Folder> {
        let folder = Folder::open_as(&format!("--out {}", named.display()), named, &[], &MOMENTS)?;
        ensure!(folder.target.file_name().is_some(), "{}: name a folder of its own for the moments", folder.called);
        if folder.target.exists() {
            let strangers = MOMENTS.strangers(&folder.target).map_err(|error| folder.cannot(&error))?;
            if let Some(name) = strangers.first() {
                bail!(
                    "{}: {} stands there, which is no file of moments; name another folder",
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

    /// How results would get into their place if they were put there now.
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

    /// Refuses to replace the very data that are read.
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

    /// Refuses to replace files that only happen to have our names.
    fn keep_others(&self) -> anyhow::Result<()> {
        match self.contents.standing(&self.target) {
            Some(name) if !self.contents.is_complete(&self.target) => bail!(
                "{}: {} stands there, but no {} that says it is a result of tiers, so it is not replaced; \
                 name another folder, or remove what stands there",
                self.called,
                self.named.join(name).display(),
                self.contents.last()
            ),
            _ => Ok(()),
        }
    }

    /// Whether the folder has to stay, and the files be moved into it.
    fn stays(&self) -> io::Result<bool> {
        let current = std::env::current_dir().and_then(fs::canonicalize);
        Ok(current.is_ok_and(|current| current.starts_with(&self.target))
            || inside(&self.target, &self.read).next().is_some()
            || !self.contents.strangers(&self.target)?.is_empty()
            || !is_renamable(&self.target))
    }

    /// Makes a folder where the staging folder will be, and removes it.
    fn probe(&self) -> io::Result<()> {
        let staging = self.staging();
        // Folders above that do not exist yet are made at the end; the first that exists must allow it.
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

    /// Begins to write results.
    pub(crate) fn stage(&self) -> anyhow::Result<Staged<'_>> {
        let path = self.staging();
        let new = path.ancestors().skip(1).take_while(|above| !above.exists()).map(Path::to_owned).collect();
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::create_dir(&path));
        made.map_err(|error| self.cannot(&error))?;
        // Tells other processes that this one lives; without the lock they go by its number.
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
    /// Folders above that were made for it, innermost first.
    new: Vec<PathBuf>,
    done: bool,
    /// The staging folder, locked as long as this lives.
    _lock: Option<File>,
}

impl Staged<'_> {
    /// Writes a file of text.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let write = || {
            let mut file = File::create(self.path.join(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error: io::Error| self.failed(name, &error))
    }

    /// Makes a folder below.
    pub(crate) fn folder(&self, name: &str) -> anyhow::Result<()> {
        fs::create_dir(self.path(name)).map_err(|error| self.failed(name, &error))
    }

    /// Where to write a file or folder of this name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Why a table could not be written, told of the folder that the user named.
    pub(crate) fn told(&self, error: TableError) -> anyhow::Error {
        match error {
            TableError::Write { path, source } => {
                self.failed(&path.strip_prefix(&self.path).unwrap_or(&path).to_string_lossy(), &source)
            }
            other => other.into(),
        }
    }

    /// Puts everything in place. What was put there since the start is not lost.
    pub(crate) fn put_in_place(mut self) -> anyhow::Result<()> {
        let Folder { target, contents, .. } = self.folder;
        contents.folder.iter().for_each(|folder| place::sync(&self.path.join(folder)));
        place::sync(&self.path);
        // A folder that has to stay at the start has the staging folder within it.
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

    /// Why a file could not be written.
    pub(crate) fn failed(&self, name: &str, error: &io::Error) -> anyhow::Error {
        anyhow!("{}: {}", self.folder.named.join(name).display(), cannot(self.folder.contents, error))
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // After a failed exchange these are the former results, in which others may have put files.
        if self.folder.contents.strangers(&self.path).is_ok_and(|strangers| strangers.is_empty()) {
            fs::remove_dir_all(&self.path).ok();
        }
        // Those only that are empty.
        self.new.iter().all(|above| fs::remove_dir(above).is_ok());
    }
}

/// Finds out whether a command can write single files of these names into the folder that `--out` names.
pub(crate) fn check_files(folder: &Path, names: &[&str]) -> anyhow::Result<()> {
    check_is_folder(&format!("--out {}", folder.display()), folder)?;
    let check = |name: &&str| destination(&folder.join(name)).map(drop).map_err(|error| anyhow!("--out {error}"));
    names.iter().try_for_each(check)
}

/// Makes a folder for single files, if need be.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let cannot = |error: io::Error| anyhow!("--out {}: {}", folder.display(), cannot(&RESULTS, &error));
    fs::create_dir_all(folder).map_err(cannot)
}

/// Refuses what exists and is no folder.
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

/// Where a folder is or will be, absolute; links are followed, also one whose target does not exist yet.
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

/// Paths, relative to the folder, of the data files that lie in it.
fn inside<'a>(folder: &'a Path, read: &'a [PathBuf]) -> impl Iterator<Item = PathBuf> + 'a {
    let files = read.iter().filter_map(|file| fs::canonicalize(file).ok());
    files.filter_map(move |file| file.strip_prefix(folder).ok().map(Path::to_owned))
}

/// Whether a folder can be renamed within the one above: it is no mount point, and that one can be
/// written to.
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
    // Another name than that of the staging folder, which may be there already.
    let trial = above.join(hidden_name(name, Use::Moving));
    fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)).is_ok()
}

/// What stands in the way, and what to try.
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
