//! Reads every type of column in every role, with nulls.

mod common;

use common::*;
use polars::prelude::{DataFrame, DataType, FrozenCategories, NamedFrom, Series, TimeUnit, TimeZone};
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

/// Programs without missing integers store ids with missing values as floats.
#[test]
fn whole_floats_are_labels_and_others_are_not() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    let ids = Series::new("id".into(), [Some(3.0), None, Some(f64::NAN), Some(-1.0)]);
    let x = Series::new("x".into(), [1.0, 2.0, 2.5, 3.0]);
    // 2^53 may have been 2^53 + 1.
    let big = Series::new("big".into(), [1.0, 9_007_199_254_740_992.0, 1.0, 1.0]);
    let most = Series::new("most".into(), [9_007_199_254_740_991.0; 4]);
    let infinite = Series::new("infinite".into(), [1.0, 2.0, 3.0, f64::NEG_INFINITY]);
    parquet(&path, frame([ids, x, big, most, infinite]));
    let source = open(&[&path]).unwrap();
    assert_eq!(labels(&source, "id"), texts(&[Some("3"), None, None, Some("-1")]));
    assert_eq!(labels(&source, "most")[3].as_deref(), Some("9007199254740991"));
    for (column, wrong) in [("x", 3), ("big", 2), ("infinite", 4)] {
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
fn types_that_a_model_cannot_use_are_errors() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    let clock = Series::new("clock".into(), [1i64, 2]).cast(&DataType::Time).unwrap();
    parquet(&path, frame([clock, Series::new("name".into(), ["a", "b"])]));
    let source = open(&[&path]).unwrap();
    assert!(matches!(&source.fields()[0].kind, Kind::Other(name) if name == "time"));
    for (request, found) in [(number("clock"), "time"), (label("clock"), "time"), (number("name"), "text")] {
        let error = source.scan(&[request]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(found), "{error}");
        assert!(matches!(error, TableError::WrongKind { .. }));
    }
}

#[test]
fn a_column_can_be_requested_in_both_roles() {
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

/// Databases may store ids as decimals, whose digits a float would not keep.
#[test]
fn whole_decimals_are_labels_to_the_last_digit() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    let decimal = |series: Series, scale| series.cast(&DataType::Decimal(38, scale)).unwrap();
    let ids = decimal(Series::new("id".into(), [9_007_199_254_740_992_i64, 9_007_199_254_740_993, -7]), 0);
    let halves = decimal(Series::new("half".into(), [1.0, 2.5, 3.0]), 2);
    parquet(&path, frame([ids, halves]));
    let source = open(&[&path]).unwrap();
    assert_eq!(labels(&source, "id"), texts(&[Some("9007199254740992"), Some("9007199254740993"), Some("-7")]));
    let error = blocks(&source, &[label("half")]).unwrap_err();
    assert!(matches!(&error, TableError::BadLabel { row: 2, value, .. } if value == "2.5"), "{error}");
}

#[test]
fn numbers_that_are_not_whole_are_levels_of_factors() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    let dose = Series::new("dose".into(), [Some(0.4), Some(0.0), None, Some(0.1 + 0.3), Some(12.0)]);
    let single = Series::new("single".into(), [Some(0.1f32), None, Some(0.1), Some(2.5), Some(-1.0)]);
    parquet(&path, frame([dose, single]));
    let source = open(&[&path]).unwrap();
    let levels = |column: &str| {
        let request = tiers_design::Request { column: column.to_owned(), role: Role::Level };
        let block = blocks(&source, &[request]).unwrap().remove(0);
        let tiers_design::Column::Labels(labels) = &block.columns[0] else { panic!("labels wanted") };
        let text = |&code: &u32| (code != tiers_design::MISSING).then(|| labels.dictionary.label(code as usize));
        labels.codes.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(levels("dose"), texts(&[Some("0.4"), Some("0"), None, Some("0.4"), Some("12")]));
    assert_eq!(levels("single"), texts(&[Some("0.1"), None, Some("0.1"), Some("2.5"), Some("-1")]));
}

#[test]
fn dates_and_times_are_numbers_and_labels() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    let day = integers("day", &[Some(18_292), None, Some(-1)], &DataType::Int32).cast(&DataType::Date).unwrap();
    let zone = TimeZone::opt_try_new(Some("Europe/Berlin")).unwrap();
    let time = |name: &str, unit, zone: &Option<TimeZone>, values: [i64; 3]| {
        integers(name, &values.map(Some), &DataType::Int64).cast(&DataType::Datetime(unit, zone.clone())).unwrap()
    };
    let seconds = time("seconds", TimeUnit::Milliseconds, &None, [1_580_515_199_000, 0, -500]);
    let local = time("local", TimeUnit::Nanoseconds, &zone, [1_580_515_199_000_000_000, 0, 1]);
    parquet(&path, frame([day, seconds, local]));
    let source = open(&[&path]).unwrap();
    let kinds: Vec<&Kind> = source.fields().iter().map(|field| &field.kind).collect();
    assert_eq!(kinds, [&Kind::Date, &Kind::DateTime, &Kind::DateTime]);
    let days = numbers(&source, "day");
    assert!(days[0] == 18_292.0 && days[1].is_nan() && days[2] == -1.0);
    assert_eq!(numbers(&source, "seconds"), [1_580_515_199.0, 0.0, -0.5]);
    assert_eq!(numbers(&source, "local")[0], 1_580_515_199.0, "UTC, wherever the clock was");
    assert_eq!(labels(&source, "day"), texts(&[Some("2020-01-31"), None, Some("1969-12-31")]));
    assert_eq!(labels(&source, "seconds")[0].as_deref(), Some("2020-01-31 23:59:59"));
}

#[test]
fn the_order_of_an_enum_is_that_of_its_categories() {
    let dir = folder();
    let values = [Some("mild"), Some("severe"), None, Some("none")];
    let categories = FrozenCategories::new(["none", "mild", "moderate", "severe"]).unwrap();
    let series = Series::new("pain".into(), &values[..]).cast(&DataType::from_frozen_categories(categories)).unwrap();
    for name in ["a.parquet", "a.arrow"] {
        let path = dir.path().join(name);
        let df = frame([series.clone(), categorical("plain", &values)]);
        if name.ends_with("arrow") {
            ipc(&path, df);
        } else {
            parquet(&path, df);
        }
        let source = open(&[&path]).unwrap();
        assert_eq!(source.fields()[0].levels, ["none", "mild", "moderate", "severe"], "{name}");
        assert!(source.fields()[1].levels.is_empty(), "the order in which categories were met means nothing");
        assert_eq!(labels(&source, "pain"), texts(&values));
    }
}

/// Columns that a model does not use may differ between files, and times may differ in unit.
#[test]
fn files_may_differ_in_columns_that_are_not_requested() {
    for ending in ["parquet", "arrow"] {
        let dir = folder();
        let write = |name: &str, df: DataFrame| {
            let path = dir.path().join(format!("{name}.{ending}"));
            if ending == "arrow" { ipc(&path, df) } else { parquet(&path, df) }
        };
        let text = |name: &str| Series::new(name.into(), ["p", "q"]);
        write("a", frame([text("g"), Series::new("x".into(), [1i64, 2]), Series::new("old".into(), [1, 2])]));
        write("b", frame([text("new"), Series::new("x".into(), [3i64, 4]), text("g"), text("note")]));
        write("c", frame([Series::new("note".into(), [1.5, 2.5]), text("g"), Series::new("x".into(), [5i64, 6])]));
        let source = open(&[dir.path()]).unwrap();
        assert_eq!(numbers(&source, "x"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{ending}");
        assert_eq!(labels(&source, "g"), texts(&[Some("p"), Some("q")].repeat(3)), "{ending}");
        for column in ["old", "new", "note"] {
            let field = source.fields().iter().find(|field| field.name == column).unwrap();
            assert!(matches!(field.kind, Kind::Unequal(_)), "{column}");
        }
    }
    let dir = folder();
    for (name, unit, count) in [("a", TimeUnit::Nanoseconds, 1_000_000_000), ("b", TimeUnit::Milliseconds, 2_000)] {
        let when = integers("when", &[Some(count)], &DataType::Int64).cast(&DataType::Datetime(unit, None)).unwrap();
        parquet(&dir.path().join(format!("{name}.parquet")), frame([when]));
    }
    assert_eq!(numbers(&open(&[dir.path()]).unwrap(), "when"), [1.0, 2.0]);
}
