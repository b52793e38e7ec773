//! The levels of a factor, collected block by block.

use crate::columns::{Dictionary, Labels, MISSING};
use std::collections::BTreeSet;

/// The levels of one factor seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LevelSet {
    integers: BTreeSet<i64>,
    texts: BTreeSet<String>,
}

impl LevelSet {
    /// No levels yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the labels of a block: all that the dictionary holds.
    pub fn absorb(&mut self, labels: &Labels) {
        (0..labels.dictionary.len()).for_each(|code| self.insert(&labels.dictionary, code));
    }

    /// Takes in the labels of the rows of a block that are kept (`None` for all).
    pub fn absorb_kept(&mut self, labels: &Labels, kept: Option<&[u32]>) {
        let Some(kept) = kept else { return self.absorb(labels) };
        let used = used_codes(&labels.codes, Some(kept), labels.dictionary.len());
        (0..used.len()).filter(|&code| used[code]).for_each(|code| self.insert(&labels.dictionary, code));
    }

    fn insert(&mut self, dictionary: &Dictionary, code: usize) {
        match dictionary {
            Dictionary::Integer(values) => {
                self.integers.insert(values[code]);
            }
            Dictionary::Text(texts) => {
                let text = texts.get(code);
                if !self.texts.contains(text) {
                    self.texts.insert(text.to_owned());
                }
            }
        }
    }

    /// Number of levels.
    pub fn len(&self) -> usize {
        self.integers.len() + self.texts.len()
    }

    /// Whether no level was seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The levels in order: integers by value, texts by their bytes.
    pub fn levels(&self) -> Vec<String> {
        let integers = self.integers.iter().map(i64::to_string);
        integers.chain(self.texts.iter().cloned()).collect()
    }
}

/// Which of `count` codes occur in the kept rows.
pub(crate) fn used_codes(codes: &[u32], kept: Option<&[u32]>, count: usize) -> Vec<bool> {
    let mut used = vec![false; count];
    let mut see = |code: u32| {
        if code != MISSING {
            used[code as usize] = true;
        }
    };
    match kept {
        Some(kept) => kept.iter().for_each(|&row| see(codes[row as usize])),
        None => codes.iter().for_each(|&code| see(code)),
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::PackedText;

    #[test]
    fn integers_are_in_numeric_and_texts_in_byte_order() {
        let mut set = LevelSet::new();
        set.absorb(&Labels { codes: vec![0, 1], dictionary: Dictionary::Integer(vec![10, 9]) });
        set.absorb(&Labels { codes: vec![0], dictionary: Dictionary::Integer(vec![-1]) });
        assert_eq!(set.levels(), ["-1", "9", "10"]);
        let mut set = LevelSet::new();
        let words: PackedText = ["b", "a", "B"].iter().collect();
        set.absorb_kept(
            &Labels { codes: vec![0, 1, 2, MISSING], dictionary: Dictionary::Text(words) },
            Some(&[0, 2, 3]),
        );
        assert_eq!(set.levels(), ["B", "b"]);
    }
}
