//! Ids of groups: integers, or strings formatted from a number by a pattern.

use crate::error::SpecError;

/// Style of the ids of a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdStyle {
    /// The number itself.
    Integer,
    /// The number within a text.
    Text(IdPattern),
}

/// A pattern such as `S{:06}`, which gives `S000001`, `S000002`, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPattern {
    before: String,
    /// Minimum number of digits; shorter numbers are padded with zeros.
    digits: usize,
    after: String,
}

impl IdPattern {
    /// Appends the id for a number.
    pub fn write(&self, number: u64, text: &mut String) {
        // Not by `write!`, which takes several times as long: this runs for every row.
        let mut digits = [b'0'; MOST_DIGITS];
        let mut first = MOST_DIGITS;
        let mut rest = number;
        while rest > 0 {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let first = first.min(MOST_DIGITS - self.digits.max(1));
        text.push_str(&self.before);
        text.extend(digits[first..].iter().map(|&digit| char::from(digit)));
        text.push_str(&self.after);
    }
}

impl IdStyle {
    /// Parses `integer` or a pattern; `key` is for error messages.
    pub(crate) fn parse(text: &str, key: &str) -> Result<IdStyle, SpecError> {
        if text == "integer" {
            return Ok(IdStyle::Integer);
        }
        pattern(text).map(IdStyle::Text).ok_or_else(|| {
            SpecError::new(
                key,
                format!("{text:?} is not a style of ids"),
                "write \"integer\", or text with the number's place once in braces, as in \"S{}\" or \"S{:06}\"",
            )
        })
    }
}

/// Largest number of digits that a pattern may request: that of the largest number.
const MOST_DIGITS: usize = 20;

fn pattern(text: &str) -> Option<IdPattern> {
    let (before, rest) = text.split_once('{')?;
    let (inside, after) = rest.split_once('}')?;
    if [before, after].iter().any(|part| part.contains(['{', '}'])) {
        return None;
    }
    let digits = match inside {
        "" | ":" => 0,
        _ => inside.strip_prefix(":0")?.parse().ok().filter(|&digits| digits <= MOST_DIGITS)?,
    };
    Some(IdPattern { before: before.to_owned(), digits, after: after.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(style: &str) -> String {
        of(style, 7)
    }

    fn of(style: &str, number: u64) -> String {
        let IdStyle::Text(pattern) = IdStyle::parse(style, "id").unwrap() else { panic!("{style} is not a pattern") };
        let mut text = String::new();
        pattern.write(number, &mut text);
        text
    }

    #[test]
    fn patterns() {
        assert_eq!(first("S{:06}"), "S000007");
        assert_eq!(of("S{:02}", u64::MAX), format!("S{}", u64::MAX));
        assert_eq!((of("{}", 0), of("{}", 120)), ("0".to_owned(), "120".to_owned()));
        assert_eq!(first("class {} (a)"), "class 7 (a)");
        assert_eq!(IdStyle::parse("integer", "id"), Ok(IdStyle::Integer));
        for wrong in ["", "S", "S{", "S{:6}", "S{:0x}", "S{:099}", "{}{}", "}{}"] {
            assert!(IdStyle::parse(wrong, "id").is_err(), "{wrong}");
        }
    }
}
