//! Every type of column, in both roles, with nulls.

mod common;

use common::*;
use polars::prelude::{DataType, NamedFrom, Series};
use tiers_design::{Kind, Role};
use tiers_tables::TableError;

#[test]
fn integers_of_any_width_are_numbers_and_labels() {
    use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    let dir = folder();
    for (i, dtype) in [Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64].iter().enumerate() {
        let path = dir.path().join(format!("{i}.parquet"));
        parquet(&path, frame([integers("k", &[Some(5), None, Some(7), Some(7), Some(5)], dtype)]));
        let source = open(&[&path]).unwrap();
        assert_eq!(source.fields()[0].kind, Kind::Integer);
        let got = numbers(&source, "k");
        assert_eq!(got[0], 5.0, "{dtype}");
        assert!(got[1].is_nan());
        assert_eq!(&got[2..], [7.0, 7.0, 5.0]);
        assert_eq!(labels(&source, "k"), texts(&[Some("5"), None, Some("7"), Some("7"), Some("5")]));
    }
}

#[test]
fn integers_at_the_ends_of_their_range() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, frame([Series::new("k".into(), [i64::MIN, -1, 0, i64::MAX])]));
    let ends = [Some("-9223372036854775808"), Some("-1"), Some("0"), Some("9223372036854775807")];
    assert_eq!(labels(&open(&[&path]).unwrap(), "k"), texts(&ends));

    parquet(&path, frame([Series::new("k".into(), [1, u64::MAX])]));
    let source = open(&[&path]).unwrap();
    match blocks(&source, &[label("k")]).unwrap_err() {
        TableError::BadLabel { column, row, .. } => assert_eq!((column.as_str(), row), ("k", 2)),
        other => panic!("{other}"),
    }
    assert_eq!(numbers(&source, "k")[1], u64::MAX as f64);
}

#[test]
fn floats_and_decimals_are_numbers() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    let x = Series::new("x".into(), [Some(1.5), None, Some(f64::NAN), Some(f64::INFINITY)]);
    let y = Series::new("y".into(), [Some(0.25f32), Some(-2.0), None, Some(8.0)]);
    let z = Series::new("z".into(), [Some(1.25), None, Some(-3.0), Some(100.01)]);
    let z = z.cast(&DataType::Decimal(10, 2)).unwrap();
    parquet(&path, frame([x, y, z]));
    let source = open(&[&path]).unwrap();
    assert!(source.fields().iter().all(|f| f.kind == Kind::Float));
    let x = numbers(&source, "x");
    assert!(x[0] == 1.5 && x[1].is_nan() && x[2].is_nan() && x[3] == f64::INFINITY);
    let y = numbers(&source, "y");
    assert!(y[0] == 0.25 && y[1] == -2.0 && y[2].is_nan() && y[3] == 8.0);
    let z = numbers(&source, "z");
    assert!(z[0] == 1.25 && z[1].is_nan() && z[2] == -3.0 && z[3] == 100.01);
}

/// Programs without missing integers store ids with gaps as floats.
#[test]
fn whole_floats_are_labels_and_others_are_not() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    let ids = Series::new("id".into(), [Some(3.0), None, Some(f64::NAN), Some(-1.0)]);
    let x = Series::new("x".into(), [1.0, 2.0, 2.5, 3.0]);
    let big = Series::new("big".into(), [1.0, 1e16, 1.0, 1.0]);
    parquet(&path, frame([ids, x, big]));
    let source = open(&[&path]).unwrap();
    assert_eq!(labels(&source, "id"), texts(&[Some("3"), None, None, Some("-1")]));
    for (column, wrong) in [("x", 3), ("big", 2)] {
        let error = blocks(&source, &[label(column)]).unwrap_err();
        assert!(matches!(error, TableError::BadLabel { row, .. } if row == wrong), "{error}");
    }
}

#[test]
fn booleans_are_numbers_and_factors_with_the_names_of_r() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, frame([booleans("b", &[Some(true), None, Some(false), Some(true)])]));
    let source = open(&[&path]).unwrap();
    assert_eq!(source.fields()[0].kind, Kind::Boolean);
    assert_eq!(labels(&source, "b"), texts(&[Some("TRUE"), None, Some("FALSE"), Some("TRUE")]));
    let got = numbers(&source, "b");
    assert!(got[0] == 1.0 && got[1].is_nan() && got[2] == 0.0 && got[3] == 1.0);
}

#[test]
fn strings_short_and_long_and_empty() {
    let long = "a label that does not fit into a view";
    let other = "a label that does not fit into a view either";
    let values = [Some("twelve bytes"), Some(long), None, Some(""), Some(long), Some(other), Some("größe"), Some("")];
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, frame([Series::new("s".into(), &values[..])]));
    let source = open(&[&path]).unwrap();
    assert_eq!(source.fields()[0].kind, Kind::Text);
    assert_eq!(labels(&source, "s"), texts(&values));
}

#[test]
fn the_same_long_string_in_different_row_groups_is_one_label() {
    let long = "one school with a very long name indeed";
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet_in_groups(&path, frame([Series::new("s".into(), vec![long; 100])]), 7);
    let source = open(&[&path]).unwrap();
    assert_eq!(labels(&source, "s"), texts(&[Some(long); 100]));
    let block = &blocks(&source, &[label("s")]).unwrap()[0];
    assert!(matches!(&block.columns[0], tiers_design::Column::Labels(l) if l.dictionary.len() == 1));
}

#[test]
fn categoricals_are_labels() {
    let values = [Some("b"), Some("a"), None, Some("b"), Some("c")];
    let dir = folder();
    for name in ["a.parquet", "a.arrow"] {
        let path = dir.path().join(name);
        let df = frame([categorical("c", &values)]);
        if name.ends_with("arrow") {
            ipc(&path, df);
        } else {
            parquet(&path, df);
        }
        let source = open(&[&path]).unwrap();
        assert_eq!(source.fields()[0].kind, Kind::Text);
        assert_eq!(labels(&source, "c"), texts(&values));
    }
}

#[test]
fn a_column_of_nulls_only() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, frame([Series::new_null("n".into(), 3), Series::new("x".into(), [1, 2, 3])]));
    let source = open(&[&path]).unwrap();
    assert!(numbers(&source, "n").iter().all(|v| v.is_nan()));
    assert_eq!(labels(&source, "n"), texts(&[None; 3]));
}

#[test]
fn what_a_model_cannot_use_is_told() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    let day = Series::new("day".into(), [1i32, 2]).cast(&DataType::Date).unwrap();
    parquet(&path, frame([day, Series::new("name".into(), ["a", "b"])]));
    let source = open(&[&path]).unwrap();
    assert!(matches!(&source.fields()[0].kind, Kind::Other(name) if name == "date"));
    for (request, found) in [(number("day"), "date"), (label("day"), "date"), (number("name"), "text")] {
        let error = source.scan(&[request]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(found), "{error}");
        assert!(matches!(error, TableError::WrongKind { .. }));
    }
}

#[test]
fn a_column_may_be_asked_for_in_both_roles() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, counted(0, 30));
    let source = open(&[&path]).unwrap();
    let requests = [label("x"), number("x"), label("g"), number("x")];
    assert_eq!(requests[1].role, Role::Number);
    let block = &blocks(&source, &requests).unwrap()[0];
    assert_eq!(block.columns.len(), 4);
    assert_eq!(block.columns[1], block.columns[3]);
}

#[test]
fn names_are_taken_literally() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, frame([Series::new("*".into(), [1, 2]), Series::new("^x.*$".into(), [3, 4])]));
    let source = open(&[&path]).unwrap();
    assert_eq!(numbers(&source, "*"), [1.0, 2.0]);
    assert_eq!(numbers(&source, "^x.*$"), [3.0, 4.0]);
}
