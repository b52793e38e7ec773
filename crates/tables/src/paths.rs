//! Expands the paths given by the user (files, folders, globs) to the sorted list of data files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::TableError;
use crate::pattern;

/// The input formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Ipc,
    /// Delimited text; the separator is detected in each file.
    Csv,
}

impl Format {
    /// Returns the format that a file's extension implies.
    fn of_extension(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (name, compressed) = name.strip_suffix(".gz").map_or((name.as_str(), false), |name| (name, true));
        match name.rsplit_once('.')?.1 {
            "csv" | "tsv" | "tab" => Some(Format::Csv),
            _ if compressed => None,
            "parquet" | "pq" | "parq" => Some(Format::Parquet),
            "arrow" | "feather" | "ipc" => Some(Format::Ipc),
            _ => None,
        }
    }

    /// Returns the format of a file that was named individually, or by a pattern with its extension. Only
    /// then is `.txt` taken for a table: among the files of a folder it may be anything.
    fn of_named(path: &Path) -> Option<Format> {
        Format::of_extension(path).or_else(|| {
            let name = path.file_name()?.to_str()?.to_ascii_lowercase();
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            name.ends_with(".txt").then_some(Format::Csv)
        })
    }

    /// Returns the format that a file's first bytes identify.
    fn of_content(path: &Path) -> Option<Format> {
        let mut magic = [0; 6];
        let mut file = File::open(path).ok()?;
        let read = file.read(&mut magic).ok()?;
        match &magic[..read] {
            m if m.starts_with(b"PAR1") => Some(Format::Parquet),
            b"ARROW1" => Some(Format::Ipc),
            _ => None,
        }
    }
}

/// The data files of a source.
#[derive(Debug)]
pub(crate) struct Expansion {
    /// The files in sorted order, without duplicates.
    pub(crate) files: Vec<PathBuf>,
    /// Their common format.
    pub(crate) format: Format,
    /// The absolute path of the folder below which folder names such as `year=2019` are columns.
    pub(crate) root: PathBuf,
}

/// Finds the data files named by the arguments.
///
/// The root for hive partitions is the deepest common folder of all arguments, where a file counts as
/// its folder and a glob as the folder before its first wildcard. So each of
/// `data/year=2019 data/year=2020`, `data/` and `data/*/*.parquet` gives a column `year`, but
/// `data/year=2019` alone does not.
pub(crate) fn expand(arguments: &[PathBuf]) -> Result<Expansion, TableError> {
    let mut found = Found::new();
    let mut root: Option<PathBuf> = None;
    for argument in arguments {
        let mut here = Found::new();
        let base = expand_one(argument, &mut here)?;
        found.append(&mut here);
        // The path of a file or glob in the current folder has no folder.
        let base = if base.as_os_str().is_empty() { PathBuf::from(".") } else { base };
        let base = std::path::absolute(&base).map_err(|e| TableError::io(&base, "finding the absolute path", e))?;
        root = Some(match root {
            None => base,
            Some(root) => common(&root, &base),
        });
    }
    let format = one_format(&found)?;
    Ok(Expansion { files: once_each(found.into_keys().collect())?, format, root: root.unwrap_or_default() })
}

type Found = BTreeMap<PathBuf, Format>;

/// Adds the files of one argument and returns the folder that it counts as.
fn expand_one(argument: &Path, found: &mut Found) -> Result<PathBuf, TableError> {
    match fs::metadata(argument) {
        Ok(about) if about.is_dir() => {
            expand_folder(argument, found)?;
            Ok(argument.to_owned())
        }
        Ok(about) => {
            check_regular(argument, &about)?;
            found.insert(argument.to_owned(), file_format(argument)?);
            Ok(argument.parent().unwrap_or(argument).join(""))
        }
        Err(_) if pattern::is_pattern(argument) => {
            expand_pattern(argument, found)?;
            Ok(pattern::literal_prefix(argument))
        }
        Err(e) => Err(TableError::io(argument, "opening", e)),
    }
}

fn expand_folder(folder: &Path, found: &mut Found) -> Result<(), TableError> {
    walk(folder, found, &mut BTreeSet::new())?;
    if found.is_empty() {
        return Err(TableError::NoDataFiles { path: folder.to_owned() });
    }
    Ok(())
}

fn expand_pattern(argument: &Path, found: &mut Found) -> Result<(), TableError> {
    let matches = pattern::matches(argument)?;
    let (folders, files): (Vec<_>, Vec<_>) = matches.into_iter().filter(|m| !is_special(m)).partition(|m| m.is_dir());
    if folders.is_empty() && files.is_empty() {
        return Err(TableError::NoMatch { pattern: argument.to_owned() });
    }
    // `data/*` may also match notes and folders, so files that cannot be read are skipped. They are an
    // error only if no matched file can be read.
    let names_text = Format::of_named(argument) == Some(Format::Csv);
    for file in &files {
        let named = names_text.then(|| Format::of_named(file)).flatten();
        if let Some(format) = named.or_else(|| known_format(file)) {
            found.insert(file.clone(), format);
        }
    }
    for folder in &folders {
        walk(folder, found, &mut BTreeSet::new())?;
    }
    if found.is_empty() {
        match files.first() {
            Some(file) => file_format(file).map(|_| ())?,
            None => {
                return Err(TableError::NoDataFiles { path: folders[0].clone() });
            }
        }
    }
    Ok(())
}

/// Adds the data files below a folder. Skips hidden entries and those that begin with an underscore
/// (`_SUCCESS`, `_metadata`), which are written for programs, all other files that are not data, and
/// pipes, sockets and devices, where reading may block forever.
fn walk(folder: &Path, found: &mut Found, seen: &mut BTreeSet<PathBuf>) -> Result<(), TableError> {
    let real = fs::canonicalize(folder).map_err(|e| TableError::io(folder, "opening", e))?;
    if !seen.insert(real) {
        return Ok(()); // a link back to a folder above
    }
    for path in pattern::entries(folder)? {
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with(['.', '_']) || is_special(&path) {
            continue;
        }
        if path.is_dir() {
            walk(&path, found, seen)?;
        } else if let Some(format) = known_format(&path) {
            found.insert(path, format);
        }
    }
    Ok(())
}

/// Whether a path leads to a pipe, a socket or a device. Returns `false` if the path cannot be
/// inspected (a broken link); opening it gives the error.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir())
}

/// Checks that a path that was named individually is a regular file: opening a pipe waits for a writer,
/// and a device may have no end.
fn check_regular(path: &Path, about: &fs::Metadata) -> Result<(), TableError> {
    match about.is_file() {
        true => Ok(()),
        false => Err(TableError::NotRegular { path: path.to_owned() }),
    }
}

/// Returns the format of a file by its extension or, if the extension is not known, by its content.
fn known_format(path: &Path) -> Option<Format> {
    Format::of_extension(path).or_else(|| Format::of_content(path))
}

/// Returns the format of a file that was named individually; it is an error if it cannot be read.
fn file_format(path: &Path) -> Result<Format, TableError> {
    if let Some(format) = Format::of_named(path) {
        return Ok(format);
    }
    File::open(path).map_err(|e| TableError::io(path, "opening", e))?;
    Format::of_content(path).ok_or_else(|| TableError::Unsupported {
        path: path.to_owned(),
        what: match path.extension() {
            Some(e) => format!("files of type .{} cannot be read", e.to_string_lossy()),
            None => "the name has no extension that identifies its format".to_owned(),
        },
    })
}

fn one_format(found: &Found) -> Result<Format, TableError> {
    let mut all = found.iter();
    let (first, &format) = all.next().ok_or(TableError::NothingNamed)?;
    match all.find(|&(_, &other)| other != format) {
        None => Ok(format),
        Some((second, _)) => Err(TableError::MixedFormats { first: first.clone(), second: second.clone() }),
    }
}

/// Removes duplicates of files that were named more than once, by different spellings, links or hard
/// links: their rows would count twice.
fn once_each(files: Vec<PathBuf>) -> Result<Vec<PathBuf>, TableError> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(files.len());
    for file in files {
        let identity = identity(&file).map_err(|e| TableError::io(&file, "opening", e))?;
        if seen.insert(identity) {
            kept.push(file);
        }
    }
    Ok(kept)
}

/// Identifies a file independently of its name: device and inode.
#[cfg(unix)]
fn identity(file: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(file).map(|about| (about.dev(), about.ino()))
}

/// Identifies a file independently of the spelling of its path; does not recognise hard links.
#[cfg(not(unix))]
fn identity(file: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(file)
}

fn common(a: &Path, b: &Path) -> PathBuf {
    a.components().zip(b.components()).take_while(|(x, y)| x == y).map(|(x, _)| x).collect()
}
