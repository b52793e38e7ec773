//! Small hash tables from values to codes, one per column and block.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use tiers_design::PackedText;

/// Assigns codes 0, 1, 2, … to 16-byte keys in the order of their first appearance.
///
/// The slots contain only codes and the keys are contiguous, so that tens of thousands of ids of a
/// block fit into the cache of one core.
#[derive(Default)]
struct CodeTable {
    /// Codes by hash; [`FREE`] if unused. Their number is a power of two, and at most half are used.
    slots: Vec<u32>,
    /// Keys by code.
    keys: Vec<u128>,
}

const FREE: u32 = u32::MAX;

impl CodeTable {
    /// Returns the code of a key and whether it is new.
    #[inline]
    fn code(&mut self, key: u128) -> (u32, bool) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = mix(key) as usize & mask;
        while let Some(&code) = self.slots.get(slot)
            && code != FREE
        {
            if self.keys[code as usize] == key {
                return (code, false);
            }
            slot = (slot + 1) & mask;
        }
        (self.add(key), true)
    }

    #[cold]
    fn add(&mut self, key: u128) -> u32 {
        let code = self.keys.len() as u32;
        self.keys.push(key);
        if 2 * self.keys.len() > self.slots.len() {
            let size = (4 * self.slots.len()).max(256);
            self.slots.clear();
            self.slots.resize(size, FREE);
            (0..=code).for_each(|c| self.place(c));
        } else {
            self.place(code);
        }
        code
    }

    fn place(&mut self, code: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = mix(self.keys[code as usize]) as usize & mask;
        while self.slots[slot] != FREE {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = code;
    }
}

/// Assigns codes to strings in the order of their first appearance.
///
/// A string of up to 12 bytes is stored inside its 16-byte view (length, bytes, zero padding), so two
/// such strings are equal if and only if their views are equal as integers. Longer strings are
/// compared by their bytes.
#[derive(Default)]
pub(crate) struct TextInterner {
    text: PackedText,
    short: CodeTable,
    /// For each code of `short`, the code among all strings.
    code_of_short: Vec<u32>,
    long: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl TextInterner {
    /// Returns the code of a string that is stored inside its view.
    #[inline]
    pub(crate) fn short<'a>(&mut self, view: u128, value: impl FnOnce() -> &'a str) -> u32 {
        let (code, new) = self.short.code(view);
        if new {
            self.code_of_short.push(self.text.len() as u32);
            self.text.push(value());
        }
        self.code_of_short[code as usize]
    }

    /// Returns the code of any other string.
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

    /// Returns the strings by code.
    pub(crate) fn finish(self) -> PackedText {
        self.text
    }
}

/// Assigns codes to integers in the order of their first appearance.
#[derive(Default)]
pub(crate) struct IntegerInterner {
    codes: CodeTable,
}

impl IntegerInterner {
    /// Returns the code of a value.
    #[inline]
    pub(crate) fn code(&mut self, value: i64) -> u32 {
        self.codes.code(u128::from(value as u64)).0
    }

    /// Returns the integers by code.
    pub(crate) fn finish(self) -> Vec<i64> {
        self.codes.keys.into_iter().map(|key| key as u64 as i64).collect()
    }
}

/// Hashes 16 bytes by one wide multiplication, folded. The codes do not depend on the hash.
#[inline]
fn mix(key: u128) -> u64 {
    let low = key as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let high = (key >> 64) as u64 ^ 0xD1B5_4A32_D192_ED03;
    let product = u128::from(low) * u128::from(high);
    product as u64 ^ (product >> 64) as u64
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

    /// Consecutive ids must spread over the slots, which are numbered by the lowest bits of the hash.
    #[test]
    fn consecutive_ids_spread_over_the_slots() {
        let view = |i: u64| {
            let text = format!("S{i:06}");
            let mut bytes = [0; 16];
            bytes[0] = text.len() as u8;
            bytes[4..4 + text.len()].copy_from_slice(text.as_bytes());
            u128::from_le_bytes(bytes)
        };
        for key in [view, |i| u128::from(i), |i| u128::from(i) << 32, |i| u128::from(i) << 64] {
            let mut slots: Vec<u64> = (0..30_000).map(|i| mix(key(i)) & 0xFFFF).collect();
            slots.sort_unstable();
            slots.dedup();
            // Random numbers would fill 24 000 of the 65 536.
            assert!(slots.len() > 20_000, "{}", slots.len());
        }
    }

    #[test]
    fn many_codes() {
        let mut integers = IntegerInterner::default();
        for round in 0..2 {
            for i in 0..50_000 {
                assert_eq!(integers.code(i * 1000 - 7), i as u32, "{round}");
            }
        }
        assert_eq!(integers.finish().len(), 50_000);
    }
}
