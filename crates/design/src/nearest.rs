//! Suggestions for misspelled names.

use strsim::osa_distance;

/// Returns the name most similar to `wanted` by case-insensitive edit distance; `None` if none is similar.
pub fn nearest(wanted: &str, names: &[String]) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let length = wanted.chars().count();
    // Accept about one mistake per three characters.
    let limit = ((length + 1) / 3).max(1);
    let distances = names.iter().map(|name| (osa_distance(&wanted, &name.to_lowercase()), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= limit && distance < length).then(|| name.clone())
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
