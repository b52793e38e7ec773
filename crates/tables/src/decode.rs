//! Decodes the columns that the reader delivers to plain columns.

use polars::prelude::{
    ChunkedArray, DataFrame, DataType, Float64Chunked, Int64Chunked, IntoSeries, PolarsNumericType, PolarsResult,
    Series, StringChunked,
};
use tiers_design::{Column, Dictionary, Kind, Labels, Role};

use crate::hive::Partition;
use crate::labels::{self, Failure, Place};
use crate::plan::{Origin, Planned};
use crate::query::PATH_COLUMN;
use crate::temporal;

/// Decodes one requested column from the pieces of a block.
pub(crate) fn column(pieces: &[DataFrame], rows: usize, first_row: u64, planned: &Planned) -> Result<Column, Failure> {
    let name = match &planned.origin {
        Origin::File => planned.frame_name.as_str(),
        Origin::Folder { .. } => PATH_COLUMN,
    };
    let series: Vec<&Series> =
        pieces.iter().map(|df| Ok(df.column(name)?.as_materialized_series())).collect::<PolarsResult<_>>()?;
    let at = Place { column: &planned.name, first_row };
    Ok(match (&planned.origin, planned.role) {
        (Origin::File, Role::Number) => Column::Numbers(numbers(&series, rows)?),
        (Origin::File, Role::Label) => Column::Labels(labels::labels(&series, rows, at)?),
        (Origin::File, Role::Level) => Column::Labels(labels::levels(&series, rows, at)?),
        (Origin::Folder { partition, file_of }, role) => {
            let paths = labels::strings(&series, rows)?;
            let files = file_numbers(&paths, |path| file_of.get(path).copied());
            match role {
                Role::Number => Column::Numbers(folder_numbers(&files, &paths, partition)),
                Role::Label | Role::Level => Column::Labels(folder_labels(&files, &paths, partition, role, at)?),
            }
        }
    })
}

/// Decodes the pieces of one column as numbers.
fn numbers(pieces: &[&Series], rows: usize) -> PolarsResult<Vec<f64>> {
    let mut out = Vec::with_capacity(rows);
    for piece in pieces {
        push_numbers(&mut out, piece)?;
    }
    Ok(out)
}

/// Appends a series of any numeric type; a null is NaN.
pub(crate) fn push_numbers(out: &mut Vec<f64>, series: &Series) -> PolarsResult<()> {
    match series.dtype() {
        DataType::Float64 => push(out, series.f64()?, |v| v),
        DataType::Float32 => push(out, series.f32()?, f64::from),
        DataType::Int8 => push(out, series.i8()?, f64::from),
        DataType::Int16 => push(out, series.i16()?, f64::from),
        DataType::Int32 => push(out, series.i32()?, f64::from),
        DataType::Int64 => push(out, series.i64()?, |v| v as f64),
        DataType::UInt8 => push(out, series.u8()?, f64::from),
        DataType::UInt16 => push(out, series.u16()?, f64::from),
        DataType::UInt32 => push(out, series.u32()?, f64::from),
        DataType::UInt64 => push(out, series.u64()?, |v| v as f64),
        DataType::Decimal(_, scale) => {
            let unit = 10f64.powi(*scale as i32);
            push(out, series.decimal()?.physical(), |v| v as f64 / unit);
        }
        DataType::Boolean => {
            let values = series.bool()?.iter();
            out.extend(values.map(|v| v.map_or(f64::NAN, |v| f64::from(u8::from(v)))));
        }
        DataType::Date => push(out, series.date()?.physical(), f64::from),
        DataType::Datetime(unit, _) => {
            let per_second = temporal::per_second(*unit) as f64;
            push(out, series.datetime()?.physical(), |v| v as f64 / per_second);
        }
        DataType::Null => out.resize(out.len() + series.len(), f64::NAN),
        // The plan refuses text, so it does not get here; polars may be able to cast the other types.
        _ => push(out, series.cast(&DataType::Float64)?.f64()?, |v| v),
    }
    Ok(())
}

/// Appends whole slices at a time and then sets the nulls among them to NaN.
fn push<T: PolarsNumericType>(out: &mut Vec<f64>, column: &ChunkedArray<T>, convert: impl Fn(T::Native) -> f64) {
    for (array, chunk) in column.downcast_iter().zip(column.chunks()) {
        let start = out.len();
        out.extend(array.values().iter().map(|&v| convert(v)));
        if let Some(bits) = chunk.validity().filter(|_| chunk.null_count() > 0) {
            for (value, valid) in out[start..].iter_mut().zip(bits.iter()) {
                *value = if valid { *value } else { f64::NAN };
            }
        }
    }
}

/// Returns the number of the file for each path of the dictionary.
fn file_numbers(paths: &Labels, file_of: impl Fn(&str) -> Option<usize>) -> Vec<Option<usize>> {
    match &paths.dictionary {
        Dictionary::Text(text) => text.iter().map(file_of).collect(),
        Dictionary::Integer(_) => Vec::new(),
    }
}

fn folder_numbers(files: &[Option<usize>], paths: &Labels, partition: &Partition) -> Vec<f64> {
    let number = |file: &Option<usize>| {
        file.and_then(|f| partition.values[f].as_deref()).and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    };
    let values: Vec<f64> = files.iter().map(number).collect();
    let at = |&code: &u32| values.get(code as usize).copied().unwrap_or(f64::NAN);
    paths.codes.iter().map(at).collect()
}

/// Returns the labels in folder names: integers if all values are integers, floats as in a column of
/// floats, and text otherwise.
fn folder_labels(
    files: &[Option<usize>],
    paths: &Labels,
    partition: &Partition,
    role: Role,
    at: Place<'_>,
) -> Result<Labels, Failure> {
    let texts = files.iter().map(|file| file.and_then(|f| partition.values[f].as_deref()));
    let of_names = match partition.kind {
        Kind::Integer => {
            let values = texts.map(|text| text.and_then(|text| text.parse::<i64>().ok()));
            labels::labels(&[&values.collect::<Int64Chunked>().into_series()], files.len(), at)?
        }
        Kind::Float => {
            let values = texts.map(|text| text.and_then(|text| text.parse::<f64>().ok()));
            let values = values.collect::<Float64Chunked>().into_series();
            match role {
                Role::Level => labels::levels(&[&values], files.len(), at)?,
                _ => labels::labels(&[&values], files.len(), at)?,
            }
        }
        _ => {
            let values: StringChunked = texts.collect();
            labels::strings(&[&values.into_series()], files.len())?
        }
    };
    let codes = labels::translated(&paths.codes, &of_names.codes);
    Ok(Labels { codes, dictionary: of_names.dictionary })
}
