//! Checks of paths that are to receive results.

use crate::aside::destination;
use crate::contents::{Use, hidden_name};
use crate::error::{OutputError, refused};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Checks that single files of these names can be written into a folder; `option` is what named the
/// folder, such as `--out`.
///
/// # Errors
/// If the folder is something else, or something other than a file has one of the names.
pub fn check_files(option: &str, folder: &Path, names: &[&str]) -> Result<(), OutputError> {
    check_is_folder(&format!("{option} {}", folder.display()), folder)?;
    let check = |name: &&str| destination(&folder.join(name)).map(drop).map_err(|error| refused!("{option} {error}"));
    names.iter().try_for_each(check)
}

/// Creates a folder for single files if it does not exist.
///
/// # Errors
/// If the system cannot create it.
pub fn make_folder(option: &str, folder: &Path) -> Result<(), OutputError> {
    let refuse = |error: io::Error| refused!("{option} {}: {}", folder.display(), cannot("results", &error));
    fs::create_dir_all(folder).map_err(refuse)
}

/// Returns an error if the path exists and is not a folder.
pub(crate) fn check_is_folder(called: &str, path: &Path) -> Result<(), OutputError> {
    match fs::metadata(path) {
        Ok(about) if about.is_file() => {
            Err(refused!("{called}: this is a file; name a folder, which may but need not exist"))
        }
        Ok(about) if !about.is_dir() => Err(refused!(
            "{called}: this is no ordinary file or folder but a device, a pipe or a socket; name a folder, which may \
             but need not exist"
        )),
        _ => Ok(()),
    }
}

/// Returns the absolute path of a folder that may not exist yet. Links are followed, even if their
/// target does not exist.
pub(crate) fn resolve(named: &Path) -> io::Result<PathBuf> {
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
pub(crate) fn inside<'a>(folder: &'a Path, read: &'a [PathBuf]) -> impl Iterator<Item = PathBuf> + 'a {
    let files = read.iter().filter_map(|file| fs::canonicalize(file).ok());
    files.filter_map(move |file| file.strip_prefix(folder).ok().map(Path::to_owned))
}

/// Whether a folder can be renamed within its parent: it is not a mount point, and the parent is
/// writable.
pub(crate) fn is_renamable(folder: &Path) -> bool {
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
pub(crate) fn cannot(called: &str, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; name a folder where you may write, or change the rights of the one above it"
        }
        io::ErrorKind::NotADirectory => "; a part of this path is a file, not a folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space, or name a folder elsewhere",
        io::ErrorKind::FileTooLarge => "; raise the limit on the size of files (ulimit -f)",
        _ => "; name another folder",
    };
    format!("{called} cannot be written here: {error}{remedy}")
}
