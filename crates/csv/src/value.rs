//! Classifies and parses a single value: missing, a number, a boolean, a date, or text.

use crate::dates;
use crate::options::{CsvOptions, Decimal};

/// The rules by which values are read.
#[derive(Clone, Debug)]
pub struct Rules {
    decimal: Decimal,
    /// Texts of missing values besides the default ones.
    na: Vec<Vec<u8>>,
    /// Those of `na` that are numbers: with `-99`, `-99.0` is missing too.
    na_numbers: Vec<f64>,
}

/// Texts that stand for missing values by default, besides the empty field.
const MISSING: [&[u8]; 2] = [b"NA", b"NaN"];

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Missing,
    /// An integer; `faithful` if the integer reproduces its text.
    Integer {
        faithful: bool,
    },
    Float {
        faithful: bool,
    },
    Boolean,
    /// A number if written with the other decimal mark.
    OtherDecimal,
    Date,
    Time,
    Text,
}

impl Rules {
    /// Returns the rules that follow from the options.
    pub fn new(options: &CsvOptions) -> Rules {
        let mut rules = Rules { decimal: options.decimal.unwrap_or_default(), na: Vec::new(), na_numbers: Vec::new() };
        let numbers: Vec<f64> = options.na.iter().filter_map(|na| rules.parse(na.as_bytes())).collect();
        rules.na = options.na.iter().map(|na| na.trim().as_bytes().to_vec()).collect();
        rules.na_numbers = numbers;
        rules
    }

    /// Whether the text of a value stands for a missing value.
    #[inline]
    pub fn is_missing(&self, text: &[u8]) -> bool {
        text.is_empty() || MISSING.contains(&text) || self.na.iter().any(|na| na == text)
    }

    /// Parses a number: NaN if it is missing, `None` if the text is neither.
    #[inline]
    pub fn number(&self, text: &[u8]) -> Option<f64> {
        match self.parse(text) {
            Some(value) if self.na_numbers.contains(&value) => Some(f64::NAN),
            Some(value) => Some(value),
            None if self.is_missing(text) => Some(f64::NAN),
            None => None,
        }
    }

    /// Parses an integer: `Some(None)` if it is missing, `None` if the text is neither.
    #[inline]
    pub fn integer(&self, text: &[u8]) -> Option<Option<i64>> {
        match integer(text) {
            Some(value) if self.na_numbers.contains(&(value as f64)) => Some(None),
            Some(value) => Some(Some(value)),
            None => self.number(text).filter(|value| value.is_nan()).map(|_| None),
        }
    }

    /// Parses a boolean: `Some(None)` if it is missing, `None` if the text is neither.
    pub fn boolean(&self, text: &[u8]) -> Option<Option<bool>> {
        let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
        match () {
            () if self.is_missing(text) => Some(None),
            () if is(&["true", "t", "1"]) => Some(Some(true)),
            () if is(&["false", "f", "0"]) => Some(Some(false)),
            () => None,
        }
    }

    /// Parses a date as a day: `Some(None)` if it is missing, `None` if the text is neither.
    pub(crate) fn day(&self, text: &[u8]) -> Option<Option<i64>> {
        dates::day(text).map(Some).or_else(|| self.is_missing(text).then_some(None))
    }

    /// Parses a point in time as microseconds: `Some(None)` if it is missing, `None` if the text is neither.
    pub(crate) fn microsecond(&self, text: &[u8]) -> Option<Option<i64>> {
        dates::microsecond(text).map(Some).or_else(|| self.is_missing(text).then_some(None))
    }

    /// Classifies a value; `text` has no blanks around it.
    pub(crate) fn class(&self, text: &[u8]) -> Class {
        if self.is_missing(text) {
            return Class::Missing;
        }
        let faithful = !needs_text(text);
        if is_integer(text) {
            let Some(value) = integer(text) else { return Class::Integer { faithful: false } };
            let missing = self.na_numbers.contains(&(value as f64));
            return if missing { Class::Missing } else { Class::Integer { faithful } };
        }
        match self.parse(text) {
            Some(value) if value.is_nan() || self.na_numbers.contains(&value) => Class::Missing,
            Some(_) => Class::Float { faithful },
            None if text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false") => Class::Boolean,
            None if self.parse_by(text, self.decimal.other()).is_some() => Class::OtherDecimal,
            None if dates::day(text).is_some() => Class::Date,
            None if dates::microsecond(text).is_some() => Class::Time,
            None => Class::Text,
        }
    }

    fn parse(&self, text: &[u8]) -> Option<f64> {
        self.parse_by(text, self.decimal)
    }

    #[inline]
    fn parse_by(&self, text: &[u8], decimal: Decimal) -> Option<f64> {
        match decimal {
            Decimal::Point => fast_float2::parse(text).ok(),
            Decimal::Comma => {
                // No more digits than this are needed to identify a double.
                const LONGEST: usize = 1100;
                if text.len() > LONGEST || text.contains(&b'.') {
                    return None;
                }
                let mut with_point = [0; LONGEST];
                for (to, &from) in with_point.iter_mut().zip(text) {
                    *to = if from == b',' { b'.' } else { from };
                }
                fast_float2::parse(&with_point[..text.len()]).ok()
            }
        }
    }
}

impl Decimal {
    fn other(self) -> Decimal {
        match self {
            Decimal::Point => Decimal::Comma,
            Decimal::Comma => Decimal::Point,
        }
    }
}

/// Whether a text consists of digits, with or without a sign.
fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Parses a 64-bit integer.
#[inline]
fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, &byte| {
        let digit = i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        let value = value.checked_mul(10)?;
        if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

/// Whether a number that serves as the id of a group must be kept as text, because the number does not
/// reproduce it: leading zeros (`0870` is not `870`), a plus sign, the sign of zero, blanks, or more
/// digits than fit in 64 bits.
pub fn needs_text(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    match unsigned {
        [b'+' | b' ' | b'\t', ..] | [.., b' ' | b'\t'] => true,
        [b'0', second, ..] if second.is_ascii_digit() => true,
        [b'0'] => unsigned.len() < text.len(),
        _ => is_integer(text) && integer(text).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(na: &[&str], decimal: Decimal) -> Rules {
        let na = na.iter().map(|&na| na.to_owned()).collect();
        Rules::new(&CsvOptions { na, decimal: Some(decimal), ..CsvOptions::default() })
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        let rules = rules(&[], Decimal::Point);
        for text in ["0.1", "1e-320", "17.123456789012345", "-0", "+3", ".5", "5.", "1E5", "9007199254740993"] {
            assert_eq!(rules.number(text.as_bytes()).map(f64::to_bits), Some(text.parse::<f64>().unwrap().to_bits()));
        }
        for text in ["", "NA", "NaN", "nan"] {
            assert!(rules.number(text.as_bytes()).is_some_and(f64::is_nan), "{text}");
        }
        for text in [".", "1,5", "1 2", "x", "1e", "--1", "0x10", "1_000"] {
            assert_eq!(rules.number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn decimal_commas() {
        let rules = rules(&[], Decimal::Comma);
        assert_eq!(rules.number(b"-1,25"), Some(-1.25));
        assert_eq!(rules.number(b"3"), Some(3.0));
        assert_eq!((rules.number(b"1.25"), rules.number(b"1,2,3"), rules.number(b"1.234,5")), (None, None, None));
        assert_eq!(rules.class(b"1.25"), Class::OtherDecimal);
    }

    #[test]
    fn missing_values_by_text_and_by_number() {
        let rules = rules(&[".", "-99"], Decimal::Point);
        for text in [".", "-99", "-99.0", "NA", ""] {
            assert!(rules.number(text.as_bytes()).is_some_and(f64::is_nan), "{text}");
            assert_eq!(rules.class(text.as_bytes()), Class::Missing, "{text}");
        }
        assert_eq!(rules.integer(b"-99"), Some(None));
        assert_eq!(rules.integer(b"99"), Some(Some(99)));
        assert_eq!(rules.integer(b"9.9"), None);
    }

    #[test]
    fn numbers_that_must_be_kept_as_text_to_be_ids() {
        for text in ["0870", "00", "+5", "-0", "-01", " 5", "5 ", "99999999999999999999", "007.5"] {
            assert!(needs_text(text.as_bytes()), "{text}");
        }
        for text in ["0", "870", "-5", "0.5", "5.0", "9223372036854775807", "1e3"] {
            assert!(!needs_text(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn classes() {
        let rules = rules(&[], Decimal::Point);
        let class = |text: &str| rules.class(text.as_bytes());
        assert_eq!(class("12"), Class::Integer { faithful: true });
        assert_eq!(class("012"), Class::Integer { faithful: false });
        assert_eq!(class("1.5"), Class::Float { faithful: true });
        assert_eq!(class("1,5"), Class::OtherDecimal);
        assert_eq!((class("TRUE"), class("False")), (Class::Boolean, Class::Boolean));
        assert_eq!((class("."), class("12A"), class("T")), (Class::Text, Class::Text, Class::Text));
    }
}
