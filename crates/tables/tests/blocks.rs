//! Blocks are cut by global row number, however the rows are distributed over files and row groups.

mod common;

use common::*;
use polars::prelude::{NamedFrom, Series};
use tiers_design::{BLOCK_ROWS, Column};
use tiers_tables::Source;

/// Checks that the rows of `x` are 0, 1, 2, …, in blocks of the right size, and that `g` matches them.
fn check(source: &Source, rows: usize) {
    let blocks = blocks(source, &[number("x"), label("g")]).unwrap();
    let mut next = 0;
    for (i, block) in blocks.iter().enumerate() {
        assert_eq!(block.first_row, next as u64);
        assert_eq!(block.rows, BLOCK_ROWS.min(rows - i * BLOCK_ROWS));
        let (Column::Numbers(x), Column::Labels(g)) = (&block.columns[0], &block.columns[1]) else {
            panic!("wrong columns");
        };
        assert_eq!((x.len(), g.codes.len()), (block.rows, block.rows));
        for (x, &code) in x.iter().zip(&g.codes) {
            assert_eq!(*x, next as f64);
            assert_eq!(g.dictionary.label(code as usize), format!("g{}", next / 10));
            next += 1;
        }
    }
    assert_eq!(next, rows);
}

#[test]
fn one_file_of_every_awkward_size() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    for rows in [1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS, 100_003] {
        parquet(&path, counted(0, rows as i64));
        let source = open(&[&path]).unwrap();
        assert_eq!(source.rows(), Some(rows as u64));
        check(&source, rows);
    }
}

#[test]
fn row_groups_of_odd_sizes() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    for group in [999, 1 << 15, 40_001, 1 << 20] {
        parquet_in_groups(&path, counted(0, 150_007), group);
        check(&open(&[&path]).unwrap(), 150_007);
    }
}

/// One row group with more rows than one range of the reader.
#[test]
fn a_row_group_larger_than_a_range() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet_in_groups(&path, counted(0, 2_500_001), 1 << 22);
    check(&open(&[&path]).unwrap(), 2_500_001);
}

#[test]
fn many_files_of_different_sizes() {
    let dir = folder();
    let mut start = 0;
    for (i, rows) in [5, 0, 70_000, 1, 33_000, 12, 32_768, 0, 100].into_iter().enumerate() {
        parquet(&dir.path().join(format!("part-{i}.parquet")), counted(start, rows));
        start += rows;
    }
    let source = open(&[dir.path()]).unwrap();
    assert_eq!(source.files().len(), 9);
    assert_eq!(source.rows(), Some(start as u64));
    check(&source, start as usize);
}

#[test]
fn hundreds_of_tiny_files() {
    let dir = folder();
    for i in 0..300 {
        parquet(&dir.path().join(format!("part-{i:03}.parquet")), counted(i * 7, 7));
    }
    check(&open(&[dir.path()]).unwrap(), 2100);
}

#[test]
fn csv_and_arrow_are_cut_to_the_same_blocks() {
    let dir = folder();
    for name in ["a.csv", "a.tsv", "a.arrow", "b.feather", "c.ipc"] {
        let path = dir.path().join(name);
        match name {
            "a.csv" => csv(&path, counted(0, 100_003)),
            "a.tsv" => {
                let rows = (0..100_003).map(|x| format!("{x}\tg{}\n", x / 10));
                std::fs::write(&path, "x\tg\n".to_owned() + &rows.collect::<String>()).unwrap();
            }
            _ => ipc(&path, counted(0, 100_003)),
        }
        check(&open(&[&path]).unwrap(), 100_003);
    }
}

#[test]
fn a_scan_can_start_after_the_first_blocks() {
    let dir = folder();
    let rows = 3 * BLOCK_ROWS as i64 + 17;
    let mut start = 0;
    for (i, size) in [20_000, 0, 50_000, 5, rows - 70_005].into_iter().enumerate() {
        parquet(&dir.path().join(format!("part-{i}.parquet")), counted(start, size));
        start += size;
    }
    let (glob, path) = (dir.path().join("*.parquet"), dir.path().join("a.csv"));
    csv(&path, counted(0, rows));
    let requests = [number("x"), label("g")];
    for source in [open(&[&glob]).unwrap(), open(&[&path]).unwrap()] {
        let all = blocks(&source, &requests).unwrap();
        assert_eq!(all.len(), 4);
        for skipped in 0..=5 {
            let scan = source.scan_from(&requests, skipped as u64).unwrap();
            let rest: Vec<_> = scan.map(|raw| raw.unwrap().decode().unwrap()).collect();
            assert!(rest == all[skipped.min(4)..], "after {skipped} blocks");
        }
    }
}

#[test]
fn a_block_outlives_its_scan_and_decodes_on_another_thread() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, counted(0, 10));
    let raw = open(&[&path]).unwrap().scan(&[number("x")]).unwrap().next().unwrap().unwrap();
    let block = std::thread::spawn(move || raw.decode().unwrap()).join().unwrap();
    assert_eq!(block.rows, 10);
}

#[test]
fn files_that_differ_in_width_are_widened() {
    let dir = folder();
    let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    let k = |v: Series| v.with_name("k".into());
    let x = |v: Series| v.with_name("x".into());
    parquet(&a, frame([k(Series::new("".into(), [1i8, -1])), x(Series::new("".into(), [1i32, 2]))]));
    // The order of the columns differs too.
    parquet(&b, frame([x(Series::new("".into(), [0.5f64])), k(Series::new("".into(), [1i64 << 40]))]));
    let source = open(&[dir.path()]).unwrap();
    assert_eq!(numbers(&source, "x"), [1.0, 2.0, 0.5]);
    assert_eq!(labels(&source, "k"), texts(&[Some("1"), Some("-1"), Some("1099511627776")]));
}

#[test]
fn a_scan_without_requests_counts_rows() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, counted(0, 50_000));
    let blocks = blocks(&open(&[&path]).unwrap(), &[]).unwrap();
    assert_eq!(blocks.iter().map(|b| b.rows).sum::<usize>(), 50_000);
}
