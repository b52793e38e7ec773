//! Glob patterns: `*`, `?`, `[a-z]` and `[!a-z]` within a name, `**` for any number of folders.

use glob::{MatchOptions, Pattern};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::TableError;

/// Whether a path contains wildcards.
pub(crate) fn is_pattern(path: &Path) -> bool {
    path.to_str().is_some_and(|p| p.contains(['*', '?', '[']))
}

/// Returns the folder before the first component with a wildcard.
pub(crate) fn literal_prefix(pattern: &Path) -> PathBuf {
    pattern.components().take_while(|c| !is_pattern(Path::new(c))).collect()
}

/// Returns all existing files and folders that match, in sorted order.
pub(crate) fn matches(pattern: &Path) -> Result<BTreeSet<PathBuf>, TableError> {
    let mut found = BTreeSet::from([PathBuf::new()]);
    for component in pattern.components() {
        let mut next = BTreeSet::new();
        for base in &found {
            match component {
                Component::Normal(name) => {
                    let name = name.to_str().ok_or_else(|| TableError::BadName { path: pattern.to_owned() })?;
                    step(base, name, pattern, &mut next)?;
                }
                other => {
                    next.insert(base.join(other));
                }
            }
        }
        found = next;
    }
    Ok(found)
}

/// Adds to `next` the entries of the folder `base` that match one component of the pattern.
fn step(base: &Path, name: &str, pattern: &Path, next: &mut BTreeSet<PathBuf>) -> Result<(), TableError> {
    if name == "**" {
        folders_below(base, &mut BTreeSet::new(), next)?;
    } else if is_pattern(Path::new(name)) {
        let wanted = parse(name).map_err(|reason| TableError::BadPattern { pattern: pattern.to_owned(), reason })?;
        for entry in entries(base)? {
            if entry.file_name().and_then(|n| n.to_str()).is_some_and(|name| fits(&wanted, name)) {
                next.insert(entry);
            }
        }
    } else if base.join(name).exists() {
        next.insert(base.join(name));
    }
    Ok(())
}

/// Adds a folder and all folders below it, including links to folders. A folder that is reached again,
/// for example by a link to a folder above, is not entered again.
fn folders_below(folder: &Path, seen: &mut BTreeSet<PathBuf>, next: &mut BTreeSet<PathBuf>) -> Result<(), TableError> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // A folder that does not exist has no folders below it.
    if let Ok(real) = fs::canonicalize(here)
        && !seen.insert(real)
    {
        return Ok(());
    }
    next.insert(folder.to_owned());
    for entry in entries(folder)? {
        if entry.is_dir() && !is_hidden(&entry) {
            folders_below(&entry, seen, next)?;
        }
    }
    Ok(())
}

/// Returns the entries of a folder sorted by name, with links last, so that a file with a link to it is
/// found by its own name. If the folder does not exist, there are none.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, TableError> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let list = match fs::read_dir(here) {
        Ok(list) => list,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(TableError::io(here, "listing the folder", e)),
    };
    let entry = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_type().is_ok_and(|kind| kind.is_symlink()), folder.join(entry.file_name())))
    };
    let found: io::Result<Vec<(bool, PathBuf)>> = list.map(entry).collect();
    let mut found = found.map_err(|e| TableError::io(here, "listing the folder", e))?;
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Whether a name begins with a dot: such files are for programs and not data.
pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with('.'))
}

/// Parses one component of a pattern; `**` next to other characters means the same as `*`.
fn parse(name: &str) -> Result<Pattern, String> {
    let mut one_star = String::with_capacity(name.len());
    for c in name.chars() {
        if c != '*' || !one_star.ends_with('*') {
            one_star.push(c);
        }
    }
    Pattern::new(&one_star).map_err(|error| match name.contains('[') {
        true => format!("`{name}` has a `[` without its `]`"),
        false => format!("`{name}`: {}", error.msg),
    })
}

/// Whether a name matches a pattern. A leading dot must be matched by a dot.
fn fits(pattern: &Pattern, name: &str) -> bool {
    let options =
        MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    pattern.matches_with(name, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str, expected: bool) {
        let parsed = parse(pattern).unwrap();
        assert_eq!(fits(&parsed, name), expected, "{pattern} on {name}");
    }

    #[test]
    fn names_fit_patterns() {
        check("*.parquet", "a.parquet", true);
        check("*.parquet", "a.csv", false);
        check("part-??.csv", "part-01.csv", true);
        check("part-??.csv", "part-1.csv", false);
        check("year=[0-9]*", "year=2019", true);
        check("[!a-c]x", "bx", false);
        check("[!a-c]x", "dx", true);
        check("[]]", "]", true);
        check("größe*", "größe_1", true);
        check("a**z", "abcz", true);
        check("*.csv", ".hidden.csv", false);
        check(".*.csv", ".hidden.csv", true);
    }

    #[test]
    fn an_unclosed_bracket_is_an_error() {
        assert!(parse("a[bc").unwrap_err().contains("without its `]`"));
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let began = std::time::Instant::now();
        check(&format!("{}c", "*b".repeat(100)), &"b".repeat(250), false);
        check(&format!("{}c", "*b".repeat(100)), &format!("{}c", "b".repeat(250)), true);
        check(&"*?".repeat(5000), &"b".repeat(250), false);
        assert!(began.elapsed().as_secs() < 5);
    }
}
