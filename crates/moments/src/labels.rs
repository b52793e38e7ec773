//! Interning: the labels of a whole data set, each with one number.
//!
//! Every block brings its own dictionary ([`crate::columns::Labels`]); here these become one. The
//! table is cut into [`PARTS`] by the hash of the label, so that the parts can be filled by
//! different threads: label number `id` is entry `id / PARTS` of part `id % PARTS`, and depends
//! only on the order in which labels appear in the data.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::collections::HashMap;
use std::hash::BuildHasher;
use tiers_design::{Dictionary, PackedText};

/// Parts of a [`LabelTable`]; a power of two.
pub(crate) const PARTS: usize = 16;

/// All labels of one key column.
#[derive(Clone, Debug)]
pub struct LabelTable {
    parts: Vec<LabelPart>,
}

/// The labels of one key column whose hashes fall into one part.
#[derive(Clone, Debug)]
pub struct LabelPart {
    table: HashTable<(u64, u32)>,
    labels: Dictionary,
}

/// Hash of a label, the same on every run.
pub(crate) fn hash(dictionary: &Dictionary, entry: usize) -> u64 {
    let state = FixedState::with_seed(0x0074_6965_7273);
    match dictionary {
        Dictionary::Text(text) => state.hash_one(text.get(entry)),
        Dictionary::Integer(values) => state.hash_one(values[entry]),
    }
}

/// The part into which a label with this hash falls.
pub(crate) fn part_of(hash: u64) -> usize {
    (hash >> 32) as usize % PARTS
}

impl LabelTable {
    /// No labels yet; `like` tells whether they are strings or integers.
    pub fn new(like: &Dictionary) -> Self {
        let empty = || match like {
            Dictionary::Text(_) => Dictionary::Text(PackedText::new()),
            Dictionary::Integer(_) => Dictionary::Integer(Vec::new()),
        };
        let part = |_| LabelPart { table: HashTable::new(), labels: empty() };
        LabelTable { parts: (0..PARTS).map(part).collect() }
    }

    /// The labels of each part in order, which is all that a table is.
    pub fn dictionaries(&self) -> impl Iterator<Item = &Dictionary> {
        self.parts.iter().map(|part| &part.labels)
    }

    /// A table of labels that were kept elsewhere; `None` unless they are what
    /// [`LabelTable::dictionaries`] gives.
    pub fn restored(dictionaries: &[Dictionary]) -> Option<LabelTable> {
        let mut table = LabelTable::new(dictionaries.first()?);
        if dictionaries.len() != PARTS {
            return None;
        }
        for (p, dictionary) in dictionaries.iter().enumerate() {
            let entries: Vec<(u32, u64)> = (0..dictionary.len()).map(|e| (e as u32, hash(dictionary, e))).collect();
            let same_kind = matches!(dictionary, Dictionary::Text(_)) != table.is_integer();
            if !same_kind || entries.iter().any(|&(_, hash)| part_of(hash) != p) {
                return None;
            }
            let mut in_order = true;
            table.parts[p].intern(p, dictionary, &entries, |entry, id| in_order &= entry == id as usize / PARTS);
            if !in_order {
                return None;
            }
        }
        Some(table)
    }

    /// Some of the labels as a table of their own, and per label its number there; others have none.
    pub fn some(&self, ids: impl Iterator<Item = u32>) -> (LabelTable, HashMap<u32, u32>) {
        let mut table = LabelTable::new(&self.parts[0].labels);
        let mut new = HashMap::new();
        for id in ids {
            let (part, at) = (id as usize % PARTS, id as usize / PARTS);
            new.entry(id).or_insert_with(|| {
                let dictionary = &self.parts[part].labels;
                table.parts[part].find_or_insert(dictionary, at, hash(dictionary, at)) * PARTS as u32 + part as u32
            });
        }
        (table, new)
    }

    /// The parts, to be filled side by side.
    pub fn parts_mut(&mut self) -> &mut [LabelPart] {
        &mut self.parts
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.labels.len()).sum()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the largest number a label may have.
    pub fn bound(&self) -> usize {
        self.parts.iter().map(|part| part.labels.len()).max().unwrap_or(0) * PARTS
    }

    /// The numbers of all labels.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        let of_part = |(p, part): (usize, &LabelPart)| (0..part.labels.len()).map(move |at| (at * PARTS + p) as u32);
        self.parts.iter().enumerate().flat_map(of_part)
    }

    /// Whether the labels are integers.
    pub fn is_integer(&self) -> bool {
        matches!(self.parts[0].labels, Dictionary::Integer(_))
    }

    /// The string of label `id`, or `None` where labels are integers.
    pub fn text(&self, id: u32) -> Option<&str> {
        match &self.parts[id as usize % PARTS].labels {
            Dictionary::Text(text) => Some(text.get(id as usize / PARTS)),
            Dictionary::Integer(_) => None,
        }
    }

    /// The integer of label `id`, or `None` where labels are strings.
    pub fn integer(&self, id: u32) -> Option<i64> {
        match &self.parts[id as usize % PARTS].labels {
            Dictionary::Text(_) => None,
            Dictionary::Integer(values) => Some(values[id as usize / PARTS]),
        }
    }

    /// Label `id` as a person reads it.
    pub fn label(&self, id: u32) -> String {
        self.parts[id as usize % PARTS].labels.label(id as usize / PARTS)
    }

    /// The number of a label, if it is known.
    pub fn find(&self, dictionary: &Dictionary, entry: usize) -> Option<u32> {
        let hash = hash(dictionary, entry);
        let part = part_of(hash);
        let LabelPart { table, labels } = &self.parts[part];
        let found = table.find(hash, |&(h, at)| h == hash && same(labels, at as usize, dictionary, entry));
        found.map(|&(_, at)| at * PARTS as u32 + part as u32)
    }

    /// Bytes held, for estimates of memory.
    pub fn bytes(&self) -> usize {
        let of = |part: &LabelPart| {
            let labels = match &part.labels {
                Dictionary::Text(text) => text.bytes(),
                Dictionary::Integer(values) => 8 * values.capacity(),
            };
            labels + 17 * part.table.capacity()
        };
        self.parts.iter().map(of).sum()
    }
}

impl LabelPart {
    /// Gives those of the `entries` of a dictionary (with their hashes) that fall into `part`, this
    /// one, their numbers; labels not seen before are added in the order of the entries.
    pub fn intern(
        &mut self,
        part: usize,
        dictionary: &Dictionary,
        entries: &[(u32, u64)],
        mut assign: impl FnMut(usize, u32),
    ) {
        for &(entry, hash) in entries.iter().filter(|(_, hash)| part_of(*hash) == part) {
            let at = self.find_or_insert(dictionary, entry as usize, hash);
            assign(entry as usize, at * PARTS as u32 + part as u32);
        }
    }

    fn find_or_insert(&mut self, dictionary: &Dictionary, entry: usize, hash: u64) -> u32 {
        let labels = &self.labels;
        let is_it = |&(h, at): &(u64, u32)| h == hash && same(labels, at as usize, dictionary, entry);
        if let Some(&(_, at)) = self.table.find(hash, is_it) {
            return at;
        }
        let at = u32::try_from(self.labels.len()).expect("fewer than 2^32 labels in a part");
        match (&mut self.labels, dictionary) {
            (Dictionary::Text(mine), Dictionary::Text(theirs)) => mine.push(theirs.get(entry)),
            (Dictionary::Integer(mine), Dictionary::Integer(theirs)) => mine.push(theirs[entry]),
            _ => unreachable!("a column's labels are of one kind"),
        }
        self.table.insert_unique(hash, (hash, at), |&(h, _)| h);
        at
    }
}

/// Whether label `i` of one dictionary is label `j` of another.
pub(crate) fn same(a: &Dictionary, i: usize, b: &Dictionary, j: usize) -> bool {
    match (a, b) {
        (Dictionary::Text(a), Dictionary::Text(b)) => a.get(i) == b.get(j),
        (Dictionary::Integer(a), Dictionary::Integer(b)) => a[i] == b[j],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_its_number_across_blocks() {
        let first = Dictionary::Text(["x", "y", "z"].iter().collect());
        let second = Dictionary::Text(["z", "w", "x"].iter().collect());
        let mut table = LabelTable::new(&first);
        let mut number = |dictionary: &Dictionary| {
            let mut ids = vec![u32::MAX; dictionary.len()];
            let entries: Vec<_> = (0..dictionary.len()).map(|e| (e as u32, hash(dictionary, e))).collect();
            for (p, part) in table.parts_mut().iter_mut().enumerate() {
                part.intern(p, dictionary, &entries, |entry, id| ids[entry] = id);
            }
            ids
        };
        let (a, b) = (number(&first), number(&second));
        assert_eq!((a[0], a[2]), (b[2], b[0]));
        assert_eq!(table.len(), 4);
        assert_eq!(table.label(b[1]), "w");
        assert_eq!(table.find(&second, 1), Some(b[1]));
    }
}
