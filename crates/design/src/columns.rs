//! Plain columns: the language in which tables are handed to the design.
//!
//! Whoever reads a file (parquet, csv, arrow) turns it into [`Block`]s of these columns; nothing
//! behind this module knows of files or of any data-frame library.

use serde::{Deserialize, Serialize};

/// Rows of one [`Block`]: every block but the last of a scan has exactly this many.
///
/// Blocks are cut by global row number, never by how a reader happened to deliver its batches, so
/// that sums over rows have the same bits for any number of threads.
pub const BLOCK_ROWS: usize = 1 << 15;

/// The code of a missing label in [`Labels::codes`].
pub const MISSING: u32 = u32::MAX;

/// What kind of values a column of a table holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Floating-point (or decimal) numbers; as ids of groups they must be whole.
    Float,
    /// Integers of any width and sign.
    Integer,
    /// Booleans; in a formula a factor with the levels `FALSE` and `TRUE`, as in R.
    Boolean,
    /// Strings, categoricals and enums; in a formula a factor.
    Text,
    /// Numbers of which some would lose a part of their text as ids (`0870`, `+5`): numbers in
    /// arithmetic, strings as labels.
    Digits,
    /// Numbers or dates for the most part, and strings, in a file that does not say its types: strings where the
    /// formula says that it is a factor, else an error.
    Mixed(Doubt),
    /// Days: in arithmetic the number of days since 1970-01-01, as labels `2020-01-31`.
    Date,
    /// Points in time: in arithmetic the seconds since 1970-01-01 00:00 UTC, as labels
    /// `2020-01-31 23:59:59`.
    DateTime,
    /// Anything that a model cannot use (lists, durations, …), with the name the reader has for it.
    Other(String),
    /// The files of the table do not agree on the column; in which way, as a whole sentence.
    Unequal(String),
}

impl Kind {
    /// Whether a column of this kind is a number in a formula, unless `factor()` says otherwise.
    pub fn is_number(&self) -> bool {
        matches!(self, Kind::Float | Kind::Integer | Kind::Digits | Kind::Date | Kind::DateTime)
    }

    /// What a number of this kind counts, where that is told by the kind.
    pub fn unit(&self) -> Option<&'static str> {
        match self {
            Kind::Date => Some("dates"),
            Kind::DateTime => Some("points in time"),
            _ => None,
        }
    }
}

/// Why it is in doubt what a column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The values that are no numbers and their rows, as in "`.` in row 8".
    pub odd: String,
    /// What to try.
    pub remedy: String,
    /// Whether each of them has a digit, as ids such as `2A` have: then they may name groups.
    pub like_ids: bool,
}

/// One column of a table: its name and kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name as it stands in the file.
    pub name: String,
    /// Kind of its values.
    pub kind: Kind,
    /// As a factor, its levels in the order that the table itself has for them (that of an Enum or of
    /// an ordered categorical); empty where the table has none. Levels may be missing in the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
}

impl Field {
    /// A column without an order of levels.
    pub fn new(name: impl Into<String>, kind: Kind) -> Field {
        Field { name: name.into(), kind, levels: Vec::new() }
    }
}

/// How a requested column is to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// As numbers: [`Column::Numbers`].
    Number,
    /// As labels of groups or factor levels: [`Column::Labels`]. Floating-point numbers must be whole,
    /// and become integers.
    Label,
    /// As levels of a factor that need not be whole numbers: [`Column::Labels`], those of floating-point
    /// numbers as text, written as R does.
    Level,
}

/// One column that a scan must deliver. A column may be asked for in both roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Name as it stands in the file.
    pub column: String,
    /// How it is to be delivered.
    pub role: Role,
}

/// Consecutive rows of a table, as plain columns in the order of the requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Global number (from 0, over all files of the scan) of the block's first row.
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

/// Labels of rows as codes into a dictionary that holds for this block only.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// Per row the index into `dictionary`, or [`MISSING`].
    pub codes: Vec<u32>,
    /// The distinct labels. Every entry is used by at least one row before rows are dropped.
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

    /// The label as a person reads it.
    pub fn label(&self, code: usize) -> String {
        match self {
            Dictionary::Text(text) => text.get(code).to_owned(),
            Dictionary::Integer(values) => values[code].to_string(),
        }
    }
}

/// Strings end to end in one buffer: a dictionary of thousands of labels in two allocations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedText {
    text: String,
    ends: Vec<u64>,
}

impl PackedText {
    /// No strings yet.
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

    /// String `i`, counted from 0; panics where there is none.
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
    fn packed_text_gives_back_what_it_was_given() {
        let words = ["a", "", "größer", "C01"];
        let packed: PackedText = words.iter().collect();
        assert_eq!(packed.len(), 4);
        assert_eq!(packed.iter().collect::<Vec<_>>(), words);
        assert_eq!(packed.get(2), "größer");
    }
}
