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
