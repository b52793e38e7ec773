//! One run at a time on a folder of results.
//!
//! The lock is the operating system's, on a file that stays open: it is gone with the process that
//! held it, however that ended, so there are no stale locks to be told from live ones. What stands
//! in the file, process and time, is for people.

use super::log::now;
use super::store::{HIDDEN, remedy};
use anyhow::{anyhow, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";

/// A folder that is ours as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
    /// This process.
    pub own: Holder,
    /// Who held it before and did not come to its end.
    pub before: Option<Holder>,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// Number of the process.
    pub pid: u32,
    /// Name of its machine, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When it began.
    pub since: String,
}

impl Lock {
    /// Takes the lock of a folder of results, or says who has it.
    pub(crate) fn take(folder: &Path) -> anyhow::Result<Lock> {
        let hidden = folder.join(HIDDEN);
        let failed = |error: io::Error| {
            // Nothing was there yet that could have been removed.
            let remedy = if error.kind() == ErrorKind::NotFound { "name another folder" } else { remedy(&error) };
            anyhow!("output.folder {}: results cannot be written here: {error}; {remedy}", folder.display())
        };
        loop {
            fs::create_dir_all(&hidden).map_err(failed)?;
            let path = hidden.join(LOCK);
            let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = match open {
                // A run that came to its end just now has removed the folder that was made. (Where the folder is
                // there, something else is wrong, and would be at the next attempt.)
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
            // A run that came to its end just now has removed the file that was opened.
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

    /// Whether the folder is still there, and still ours.
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

/// The name of this machine.
fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether an open file is the one that stands there.
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
    fn one_at_a_time_and_nothing_is_left_by_the_dead() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Lock::take(folder.path()).expect("free");
        let told = Lock::take(folder.path()).expect_err("taken").to_string();
        assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
        drop(first);
        let second = Lock::take(folder.path()).expect("free again");
        assert_eq!(second.before.as_ref().map(|before| before.pid), Some(std::process::id()));
        fs::remove_dir_all(folder.path().join(HIDDEN)).expect("removed");
        assert!(second.check().is_err());
    }
}
