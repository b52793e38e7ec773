//! Writes files atomically: they appear complete or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::OutputError;

/// Number of links to follow before assuming that they form a circle.
const MOST_LINKS: usize = 40;

/// Returns the path at which a file written to `path` has to be placed. Symbolic links are followed, even
/// if their target does not exist yet. Folders, devices, pipes and sockets are errors, because renaming
/// a file into their place would remove them.
///
/// # Errors
/// If something other than an ordinary file is there, or the path does not end in a name.
pub fn destination(path: &Path) -> Result<PathBuf, OutputError> {
    let bad = |reason: &str| Err(OutputError::Unusable { path: path.to_owned(), reason: reason.to_owned() });
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        if target.file_name().is_none() {
            return bad("the path does not end in the name of a file");
        }
        match fs::symlink_metadata(&target) {
            Ok(about) if about.is_symlink() => {
                let to = fs::read_link(&target).map_err(|e| OutputError::writing(path, e))?;
                target = target.parent().unwrap_or(Path::new("")).join(to);
            }
            Ok(about) if about.is_file() => return Ok(target),
            Ok(about) if about.is_dir() => return bad("this is a folder; name a file"),
            Ok(_) => {
                return bad(
                    "this is no ordinary file but a device, a pipe or a socket, which a file of results would \
                     replace; name a file, which may but need not exist",
                );
            }
            // Any other problem shows up when the file is created.
            Err(_) => return Ok(target),
        }
    }
    bad("this symbolic link leads in a circle; name a file")
}

/// Writes a file, which appears under its name only when it is complete.
///
/// # Errors
/// If something other than an ordinary file is there, or the disk fails.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let aside = Aside::create(path)?;
    aside.handle()?.write_all(bytes).map_err(|e| OutputError::writing(path, e))?;
    aside.commit()
}

/// A file that is written under a hidden temporary name beside its target and renamed at the end.
/// Dropping it before that removes it.
#[derive(Debug)]
pub struct Aside {
    target: PathBuf,
    temporary: PathBuf,
    file: File,
    done: bool,
}

impl Aside {
    /// Creates the temporary file and removes those that killed processes left behind for the same target.
    ///
    /// # Errors
    /// If something other than an ordinary file is there, or no file can be created beside it.
    pub fn create(path: &Path) -> Result<Aside, OutputError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let target = destination(path)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        remove_leftovers(&target, &name);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let hidden = format!(".{name}.{}-{count}.tmp", process::id());
            let temporary = target.with_file_name(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    // The lock shows other processes that this one is alive; without it they check its pid.
                    file.try_lock().ok();
                    return Ok(Aside { target, temporary, file, done: false });
                }
                // A killed process with the same pid left it behind.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(OutputError::writing(&target, e)),
            }
        }
    }

    /// The path at which the file will appear.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Returns a handle to write with.
    ///
    /// # Errors
    /// If the system is out of file handles.
    pub fn handle(&self) -> Result<File, OutputError> {
        self.file.try_clone().map_err(|e| OutputError::writing(&self.target, e))
    }

    /// Renames the file to its target, replacing what was there.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn commit(mut self) -> Result<(), OutputError> {
        self.put_in_place().map_err(|e| OutputError::writing(&self.target, e))
    }

    fn put_in_place(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.done = true;
        // The name must survive a loss of power too; not every file system can guarantee it.
        if let Ok(folder) = File::open(folder_of(&self.target)) {
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

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Removes temporary files of this target whose processes no longer run. Such files do no harm, so
/// failures are ignored.
fn remove_leftovers(target: &Path, name: &str) {
    let prefix = format!(".{name}.");
    for entry in fs::read_dir(folder_of(target)).into_iter().flatten().flatten() {
        let hidden = entry.file_name().to_string_lossy().into_owned();
        let middle = hidden.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".tmp"));
        let Some((pid, count)) = middle.and_then(|middle| middle.split_once('-')) else { continue };
        let (Ok(pid), Ok(_)) = (pid.parse(), count.parse::<u64>()) else { continue };
        if pid != process::id() && is_abandoned(&entry.path(), pid) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// Whether a temporary file or folder belongs to a process that no longer runs: no process has the pid,
/// and no process holds the lock that the owner takes. Returns `false` if this cannot be determined.
pub fn is_abandoned(path: &Path, pid: u32) -> bool {
    let runs = pid != process::id() && Path::new("/proc").join(pid.to_string()).exists();
    !runs && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Higher than any pid that Linux assigns.
    const UNUSED_PID: u32 = 4_194_305;

    #[test]
    fn leftovers_of_dead_processes_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = format!(".a.csv.{}-7.tmp", process::id());
        let living = ".a.csv.1-0.tmp";
        let others = [".a.csv.old.tmp", ".b.csv.4194305-0.tmp", living, &own];
        for name in others.iter().copied().chain([".a.csv.4194305-0.tmp"]) {
            fs::write(folder.path().join(name), "half").expect("a file");
        }
        write_file(&folder.path().join("a.csv"), b"whole").expect("written");
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        let mut expected: Vec<String> = others.iter().map(|name| (*name).to_owned()).collect();
        expected.push("a.csv".to_owned());
        expected.sort();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_locked_file_is_not_abandoned() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(is_abandoned(file.path(), UNUSED_PID));
        file.as_file().try_lock().expect("free");
        assert!(!is_abandoned(file.path(), UNUSED_PID));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_circles_are_errors() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("below")).expect("a folder");
        symlink("below/new.txt", at("one")).expect("a link");
        symlink("one", at("two")).expect("a link");
        write_file(&at("two"), b"text").expect("written");
        assert_eq!(fs::read_to_string(at("below/new.txt")).expect("a file"), "text");
        assert!(fs::symlink_metadata(at("one")).expect("a link").is_symlink());
        symlink("circle", at("circle")).expect("a link");
        let error = write_file(&at("circle"), b"text").expect_err("a circle").to_string();
        assert!(error.contains("circle"), "{error}");
        let error = write_file(&at("below"), b"text").expect_err("a folder").to_string();
        assert!(error.contains("folder"), "{error}");
    }
}
