//! Plain columns: the form in which this crate receives tables.
//!
//! A reader of a file format (parquet, csv, arrow) produces [`Block`]s of these columns; the code that
//! uses them does not depend on files or on a data-frame library.

use serde::{Deserialize, Serialize};

/// Number of rows of every [`Block`] of a scan except the last.
///
/// Blocks are cut by global row number, independently of the reader's batches, so that sums over rows
/// are bit-identical for any number of threads.
pub const BLOCK_ROWS: usize = 1 << 15;

/// The code of a missing label in [`Labels::codes`].
pub const MISSING: u32 = u32::MAX;

/// Kind of the values of a column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Floating-point (or decimal) numbers; as ids of groups they must be whole.
    Float,
    /// Integers of any width and sign.
    Integer,
    /// Booleans; in a formula, a factor with the levels `FALSE` and `TRUE`, as in R.
    Boolean,
    /// Strings, categoricals and enums; in a formula, a factor.
    Text,
    /// Numbers of which some, read as ids, would lose a part of their text (`0870`, `+5`): used as numbers
    /// in arithmetic and as strings for labels.
    Digits,
    /// Mostly numbers or dates, with some strings, in a file without column types: strings if the formula
    /// makes it a factor, otherwise an error.
    Mixed(Doubt),
    /// Dates: in arithmetic the number of days since 1970-01-01, as labels `2020-01-31`.
    Date,
    /// Points in time: in arithmetic the seconds since 1970-01-01 00:00 UTC, as labels
    /// `2020-01-31 23:59:59`.
    DateTime,
    /// A type that a model cannot use (lists, durations, …), with the reader's name for it.
    Other(String),
    /// The files of the table disagree on the column; the text says how, in a complete sentence.
    Unequal(String),
}

impl Kind {
    /// Whether a column of this kind is a number in a formula, unless `factor()` says otherwise.
    pub fn is_number(&self) -> bool {
        matches!(self, Kind::Float | Kind::Integer | Kind::Digits | Kind::Date | Kind::DateTime)
    }

    /// Returns the unit of numbers of this kind, if the kind implies one.
    pub fn unit(&self) -> Option<&'static str> {
        match self {
            Kind::Date => Some("dates"),
            Kind::DateTime => Some("points in time"),
            _ => None,
        }
    }
}

/// Reason why the kind of a column is in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The values that are not numbers, and their rows, as in "`.` in row 8".
    pub odd: String,
    /// Suggested remedy.
    pub remedy: String,
    /// Whether each of these values contains a digit, as ids such as `2A` do; then they may name groups.
    pub like_ids: bool,
}

/// One column of a table: its name and kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name in the file.
    pub name: String,
    /// Kind of its values.
    pub kind: Kind,
    /// Levels in the order that the table defines (that of an Enum or an ordered categorical); empty if it
    /// defines none. The list may be incomplete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
}

impl Field {
    /// A column without an order of levels.
    pub fn new(name: impl Into<String>, kind: Kind) -> Field {
        Field { name: name.into(), kind, levels: Vec::new() }
    }
}

/// Form in which a requested column is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// As numbers: [`Column::Numbers`].
    Number,
    /// As labels of groups or factor levels: [`Column::Labels`]. Floating-point numbers must be whole;
    /// they become integers.
    Label,
    /// As levels of a factor that need not be whole numbers: [`Column::Labels`]. Floating-point numbers
    /// become text, written as R does.
    Level,
}

/// One column that a scan must deliver. A column may be requested in several roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Name in the file.
    pub column: String,
    /// Form in which it is delivered.
    pub role: Role,
}

/// Consecutive rows of a table, as plain columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Global number (from 0, over all files of the scan) of its first row.
    pub first_row: u64,
    /// Number of rows; each column has this length.
    pub rows: usize,
    /// The requested columns, in the order of the requests.
    pub columns: Vec<Column>,
}

impl Block {
    /// The labels of a requested column.
    ///
    /// # Panics
    /// If the request is for numbers.
    pub fn labels(&self, request: usize) -> &Labels {
        match &self.columns[request] {
            Column::Labels(labels) => labels,
            Column::Numbers(_) => panic!("request {request} is for labels, and the block has numbers"),
        }
    }
}

/// One column of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Numbers; a null is NaN.
    Numbers(Vec<f64>),
    /// Labels; a null has the code [`MISSING`].
    Labels(Labels),
}

/// Labels of rows, as codes into a dictionary that is valid for this block only.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// For each row the index into `dictionary`, or [`MISSING`].
    pub codes: Vec<u32>,
    /// The distinct labels. At least one row of the block, before rows are dropped, has each of them.
    pub dictionary: Dictionary,
}

/// Distinct labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dictionary {
    /// Strings.
    Text(PackedText),
    /// Integers.
    Integer(Vec<i64>),
}

impl Dictionary {
    /// Number of labels.
    pub fn len(&self) -> usize {
        match self {
            Dictionary::Text(text) => text.len(),
            Dictionary::Integer(values) => values.len(),
        }
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the label as text.
    pub fn label(&self, code: usize) -> String {
        match self {
            Dictionary::Text(text) => text.get(code).to_owned(),
            Dictionary::Integer(values) => values[code].to_string(),
        }
    }
}

/// Strings stored end to end in one buffer: a dictionary of thousands of labels in two allocations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedText {
    text: String,
    ends: Vec<u64>,
}

impl PackedText {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a string.
    pub fn push(&mut self, value: &str) {
        self.text.push_str(value);
        self.ends.push(self.text.len() as u64);
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns string `i`, counted from 0; panics if there is none.
    pub fn get(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.text[start as usize..self.ends[i] as usize]
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Bytes held, for estimates of memory.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + 8 * self.ends.capacity()
    }
}

impl<S: AsRef<str>> FromIterator<S> for PackedText {
    fn from_iter<I: IntoIterator<Item = S>>(values: I) -> Self {
        let mut packed = PackedText::new();
        values.into_iter().for_each(|v| packed.push(v.as_ref()));
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_text_returns_the_strings_pushed() {
        let words = ["a", "", "größer", "C01"];
        let packed: PackedText = words.iter().collect();
        assert_eq!(packed.len(), 4);
        assert_eq!(packed.iter().collect::<Vec<_>>(), words);
        assert_eq!(packed.get(2), "größer");
    }
}
