//! Parses the requested columns of a chunk.

use crate::cutter::Chunk;
use crate::error::CsvError;
use crate::fields::{Field, Next, blank_line, next_field};
use crate::tally::{Tally, shown, trimmed};
use crate::value::{Rules, needs_text};

/// The form in which a column is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Numbers, NaN where missing.
    Numbers,
    /// Integers that serve as ids: a value whose text the integer would not reproduce is an error.
    Ids,
    /// Integers, however they are written.
    Integers,
    /// Text.
    Text,
    /// True and false.
    Booleans,
    /// Dates as days since 1970-01-01.
    Days,
    /// Points in time as microseconds since 1970-01-01 00:00 UTC.
    Microseconds,
}

/// A requested column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedColumn {
    /// Position among the columns of the file.
    pub index: usize,
    /// The form in which it is requested.
    pub form: Wanted,
    /// Whether the user stated its type; used in error messages.
    pub stated: bool,
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers, NaN where missing.
    Numbers(Vec<f64>),
    /// Integers, days or microseconds.
    Integers(Vec<Option<i64>>),
    /// Text.
    Text(TextColumn),
    /// True and false.
    Booleans(Vec<Option<bool>>),
}

/// Strings, stored end to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextColumn {
    text: String,
    /// For each value, its end in `text` and whether it is missing.
    ends: Vec<(u32, bool)>,
}

impl TextColumn {
    /// Iterates over the values in order; `None` is missing.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        let mut start = 0;
        self.ends.iter().map(move |&(end, missing)| {
            let value = &self.text[start..end as usize];
            start = end as usize;
            (!missing).then_some(value)
        })
    }

    fn push(&mut self, value: Option<&str>) {
        self.text.push_str(value.unwrap_or_default());
        self.ends.push((self.text.len() as u32, value.is_none()));
    }
}

impl Values {
    fn new(form: Wanted, rows: usize) -> Values {
        match form {
            Wanted::Numbers => Values::Numbers(Vec::with_capacity(rows)),
            Wanted::Ids | Wanted::Integers | Wanted::Days | Wanted::Microseconds => {
                Values::Integers(Vec::with_capacity(rows))
            }
            Wanted::Text => Values::Text(TextColumn { text: String::new(), ends: Vec::with_capacity(rows) }),
            Wanted::Booleans => Values::Booleans(Vec::with_capacity(rows)),
        }
    }

    /// Parses and appends a value, or returns what is wrong with it.
    #[inline]
    fn push(&mut self, field: Field<'_>, form: Wanted, rules: &Rules) -> Result<(), Wrong> {
        match self {
            Values::Numbers(values) => {
                let value = rules.number(field.bytes).or_else(|| rules.number(trimmed(field.bytes)));
                values.push(value.ok_or(Wrong::Kind)?);
            }
            Values::Integers(values) => {
                let text = trimmed(field.bytes);
                let value = match form {
                    Wanted::Days => rules.day(text),
                    Wanted::Microseconds => rules.microsecond(text),
                    _ => rules.integer(text),
                };
                let value = value.ok_or(Wrong::Kind)?;
                if form == Wanted::Ids && value.is_some() && needs_text(field.bytes) {
                    return Err(Wrong::Loss);
                }
                values.push(value);
            }
            Values::Booleans(values) => values.push(rules.boolean(trimmed(field.bytes)).ok_or(Wrong::Kind)?),
            Values::Text(values) if field.doubled => {
                let value = field.unescaped();
                values.push(Some(std::str::from_utf8(&value).map_err(|_| Wrong::Encoding)?));
            }
            Values::Text(values) => {
                let missing = rules.is_missing(field.bytes);
                let text = std::str::from_utf8(field.bytes).map_err(|_| Wrong::Encoding)?;
                values.push((!missing).then_some(text));
            }
        }
        Ok(())
    }
}

/// What is wrong with a value.
enum Wrong {
    Kind,
    Loss,
    Encoding,
}

/// What parsing needs to know of a file.
pub(crate) struct Shape<'a> {
    pub(crate) names: &'a [String],
    pub(crate) separator: u8,
}

impl Shape<'_> {
    fn separator_name(&self) -> String {
        separator_name(self.separator)
    }
}

/// Returns the separator as shown in messages.
pub(crate) fn separator_name(separator: u8) -> String {
    if separator == b'\t' { "tab".to_owned() } else { char::from(separator).to_string() }
}

impl Chunk {
    /// Returns the values of the requested columns, which must be sorted by position.
    pub(crate) fn columns(
        &self,
        shape: &Shape<'_>,
        wanted: &[WantedColumn],
        rules: &Rules,
    ) -> Result<Vec<Values>, CsvError> {
        const NOTHING: Field<'_> = Field { bytes: b"", doubled: false };
        let mut columns: Vec<Values> = wanted.iter().map(|column| Values::new(column.form, self.rows)).collect();
        let mut next = 0;
        self.each_field(shape, |place, index, field| {
            // In a row with too few fields, the last values are missing.
            let here = |column: &WantedColumn| field.is_none() || column.index == index;
            while let Some(column) = wanted.get(next).filter(|column| here(column)) {
                let field = field.unwrap_or(NOTHING);
                let outcome = columns[next].push(field, column.form, rules);
                outcome.map_err(|wrong| self.error(&wrong, shape, column, field, place))?;
                next += 1;
            }
            if field.is_none() {
                next = 0;
            }
            Ok(())
        })?;
        Ok(columns)
    }

    /// Counts what the values of each column look like.
    pub(crate) fn tally(&self, shape: &Shape<'_>, rules: &Rules, tallies: &mut [Tally]) -> Result<(), CsvError> {
        self.each_field(shape, |place, index, field| {
            if let (Some(tally), Some(field)) = (tallies.get_mut(index), field) {
                tally.add(field, rules, self.row(place));
            }
            Ok(())
        })
    }

    /// Calls `visit` for every field of every record with the field's position in the record, and once
    /// more, without a field, at the end of each record.
    #[inline]
    fn each_field<'a>(
        &'a self,
        shape: &Shape<'_>,
        mut visit: impl FnMut(Place, usize, Option<Field<'a>>) -> Result<(), CsvError>,
    ) -> Result<(), CsvError> {
        let (bytes, separator) = (&self.bytes[..], shape.separator);
        let mut place = Place { at: 0, row: 0 };
        while place.at < bytes.len() {
            if let Some(next) = blank_line(bytes, place.at, separator) {
                place.at = next;
                continue;
            }
            let (mut at, mut index) = (place.at, 0);
            let end = loop {
                let (field, next) = next_field(bytes, at, separator);
                visit(place, index, Some(field))?;
                index += 1;
                match next {
                    Next::Field(next) => at = next,
                    Next::Record(next) => break next,
                }
            };
            if index > shape.names.len() {
                return Err(CsvError::LongRow {
                    line: self.line(place),
                    fields: index,
                    names: shape.names.len(),
                    separator: shape.separator_name(),
                });
            }
            visit(place, index, None)?;
            place = Place { at: end, row: place.row + 1 };
        }
        Ok(())
    }

    /// Line of the file on which a record begins, from 1.
    fn line(&self, place: Place) -> u64 {
        self.first_line + memchr::memchr_iter(b'\n', &self.bytes[..place.at]).count() as u64
    }

    /// Row of the file, from 1.
    fn row(&self, place: Place) -> u64 {
        self.first_row + place.row + 1
    }

    fn error(
        &self,
        wrong: &Wrong,
        shape: &Shape<'_>,
        column: &WantedColumn,
        field: Field<'_>,
        place: Place,
    ) -> CsvError {
        let name = shape.names[column.index].clone();
        if let Wrong::Encoding = wrong {
            return CsvError::Encoding {
                place: format!("line {}, column `{name}`", self.line(place)),
                encoding: "utf-8".to_owned(),
                remedy: "latin-1",
            };
        }
        let value = shown(&field.unescaped());
        let (wanted, because) = match (wrong, column.form) {
            (Wrong::Loss, _) => ("an integer that reproduces its text", "as the ids before it do"),
            (_, Wanted::Numbers) => ("a number", because(column.stated)),
            (_, Wanted::Booleans) => ("true or false", because(column.stated)),
            (_, Wanted::Days) => ("a date", because(column.stated)),
            (_, Wanted::Microseconds) => ("a point in time", because(column.stated)),
            _ => ("an integer", because(column.stated)),
        };
        let remedy = match wrong {
            Wrong::Loss => format!("read the column as text: --types {name}=text"),
            _ => format!(
                "correct it, or say that it stands for a missing value (--na '{value}') or that the column is text \
                 (--types {name}=text)"
            ),
        };
        CsvError::BadValue {
            row: self.row(place),
            line: self.line(place),
            column: name,
            value,
            wanted,
            because,
            remedy,
        }
    }
}

/// Says why a column is expected to hold values of its type.
fn because(stated: bool) -> &'static str {
    if stated { "which the column was said to hold" } else { "as the values before it are" }
}

/// Position of a record within its chunk.
#[derive(Clone, Copy)]
struct Place {
    /// Position of its first byte.
    at: usize,
    /// Its number within the chunk, from 0.
    row: u64,
}
