//! Finds the existing name most similar to one that does not exist, for error messages.

use std::path::Path;
use strsim::levenshtein;

/// Returns the name most similar to `wanted`, if any is similar enough.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wanted.chars().count() / 3).max(1);
    let lower = wanted.to_lowercase();
    names
        .into_iter()
        .filter(|name| *name != wanted)
        .map(|name| (levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Returns the name in the folder of `path` that is most similar to its last component.
pub(crate) fn nearest_sibling(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let folder = match path.parent()? {
        p if p.as_os_str().is_empty() => Path::new("."),
        p => p,
    };
    let names: Vec<String> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_is_found_if_similar_enough() {
        let names = ["score", "pretest", "school", "class_size"];
        assert_eq!(nearest("shcool", names), Some("school"));
        assert_eq!(nearest("Score", names), Some("score"));
        assert_eq!(nearest("weight", names), None);
    }
}
