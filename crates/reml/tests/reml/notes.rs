//! Notes on models where the user may have meant something else.

use crate::common::model;
use tiers_reml::{Fit, Inference, Method, NewtonSettings, Objective, optimise};
use tiers_testdata::{Memory, Random, Values};

fn table(weight: impl Fn(usize) -> f64) -> Memory {
    let mut random = Random(5);
    let rows = 0..120;
    Memory::new(vec![
        ("y", Values::Numbers(rows.clone().map(|row| (row / 12) as f64 % 3.0 + random.normal()).collect())),
        ("x", Values::Numbers(rows.clone().map(|_| random.normal()).collect())),
        ("w", Values::Numbers(rows.clone().map(weight).collect())),
        ("arm", Values::Texts(rows.clone().map(|row| ["a", "b", "c"][row % 3].to_owned()).collect())),
        ("ward", Values::Ids(rows.map(|row| row as i64 / 12).collect())),
    ])
}

fn notes(table: &Memory, formula: &str, weights: Option<&str>) -> Vec<String> {
    let (model, dropped) = model(table, formula, weights).expect("a model");
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    Fit::new(&objective, &optimum, &dropped, Inference::default()).notes
}

fn check(notes: &[String], expected: &[&str]) {
    assert_eq!(notes.len(), expected.len(), "{notes:?}");
    for (note, words) in notes.iter().zip(expected) {
        assert!(note.contains(words), "{note}");
    }
}

/// Schools of four classes of ten pupils, a rater for every row, and the kind of the row.
fn schools() -> Memory {
    let mut random = Random(11);
    let rows = 0..320_i64;
    let class: Vec<i64> = rows.clone().map(|row| row / 10 % 4).collect();
    Memory::new(vec![
        ("y", Values::Numbers(rows.clone().map(|row| (row / 10 % 7) as f64 + random.normal()).collect())),
        ("school", Values::Ids(rows.clone().map(|row| row / 40).collect())),
        ("pupil", Values::Ids(rows.clone().map(|row| row / 2).collect())),
        ("room", Values::Ids(rows.clone().map(|row| row / 10).collect())),
        ("rater", Values::Ids(rows.map(|row| row * 7 % 31).collect())),
        ("class", Values::Ids(class)),
    ])
}

#[test]
fn classes_numbered_within_schools_are_noted_with_the_formula_that_keeps_them_apart() {
    let of = |formula: &str| notes(&schools(), formula, None);
    let words = ["groupings class and school were taken as crossed", "(1 | school/class)", "100 %"];
    for formula in ["y ~ 1 + (1 | school) + (1 | class)", "y ~ 1 + (1 | class) + (1 | school)"] {
        let notes = of(formula);
        assert!(notes.len() == 1 && words.iter().all(|word| notes[0].contains(word)), "{notes:?}");
    }
    // Pupils who lie within classes of schools do not change that.
    check(&of("y ~ 1 + (1 | class) + (1 | school) + (1 | pupil)"), &["(1 | school/class)"]);
    let shuffled = schools().permuted(&Random(3).order(320)).in_blocks_of(11);
    check(&notes(&shuffled, "y ~ 1 + (1 | class) + (1 | school)", None), &["(1 | school/class)"]);
}

#[test]
fn groupings_that_really_cross_are_not_noted() {
    let of = |formula: &str| notes(&schools(), formula, None);
    check(&of("y ~ 1 + (1 | school/class)"), &[]);
    // One row of most pairs, a grouping that would not nest, and one that keeps the pairs apart already.
    check(&of("y ~ 1 + (1 | school) + (1 | rater)"), &[]);
    check(&of("y ~ 1 + (1 | class) + (1 | school) + (1 | rater)"), &[]);
    check(&of("y ~ 1 + (1 | class) + (1 | school) + (1 | room)"), &[]);
}

#[test]
fn weights_that_may_be_sampling_weights_are_noted() {
    let formula = "y ~ x + (1 | ward)";
    check(
        &notes(&table(|row| 40.0 + (row % 7) as f64), formula, Some("w")),
        &["mean of the weights in column `w` is 42.9"],
    );
    check(&notes(&table(|row| 0.01 + 0.001 * (row % 7) as f64), formula, Some("w")), &["precision weights"]);
    check(&notes(&table(|row| 0.5 + (row % 3) as f64 / 2.0), formula, Some("w")), &[]);
    check(&notes(&table(|_| 3.5), formula, Some("w")), &["All weights in column `w` are 3.5:"]);
    check(&notes(&table(|_| 3.5), formula, None), &[]);
}

#[test]
fn factors_without_correlations_are_noted() {
    let table = table(|_| 1.0);
    check(&notes(&table, "y ~ x + (x || ward)", None), &[]);
    check(&notes(&table, "y ~ x + (0 + arm | ward)", None), &[]);
    check(&notes(&table, "y ~ x + (0 + arm || ward)", None), &["the 3 coefficients for the levels of arm"]);
    check(&notes(&table, "y ~ x + (arm || ward)", None), &["write (1 | ward:arm)"]);
}

#[test]
fn values_that_look_like_codes_are_noted() {
    let table = table(|_| 1.0);
    let coded = |name: &str, code: f64| {
        let values: Vec<f64> =
            table.numbers(name).iter().enumerate().map(|(i, v)| if i % 40 == 7 { code } else { *v }).collect();
        table.with(name, Values::Numbers(values)).in_blocks_of(50)
    };
    check(&notes(&coded("x", -999.0), "y ~ x + (1 | ward)", None), &["Column `x` is -999 in 3 rows"]);
    check(&notes(&coded("y", 9999.0), "y ~ x + (1 | ward)", None), &["Column `y` is 9999 in 3 rows"]);
    // Columns outside the model are not checked, and -5 is not a common code.
    check(&notes(&coded("x", -999.0), "y ~ 1 + (1 | ward)", None), &[]);
    check(&notes(&coded("x", -5.0), "y ~ x + (1 | ward)", None), &[]);
}
