//! The levels of a factor, collected block by block.

use crate::columns::{Dictionary, Field, Kind, Labels, MISSING};
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

/// Below 2^53 every whole number is a floating-point number.
const EXACT_INTEGERS: f64 = (1u64 << 53) as f64;

/// In which order the levels of a factor stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LevelOrder {
    /// Texts by their bytes.
    #[default]
    Bytes,
    /// Numbers by value.
    Numbers,
    /// As in a list; levels that are not in it come behind, by their bytes.
    Listed(Vec<String>),
}

impl LevelOrder {
    /// The order for a column of a table.
    pub fn of(field: Option<&Field>) -> LevelOrder {
        match field {
            Some(field) if !field.levels.is_empty() => LevelOrder::Listed(field.levels.clone()),
            Some(Field { kind: Kind::Integer | Kind::Float, .. }) => LevelOrder::Numbers,
            _ => LevelOrder::Bytes,
        }
    }

    /// Sorts levels and removes repeated ones.
    pub fn sort(&self, levels: &mut Vec<String>) {
        match self {
            LevelOrder::Bytes => levels.sort_unstable(),
            LevelOrder::Numbers => levels.sort_by(|a, b| by_value(a, b)),
            LevelOrder::Listed(list) => {
                let place: HashMap<&str, usize> = list.iter().enumerate().rev().map(|(i, l)| (&l[..], i)).collect();
                let place = |level: &String| place.get(&level[..]).copied().unwrap_or(usize::MAX);
                levels.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
            }
        }
        levels.dedup();
    }
}

/// Numbers by value, what is no number behind them.
fn by_value(a: &str, b: &str) -> Ordering {
    let integers = a.parse::<i64>().ok().zip(b.parse::<i64>().ok());
    let value = |text: &str| text.parse::<f64>().unwrap_or(f64::INFINITY);
    let order = integers.map_or_else(|| value(a).total_cmp(&value(b)), |(a, b)| a.cmp(&b));
    order.then_with(|| a.cmp(b))
}

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

/// A number as R writes it: up to 15 significant digits, with an exponent where that is shorter; whole
/// numbers as integers. `single` says that the number has 32 bits.
pub fn number_as_level(value: f64, single: bool) -> String {
    if value.fract() == 0.0 && value.abs() < EXACT_INTEGERS {
        return (value as i64).to_string();
    }
    // Numbers of 32 bits have fewer digits.
    let scientific = match single {
        true => format!("{:e}", value as f32),
        false => {
            let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
            format!("{rounded:e}")
        }
    };
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let scientific = format!("{digits}e{sign}{:02}", exponent.abs());
    let decimals = (digits.trim_start_matches('-').len() as i32 - 2).max(0) - exponent;
    let fixed = format!("{value:.*}", decimals.clamp(0, 400) as usize);
    if fixed.len() <= scientific.len() { fixed } else { scientific }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::PackedText;

    fn check(order: &LevelOrder, levels: &[&str], expected: &[&str]) {
        let mut levels: Vec<String> = levels.iter().map(|&level| level.to_owned()).collect();
        order.sort(&mut levels);
        assert_eq!(levels, expected, "{order:?}");
    }

    #[test]
    fn levels_are_in_the_order_of_their_column() {
        let field = |kind, levels: &[&str]| Field {
            levels: levels.iter().map(|&level| level.to_owned()).collect(),
            ..Field::new("f", kind)
        };
        check(&LevelOrder::of(None), &["b", "a", "B"], &["B", "a", "b"]);
        check(&LevelOrder::of(Some(&field(Kind::Integer, &[]))), &["10", "9", "-1", "9"], &["-1", "9", "10"]);
        check(
            &LevelOrder::of(Some(&field(Kind::Float, &[]))),
            &["1.5", "1e-05", "10", "0"],
            &["0", "1e-05", "1.5", "10"],
        );
        let listed = field(Kind::Text, &["low", "mid", "high"]);
        check(&LevelOrder::of(Some(&listed)), &["high", "b", "low", "a"], &["low", "high", "a", "b"]);
    }

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
