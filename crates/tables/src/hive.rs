//! Hive partitions: a folder named `year=2019` below the root gives its files a column `year`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tiers_csv::{ColumnType, needs_text};
use tiers_design::Kind;

use crate::error::TableError;

/// The value in a folder name that stands for a missing value.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// A column whose values are in the names of folders.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) name: String,
    /// Integer if every value is an integer, else float if every value is a number, else text; unless the
    /// user stated the type. Numbers that must be kept as text to be ids (`01`) are [`Kind::Digits`].
    pub(crate) kind: Kind,
    /// The value for each file of the source, in file order.
    pub(crate) values: Vec<Option<String>>,
}

/// Returns the partition columns of the files below `root`. All files must have the same ones.
pub(crate) fn partitions(
    files: &[PathBuf],
    root: &Path,
    types: &BTreeMap<String, ColumnType>,
) -> Result<Vec<Partition>, TableError> {
    let per_file = files.iter().map(|file| pairs(file, root)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = per_file.first() else {
        return Ok(Vec::new());
    };
    for (file, pairs) in files.iter().zip(&per_file) {
        same_names(&files[0], first, file, pairs)?;
    }
    let column = |(name, _): &(String, _)| {
        let value = |pairs: &Pairs| pairs.iter().find(|(n, _)| n == name).unwrap().1.clone();
        let values: Vec<Option<String>> = per_file.iter().map(value).collect();
        Partition { name: name.clone(), kind: kind(&values, types.get(name).copied()), values }
    };
    Ok(first.iter().map(column).collect())
}

type Pairs = Vec<(String, Option<String>)>;

/// Returns the names and values in the folders between `root` and `file`; of a repeated name, the deepest.
fn pairs(file: &Path, root: &Path) -> Result<Pairs, TableError> {
    let path = std::path::absolute(file).map_err(|e| TableError::io(file, "finding the absolute path", e))?;
    let below = path.strip_prefix(root).unwrap_or(Path::new(""));
    let mut pairs = Pairs::new();
    for folder in below.parent().into_iter().flat_map(Path::components) {
        let Some(text) = folder.as_os_str().to_str() else {
            continue;
        };
        if let Some((name, value)) = text.split_once('=')
            && !name.is_empty()
        {
            let value = (value != NULL_FOLDER).then(|| percent_decoded(value));
            let name = percent_decoded(name);
            pairs.retain(|(n, _)| *n != name);
            pairs.push((name, value));
        }
    }
    Ok(pairs)
}

fn same_names(first: &Path, first_pairs: &Pairs, file: &Path, pairs: &Pairs) -> Result<(), TableError> {
    let lacks = |have: &Pairs, other: &Pairs| {
        other.iter().map(|(name, _)| name).find(|name| have.iter().all(|(n, _)| n != *name)).cloned()
    };
    match lacks(pairs, first_pairs).or_else(|| lacks(first_pairs, pairs)) {
        None => Ok(()),
        Some(column) => Err(TableError::SchemaDiffers {
            first: first.to_owned(),
            second: file.to_owned(),
            why: format!("is given by a folder `{column}=…` for one and not for the other"),
            column,
        }),
    }
}

fn kind(values: &[Option<String>], stated: Option<ColumnType>) -> Kind {
    let all = |test: fn(&str) -> bool| values.iter().flatten().all(|v| test(v));
    let are_numbers = all(|v| v.parse::<f64>().is_ok_and(f64::is_finite));
    if stated == Some(ColumnType::Text) || values.iter().all(Option::is_none) || !are_numbers {
        Kind::Text
    } else if stated.is_none() && !all(|v| !needs_text(v.as_bytes())) {
        Kind::Digits
    } else if all(|v| v.parse::<i64>().is_ok()) {
        Kind::Integer
    } else {
        Kind::Float
    }
}

/// Decodes escapes such as `%20`, in which Hive writes special characters.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let code = (bytes[i] == b'%')
            .then(|| text.get(i + 1..i + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(code.unwrap_or(bytes[i]));
        i += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_become_columns() {
        let files = ["/d/year=2019/state=New%20York/a.parquet", "/d/year=2020/state=Ohio/a.parquet"];
        let found = partitions(&files.map(PathBuf::from), Path::new("/d"), &BTreeMap::new()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), &found[0].kind), ("year", &Kind::Integer));
        assert_eq!(found[1].values, [Some("New York".to_owned()), Some("Ohio".to_owned())]);
        assert_eq!(found[1].kind, Kind::Text);
    }

    #[test]
    fn numbers_with_leading_zeros_or_signs_are_digits() {
        let kind_of = |values: &[&str], stated| {
            let values: Vec<_> = values.iter().map(|&v| Some(v.to_owned())).collect();
            kind(&values, stated)
        };
        assert_eq!(kind_of(&["7", "8"], None), Kind::Integer);
        for odd in ["07", "+7", "-0", "99999999999999999999"] {
            assert_eq!(kind_of(&["7", odd], None), Kind::Digits, "{odd}");
        }
        assert_eq!(kind_of(&["7", "07"], Some(ColumnType::Integer)), Kind::Integer);
        assert_eq!(kind_of(&["7", "8"], Some(ColumnType::Text)), Kind::Text);
    }

    #[test]
    fn folders_above_the_root_are_not_columns() {
        let files = [PathBuf::from("/x=1/d/a.parquet")];
        assert!(partitions(&files, Path::new("/x=1/d"), &BTreeMap::new()).unwrap().is_empty());
    }

    #[test]
    fn files_outside_of_a_partition_are_an_error() {
        let files = ["/d/year=2019/a.parquet", "/d/b.parquet"].map(PathBuf::from);
        let error = partitions(&files, Path::new("/d"), &BTreeMap::new()).unwrap_err();
        assert!(matches!(error, TableError::SchemaDiffers { column, .. } if column == "year"));
    }
}
