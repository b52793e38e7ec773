//! The folder of results, put in place as a whole.
//!
//! Everything is first written into a *staging* folder with a hidden temporary name, synced to
//! disk, and then put in place by renaming, so that a reader never sees half a result and a run
//! that fails leaves what was there. What happens at the end depends on what is there at the start:
//!
//! - Nothing: the staging folder, a sibling, is renamed to its final name.
//! - An empty folder, or one with nothing but results of a former fit: it is moved aside, the
//!   staging folder takes its name, and the old one is removed. Results of two fits are never mixed.
//! - A folder that holds files with names of ours which no fit of ours wrote: an error.
//! - A folder that holds other files, or one that cannot be renamed (a mount point, the current
//!   folder): it stays, and the files are renamed into it one by one. The old `fit.json` goes first
//!   and the new one comes last: where there is a `fit.json`, all that stands beside it is of the
//!   same fit. Files of a former fit that the new one does not have are removed.
//!
//! Whether all this will be possible is tried out before the data are read.

use crate::page::PAGE;
use anyhow::{anyhow, bail};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tiers_tables::TableError;

/// Names of the files of a fit at the top of its folder, whether it writes them itself or a later
/// command does: of another fit they tell nothing. `random_effects` is a folder.
pub(crate) const FILES: [&str; 10] = [
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
];
/// Name of the folder of random effects.
pub(crate) const EFFECTS: &str = "random_effects";

/// A folder that is to receive results.
#[derive(Debug)]
pub(crate) struct Folder {
    /// What messages call it: the option that named it and the name.
    called: String,
    /// As the user named it.
    named: PathBuf,
    /// Where it is or will be, absolute.
    target: PathBuf,
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
        Folder::open_as(&format!("--out {}", named.display()), named, read)
    }

    /// The same for a folder within that of a job.
    pub(crate) fn of_job(named: &Path, read: &[PathBuf]) -> anyhow::Result<Folder> {
        Folder::open_as(&named.display().to_string(), named, read)
    }

    fn open_as(called: &str, named: &Path, read: &[PathBuf]) -> anyhow::Result<Folder> {
        let fail = |error: io::Error| anyhow!("{called}: {}", cannot(&error));
        let target = match fs::canonicalize(named) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(named).map_err(fail)?,
            Err(error) => return Err(fail(error)),
        };
        let mut folder = Folder { called: called.to_owned(), named: named.to_owned(), target, end: End::Rename };
        if folder.target.exists() {
            if !folder.target.is_dir() {
                bail!("{called}: this is a file; name a folder, which may but need not exist");
            }
            folder.keep_data(read)?;
            folder.keep_others()?;
            folder.end = folder.how_to_end(read).map_err(fail)?;
        }
        folder.probe().map_err(fail)?;
        Ok(folder)
    }

    /// Refuses to replace the very data that are read.
    fn keep_data(&self, read: &[PathBuf]) -> anyhow::Result<()> {
        let own = |path: &Path| FILES.iter().any(|name| path == Path::new(name)) || path.starts_with(EFFECTS);
        match inside(&self.target, read).find(|path| own(path)) {
            None => Ok(()),
            Some(path) => bail!(
                "{}: the results would replace {}, which is read as data; name another folder",
                self.called,
                self.named.join(path).display()
            ),
        }
    }

    /// Refuses to replace files that only happen to have our names.
    fn keep_others(&self) -> anyhow::Result<()> {
        let mut names = FILES.iter().chain([&EFFECTS]);
        match names.find(|name| self.target.join(name).exists()) {
            Some(name) if !is_result(&self.target) => bail!(
                "{}: {} stands there, but no fit.json that says it is a result of tiers, so it is not replaced; \
                 name another folder, or remove what stands there",
                self.called,
                self.named.join(name).display()
            ),
            _ => Ok(()),
        }
    }

    fn how_to_end(&self, read: &[PathBuf]) -> io::Result<End> {
        let current = std::env::current_dir().and_then(fs::canonicalize);
        let stays = current.is_ok_and(|current| current.starts_with(&self.target))
            || inside(&self.target, read).next().is_some()
            || !only_results(&self.target)?
            || !is_renamable(&self.target);
        Ok(if stays { End::OneByOne } else { End::Replace })
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
        let hidden = |name: &OsStr| format!(".{}.tiers-{}.tmp", name.to_string_lossy(), std::process::id());
        match (self.end, self.target.file_name()) {
            (End::OneByOne, _) | (_, None) => self.target.join(hidden(OsStr::new("results"))),
            (_, Some(name)) => self.target.with_file_name(hidden(name)),
        }
    }

    /// Begins to write results.
    pub(crate) fn stage(&self) -> anyhow::Result<Staged<'_>> {
        let path = self.staging();
        let new = path.ancestors().skip(1).take_while(|above| !above.exists()).map(Path::to_owned).collect();
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::create_dir(&path));
        made.map_err(|error| anyhow!("{}: {}", self.called, cannot(&error)))?;
        Ok(Staged { folder: self, path, new, done: false })
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

    /// Puts everything in place.
    pub(crate) fn put_in_place(mut self) -> anyhow::Result<()> {
        let target = &self.folder.target;
        sync(&self.path.join(EFFECTS));
        sync(&self.path);
        let moved = match self.folder.end {
            End::Rename => fs::rename(&self.path, target),
            End::Replace => replace(&self.path, target),
            End::OneByOne => one_by_one(&self.path, target),
        };
        moved.map_err(|error| self.failed("", &error))?;
        target.parent().into_iter().for_each(sync);
        self.done = true;
        Ok(())
    }

    fn failed(&self, name: &str, error: &io::Error) -> anyhow::Error {
        anyhow!("{}: {}", self.folder.named.join(name).display(), cannot(error))
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if !self.done {
            fs::remove_dir_all(&self.path).ok();
            // Those only that are empty.
            self.new.iter().all(|above| fs::remove_dir(above).is_ok());
        }
    }
}

/// Paths, relative to the folder, of the data files that lie in it.
fn inside<'a>(folder: &'a Path, read: &'a [PathBuf]) -> impl Iterator<Item = PathBuf> + 'a {
    let files = read.iter().filter_map(|file| fs::canonicalize(file).ok());
    files.filter_map(move |file| file.strip_prefix(folder).ok().map(Path::to_owned))
}

/// Whether a folder is empty or holds nothing but what a former fit wrote.
fn only_results(folder: &Path) -> io::Result<bool> {
    let mut empty = true;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, is_dir) = (entry.file_name(), entry.file_type()?.is_dir());
        empty = false;
        let ours = match is_dir {
            true => name == EFFECTS && only_parquet(&entry.path())?,
            false => FILES.iter().any(|file| name == *file),
        };
        if !ours {
            return Ok(false);
        }
    }
    Ok(empty || is_result(folder))
}

fn only_parquet(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        if entry?.path().extension() != Some(OsStr::new("parquet")) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the folder's `fit.json` is one of ours.
fn is_result(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("fit.json")).unwrap_or_default();
    serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|fit| fit.get("tiers").is_some())
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
    let trial = above.join(format!(".{}.tiers-{}.tmp", name.to_string_lossy(), std::process::id()));
    fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)).is_ok()
}

/// Gives the staging folder the name of the old one, which is removed.
fn replace(staging: &Path, target: &Path) -> io::Result<()> {
    let aside = staging.with_extension("old");
    fs::rename(target, &aside)?;
    if let Err(error) = fs::rename(staging, target) {
        fs::rename(&aside, target)?;
        return Err(error);
    }
    // The new results stand; remains of the old ones are no reason to fail.
    fs::remove_dir_all(&aside).ok();
    Ok(())
}

/// Moves the staged files into a folder that stays.
fn one_by_one(staging: &Path, target: &Path) -> io::Result<()> {
    if is_result(target) {
        for name in FILES.iter().rev() {
            remove_if_there(&target.join(name))?;
        }
        for effects in fs::read_dir(target.join(EFFECTS)).into_iter().flatten() {
            let path = effects?.path();
            if path.extension() == Some(OsStr::new("parquet")) {
                remove_if_there(&path)?;
            }
        }
    }
    if staging.join(EFFECTS).exists() {
        fs::create_dir_all(target.join(EFFECTS))?;
        for effects in fs::read_dir(staging.join(EFFECTS))? {
            let effects = effects?;
            fs::rename(effects.path(), target.join(EFFECTS).join(effects.file_name()))?;
        }
        sync(&target.join(EFFECTS));
    }
    for name in FILES.iter().filter(|name| staging.join(name).exists()) {
        fs::rename(staging.join(name), target.join(name))?;
    }
    sync(target);
    fs::remove_dir_all(staging)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Syncs the names in a folder to disk, where the system offers that.
fn sync(folder: &Path) {
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
}

/// What stands in the way, and what to try.
fn cannot(error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; name a folder where you may write, or change the rights of the one above it"
        }
        io::ErrorKind::NotADirectory => "; a part of this path is a file, not a folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space, or name a folder elsewhere",
        io::ErrorKind::FileTooLarge => "; raise the limit on the size of files (ulimit -f)",
        _ => "; name another folder",
    };
    format!("results cannot be written here: {error}{remedy}")
}
