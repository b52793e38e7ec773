//! Writes small files, and reads them.
#![allow(dead_code)] // each test file uses only a part of this

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use polars::prelude::{
    BooleanChunked, CategoricalPhysical, Categories, CsvWriter, DataFrame, DataType, Int64Chunked, IntoColumn,
    IntoSeries, IpcWriter, NamedFrom, NewChunkedArray, ParquetWriter, SerWriter, Series,
};
use tempfile::TempDir;
use tiers_design::{Block, Column, Request, Role};
use tiers_tables::{Source, TableError};

/// Creates a folder that is removed at the end of the test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Makes a data frame of named series.
pub(crate) fn frame<const N: usize>(columns: [Series; N]) -> DataFrame {
    let rows = columns[0].len();
    DataFrame::new(rows, columns.map(IntoColumn::into_column).into()).unwrap()
}

/// Makes columns `x` = start, start + 1, … and `g` = "g" followed by x / 10.
pub(crate) fn counted(start: i64, rows: i64) -> DataFrame {
    let x: Vec<i64> = (start..start + rows).collect();
    let g: Vec<String> = x.iter().map(|v| format!("g{}", v / 10)).collect();
    frame([Series::new("x".into(), x), Series::new("g".into(), g)])
}

/// Writes parquet with row groups of a given size.
pub(crate) fn parquet_in_groups(path: &Path, mut df: DataFrame, group: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    ParquetWriter::new(file).with_row_group_size(Some(group)).finish(&mut df).unwrap();
}

pub(crate) fn parquet(path: &Path, df: DataFrame) {
    parquet_in_groups(path, df, 1 << 18);
}

pub(crate) fn ipc(path: &Path, mut df: DataFrame) {
    IpcWriter::new(File::create(path).unwrap()).finish(&mut df).unwrap();
}

pub(crate) fn csv(path: &Path, mut df: DataFrame) {
    CsvWriter::new(File::create(path).unwrap()).finish(&mut df).unwrap();
}

/// Makes a categorical column.
pub(crate) fn categorical(name: &str, values: &[Option<&str>]) -> Series {
    let categories = Categories::new(name.into(), "".into(), CategoricalPhysical::U16);
    Series::new(name.into(), values).cast(&DataType::from_categories(categories)).unwrap()
}

pub(crate) fn booleans(name: &str, values: &[Option<bool>]) -> Series {
    BooleanChunked::from_slice_options(name.into(), values).into_series()
}

pub(crate) fn integers(name: &str, values: &[Option<i64>], dtype: &DataType) -> Series {
    Int64Chunked::from_slice_options(name.into(), values).into_series().cast(dtype).unwrap()
}

pub(crate) fn open(paths: &[&Path]) -> Result<Source, TableError> {
    Source::open(&paths.iter().map(|p| p.to_path_buf()).collect::<Vec<PathBuf>>())
}

pub(crate) fn number(column: &str) -> Request {
    Request { column: column.to_owned(), role: Role::Number }
}

pub(crate) fn label(column: &str) -> Request {
    Request { column: column.to_owned(), role: Role::Label }
}

/// Returns all blocks of a scan, or its first error.
pub(crate) fn blocks(source: &Source, requests: &[Request]) -> Result<Vec<Block>, TableError> {
    source.scan(requests)?.map(|raw| raw?.decode()).collect()
}

/// Returns the numbers of one column over all blocks.
pub(crate) fn numbers(source: &Source, column: &str) -> Vec<f64> {
    let blocks = blocks(source, &[number(column)]).unwrap();
    blocks
        .into_iter()
        .flat_map(|block| match block.columns.into_iter().next() {
            Some(Column::Numbers(values)) => values,
            other => panic!("expected numbers, got {other:?}"),
        })
        .collect()
}

/// Returns the labels of one column over all blocks, as text; also checks the dictionaries.
pub(crate) fn labels(source: &Source, column: &str) -> Vec<Option<String>> {
    labels_of(source, column, Role::Label)
}

/// Returns a column as levels of a factor.
pub(crate) fn levels(source: &Source, column: &str) -> Vec<Option<String>> {
    labels_of(source, column, Role::Level)
}

fn labels_of(source: &Source, column: &str, role: Role) -> Vec<Option<String>> {
    let mut all = Vec::new();
    let request = Request { column: column.to_owned(), role };
    for block in blocks(source, &[request]).unwrap() {
        let Column::Labels(labels) = &block.columns[0] else { panic!("expected labels") };
        assert_eq!(labels.codes.len(), block.rows);
        let mut used = vec![false; labels.dictionary.len()];
        for &code in &labels.codes {
            all.push((code != tiers_design::MISSING).then(|| {
                used[code as usize] = true;
                labels.dictionary.label(code as usize)
            }));
        }
        assert!(used.iter().all(|u| *u), "a label of `{column}` occurs in no row");
    }
    all
}

/// Expected labels; `None` is missing.
pub(crate) fn texts(values: &[Option<&str>]) -> Vec<Option<String>> {
    values.iter().map(|v| v.map(str::to_owned)).collect()
}
