//! The kind of a column, derived from the counts of its values and the options.

use crate::options::ColumnType;
use crate::tally::Tally;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Numbers.
    Float,
    /// Integers.
    Integer,
    /// True and false.
    Boolean,
    /// Dates.
    Date,
    /// Points in time.
    DateTime,
    /// Text.
    Text,
    /// Mostly numbers (or dates), and some values that are not.
    Mixed(Mixed),
}

/// A column of numbers and other values: an error unless the options or the model state its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// Whether every value that is not a number contains a digit, as ids such as `2A` do.
    pub like_ids: bool,
    /// Whether most of the values would be numbers with another decimal mark.
    pub other_decimals: bool,
}

impl ColumnKind {
    /// Returns the kind of a column with these values; `stated` is the type that the user stated, if any.
    pub fn of(tally: &Tally, stated: Option<ColumnType>) -> ColumnKind {
        let numeric = if tally.floats == 0 && tally.integers > 0 { ColumnKind::Integer } else { ColumnKind::Float };
        let (numbers, others) = (tally.numbers(), tally.others());
        let is_text = numbers == 0 && others > 0;
        match stated {
            Some(ColumnType::Text) => return ColumnKind::Text,
            Some(ColumnType::Boolean) if tally.floats == 0 => return ColumnKind::Boolean,
            // A column without any number is not made numeric: the caller reports it.
            Some(ColumnType::Number | ColumnType::Integer) if !is_text => return numeric,
            _ => {}
        }
        // The comma is a likely decimal mark only if that makes most values numbers.
        let other_decimals = tally.other_decimals > 0 && 2 * (numbers + tally.other_decimals) > numbers + others;
        let most = numbers.max(tally.dates).max(tally.times);
        match (numbers, others) {
            (_, 0) => numeric,
            (0, _) if tally.booleans == others => ColumnKind::Boolean,
            (0, _) if tally.dates == others => ColumnKind::Date,
            (0, _) if tally.times == others => ColumnKind::DateTime,
            _ if 2 * most > numbers + others || tally.files_differ || other_decimals => {
                ColumnKind::Mixed(Mixed { like_ids: !tally.without_digit, other_decimals })
            }
            _ => ColumnKind::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(integers: u64, floats: u64, booleans: u64, texts: u64) -> ColumnKind {
        let tally = Tally { integers, floats, booleans, texts, without_digit: true, ..Tally::default() };
        ColumnKind::of(&tally, None)
    }

    #[test]
    fn kinds_follow_from_the_values() {
        let mixed = ColumnKind::Mixed(Mixed { like_ids: false, other_decimals: false });
        assert_eq!(kind(3, 0, 0, 0), ColumnKind::Integer);
        assert_eq!(kind(3, 1, 0, 0), ColumnKind::Float);
        assert_eq!(kind(0, 0, 0, 0), ColumnKind::Float);
        assert_eq!(kind(0, 0, 5, 0), ColumnKind::Boolean);
        assert_eq!(kind(0, 0, 5, 1), ColumnKind::Text);
        assert_eq!(kind(9, 0, 0, 1), mixed);
        assert_eq!(kind(4, 5, 0, 8), mixed);
        assert_eq!(kind(2, 0, 0, 2), ColumnKind::Text);
        assert_eq!(kind(9, 0, 1, 0), mixed);
    }

    #[test]
    fn decimal_commas_are_reported_and_not_assumed() {
        let tally = Tally { other_decimals: 8, integers: 1, texts: 1, ..Tally::default() };
        let kind = ColumnKind::of(&tally, None);
        assert_eq!(kind, ColumnKind::Mixed(Mixed { like_ids: true, other_decimals: true }));
    }

    #[test]
    fn the_stated_type_decides() {
        let tally = Tally { integers: 9, texts: 1, ..Tally::default() };
        assert_eq!(ColumnKind::of(&tally, Some(ColumnType::Text)), ColumnKind::Text);
        assert_eq!(ColumnKind::of(&tally, Some(ColumnType::Number)), ColumnKind::Integer);
        assert_eq!(ColumnKind::of(&tally, Some(ColumnType::Boolean)), ColumnKind::Boolean);
    }
}
