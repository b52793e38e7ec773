//! Glob patterns: `*`, `?`, `[a-z]`, `[!a-z]` within a name, `**` for any number of folders.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::TableError;

/// Whether a path has to be read as a pattern.
pub(crate) fn is_pattern(path: &Path) -> bool {
    path.to_str().is_some_and(|p| p.contains(['*', '?', '[']))
}

/// The folder before the first name with a wildcard: where the pattern starts.
pub(crate) fn literal_prefix(pattern: &Path) -> PathBuf {
    pattern.components().take_while(|c| !is_pattern(Path::new(c))).collect()
}

/// All existing files and folders that match, in sorted order.
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
        next.insert(base.to_owned());
        for entry in entries(base)? {
            if entry.is_dir() && !is_hidden(&entry) {
                step(&entry, name, pattern, next)?;
            }
        }
    } else if is_pattern(Path::new(name)) {
        let tokens = parse(name).map_err(|reason| TableError::BadPattern { pattern: pattern.to_owned(), reason })?;
        for entry in entries(base)? {
            let fits = entry
                .file_name()
                .and_then(|n| n.to_str())
                .is_some_and(|n| fits(&tokens, &n.chars().collect::<Vec<_>>()));
            if fits && (name.starts_with('.') || !is_hidden(&entry)) {
                next.insert(entry);
            }
        }
    } else if base.join(name).exists() {
        next.insert(base.join(name));
    }
    Ok(())
}

/// The entries of a folder; none where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, TableError> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let list = match fs::read_dir(here) {
        Ok(list) => list,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(TableError::io(here, "listing the folder", e)),
    };
    list.map(|entry| Ok(folder.join(entry?.file_name())))
        .collect::<io::Result<_>>()
        .map_err(|e| TableError::io(here, "listing the folder", e))
}

/// Names that begin with a dot are for programs, not for data.
pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with('.'))
}

enum Token {
    Char(char),
    Any,
    Run,
    Set { negated: bool, ranges: Vec<(char, char)> },
}

fn parse(name: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = name.chars().collect();
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        tokens.push(match chars[i] {
            '*' => Token::Run,
            '?' => Token::Any,
            '[' => {
                let (set, end) =
                    parse_set(&chars, i + 1).ok_or_else(|| format!("`{name}` has a `[` without its `]`"))?;
                i = end;
                set
            }
            c => Token::Char(c),
        });
        i += 1;
    }
    Ok(tokens)
}

/// A set `[…]` from the character after `[`, and the place of its `]`.
fn parse_set(chars: &[char], start: usize) -> Option<(Token, usize)> {
    let negated = chars.get(start) == Some(&'!');
    let mut i = start + usize::from(negated);
    let first = i;
    let mut ranges = Vec::new();
    // A `]` right at the start stands for itself.
    while i == first || *chars.get(i)? != ']' {
        let low = *chars.get(i)?;
        match (chars.get(i + 1), chars.get(i + 2)) {
            (Some('-'), Some(&high)) if high != ']' => {
                ranges.push((low, high));
                i += 3;
            }
            _ => {
                ranges.push((low, low));
                i += 1;
            }
        }
    }
    Some((Token::Set { negated, ranges }, i))
}

fn fits(tokens: &[Token], name: &[char]) -> bool {
    match (tokens.first(), name.first()) {
        (None, rest) => rest.is_none(),
        (Some(Token::Run), _) => (0..=name.len()).any(|skip| fits(&tokens[1..], &name[skip..])),
        (Some(token), Some(&c)) => {
            let one = match token {
                Token::Char(want) => *want == c,
                Token::Set { negated, ranges } => ranges.iter().any(|&(low, high)| low <= c && c <= high) != *negated,
                Token::Any | Token::Run => true,
            };
            one && fits(&tokens[1..], &name[1..])
        }
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str, expected: bool) {
        let tokens = parse(pattern).unwrap();
        let chars: Vec<char> = name.chars().collect();
        assert_eq!(fits(&tokens, &chars), expected, "{pattern} on {name}");
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
    }

    #[test]
    fn an_open_bracket_is_told() {
        assert!(parse("a[bc").is_err());
    }
}
