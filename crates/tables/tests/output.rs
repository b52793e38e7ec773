//! Written tables are read back unchanged, and files are complete or absent.

mod common;

use std::fs;
use std::path::Path;

use common::*;
use tiers_design::PackedText;
use tiers_outputs::{OutColumn, OutField, OutKind, OutValues, OutputError};
use tiers_tables::{TableError, TableSink, write_parquet};

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

fn text(values: &[&str]) -> OutValues {
    OutValues::Text(values.iter().collect::<PackedText>())
}

#[test]
fn a_table_is_read_back_unchanged() {
    let dir = folder();
    let path = dir.path().join("out.parquet");
    let columns = vec![
        OutColumn::new("estimate", OutValues::F64(vec![1.5, f64::NAN, -0.0])),
        OutColumn::new("id", OutValues::I64(vec![i64::MIN, 0, 7])),
        OutColumn::new("n", OutValues::U32(vec![0, 1, u32::MAX])),
        OutColumn::new("school", text(&["a", "größe", "a long name of a school"])),
        OutColumn::new("ok", OutValues::Bool(vec![true, false, true])),
    ];
    write_parquet(&path, columns).unwrap();
    assert_eq!(files(dir.path()), ["out.parquet"]);
    let source = open(&[&path]).unwrap();
    let estimates = numbers(&source, "estimate");
    assert!(estimates[0] == 1.5 && estimates[1].is_nan() && estimates[2].to_bits() == (-0.0f64).to_bits());
    assert_eq!(labels(&source, "id"), texts(&[Some("-9223372036854775808"), Some("0"), Some("7")]));
    assert_eq!(numbers(&source, "n"), [0.0, 1.0, f64::from(u32::MAX)]);
    assert_eq!(labels(&source, "school"), texts(&[Some("a"), Some("größe"), Some("a long name of a school")]));
    assert_eq!(labels(&source, "ok"), texts(&[Some("TRUE"), Some("FALSE"), Some("TRUE")]));
}

#[test]
fn missing_values_are_null_and_nan_is_not() {
    use polars::prelude::{ParquetReader, SerReader};
    let dir = folder();
    let path = dir.path().join("out.parquet");
    let gone = Some(vec![false, true]);
    let columns = [
        OutValues::F64(vec![f64::NAN, 1.0]),
        OutValues::I64(vec![1, 2]),
        OutValues::U32(vec![1, 2]),
        text(&["a", "b"]),
        OutValues::Bool(vec![true, true]),
    ];
    let columns = columns.into_iter().enumerate();
    let columns =
        columns.map(|(i, values)| OutColumn { name: format!("c{i}"), values, missing: gone.clone() }).collect();
    write_parquet(&path, columns).unwrap();
    let df = ParquetReader::new(fs::File::open(&path).unwrap()).finish().unwrap();
    assert!(df.columns().iter().all(|c| c.null_count() == 1));
    assert!(df.column("c0").unwrap().f64().unwrap().get(0).unwrap().is_nan());
    assert_eq!(labels(&open(&[&path]).unwrap(), "c3"), texts(&[Some("a"), None]));
}

#[test]
fn a_large_table_in_parts() {
    let dir = folder();
    let path = dir.path().join("out.parquet");
    let fields = [
        OutField { name: "row".to_owned(), kind: OutKind::I64 },
        OutField { name: "g".to_owned(), kind: OutKind::Text },
    ];
    let mut sink = TableSink::parquet(&path, &fields).unwrap();
    let mut start = 0;
    for rows in [1, 0, 100_000, 300_000, 7, 600_000] {
        let range = start..start + rows;
        let g: PackedText = range.clone().map(|i| format!("g{}", i % 5)).collect();
        let columns =
            vec![OutColumn::new("row", OutValues::I64(range.collect())), OutColumn::new("g", OutValues::Text(g))];
        sink.push(columns).unwrap();
        start += rows;
        assert!(!path.exists(), "the file must not appear before it is complete");
    }
    assert_eq!(sink.rows(), start as u64);
    sink.finish().unwrap();
    assert_eq!(files(dir.path()), ["out.parquet"]);
    let source = open(&[&path]).unwrap();
    let rows = numbers(&source, "row");
    assert!(rows.len() == start as usize && rows.iter().enumerate().all(|(i, r)| *r == i as f64));
    assert_eq!(labels(&source, "g")[12].as_deref(), Some("g2"));
}

#[test]
fn an_unfinished_table_leaves_nothing_and_harms_nothing() {
    let dir = folder();
    let path = dir.path().join("out.parquet");
    write_parquet(&path, vec![OutColumn::new("x", OutValues::I64(vec![1]))]).unwrap();
    let before = fs::read(&path).unwrap();
    let field = OutField { name: "x".to_owned(), kind: OutKind::I64 };
    let mut sink = TableSink::parquet(&path, &[field]).unwrap();
    sink.push(vec![OutColumn::new("x", OutValues::I64(vec![2; 400_000]))]).unwrap();
    drop(sink);
    assert_eq!(files(dir.path()), ["out.parquet"]);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_table_without_rows_is_a_table() {
    let dir = folder();
    let path = dir.path().join("out.parquet");
    write_parquet(&path, vec![OutColumn::new("x", OutValues::F64(vec![]))]).unwrap();
    assert!(matches!(open(&[&path]), Err(TableError::NoRows { .. })));
}

#[test]
fn columns_that_do_not_match_are_errors() {
    let dir = folder();
    let path = dir.path().join("out.parquet");
    let column = |name: &str, n: usize| OutColumn::new(name, OutValues::F64(vec![0.0; n]));
    let uneven = OutColumn { missing: Some(vec![true]), ..column("x", 2) };
    for columns in [vec![column("x", 2), column("y", 3)], vec![column("x", 1), column("x", 1)], vec![uneven]] {
        let error = write_parquet(&path, columns).unwrap_err();
        assert!(matches!(error, OutputError::Unusable { .. }), "{error}");
    }
    let field = OutField { name: "x".to_owned(), kind: OutKind::I64 };
    let error = TableSink::parquet(&path, &[field]).unwrap().push(vec![column("x", 1)]).unwrap_err();
    assert!(matches!(error, OutputError::Unusable { .. }), "{error}");
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_missing_folder_is_an_error() {
    let dir = folder();
    let path = dir.path().join("no/out.parquet");
    let error = write_parquet(&path, vec![OutColumn::new("x", OutValues::I64(vec![1]))]).unwrap_err();
    assert!(error.to_string().contains("out.parquet"), "{error}");
}
