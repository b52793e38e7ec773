//! Names of the files in a folder of results or of moments, to distinguish our files from others.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// File in a folder of results that are being moved one by one, which lists all their names.
pub(crate) const JOURNAL: &str = ".tiers-names";

/// The files that tiers writes into a folder of one kind.
#[derive(Debug)]
pub struct Contents {
    /// Name of the files in messages.
    pub called: &'static str,
    /// Files at the top. The last of them is written last and removed first: if it exists, all files
    /// beside it are of the same run.
    pub files: &'static [&'static str],
    /// Subfolder of tables, which are parquet or csv.
    pub folder: Option<&'static str>,
    /// A JSON key of the last file, if tiers or a program that follows its format wrote it.
    pub key: &'static str,
}

impl Contents {
    /// Returns the name of the last file, whose presence means that all others are complete.
    pub(crate) fn last(&self) -> &'static str {
        self.files.last().expect("a folder has one file at least")
    }

    /// Whether a folder holds the last file, and it has the key of this kind.
    pub(crate) fn is_complete(&self, folder: &Path) -> bool {
        let text = fs::read_to_string(folder.join(self.last())).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|json| json.get(self.key).is_some())
    }

    /// Whether a path relative to a folder has the name of one of our files.
    pub fn has(&self, path: &Path) -> bool {
        let is_file = self.files.iter().any(|name| path == Path::new(name));
        is_file || self.folder.is_some_and(|folder| path.starts_with(folder))
    }

    /// Returns the first of our names that exists in a folder.
    pub(crate) fn standing(&self, folder: &Path) -> Option<&'static str> {
        self.files.iter().copied().chain(self.folder).find(|name| folder.join(name).exists())
    }

    /// Returns the paths, relative to a folder, that tiers did not write: files with other names, links,
    /// devices and folders.
    pub(crate) fn strangers(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut strangers = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            if kind.is_dir() && self.folder.is_some_and(|own| name == own) {
                let within = fs::read_dir(entry.path())?.collect::<io::Result<Vec<_>>>()?;
                let is_own = |name: &OsStr| is_table(Path::new(name));
                let others = within.into_iter().map(|entry| entry.file_name());
                let others = others.filter(|name| !is_own(name) && !is_temporary(name));
                strangers.extend(others.map(|other| Path::new(&name).join(other)));
            } else if !(kind.is_file() && (self.has(Path::new(&name)) || is_temporary(&name))) {
                strangers.push(name.into());
            }
        }
        Ok(strangers)
    }
}

/// Whether a file in the subfolder has the extension of a table.
pub(crate) fn is_table(name: &Path) -> bool {
    name.extension().is_some_and(|extension| extension == "parquet" || extension == "csv")
}

/// Whether this is the name of a file that is still being written, or of a journal.
fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name == JOURNAL || (name.starts_with('.') && name.ends_with(".tmp"))
}

/// Use of a hidden folder that a run works in. Its name holds the target, the process and the use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// New results are being written. After an exchange, it holds the former results.
    New,
    /// Former results that were moved aside.
    Former,
    /// Complete new results that are being moved one by one into an existing folder.
    Moving,
}

impl Use {
    fn ending(self) -> &'static str {
        match self {
            Use::New => "tmp",
            Use::Former => "old",
            Use::Moving => "moving",
        }
    }
}

/// Returns the name of such a folder of this process.
pub(crate) fn hidden_name(name: &OsStr, what: Use) -> String {
    format!(".{}.tiers-{}.{}", name.to_string_lossy(), std::process::id(), what.ending())
}

/// Parses such a name into the name of the target, the process and the use.
pub fn parse_hidden(name: &str) -> Option<(&str, u32, Use)> {
    let (of, rest) = name.strip_prefix('.')?.rsplit_once(".tiers-")?;
    let (pid, ending) = rest.split_once('.')?;
    let what = [Use::New, Use::Former, Use::Moving].into_iter().find(|what| what.ending() == ending)?;
    Some((of, pid.parse().ok()?, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_names_are_read_back() {
        for what in [Use::New, Use::Former, Use::Moving] {
            let name = hidden_name(OsStr::new("a.tiers-1.tmp"), what);
            assert_eq!(parse_hidden(&name), Some(("a.tiers-1.tmp", std::process::id(), what)));
        }
        let others = ["a.tiers-1.tmp", ".a.tiers-x.tmp", ".a.tiers-1.new", ".tiers", ".a.tmp"];
        assert!(others.iter().all(|name| parse_hidden(name).is_none()));
    }
}
