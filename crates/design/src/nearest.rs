//! Suggestions for misspelled names.

/// Returns the name most similar to `wanted` by case-insensitive edit distance; `None` if none is similar.
pub fn nearest(wanted: &str, names: &[String]) -> Option<String> {
    let wanted: Vec<char> = wanted.to_lowercase().chars().collect();
    // Accept about one mistake per three characters.
    let limit = ((wanted.len() + 1) / 3).max(1);
    let distances = names.iter().filter_map(|name| {
        let other: Vec<char> = name.to_lowercase().chars().collect();
        let near = other.len().abs_diff(wanted.len()) <= limit;
        near.then(|| (edit_distance(&wanted, &other), name))
    });
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= limit && distance < wanted.len()).then(|| name.clone())
}

/// Returns the number of insertions, deletions, replacements and swaps of neighbours between two words.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before: Vec<usize> = vec![0; width];
    let mut above: Vec<usize> = (0..width).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; width];
        for j in 1..width {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_misspelled_names_and_no_others() {
        let names: Vec<String> = ["score", "gcsescore", "school", "SES"].map(str::to_owned).to_vec();
        for (wanted, expected) in [
            ("scor", Some("score")),
            ("shcool", Some("school")),
            ("ses", Some("SES")),
            ("gcse_score", Some("gcsescore")),
            ("income", None),
            ("x", None),
        ] {
            assert_eq!(nearest(wanted, &names).as_deref(), expected, "{wanted}");
        }
    }
}
