//! Replaces a folder of former results by the new one.

use crate::contents::{Contents, JOURNAL, Use, hidden_name, is_table};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Replaces a folder by another one, in one step if the system can exchange two names. Files that
/// others put into the former folder are moved into the new one.
pub(crate) fn replace(staging: &Path, target: &Path, contents: &Contents) -> io::Result<()> {
    let former = match exchange(staging, target)? {
        true => staging.to_owned(),
        false => in_two_steps(staging, target)?,
    };
    target.parent().into_iter().for_each(sync);
    keep_strangers(&former, target, contents)?;
    // The new results are in place; a failure to remove the old ones is ignored.
    fs::remove_dir_all(&former).ok();
    Ok(())
}

/// Exchanges the names of two folders; `false` if the system or the file system does not support it.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Moves the former folder aside and the new one into its place; returns the path of the former one.
///
/// The names serve as a journal: a former folder that was moved aside, with none in its place, means
/// that the new one was complete. [`crate::leftovers`] then completes the second step.
pub(crate) fn in_two_steps(staging: &Path, target: &Path) -> io::Result<PathBuf> {
    let aside = staging.with_file_name(hidden_name(target.file_name().unwrap_or_default(), Use::Former));
    fs::rename(target, &aside)?;
    if let Err(error) = fs::rename(staging, target) {
        fs::rename(&aside, target)?;
        return Err(error);
    }
    Ok(aside)
}

/// Moves files that tiers did not write from a former folder of results into the new one.
pub(crate) fn keep_strangers(former: &Path, target: &Path, contents: &Contents) -> io::Result<()> {
    for stranger in contents.strangers(former)? {
        let (from, to) = (former.join(&stranger), target.join(&stranger));
        let failed = |why: &dyn std::fmt::Display| {
            io::Error::other(format!(
                "the new results are in place, but {} could not be moved to {}: {why}",
                from.display(),
                to.display()
            ))
        };
        if fs::symlink_metadata(&to).is_ok() {
            return Err(failed(&"something of this name is there"));
        }
        to.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| failed(&error))?;
        fs::rename(&from, &to).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Moves complete results, file by file, into an existing folder. The journal of their names makes it
/// possible to continue after a kill.
pub(crate) fn one_by_one(staging: &Path, target: &Path, contents: &Contents) -> io::Result<()> {
    let names = own_files(staging, contents)?;
    let mut journal = File::create(staging.join(JOURNAL))?;
    journal.write_all(names.join("\n").as_bytes())?;
    journal.sync_all()?;
    sync(staging);
    let moving = target.join(hidden_name(OsStr::new("results"), Use::Moving));
    fs::rename(staging, &moving)?;
    continue_moving(&moving, target, contents)
}

/// Takes the remaining steps: removes former results and moves the new ones, ending with the file
/// whose presence means that they are complete.
pub(crate) fn continue_moving(moving: &Path, target: &Path, contents: &Contents) -> io::Result<()> {
    let text = fs::read_to_string(moving.join(JOURNAL))?;
    let names: BTreeSet<&str> = text.lines().collect();
    let is_moved = |name: &str| names.contains(name) && !moving.join(name).exists();
    for name in contents.files.iter().rev().filter(|name| !is_moved(name)) {
        remove_if_there(&target.join(name))?;
    }
    if let Some(folder) = contents.folder {
        for name in table_files(target, folder)?.iter().filter(|name| !is_moved(name)) {
            remove_if_there(&target.join(name))?;
        }
        let new = table_files(moving, folder)?;
        if moving.join(folder).exists() {
            fs::create_dir_all(target.join(folder))?;
        }
        for name in new {
            fs::rename(moving.join(&name), target.join(&name))?;
        }
        sync(&target.join(folder));
    }
    for name in contents.files.iter().filter(|name| moving.join(name).exists()) {
        fs::rename(moving.join(name), target.join(name))?;
    }
    sync(target);
    fs::remove_dir_all(moving)
}

/// Returns the paths of all files of results in a folder, relative to it, with slashes.
fn own_files(folder: &Path, contents: &Contents) -> io::Result<Vec<String>> {
    let at_top = contents.files.iter().filter(|name| folder.join(name).exists());
    let mut names: Vec<String> = at_top.map(|name| (*name).to_owned()).collect();
    if let Some(below) = contents.folder {
        names.extend(table_files(folder, below)?);
    }
    Ok(names)
}

/// Returns the tables of a subfolder, which need not exist.
fn table_files(folder: &Path, below: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder.join(below)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<io::Result<Vec<String>>>()?;
    Ok(names.into_iter().filter(|name| is_table(Path::new(name))).map(|name| format!("{below}/{name}")).collect())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Syncs the names in a folder to disk, if the system supports that.
pub(crate) fn sync(folder: &Path) {
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
}
