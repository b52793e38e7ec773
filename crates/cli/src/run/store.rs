//! Files that appear whole or not at all, and the hidden folder of what a job keeps for itself.

use anyhow::anyhow;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Folder, within that of the results, of all that is gone when the job is complete.
pub(crate) const HIDDEN: &str = ".tiers";

/// The folder of results of a job.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// That folder.
    pub(crate) fn new(folder: &Path) -> Store {
        Store { folder: folder.to_owned() }
    }

    /// A file or folder of results.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file or folder that is gone when the job is complete.
    pub(crate) fn hidden(&self, name: &str) -> PathBuf {
        self.folder.join(HIDDEN).join(name)
    }

    /// Writes a file aside, syncs it and gives it its name. Where that fails, what was there stays.
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

    /// Writes a file of text.
    pub(crate) fn write_text(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        self.write(path, |to| to.write_all(text.as_bytes()))
    }

    /// Writes a file that is only looked at, by renaming but without waiting for the disk.
    pub(crate) fn write_quickly(&self, path: &Path, text: &str) -> io::Result<()> {
        let aside = self.hidden("quick.tmp");
        fs::write(&aside, text)?;
        fs::rename(&aside, path)
    }

    /// Removes what a run that was killed left half-written; puts back results that it had moved aside.
    pub(crate) fn tidy(&self) -> anyhow::Result<()> {
        self.put_back().map_err(|error| cannot("be tidied up after a former run", &self.folder, &error))
    }

    fn put_back(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((target, rest)) = name.strip_prefix('.').and_then(|name| name.rsplit_once(".tiers-")) else {
                continue;
            };
            if rest.ends_with(".old") && !self.path(target).exists() {
                fs::rename(&path, self.path(target))?;
            } else if rest.ends_with(".old") || rest.ends_with(".tmp") {
                fs::remove_dir_all(&path)?;
            }
        }
        for entry in fs::read_dir(self.folder.join(HIDDEN))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Removes all that the job kept for itself.
    pub(crate) fn remove_hidden(&self) -> anyhow::Result<()> {
        let hidden = self.folder.join(HIDDEN);
        fs::remove_dir_all(&hidden).map_err(|error| cannot("be removed", &hidden, &error))
    }
}

/// What cannot be done to a file or folder of results, why, and what to try.
pub(crate) fn cannot(be_done: &str, path: &Path, error: &io::Error) -> anyhow::Error {
    anyhow!("{}: this cannot {be_done}: {error}; {}", path.display(), remedy(error))
}

/// What to try when something cannot be done to the results.
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

/// Syncs the names in a folder to disk, where the system offers that.
fn sync(folder: &Path) {
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
}

/// SHA-256 of a text.
pub(crate) fn hash(text: &str) -> String {
    in_hex(&Sha256::digest(text.as_bytes()))
}

/// SHA-256 of a file, as `sha256sum` prints it, and its size.
pub(crate) fn hash_file(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((in_hex(&hasher.finalize()), bytes)),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_sha256sum() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn what_the_killed_left_is_tidied_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path());
        for name in [".a.tiers-12.old", ".b.tiers-12.old", "b", ".c.tiers-9.tmp", ".tiers", "notes"] {
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
