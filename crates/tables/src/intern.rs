//! Small hash tables from values to codes, local to one block.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use tiers_design::PackedText;

/// Codes for strings in the order of their first appearance.
///
/// A string of up to 12 bytes lies wholly within its 16-byte view (length, bytes, zero padding),
/// so two of them are equal if and only if their views are equal as integers: no string is
/// touched to find its code. Longer strings are compared by their bytes.
#[derive(Default)]
pub(crate) struct TextInterner {
    text: PackedText,
    short: HashTable<(u128, u32)>,
    long: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl TextInterner {
    /// The code of a string that lies wholly within its view.
    pub(crate) fn short<'a>(&mut self, view: u128, value: impl FnOnce() -> &'a str) -> u32 {
        let next = self.text.len() as u32;
        let entry = self.short.entry(mix(view), |&(v, _)| v == view, |&(v, _)| mix(v)).or_insert_with(|| {
            self.text.push(value());
            (view, next)
        });
        entry.get().1
    }

    /// The code of any other string.
    pub(crate) fn long(&mut self, value: &str) -> u32 {
        let (text, hasher) = (&mut self.text, &self.hasher);
        let hash = hasher.hash_one(value);
        if let Some(&code) = self.long.find(hash, |&c| text.get(c as usize) == value) {
            return code;
        }
        let code = text.len() as u32;
        text.push(value);
        self.long.insert_unique(hash, code, |&c| hasher.hash_one(text.get(c as usize)));
        code
    }

    /// The strings by code.
    pub(crate) fn finish(self) -> PackedText {
        self.text
    }
}

/// Codes for integers in the order of their first appearance.
#[derive(Default)]
pub(crate) struct IntegerInterner {
    values: Vec<i64>,
    codes: HashTable<(i64, u32)>,
}

impl IntegerInterner {
    /// The code of a value.
    pub(crate) fn code(&mut self, value: i64) -> u32 {
        let hash = |v: i64| mix(u128::from(v as u64));
        let next = self.values.len() as u32;
        let entry = self.codes.entry(hash(value), |&(v, _)| v == value, |&(v, _)| hash(v)).or_insert_with(|| {
            self.values.push(value);
            (value, next)
        });
        entry.get().1
    }

    /// The integers by code.
    pub(crate) fn finish(self) -> Vec<i64> {
        self.values
    }
}

/// A hash of 16 bytes: one wide multiplication, folded. Codes do not depend on it.
fn mix(key: u128) -> u64 {
    let low = key as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let high = (key >> 64) as u64 ^ 0xD1B5_4A32_D192_ED03;
    let product = u128::from(low).wrapping_mul(u128::from(high.rotate_left(29) ^ low | 1));
    (product as u64) ^ ((product >> 64) as u64) ^ high.wrapping_mul(0xA076_1D64_78BD_642F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_first_appearance() {
        let mut integers = IntegerInterner::default();
        let codes: Vec<u32> = [7, -1, 7, i64::MIN, -1].map(|v| integers.code(v)).into();
        assert_eq!(codes, [0, 1, 0, 2, 1]);
        assert_eq!(integers.finish(), [7, -1, i64::MIN]);
    }

    #[test]
    fn short_and_long_strings_share_one_dictionary() {
        let mut text = TextInterner::default();
        assert_eq!(text.short(1, || "a"), 0);
        assert_eq!(text.long("a string that is long"), 1);
        assert_eq!(text.short(1, || unreachable!()), 0);
        assert_eq!(text.long("a string that is long"), 1);
        assert_eq!(text.finish().iter().collect::<Vec<_>>(), ["a", "a string that is long"]);
    }

    #[test]
    fn ids_in_a_row_do_not_collide() {
        let views = (0..100_000u128).map(|i| 7 | ((i / 10 % 10) << 80) | (i << 96));
        let mut hashes: Vec<u64> = views.map(mix).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 100_000);
    }
}
