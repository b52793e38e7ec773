//! Counts what the values of a column look like.

use crate::fields::Field;
use crate::value::{Class, Rules};

/// Number of odd values kept for messages: of dates, and of other values.
const SHOWN: usize = 3;

/// Counts of the values of a column, or of the part of it that was examined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Integers.
    pub integers: u64,
    /// Numbers that are not written as integers.
    pub floats: u64,
    /// `TRUE`, `false` and the like.
    pub booleans: u64,
    /// Values that would be numbers with the other decimal mark (comma or point).
    pub other_decimals: u64,
    /// Dates such as `2020-01-31`.
    pub dates: u64,
    /// Points in time such as `2020-01-31 23:59:59`.
    pub times: u64,
    /// Anything else that is not missing.
    pub texts: u64,
    /// Whether some number must be kept as text to serve as an id: see [`crate::needs_text`].
    pub needs_text: bool,
    /// Whether some value that is not a number contains no digit.
    pub without_digit: bool,
    /// Whether one of several files has only numbers in this column and another has none.
    pub files_differ: bool,
    /// The first distinct values that are not numbers.
    pub(crate) odd: Vec<Odd>,
}

/// A value that is not a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// Its text, shortened if it is long.
    pub value: String,
    /// Row of its file, from 1.
    pub row: u64,
    /// Number of its file, from 0.
    pub file: usize,
    /// Whether it is a date or a point in time.
    is_date: bool,
}

impl Tally {
    /// Counts a value.
    pub(crate) fn add(&mut self, field: Field<'_>, rules: &Rules, row: u64) {
        let text = trimmed(field.bytes);
        match rules.class(text) {
            Class::Missing => {}
            Class::Integer { faithful } => {
                self.integers += 1;
                self.needs_text |= !faithful || text.len() != field.bytes.len();
            }
            Class::Float { faithful } => {
                self.floats += 1;
                self.needs_text |= !faithful || text.len() != field.bytes.len();
            }
            class => {
                let is_date = matches!(class, Class::Date | Class::Time);
                *match class {
                    Class::Boolean => &mut self.booleans,
                    Class::OtherDecimal => &mut self.other_decimals,
                    Class::Date => &mut self.dates,
                    Class::Time => &mut self.times,
                    _ => &mut self.texts,
                } += 1;
                self.note_odd(&field, row, is_date);
            }
        }
    }

    fn note_odd(&mut self, field: &Field<'_>, row: u64, is_date: bool) {
        self.without_digit |= !field.bytes.iter().any(u8::is_ascii_digit);
        if self.wants(is_date) {
            self.keep(Odd { value: shown(&field.unescaped()), row, file: 0, is_date });
        }
    }

    fn wants(&self, is_date: bool) -> bool {
        self.odd.iter().filter(|odd| odd.is_date == is_date).count() < SHOWN
    }

    fn keep(&mut self, odd: Odd) {
        if self.odd.iter().all(|known| known.value != odd.value) {
            self.odd.push(odd);
        }
    }

    /// Returns the first distinct values that are not of the main type of the column (numbers or dates).
    pub fn odd(&self) -> Vec<&Odd> {
        let of_dates = self.dates.max(self.times) > self.numbers();
        self.odd.iter().filter(|odd| !(of_dates && odd.is_date)).take(SHOWN).collect()
    }

    /// Number of values that are numbers, integers included.
    pub fn numbers(&self) -> u64 {
        self.integers + self.floats
    }

    /// Number of values that are neither missing nor numbers.
    pub fn others(&self) -> u64 {
        self.booleans + self.other_decimals + self.dates + self.times + self.texts
    }

    /// Adds the counts of the same column in another file, whose number is `file`.
    pub fn merge(&mut self, other: &Tally, file: usize) {
        let only_numbers = |tally: &Tally| tally.numbers() > 0 && tally.others() == 0;
        let no_numbers = |tally: &Tally| tally.numbers() == 0 && tally.others() > 0;
        let differ = |a: &Tally, b: &Tally| only_numbers(a) && no_numbers(b);
        self.files_differ |= other.files_differ || differ(self, other) || differ(other, self);
        self.integers += other.integers;
        self.floats += other.floats;
        self.booleans += other.booleans;
        self.other_decimals += other.other_decimals;
        self.dates += other.dates;
        self.times += other.times;
        self.texts += other.texts;
        self.needs_text |= other.needs_text;
        self.without_digit |= other.without_digit;
        for odd in &other.odd {
            if self.wants(odd.is_date) {
                self.keep(Odd { file, ..odd.clone() });
            }
        }
    }
}

/// Strips the blanks that a quoted value may have around it.
pub(crate) fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// Returns a value as shown in messages: shortened, and without control characters.
pub(crate) fn shown(value: &[u8]) -> String {
    const LONGEST: usize = 40;
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * LONGEST)]);
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut short: String = text.chars().take(LONGEST).map(plain).collect();
    if text.chars().count() > LONGEST || value.len() > 4 * LONGEST {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::CsvOptions;

    fn tally(values: &[&str]) -> Tally {
        let rules = Rules::new(&CsvOptions::default());
        let mut tally = Tally::default();
        for (i, value) in values.iter().enumerate() {
            tally.add(Field { bytes: value.as_bytes(), doubled: false }, &rules, i as u64 + 1);
        }
        tally
    }

    #[test]
    fn odd_values_are_kept_with_their_rows() {
        let tally = tally(&["1", "2", ".", "", "3.5", ".", "n/a", "TRUE"]);
        assert_eq!((tally.integers, tally.floats, tally.texts, tally.booleans), (2, 1, 3, 1));
        let odd: Vec<(&str, u64)> = tally.odd().iter().map(|odd| (odd.value.as_str(), odd.row)).collect();
        assert_eq!(odd, [(".", 3), ("n/a", 7), ("TRUE", 8)]);
        assert!(tally.without_digit && !tally.needs_text);
    }

    #[test]
    fn files_that_differ() {
        let mut both = tally(&["1", "2"]);
        both.merge(&tally(&["x", "y"]), 1);
        assert!(both.files_differ && both.odd()[0].file == 1);
        let mut mixed = tally(&["1", "2A"]);
        mixed.merge(&tally(&["7"]), 1);
        assert!(!mixed.files_differ);
    }

    #[test]
    fn blanks_within_quotes_make_an_id_text() {
        assert!(tally(&["1", " 2"]).needs_text);
        assert!(!tally(&["1", "2"]).needs_text);
    }

    #[test]
    fn long_values_are_shortened() {
        assert_eq!(shown(&[b'x'; 500]).chars().count(), 41);
        assert_eq!(shown(b"a\x1b[31m"), "a\u{fffd}[31m");
    }
}
