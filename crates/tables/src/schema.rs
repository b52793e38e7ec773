//! Reads the columns of each file and finds their common types.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::prelude::{DataType, ParquetReader, PlSmallStr, PolarsError, Schema, SchemaExt, SerReader, TimeUnit};
use tiers_design::Kind;

use crate::cost::HeadCost;
use crate::error::{TableError, panic_words, words};
use crate::order::{self, Orders};
use crate::paths::Format;
use crate::query;

/// The metadata of one file, available before its rows are read.
pub(crate) struct Head {
    pub(crate) schema: Schema,
    pub(crate) rows: Option<u64>,
    pub(crate) cost: HeadCost,
    /// The ordered categories of columns that have them.
    pub(crate) levels: BTreeMap<String, Vec<String>>,
}

impl Head {
    fn new(schema: Schema, rows: Option<u64>, cost: HeadCost) -> Head {
        let levels = |(name, dtype): (&PlSmallStr, &DataType)| Some((name.to_string(), categories(dtype)?));
        Head { levels: schema.iter().filter_map(levels).collect(), schema, rows, cost }
    }

    /// Adds orders of categories that the types do not contain.
    fn with(mut self, orders: Orders) -> Head {
        orders.into_iter().for_each(|(column, order)| _ = self.levels.entry(column).or_insert(order));
        self
    }
}

/// Reads a file's columns and, for parquet, the number of rows from the footer.
pub(crate) fn head(path: &Path, format: Format, bytes: u64) -> Result<Head, TableError> {
    if bytes == 0 {
        return Err(TableError::EmptyFile { path: path.to_owned() });
    }
    // A damaged footer must not end the program, even if the reader panics.
    std::panic::catch_unwind(|| match format {
        Format::Parquet => parquet_head(path, bytes),
        Format::Ipc => ipc_head(path),
        Format::Csv => unreachable!("text files are read by tiers_csv"),
    })
    .unwrap_or_else(|panic| Err(TableError::Damaged { path: path.to_owned(), reason: panic_words(panic.as_ref()) }))
}

fn parquet_head(path: &Path, bytes: u64) -> Result<Head, TableError> {
    let mut file = open(path)?;
    check_magic(path, &mut file, bytes)?;
    let damaged = |e: PolarsError| TableError::Damaged { path: path.to_owned(), reason: words(&e) };
    let mut reader = ParquetReader::new(file);
    let about = reader.get_metadata().map_err(damaged)?;
    let needed =
        about.row_groups.iter().flat_map(|group| group.byte_ranges_iter()).map(|range| range.end).max().unwrap_or(0);
    if needed > bytes {
        return Err(TableError::CutOff {
            path: path.to_owned(),
            why: format!("its columns need {needed} bytes and it has {bytes}"),
        });
    }
    let rows = Some(about.num_rows as u64);
    let arrow = reader.schema().map_err(damaged)?;
    let schema = Schema::from_arrow_schema(&arrow);
    let about = Arc::clone(reader.get_metadata().map_err(damaged)?);
    let cost = HeadCost::of_parquet(&about, &schema);
    let orders = order::of_parquet(&mut open(path)?, &about, &arrow);
    Ok(Head::new(schema, rows, cost).with(orders))
}

/// Distinguishes a file that is not parquet from one that is truncated.
fn check_magic(path: &Path, file: &mut File, bytes: u64) -> Result<(), TableError> {
    let trouble = |e| TableError::io(path, "reading", e);
    let mut start = [0; 4];
    let mut end = [0; 4];
    if bytes >= 4 {
        file.read_exact(&mut start).map_err(trouble)?;
        file.seek(SeekFrom::End(-4)).map_err(trouble)?;
        file.read_exact(&mut end).map_err(trouble)?;
        file.rewind().map_err(trouble)?;
    }
    match (&start, &end) {
        (b"PAR1", b"PAR1") if bytes >= 12 => Ok(()),
        (b"PARE", _) | (_, b"PARE") => Err(TableError::Unsupported {
            path: path.to_owned(),
            what: "the file is encrypted, which is not supported".to_owned(),
        }),
        (b"PAR1", _) => Err(TableError::CutOff {
            path: path.to_owned(),
            why: "it begins as parquet and has no parquet footer".to_owned(),
        }),
        _ => Err(TableError::WrongFormat {
            path: path.to_owned(),
            format: "parquet",
            why: "does not begin with the mark PAR1".to_owned(),
        }),
    }
}

fn ipc_head(path: &Path) -> Result<Head, TableError> {
    let mut magic = Vec::new();
    let read = open(path)?.take(6).read_to_end(&mut magic);
    read.map_err(|e| TableError::io(path, "reading", e))?;
    if magic != b"ARROW1" {
        return Err(TableError::WrongFormat {
            path: path.to_owned(),
            format: "arrow ipc",
            why: "does not begin with the mark ARROW1 (a stream of ipc messages, or Feather \
                  version 1, must be converted)"
                .to_owned(),
        });
    }
    let mut lazy = query::ipc(&[path]).map_err(|e| query_error(path, &e))?;
    let schema = lazy.collect_schema().map_err(|e| TableError::CutOff {
        path: path.to_owned(),
        why: format!("its footer cannot be read ({})", words(&e)),
    })?;
    let head = Head::new((*schema).clone(), None, HeadCost::default());
    Ok(head.with(order::of_ipc(&mut open(path)?)))
}

fn open(path: &Path) -> Result<File, TableError> {
    File::open(path).map_err(|e| TableError::io(path, "opening", e))
}

fn query_error(path: &Path, error: &PolarsError) -> TableError {
    TableError::Damaged { path: path.to_owned(), reason: words(error) }
}

/// How two files of a table differ in a column.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    first: PathBuf,
    second: PathBuf,
    why: String,
}

impl Difference {
    /// Returns the error for a request of the column.
    pub(crate) fn of_column(&self, column: &str) -> TableError {
        TableError::SchemaDiffers {
            first: self.first.clone(),
            second: self.second.clone(),
            column: column.to_owned(),
            why: self.why.clone(),
        }
    }
}

/// The columns of all files.
#[derive(Debug, Default)]
pub(crate) struct Common {
    /// Each column with a type as wide as needed, in the order in which the columns first appear.
    pub(crate) schema: Schema,
    /// The columns in which files differ: an error only if they are requested.
    pub(crate) differences: BTreeMap<String, Difference>,
    /// The ordered categories of columns that have them.
    pub(crate) levels: BTreeMap<String, Vec<String>>,
    /// The file that the others are compared with.
    first: PathBuf,
}

impl Common {
    /// Returns the columns of one file.
    pub(crate) fn of(path: &Path, head: &Head) -> Common {
        let (schema, levels) = (head.schema.clone(), head.levels.clone());
        Common { schema, levels, differences: BTreeMap::new(), first: path.to_owned() }
    }

    /// Widens the columns so that they can also hold the values of another file. Integers and floats may
    /// differ in width, integers may be combined with floats, and points in time may differ in unit.
    pub(crate) fn unite(&mut self, other: &Head, path: &Path, format: Format) {
        let mut differences: Vec<(String, String)> = Vec::new();
        for (name, dtype) in self.schema.iter_mut() {
            let Some(theirs) = other.schema.get(name) else {
                differences.push((name.to_string(), "is missing in the second file".to_owned()));
                continue;
            };
            match wider(dtype, theirs).filter(|wide| format != Format::Ipc || wide == dtype) {
                Some(wide) => *dtype = wide,
                None => {
                    let why = format!("is of type {dtype} in one and {theirs} in the other");
                    differences.push((name.to_string(), why));
                }
            }
        }
        for (name, dtype) in other.schema.iter().filter(|(name, _)| !self.schema.contains(name)).collect::<Vec<_>>() {
            differences.push((name.to_string(), "is missing in the first file".to_owned()));
            self.schema.insert(name.clone(), dtype.clone());
        }
        self.unite_levels(other, &mut differences);
        for (column, why) in differences {
            let difference = Difference { first: self.first.clone(), second: path.to_owned(), why };
            self.differences.entry(column).or_insert(difference);
        }
    }

    /// Unites the ordered categories: one file may lack some categories, but the order must be the same.
    fn unite_levels(&mut self, other: &Head, differences: &mut Vec<(String, String)>) {
        for (column, theirs) in &other.levels {
            let own = self.levels.entry(column.clone()).or_insert_with(|| theirs.clone());
            let (long, short) = if own.len() >= theirs.len() { (&*own, theirs) } else { (theirs, &*own) };
            let mut rest = long.iter();
            if short.iter().all(|level| rest.any(|other| other == level)) {
                *own = long.clone();
            } else {
                let words = |levels: &[String]| levels.join(" < ");
                let why =
                    format!("has its categories in the order {} in one and {} in the other", words(own), words(theirs));
                differences.push((column.clone(), why));
            }
        }
    }
}

/// Returns the categories of a type that has ordered categories.
pub(crate) fn categories(dtype: &DataType) -> Option<Vec<String>> {
    match dtype {
        DataType::Enum(categories, _) => Some(categories.categories().values_iter().map(str::to_owned).collect()),
        _ => None,
    }
}

/// Returns the narrowest type that holds the values of both.
fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Datetime, Float32, Float64, Null, String};
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Null, other) | (other, Null) => Some(other.clone()),
        (Float32, Float64) | (Float64, Float32) => Some(Float64),
        (f, i) | (i, f) if matches!(f, Float32 | Float64) && integer(i).is_some() => Some(Float64),
        (String, c) | (c, String) if is_categorical(c) => Some(String),
        (one, other) if is_categorical(one) && is_categorical(other) => Some(String),
        (Datetime(_, zone), Datetime(_, other)) if zone.is_some() == other.is_some() => {
            Some(Datetime(TimeUnit::Microseconds, zone.clone()))
        }
        _ => wider_integer(integer(a)?, integer(b)?),
    }
}

fn is_categorical(dtype: &DataType) -> bool {
    matches!(dtype, DataType::Categorical(..) | DataType::Enum(..))
}

/// For an integer type, returns whether it is signed and its number of bits.
fn integer(dtype: &DataType) -> Option<(bool, u32)> {
    use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    let signed = matches!(dtype, Int8 | Int16 | Int32 | Int64);
    let bits = match dtype {
        Int8 | UInt8 => 8,
        Int16 | UInt16 => 16,
        Int32 | UInt32 => 32,
        Int64 | UInt64 => 64,
        _ => return None,
    };
    Some((signed, bits))
}

fn wider_integer(a: (bool, u32), b: (bool, u32)) -> Option<DataType> {
    use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    let signed = a.0 || b.0;
    // An unsigned integer needs one more bit in a signed type.
    let bits = |(has_sign, bits): (bool, u32)| bits + u32::from(signed && !has_sign);
    Some(match (signed, bits(a).max(bits(b))) {
        (true, ..=8) => Int8,
        (true, ..=16) => Int16,
        (true, ..=32) => Int32,
        (true, ..=64) => Int64,
        (false, ..=8) => UInt8,
        (false, ..=16) => UInt16,
        (false, ..=32) => UInt32,
        (false, ..=64) => UInt64,
        _ => return None,
    })
}

/// Returns the kind of column that a model sees for a type.
pub(crate) fn kind(dtype: &DataType) -> Kind {
    match dtype {
        DataType::Float32 | DataType::Float64 | DataType::Decimal(..) | DataType::Null => Kind::Float,
        DataType::Boolean => Kind::Boolean,
        DataType::Date => Kind::Date,
        DataType::Datetime(..) => Kind::DateTime,
        DataType::String | DataType::Categorical(..) | DataType::Enum(..) => Kind::Text,
        other if integer(other).is_some() => Kind::Integer,
        other => Kind::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataType::{Boolean, Float32, Float64, Int8, Int32, Int64, String, UInt8, UInt32, UInt64};

    fn check(a: &DataType, b: &DataType, expected: Option<&DataType>) {
        assert_eq!(wider(a, b).as_ref(), expected, "{a} with {b}");
        assert_eq!(wider(b, a).as_ref(), expected, "{b} with {a}");
    }

    #[test]
    fn widths_are_united_without_loss() {
        check(&Int8, &Int64, Some(&Int64));
        check(&UInt8, &Int8, Some(&DataType::Int16));
        check(&UInt32, &Int32, Some(&Int64));
        check(&UInt64, &Int8, None);
        check(&UInt8, &UInt32, Some(&UInt32));
        check(&Float32, &Int32, Some(&Float64));
        check(&Float32, &Float64, Some(&Float64));
        check(&DataType::Null, &String, Some(&String));
        check(&String, &Float64, None);
        check(&Boolean, &Int32, None);
    }
}
