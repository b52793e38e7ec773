//! Writes files atomically, and manages the hidden folder with a job's own files.

use anyhow::anyhow;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tiers_outputs::{parse_hidden, tidy};
use tiers_report::saved::RESULTS;

/// Folder within that of the results, which is removed when the job is complete.
pub(crate) const HIDDEN: &str = ".tiers";

/// The folder of results of a job.
#[derive(Clone, Debug)]
pub(crate) struct JobFolder {
    folder: PathBuf,
}

impl JobFolder {
    /// Creates the folder of a job.
    pub(crate) fn new(folder: &Path) -> JobFolder {
        JobFolder { folder: folder.to_owned() }
    }

    /// Returns the path of a file or folder of results.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the path of a file or folder that is removed when the job is complete.
    pub(crate) fn hidden(&self, name: &str) -> PathBuf {
        self.folder.join(HIDDEN).join(name)
    }

    /// Writes a temporary file, syncs it and renames it. If that fails, the former file stays.
    pub(crate) fn write(
        &self,
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = self.hidden(&format!("{name}.tmp"));
        let written = write_and_sync(&aside, write).and_then(|()| fs::rename(&aside, path));
        if written.is_ok() {
            path.parent().into_iter().for_each(sync);
        } else {
            fs::remove_file(&aside).ok();
        }
        written.map_err(|error| cannot("be written", path, &error))
    }

    /// Writes a text file.
    pub(crate) fn write_text(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        self.write(path, |to| to.write_all(text.as_bytes()))
    }

    /// Writes a file that need not survive a crash: renames it, but does not wait for the disk.
    pub(crate) fn write_quickly(&self, path: &Path, text: &str) -> io::Result<()> {
        let aside = self.hidden("quick.tmp");
        fs::write(&aside, text)?;
        fs::rename(&aside, path)
    }

    /// Removes partial files of killed runs, and puts back results that they had moved aside.
    pub(crate) fn tidy(&self) -> anyhow::Result<()> {
        self.put_back().map_err(|error| cannot("be tidied up after a former run", &self.folder, &error))
    }

    fn put_back(&self) -> io::Result<()> {
        let mut models = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            models.extend(parse_hidden(&name).map(|(of, ..)| of.to_owned()));
        }
        models.iter().try_for_each(|model| tidy(&self.path(model), &RESULTS))?;
        for entry in fs::read_dir(self.folder.join(HIDDEN))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Removes the hidden folder.
    pub(crate) fn remove_hidden(&self) -> anyhow::Result<()> {
        let hidden = self.folder.join(HIDDEN);
        fs::remove_dir_all(&hidden).map_err(|error| cannot("be removed", &hidden, &error))
    }
}

/// Returns the error for something that cannot be done to a file or folder of results, with a remedy.
pub(crate) fn cannot(be_done: &str, path: &Path, error: &io::Error) -> anyhow::Error {
    anyhow!("{}: this cannot {be_done}: {error}; {}", path.display(), remedy(error))
}

/// Returns the remedy for an error of writing results.
pub(crate) fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "it was removed while the job was running: run it again",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "name a folder where you may write, or change the rights of this one"
        }
        io::ErrorKind::NotADirectory => "a part of this path is a file, not a folder: name another one",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free some space (or raise the limit on the size of files) and run the job again, or name a folder elsewhere"
        }
        _ => "run the job again, or name another folder",
    }
}

fn write_and_sync(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    write(&mut file)?;
    file.into_inner()?.sync_all()
}

/// Syncs the names in a folder to disk, if the system supports that.
fn sync(folder: &Path) {
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_killed_runs_are_cleaned_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = JobFolder::new(folder.path());
        // This exceeds the largest possible process id.
        let of_the_dead = [".a.tiers-4194305.old", ".b.tiers-4194305.old", ".c.tiers-4194305.tmp"];
        for name in of_the_dead.iter().chain(&["b", ".tiers", "notes"]) {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        fs::write(store.hidden("read.tmp"), "half").expect("a file");
        store.tidy().expect("tidy");
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".tiers", "a", "b", "notes"]);
        assert!(!store.hidden("read.tmp").exists());
    }
}
