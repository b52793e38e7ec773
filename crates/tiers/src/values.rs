//! The values of a column in memory, and how a formula reads them.

use crate::error::Error;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;
use tiers_design::{Column, Dictionary, Labels, MISSING, Request, Role, SourceError, number_as_level};

/// The values of a column; a missing value is `None` (or NaN among numbers).
///
/// Vectors of numbers, integers, booleans and texts, with or without `Option`, convert by `into()`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// Floating-point numbers; NaN is missing.
    Numbers(Vec<f64>),
    /// Integers: numbers in arithmetic, or the ids of groups.
    Integers(Vec<Option<i64>>),
    /// Booleans: a factor with the levels `FALSE` and `TRUE`, as in R.
    Booleans(Vec<Option<bool>>),
    /// Texts: a factor with its levels in the order of their bytes, or the ids of groups.
    Texts(Vec<Option<String>>),
    /// A factor with its levels in an order of its own, the first of which is the reference level.
    Categories {
        /// Per row the index of its level.
        codes: Vec<Option<u32>>,
        /// The levels.
        levels: Vec<String>,
    },
}

impl Values {
    /// A factor whose levels have an order: R's factor, pandas' ordered categorical.
    ///
    /// # Errors
    /// If a code is beyond the levels, or a level is there twice.
    pub fn categorical<L: Into<String>>(
        codes: impl IntoIterator<Item = Option<u32>>,
        levels: impl IntoIterator<Item = L>,
    ) -> Result<Values, Error> {
        let (codes, levels): (Vec<_>, Vec<String>) =
            (codes.into_iter().collect(), levels.into_iter().map(Into::into).collect());
        if let Some((row, code)) = codes
            .iter()
            .enumerate()
            .find_map(|(row, code)| code.filter(|&code| code as usize >= levels.len()).map(|code| (row, code)))
        {
            return Err(Error::Table(format!(
                "row {} has the code {code}, but there are only {} levels (codes count from 0)",
                row + 1,
                levels.len()
            )));
        }
        if let Some(level) = levels.iter().enumerate().find_map(|(i, l)| levels[..i].contains(l).then_some(l)) {
            return Err(Error::Table(format!("the level `{level}` is listed twice")));
        }
        Ok(Values::Categories { codes, levels })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Values::Numbers(values) => values.len(),
            Values::Integers(values) => values.len(),
            Values::Booleans(values) => values.len(),
            Values::Texts(values) => values.len(),
            Values::Categories { codes, .. } => codes.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The levels in their order, where they have one.
    pub(crate) fn levels(&self) -> Vec<String> {
        match self {
            Values::Categories { levels, .. } => levels.clone(),
            _ => Vec::new(),
        }
    }
}

/// Some rows of a column, as they were requested.
pub(crate) fn column_of(values: &Values, request: &Request, rows: Range<usize>) -> Result<Column, SourceError> {
    let as_number = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let start = rows.start;
    Ok(match (values, request.role) {
        (Values::Numbers(all), Role::Number) => Column::Numbers(all[rows].to_vec()),
        (Values::Integers(all), Role::Number) => {
            Column::Numbers(all[rows].iter().map(|v| as_number(v.map(|v| v as f64))).collect())
        }
        (Values::Booleans(all), Role::Number) => {
            Column::Numbers(all[rows].iter().map(|v| as_number(v.map(|v| f64::from(u8::from(v))))).collect())
        }
        (Values::Texts(_) | Values::Categories { .. }, Role::Number) => {
            return Err(format!("column `{}` holds texts, not numbers", request.column).into());
        }
        (Values::Numbers(all), Role::Label) => {
            let whole = |(i, value): (usize, &f64)| whole_number(*value, &request.column, start + i);
            let ids: Vec<Option<i64>> = all[rows].iter().enumerate().map(whole).collect::<Result<_, _>>()?;
            labels(ids.into_iter(), Dictionary::Integer)
        }
        (Values::Numbers(all), Role::Level) => {
            let text = |value: &f64| (!value.is_nan()).then(|| number_as_level(*value, false));
            labels(all[rows].iter().map(text), texts)
        }
        (Values::Integers(all), _) => labels(all[rows].iter().copied(), Dictionary::Integer),
        (Values::Booleans(all), _) => {
            labels(all[rows].iter().map(|v| v.map(|v| if v { "TRUE" } else { "FALSE" })), texts)
        }
        (Values::Texts(all), _) => labels(all[rows].iter().map(|text| text.as_deref()), texts),
        (Values::Categories { codes, levels }, _) => {
            labels(codes[rows].iter().map(|code| code.map(|code| levels[code as usize].as_str())), texts)
        }
    })
}

/// A floating-point number as the id of a group.
fn whole_number(value: f64, column: &str, row: usize) -> Result<Option<i64>, SourceError> {
    const EXACT: f64 = (1u64 << 53) as f64;
    if value.is_nan() {
        return Ok(None);
    }
    if value.fract() != 0.0 || value.abs() >= EXACT {
        return Err(format!(
            "column `{column}`, row {}: {value} cannot be the id of a group: it is not a whole number below 2^53. Use \
             integers or texts as ids",
            row + 1
        )
        .into());
    }
    Ok(Some(value as i64))
}

fn texts<S: AsRef<str>>(values: Vec<S>) -> Dictionary {
    Dictionary::Text(values.into_iter().collect())
}

/// Codes into the distinct values, in the order of their first rows.
fn labels<T: Clone + Eq + Hash>(
    values: impl Iterator<Item = Option<T>>,
    dictionary: impl Fn(Vec<T>) -> Dictionary,
) -> Column {
    let (mut known, mut distinct, mut codes) = (HashMap::new(), Vec::new(), Vec::new());
    for value in values {
        codes.push(match value {
            None => MISSING,
            Some(value) => *known.entry(value.clone()).or_insert_with(|| {
                distinct.push(value);
                distinct.len() as u32 - 1
            }),
        });
    }
    Column::Labels(Labels { codes, dictionary: dictionary(distinct) })
}

macro_rules! convert {
    ($($from:ty => $values:ident: $value:ident -> $into:expr;)*) => {$(
        impl From<Vec<$from>> for Values {
            fn from(values: Vec<$from>) -> Values {
                Values::$values(values.into_iter().map(|$value| $into).collect())
            }
        }
    )*};
}

convert! {
    f64 => Numbers: value -> value;
    f32 => Numbers: value -> f64::from(value);
    Option<f64> => Numbers: value -> value.unwrap_or(f64::NAN);
    i64 => Integers: value -> Some(value);
    i32 => Integers: value -> Some(i64::from(value));
    u32 => Integers: value -> Some(i64::from(value));
    Option<i64> => Integers: value -> value;
    Option<i32> => Integers: value -> value.map(i64::from);
    bool => Booleans: value -> Some(value);
    Option<bool> => Booleans: value -> value;
    String => Texts: value -> Some(value);
    &str => Texts: value -> Some(value.to_owned());
    Option<String> => Texts: value -> value;
    Option<&str> => Texts: value -> value.map(str::to_owned);
}
