//! The groups of one level by their labels: which of them a row of another table belongs to.

use crate::labels::{hash, same};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::borrow::Cow;
use std::hash::BuildHasher;
use tiers_design::{Dictionary, Labels, MISSING, PackedText};

/// Groups numbered from 0, found by their labels.
#[derive(Debug)]
pub struct GroupIndex {
    /// Per key column the label of every group.
    keys: Vec<Dictionary>,
    /// Numbers of groups by the hash of their labels.
    table: HashTable<u32>,
}

impl GroupIndex {
    /// The index of groups whose labels are given per key column, an entry per group. The error is
    /// the number of the first group that has the labels of one before it.
    ///
    /// # Panics
    /// If the key columns differ in length, or there are 2³² groups.
    pub fn new(keys: Vec<Dictionary>) -> Result<GroupIndex, usize> {
        let groups = keys.first().map_or(0, Dictionary::len);
        assert!(keys.iter().all(|key| key.len() == groups), "a label of every key for every group");
        let mut table = HashTable::with_capacity(groups);
        let hash_of = |group: usize| combined(keys.iter().map(|key| hash(key, group)));
        let same_labels = |a: usize, b: usize| keys.iter().all(|key| same(key, a, key, b));
        for group in 0..groups {
            let hash = hash_of(group);
            if table.find(hash, |&other: &u32| same_labels(other as usize, group)).is_some() {
                return Err(group);
            }
            let number = u32::try_from(group).expect("fewer than 2^32 groups");
            table.insert_unique(hash, number, |&group| hash_of(group as usize));
        }
        Ok(GroupIndex { keys, table })
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Per row its group, [`MISSING`] where there is none of these labels or one of them is missing.
    ///
    /// Labels are the same if a person reads the same: the text `7` is the integer 7, as it is for R.
    pub fn groups_of(&self, labels: &[&Labels]) -> Vec<u32> {
        let rows = labels.first().map_or(0, |labels| labels.codes.len());
        let keys: Vec<BlockKey<'_>> = labels.iter().zip(&self.keys).map(|(l, key)| BlockKey::new(l, key)).collect();
        let mut out = Vec::with_capacity(rows);
        for row in 0..rows {
            let repeats = row > 0 && keys.iter().all(|key| key.codes[row] == key.codes[row - 1]);
            out.push(if repeats { out[row - 1] } else { self.find(&keys, row) });
        }
        out
    }

    fn find(&self, keys: &[BlockKey<'_>], row: usize) -> u32 {
        let mut known = true;
        let hash = combined(keys.iter().map(|key| match key.hashes.get(key.codes[row] as usize) {
            Some(Some(hash)) => *hash,
            _ => {
                known = false;
                0
            }
        }));
        if !known {
            return MISSING;
        }
        let is_it = |&group: &u32| {
            let has = |(key, own): (&BlockKey<'_>, &Dictionary)| {
                same(own, group as usize, &key.dictionary, key.codes[row] as usize)
            };
            keys.iter().zip(&self.keys).all(has)
        };
        self.table.find(hash, is_it).copied().unwrap_or(MISSING)
    }
}

/// A key column of a block, its labels in the kind that the index has.
struct BlockKey<'a> {
    codes: &'a [u32],
    dictionary: Cow<'a, Dictionary>,
    /// Per entry its hash; `None` where it cannot be a label of that kind.
    hashes: Vec<Option<u64>>,
}

impl<'a> BlockKey<'a> {
    fn new(labels: &'a Labels, like: &Dictionary) -> BlockKey<'a> {
        let given = &labels.dictionary;
        let mut fits = vec![true; given.len()];
        let dictionary = match (given, like) {
            (Dictionary::Integer(values), Dictionary::Text(_)) => {
                Cow::Owned(Dictionary::Text(values.iter().map(i64::to_string).collect::<PackedText>()))
            }
            (Dictionary::Text(texts), Dictionary::Integer(_)) => {
                // `007` is no label that an integer has.
                let integer = |text: &str| text.parse::<i64>().ok().filter(|value| value.to_string() == text);
                let values: Vec<Option<i64>> = texts.iter().map(integer).collect();
                fits = values.iter().map(Option::is_some).collect();
                Cow::Owned(Dictionary::Integer(values.into_iter().map(Option::unwrap_or_default).collect()))
            }
            _ => Cow::Borrowed(given),
        };
        let hashes = (0..given.len()).map(|entry| fits[entry].then(|| hash(&dictionary, entry))).collect();
        BlockKey { codes: &labels.codes, dictionary, hashes }
    }
}

/// The hash of several labels.
fn combined(hashes: impl Iterator<Item = u64>) -> u64 {
    let state = FixedState::with_seed(3);
    hashes.fold(7, |sum, hash| state.hash_one((sum, hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &[&str]) -> Dictionary {
        Dictionary::Text(words.iter().collect())
    }

    #[test]
    fn groups_are_found_by_all_their_keys() {
        let index = GroupIndex::new(vec![Dictionary::Integer(vec![1, 1, 2]), text(&["a", "b", "a"])]).unwrap();
        let school = Labels { codes: vec![0, 1, 1, 0, MISSING, 0], dictionary: Dictionary::Integer(vec![1, 2]) };
        let class = Labels { codes: vec![1, 1, 0, 0, 0, 2], dictionary: text(&["b", "a", "c"]) };
        assert_eq!(index.groups_of(&[&school, &class]), [0, 2, MISSING, 1, MISSING, MISSING]);
        assert_eq!(index.len(), 3);
    }

    #[test]
    fn labels_are_the_same_in_numbers_and_in_words() {
        let index = GroupIndex::new(vec![text(&["7", "007", "x"])]).unwrap();
        let numbers = Labels { codes: vec![0, 1], dictionary: Dictionary::Integer(vec![7, 8]) };
        assert_eq!(index.groups_of(&[&numbers]), [0, MISSING]);
        let index = GroupIndex::new(vec![Dictionary::Integer(vec![0, -3, 7])]).unwrap();
        let words = Labels { codes: vec![0, 1, 2, 3, 4], dictionary: text(&["7", "007", "-3", "x", "0"]) };
        assert_eq!(index.groups_of(&[&words]), [2, MISSING, 1, MISSING, 0]);
    }

    #[test]
    fn a_group_stands_once() {
        assert_eq!(GroupIndex::new(vec![text(&["a", "b", "a"])]).unwrap_err(), 2);
        assert!(GroupIndex::new(Vec::new()).unwrap().is_empty());
    }
}
