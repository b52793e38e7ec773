//! Allows one run at a time on a folder of results.
//!
//! The lock is the operating system's, on a file that stays open. It is released when the process
//! ends for whatever reason, so there are no stale locks. The contents of the file, process and time,
//! are for error messages.

use super::job_folder::{HIDDEN, remedy};
use super::log::now;
use anyhow::{anyhow, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";

/// A lock on a folder, held for the lifetime of this value.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
    /// This process.
    pub own: Holder,
    /// The former holder, if it did not complete.
    pub before: Option<Holder>,
}

/// The holder of a lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// Process id.
    pub pid: u32,
    /// Name of the machine, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Time when the run began.
    pub since: String,
}

impl Lock {
    /// Takes the lock of a folder of results; the error names the holder.
    pub(crate) fn take(folder: &Path) -> anyhow::Result<Lock> {
        let hidden = folder.join(HIDDEN);
        let failed = |error: io::Error| {
            // The remedy for `NotFound` is for removed files, but nothing exists yet here.
            let remedy = if error.kind() == ErrorKind::NotFound { "name another folder" } else { remedy(&error) };
            anyhow!("output.folder {}: results cannot be written here: {error}; {remedy}", folder.display())
        };
        loop {
            fs::create_dir_all(&hidden).map_err(failed)?;
            let path = hidden.join(LOCK);
            let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = match open {
                // A run that ended just now has removed the folder that was created. (If the folder exists,
                // something else is wrong, and another attempt would fail, too.)
                Err(error) if error.kind() == ErrorKind::NotFound && !hidden.exists() => continue,
                open => open.map_err(failed)?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => bail!(
                    "output.folder {}: another run is at work there{}; wait for it, or name another folder",
                    folder.display(),
                    holder(&mut file).map_or_else(String::new, |h| format!(" (process {}, since {})", h.pid, h.since))
                ),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // A run that ended just now may have removed the file that was opened.
            if is_at(&file, &path) {
                let before = holder(&mut file);
                let own = Holder { pid: std::process::id(), host: host(), since: now() };
                let text = serde_json::to_string(&own).expect("plain data");
                let written =
                    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
                written.map_err(failed)?;
                return Ok(Lock { file, path, own, before });
            }
        }
    }

    /// Checks that the folder still exists, and that its lock file is still ours.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match is_at(&self.file, &self.path) {
            true => Ok(()),
            false => bail!(
                "{}: the folder of results was removed or replaced while the job was running; run it again",
                self.path.display()
            ),
        }
    }
}

/// Returns the name of this machine.
fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether an open file is the one at this path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(two)) => (one.dev(), one.ino()) == (two.dev(), two.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_lock_and_dead_holders_do_not_block() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Lock::take(folder.path()).expect("free");
        let error = Lock::take(folder.path()).expect_err("taken").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        let second = Lock::take(folder.path()).expect("free again");
        assert_eq!(second.before.as_ref().map(|before| before.pid), Some(std::process::id()));
        fs::remove_dir_all(folder.path().join(HIDDEN)).expect("removed");
        assert!(second.check().is_err());
    }
}
