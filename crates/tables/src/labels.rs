//! Decodes labels of groups: codes into a dictionary of the block, for columns of any type that can
//! name a group.
//!
//! As ids of groups, floating-point numbers and decimals must be whole and become integers; as levels
//! of a factor they need not be whole and become text.
//!
//! Rows are often sorted, so runs of equal values are looked up once: within a run a row costs one
//! comparison, and only a change of value needs the hash table.

use polars::prelude::{BooleanChunked, ChunkedArray, DataType, PolarsNumericType, PolarsResult, Series, StringChunked};
use tiers_design::{Dictionary, Labels, MISSING, PackedText, number_as_level};

use crate::error::TableError;
use crate::intern::{IntegerInterner, TextInterner};
use crate::temporal;

/// From here on a float may stand for several integers: 2^53 + 1 is stored as 2^53.
const EXACT: f64 = (1u64 << 53) as f64;

/// Position of a column's values, for error messages.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) column: &'a str,
    pub(crate) first_row: u64,
}

impl Place<'_> {
    fn bad_label(&self, at: usize, value: &impl ToString, why: &'static str) -> TableError {
        TableError::BadLabel {
            column: self.column.to_owned(),
            row: self.first_row + at as u64 + 1,
            value: value.to_string(),
            why,
        }
    }
}

/// Why decoding a column failed: a value that cannot be a label, or an error of polars.
pub(crate) enum Failure {
    Table(TableError),
    Polars(polars::prelude::PolarsError),
}

impl From<TableError> for Failure {
    fn from(error: TableError) -> Self {
        Failure::Table(error)
    }
}

impl From<polars::prelude::PolarsError> for Failure {
    fn from(error: polars::prelude::PolarsError) -> Self {
        Failure::Polars(error)
    }
}

/// Decodes the pieces of one column as labels of groups.
pub(crate) fn labels(pieces: &[&Series], rows: usize, at: Place<'_>) -> Result<Labels, Failure> {
    let Some(first) = pieces.first() else {
        return Ok(integer_labels(Vec::new(), IntegerInterner::default()));
    };
    macro_rules! integers {
        ($get:ident) => {
            integers(pieces, rows, at, |s| s.$get())
        };
    }
    match first.dtype() {
        DataType::String => Ok(strings(pieces, rows)?),
        DataType::Boolean => Ok(booleans(pieces, rows)?),
        DataType::Categorical(_, map) | DataType::Enum(_, map) => {
            let codes: Vec<Series> = pieces.iter().map(|s| s.to_physical_repr().into_owned()).collect();
            let labels = labels(&codes.iter().collect::<Vec<_>>(), rows, at)?;
            Ok(renamed(labels, |code| map.cat_to_str(code as u32).unwrap_or_default()))
        }
        DataType::Date => {
            let days: Vec<Series> = pieces.iter().map(|s| s.to_physical_repr().into_owned()).collect();
            Ok(renamed(labels(&days.iter().collect::<Vec<_>>(), rows, at)?, temporal::day))
        }
        DataType::Datetime(unit, _) => {
            let counts: Vec<Series> = pieces.iter().map(|s| s.to_physical_repr().into_owned()).collect();
            Ok(renamed(labels(&counts.iter().collect::<Vec<_>>(), rows, at)?, |count| temporal::time(count, *unit)))
        }
        DataType::Int8 => integers!(i8),
        DataType::Int16 => integers!(i16),
        DataType::Int32 => integers!(i32),
        DataType::Int64 => integers!(i64),
        DataType::UInt8 => integers!(u8),
        DataType::UInt16 => integers!(u16),
        DataType::UInt32 => integers!(u32),
        DataType::UInt64 => integers!(u64),
        DataType::Decimal(_, scale) => decimals(pieces, rows, at, *scale),
        // Programs without missing integers (pandas) store ids with missing values as floats.
        _ => whole_numbers(pieces, rows, at),
    }
}

/// Decodes the pieces of one column as levels of a factor: numbers need not be whole.
pub(crate) fn levels(pieces: &[&Series], rows: usize, at: Place<'_>) -> Result<Labels, Failure> {
    let is_float = |s: &&Series| matches!(s.dtype(), DataType::Float32 | DataType::Float64 | DataType::Decimal(..));
    match pieces.first() {
        Some(first) if is_float(first) => numbers_as_text(pieces, rows, at, *first.dtype() == DataType::Float32),
        _ => labels(pieces, rows, at),
    }
}

/// Labels of strings, found by their views.
pub(crate) fn strings(pieces: &[&Series], rows: usize) -> PolarsResult<Labels> {
    let mut codes = Vec::with_capacity(rows);
    let mut interner = TextInterner::default();
    for piece in pieces {
        let column: &StringChunked = piece.str()?;
        for (array, valid) in column.downcast_iter().zip(validity(piece)) {
            let views = array.views();
            push_runs(
                &mut codes,
                views.len(),
                valid.as_deref(),
                // Within one array, equal views are equal strings, also if they are long.
                |i| views[i].as_u128(),
                |i, view| {
                    Ok::<u32, std::convert::Infallible>(if views[i].is_inline() {
                        interner.short(view, || array.value(i))
                    } else {
                        interner.long(array.value(i))
                    })
                },
            )
            .unwrap_or_else(|never| match never {});
        }
    }
    Ok(Labels { codes, dictionary: Dictionary::Text(interner.finish()) })
}

fn integers<'a, T>(
    pieces: &[&'a Series],
    rows: usize,
    at: Place<'_>,
    get: impl Fn(&'a Series) -> PolarsResult<&'a ChunkedArray<T>>,
) -> Result<Labels, Failure>
where
    T: PolarsNumericType,
    i64: TryFrom<T::Native>,
{
    let mut codes = Vec::with_capacity(rows);
    let mut interner = IntegerInterner::default();
    for &piece in pieces {
        for (array, valid) in get(piece)?.downcast_iter().zip(validity(piece)) {
            let values = array.values();
            let before = codes.len();
            push_runs(
                &mut codes,
                values.len(),
                valid.as_deref(),
                |i| values[i],
                |i, value| match i64::try_from(value) {
                    Ok(value) => Ok(interner.code(value)),
                    Err(_) => {
                        Err(at.bad_label(before + i, &value, "integers beyond 9223372036854775807 are not supported"))
                    }
                },
            )?;
        }
    }
    Ok(integer_labels(codes, interner))
}

/// Labels of decimals, which must be whole numbers. They are read as the integers in which they are
/// stored, so that no digit is lost.
fn decimals(pieces: &[&Series], rows: usize, at: Place<'_>, scale: usize) -> Result<Labels, Failure> {
    let unit = 10_i128.checked_pow(scale as u32).unwrap_or(i128::MAX);
    let mut codes = Vec::with_capacity(rows);
    let mut interner = IntegerInterner::default();
    for &piece in pieces {
        for (array, valid) in piece.decimal()?.physical().downcast_iter().zip(validity(piece)) {
            let (values, before) = (array.values(), codes.len());
            let code = |i: usize, value: i128| match (value % unit, i64::try_from(value / unit)) {
                (0, Ok(whole)) => Ok(interner.code(whole)),
                (0, Err(_)) => Err(at.bad_label(
                    before + i,
                    &(value / unit),
                    "integers beyond 9223372036854775807 are not supported",
                )),
                _ => Err(at.bad_label(before + i, &(value as f64 / unit as f64), NOT_WHOLE)),
            };
            push_runs(&mut codes, values.len(), valid.as_deref(), |i| values[i], code)?;
        }
    }
    Ok(integer_labels(codes, interner))
}

/// Levels of floats and decimals, written as R writes the levels of `factor()`.
fn numbers_as_text(pieces: &[&Series], rows: usize, at: Place<'_>, single: bool) -> Result<Labels, Failure> {
    let mut values = Vec::with_capacity(rows);
    for piece in pieces {
        crate::decode::push_numbers(&mut values, piece)?;
    }
    let valid: Vec<bool> = values.iter().map(|v| !v.is_nan()).collect();
    let mut codes = Vec::with_capacity(rows);
    // First a code per number, then one per text: different numbers may have the same text.
    let mut interner = IntegerInterner::default();
    push_runs(
        &mut codes,
        values.len(),
        Some(&valid),
        |i| values[i],
        |i, value| match value.is_finite() {
            true => Ok(interner.code((value + 0.0).to_bits().cast_signed())),
            false => Err(at.bad_label(i, &value, "it is infinite")),
        },
    )?;
    let mut texts = TextInterner::default();
    let text = |bits: i64| number_as_level(f64::from_bits(bits.cast_unsigned()), single);
    let new: Vec<u32> = interner.finish().into_iter().map(|bits| texts.long(&text(bits))).collect();
    Ok(Labels { codes: translated(&codes, &new), dictionary: Dictionary::Text(texts.finish()) })
}

const NOT_WHOLE: &str = "it is not a whole number";

/// Labels of floats, which must be whole numbers.
fn whole_numbers(pieces: &[&Series], rows: usize, at: Place<'_>) -> Result<Labels, Failure> {
    let mut codes = Vec::with_capacity(rows);
    let mut interner = IntegerInterner::default();
    let mut values = Vec::with_capacity(rows);
    for piece in pieces {
        crate::decode::push_numbers(&mut values, piece)?;
    }
    let valid: Vec<bool> = values.iter().map(|v| !v.is_nan()).collect();
    push_runs(
        &mut codes,
        values.len(),
        Some(&valid),
        |i| values[i],
        |i, value| {
            if value.is_infinite() {
                Err(at.bad_label(i, &value, "it is infinite"))
            } else if value.fract() != 0.0 {
                Err(at.bad_label(i, &value, NOT_WHOLE))
            } else if value.abs() >= EXACT {
                Err(at.bad_label(i, &value, "a floating-point number of 2^53 or more may stand for several integers"))
            } else {
                Ok(interner.code(value as i64))
            }
        },
    )?;
    Ok(integer_labels(codes, interner))
}

/// Labels of booleans, named as in R.
fn booleans(pieces: &[&Series], rows: usize) -> PolarsResult<Labels> {
    let mut codes = Vec::with_capacity(rows);
    let mut text = PackedText::new();
    let mut code_of = [None; 2];
    for piece in pieces {
        let column: &BooleanChunked = piece.bool()?;
        for value in column.iter() {
            codes.push(value.map_or(MISSING, |v| {
                *code_of[usize::from(v)].get_or_insert_with(|| {
                    text.push(if v { "TRUE" } else { "FALSE" });
                    text.len() as u32 - 1
                })
            }));
        }
    }
    Ok(Labels { codes, dictionary: Dictionary::Text(text) })
}

/// Replaces integer labels by text labels; equal names become one label.
pub(crate) fn renamed<N: AsRef<str>>(labels: Labels, name: impl Fn(i64) -> N) -> Labels {
    let Dictionary::Integer(values) = &labels.dictionary else {
        return labels;
    };
    let mut interner = TextInterner::default();
    let new: Vec<u32> = values.iter().map(|&v| interner.long(name(v).as_ref())).collect();
    Labels { codes: translated(&labels.codes, &new), dictionary: Dictionary::Text(interner.finish()) }
}

/// Translates codes by a table of new codes.
pub(crate) fn translated(codes: &[u32], new: &[u32]) -> Vec<u32> {
    codes.iter().map(|&c| if c == MISSING { MISSING } else { new[c as usize] }).collect()
}

fn integer_labels(codes: Vec<u32>, interner: IntegerInterner) -> Labels {
    Labels { codes, dictionary: Dictionary::Integer(interner.finish()) }
}

/// For each chunk, which rows are not null; `None` if no row is null.
fn validity(series: &Series) -> impl Iterator<Item = Option<Vec<bool>>> + '_ {
    series
        .chunks()
        .iter()
        .map(|chunk| chunk.validity().filter(|_| chunk.null_count() > 0).map(|bits| bits.iter().collect()))
}

/// Appends the codes of `len` values. Calls `code_of` once per run of equal keys, or for every row if
/// the keys change so often that finding runs costs more than looking every row up.
#[inline]
fn push_runs<K: Copy + PartialEq, E>(
    codes: &mut Vec<u32>,
    len: usize,
    valid: Option<&[bool]>,
    key: impl Fn(usize) -> K,
    mut code_of: impl FnMut(usize, K) -> Result<u32, E>,
) -> Result<(), E> {
    if let Some(valid) = valid {
        for (i, &valid) in valid.iter().enumerate() {
            codes.push(if valid { code_of(i, key(i))? } else { MISSING });
        }
        return Ok(());
    }
    let sample = len.min(512);
    let changes = (1..sample).filter(|&i| key(i) != key(i - 1)).count();
    if 8 * changes > sample {
        for i in 0..len {
            codes.push(code_of(i, key(i))?);
        }
        return Ok(());
    }
    let mut start = 0;
    while start < len {
        let this = key(start);
        let mut end = start + 1;
        while end < len && key(end) == this {
            end += 1;
        }
        let code = code_of(start, this)?;
        codes.resize(codes.len() + (end - start), code);
        start = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::number_as_level;

    /// Compared with `levels(factor(x))` in R 4.3, except for whole numbers, which R may write with an exponent.
    #[test]
    fn levels_are_written_as_by_r() {
        for (value, expected) in [
            (0.2, "0.2"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
            (-2.5, "-2.5"),
            (1e-5, "1e-05"),
            (0.0001, "1e-04"),
            (0.000125, "0.000125"),
            (123456.789, "123456.789"),
            (1.5e-300, "1.5e-300"),
            (100000.0, "100000"),
            (-0.0, "0"),
        ] {
            assert_eq!(number_as_level(value, false), expected);
        }
        assert_eq!(number_as_level(f64::from(0.2_f32), true), "0.2");
    }
}
