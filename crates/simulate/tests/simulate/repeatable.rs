//! The rows do not depend on the order in which blocks and chunks are drawn, or on the number that follow.

use crate::support::{Drawn, draw, example, spec};
use rayon::prelude::*;
use tiers_simulate::{Block, CHUNK_ROWS, Column, Place, Simulation, Spec, Values};

/// Checks that `long` begins with the rows of `short`.
fn check_prefix(short: &Drawn, long: &Drawn) {
    let n = short.rows();
    for (a, b) in short.columns.iter().zip(&long.columns) {
        let same = match (&a.values, &b.values) {
            (Values::Real(a), Values::Real(b)) => a[..] == b[..n],
            (Values::Whole(a), Values::Whole(b)) => a[..] == b[..n],
            (Values::Code(a), Values::Code(b)) => a[..] == b[..n],
            _ => false,
        };
        assert!(same);
    }
}

#[test]
fn a_longer_file_begins_with_the_rows_of_a_shorter_one() {
    let rows = |rows: u64| Spec { rows: Some(rows), ..example(&[]) };
    let long = draw(&rows(600_000));
    // Ends within the first group, the first chunk and the first block, and beyond.
    for short in [1, 7, 20_000, 100_000, 300_001] {
        let short_data = draw(&rows(short));
        assert_eq!(short_data.rows(), short as usize);
        check_prefix(&short_data, &long);
    }
    let groups = |groups: u64| Spec { rows: None, groups: Some(groups), ..example(&[]) };
    check_prefix(&draw(&groups(3)), &draw(&groups(900)));
    check_prefix(&draw(&groups(900)), &long);
}

#[test]
fn chunks_drawn_in_any_order_on_any_thread_are_the_same() {
    let spec = example(&[]);
    let simulation = Simulation::new(&spec).unwrap();
    let place = Place::start(&simulation);
    let block = Block::draw(&simulation, 0);
    let chunks = block.rows().div_ceil(CHUNK_ROWS);
    let chunk = |i: u64| Block::draw(&simulation, 0).chunk(&simulation, &place, i, block.rows());
    let one: Vec<Vec<Column>> = (0..chunks).rev().map(chunk).collect();
    let many: Vec<Vec<Column>> = (0..chunks).into_par_iter().map(chunk).collect();
    assert!(one.iter().rev().eq(many.iter()));
}

#[test]
fn seeds_differ() {
    let first = draw(&Spec { rows: Some(100), ..example(&[]) });
    let second = draw(&Spec { rows: Some(100), seed: 2, ..example(&[]) });
    assert_ne!(first.numbers("score"), second.numbers("score"));
}

#[test]
fn one_huge_group_is_drawn_in_chunks_that_differ() {
    let text = "rows = 70_000\n[response]\nname = \"y\"\nresidual_sd = 1\n\
                [[level]]\nname = \"g\"\nid = \"integer\"\nsize = 10_000_000\nrandom = { \"(Intercept)\" = 1 }";
    let data = draw(&spec(text));
    let y = data.numbers("y");
    assert_eq!((y.len(), data.end.groups[0]), (70_000, 1));
    assert_ne!(y[0], y[CHUNK_ROWS as usize], "every chunk has its own stream");
}
