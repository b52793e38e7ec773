//! Folders named `a=1` become columns; a folder, a glob and a list of files can name the same table.

mod common;

use std::path::Path;

use common::*;
use polars::prelude::{NamedFrom, Series};
use tiers_design::Kind;
use tiers_tables::TableError;

/// year=2019|2020 / state=A|B%20b, ten rows each.
fn partitioned(root: &Path) {
    for (i, folder) in ["year=2019/state=A", "year=2019/state=B%20b", "year=2020/state=A"].iter().enumerate() {
        parquet(&root.join(folder).join("part-0.parquet"), counted(10 * i as i64, 10));
    }
}

#[test]
fn partitions_are_columns() {
    let dir = folder();
    partitioned(dir.path());
    let source = open(&[dir.path()]).unwrap();
    let fields: Vec<_> = source.fields().iter().map(|f| (f.name.as_str(), f.kind.clone())).collect();
    let expected = [("x", Kind::Integer), ("g", Kind::Text), ("year", Kind::Integer), ("state", Kind::Text)];
    assert_eq!(fields, expected);
    let years = numbers(&source, "year");
    assert_eq!((years[0], years[19], years[20], years[29]), (2019.0, 2019.0, 2020.0, 2020.0));
    let labelled = labels(&source, "year");
    assert_eq!((labelled[0].as_deref(), labelled[29].as_deref()), (Some("2019"), Some("2020")));
    let states = labels(&source, "state");
    assert_eq!((states[0].as_deref(), states[10].as_deref()), (Some("A"), Some("B b")));
    // The same state in two files is one label of the block.
    let block = &blocks(&source, &[label("state"), number("x")]).unwrap()[0];
    assert!(matches!(&block.columns[0], tiers_design::Column::Labels(l) if l.dictionary.len() == 2));
}

#[test]
fn every_way_of_naming_the_files_gives_the_same_table() {
    let dir = folder();
    partitioned(dir.path());
    let whole = open(&[dir.path()]).unwrap();
    let expected = blocks(&whole, &[number("x"), label("year")]).unwrap();
    let glob = dir.path().join("year=*/**/*.parquet");
    let folders = [dir.path().join("year=2020"), dir.path().join("year=2019")];
    let files: Vec<_> = whole.files().iter().map(|f| f.path.clone()).collect();
    for named in [vec![glob], folders.to_vec(), files, vec![dir.path().join("*")]] {
        let source = tiers_tables::Source::open(&named).unwrap();
        assert_eq!(blocks(&source, &[number("x"), label("year")]).unwrap(), expected, "{named:?}");
    }
}

#[test]
fn a_partition_named_alone_is_not_a_column() {
    let dir = folder();
    partitioned(dir.path());
    let source = open(&[&dir.path().join("year=2019")]).unwrap();
    assert!(source.fields().iter().all(|f| f.name != "year"));
    assert!(source.fields().iter().any(|f| f.name == "state"));
}

#[test]
fn missing_and_fractional_partitions() {
    let dir = folder();
    parquet(&dir.path().join("w=0.5/a.parquet"), counted(0, 2));
    parquet(&dir.path().join("w=__HIVE_DEFAULT_PARTITION__/a.parquet"), counted(2, 1));
    let source = open(&[dir.path()]).unwrap();
    let w = numbers(&source, "w");
    assert!(w[0] == 0.5 && w[1] == 0.5 && w[2].is_nan());
    assert_eq!(levels(&source, "w"), texts(&[Some("0.5"), Some("0.5"), None]));
}

#[test]
fn a_column_of_the_files_wins_over_the_folder() {
    let dir = folder();
    parquet(&dir.path().join("x=7/a.parquet"), counted(0, 2));
    parquet(&dir.path().join("x=8/a.parquet"), counted(2, 1));
    assert_eq!(numbers(&open(&[dir.path()]).unwrap(), "x"), [0.0, 1.0, 2.0]);
}

#[test]
fn csv_files_can_be_partitioned_too() {
    let dir = folder();
    for (year, start) in [(2019, 0), (2020, 10)] {
        let folder = dir.path().join(format!("year={year}"));
        std::fs::create_dir_all(&folder).unwrap();
        csv(&folder.join("a.csv"), counted(start, 10));
    }
    let years = numbers(&open(&[dir.path()]).unwrap(), "year");
    assert_eq!((years.len(), years[9], years[10]), (20, 2019.0, 2020.0));
}

#[test]
fn mixing_files_with_and_without_a_partition_is_an_error() {
    let dir = folder();
    parquet(&dir.path().join("year=2019/a.parquet"), counted(0, 2));
    parquet(&dir.path().join("b.parquet"), counted(2, 2));
    let error = open(&[dir.path()]).unwrap_err();
    assert!(matches!(&error, TableError::SchemaDiffers { column, .. } if column == "year"), "{error}");
}

#[test]
fn files_in_a_folder_that_are_not_data_are_skipped() {
    let dir = folder();
    parquet(&dir.path().join("a.parquet"), counted(0, 3));
    for name in ["_SUCCESS", ".a.parquet.crc", "README.md", "SOURCE", "truth.json", ".hidden.parquet"] {
        std::fs::write(dir.path().join(name), "no data").unwrap();
    }
    assert_eq!(open(&[dir.path()]).unwrap().files().len(), 1);
    assert_eq!(open(&[&dir.path().join("*")]).unwrap().files().len(), 1);
}

#[test]
fn a_file_named_twice_is_read_once() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, counted(0, 3));
    let source = open(&[&path, dir.path(), &dir.path().join("./a.*")]).unwrap();
    assert_eq!(source.files().len(), 1);
    assert_eq!(source.rows(), Some(3));
}

#[test]
fn parquet_is_recognised_by_its_first_bytes_if_not_by_its_name() {
    let dir = folder();
    let path = dir.path().join("part-00000");
    parquet(&path, counted(0, 3));
    assert_eq!(open(&[&path]).unwrap().rows(), Some(3));
    assert_eq!(open(&[dir.path()]).unwrap().rows(), Some(3));
}

#[test]
fn csv_reads_as_r_writes() {
    let dir = folder();
    let path = dir.path().join("a.csv");
    std::fs::write(&path, "id,score,sex\n1,2,\"f, or m\"\nNA,NA,NA\n3,,x\n").unwrap();
    let source = open(&[&path]).unwrap();
    assert_eq!(source.rows(), None);
    assert_eq!(labels(&source, "id"), texts(&[Some("1"), None, Some("3")]));
    let score = numbers(&source, "score");
    assert!(score[0] == 2.0 && score[1].is_nan() && score[2].is_nan());
    assert_eq!(labels(&source, "sex"), texts(&[Some("f, or m"), None, Some("x")]));
}

#[test]
fn several_csv_files_of_one_table() {
    let dir = folder();
    std::fs::write(dir.path().join("a.csv"), "k,x\n1,2\n").unwrap();
    std::fs::write(dir.path().join("b.csv"), "k,x\n2,2.5\n").unwrap();
    let source = open(&[dir.path()]).unwrap();
    assert_eq!(numbers(&source, "x"), [2.0, 2.5]);
    // Columns are found by name, so their order may differ.
    std::fs::write(dir.path().join("c.csv"), "x,k\n3.5,3\n").unwrap();
    let source = open(&[dir.path()]).unwrap();
    assert_eq!(numbers(&source, "x"), [2.0, 2.5, 3.5]);
    assert_eq!(labels(&source, "k"), texts(&[Some("1"), Some("2"), Some("3")]));
    // A column that one file lacks is an error only if it is used.
    std::fs::write(dir.path().join("d.csv"), "k\n4\n").unwrap();
    let source = open(&[dir.path()]).unwrap();
    assert_eq!(labels(&source, "k").len(), 4);
    let error = source.scan(&[number("x")]).map(|_| ()).unwrap_err();
    assert!(matches!(&error, TableError::SchemaDiffers { column, .. } if column == "x"), "{error}");
}

#[test]
fn dictionaries_may_differ_between_files() {
    let dir = folder();
    let strings = |v: &[&str]| frame([Series::new("s".into(), v)]);
    parquet(&dir.path().join("a.parquet"), strings(&["u", "v"]));
    parquet(&dir.path().join("b.parquet"), strings(&["w", "v"]));
    let source = open(&[dir.path()]).unwrap();
    assert_eq!(labels(&source, "s"), texts(&[Some("u"), Some("v"), Some("w"), Some("v")]));
}
