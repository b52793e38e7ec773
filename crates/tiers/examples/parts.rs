//! One model of data in three parts, whose rows are never in one place: each part is summed where it is,
//! and only the moments are merged.
//!
//! ```text
//! cargo run --release -p tiers --example parts
//! ```
#![allow(clippy::print_stdout)]

use tiers::{Moments, Table, lmm};

fn main() -> Result<(), tiers::Error> {
    let model = lmm("score ~ pretest + treated + (1 + pretest | school)");
    let folder = |region: &str| std::env::temp_dir().join(format!("tiers-example-{region}.moments"));

    // In each region, on its own machine: rows in, a small folder of sums out.
    for (number, region) in (0..).zip(["north", "south", "west"]) {
        let moments = model.moments(&rows(number)?)?;
        println!("{region}: {} rows", moments.rows());
        moments.save(folder(region))?;
    }

    // At the centre. A school may have rows in several parts, a row must be in one.
    let merged = Moments::load(["north", "south", "west"].map(folder))?;
    println!("together: {} rows of {}", merged.rows(), merged.formula());
    let fit = model.fit_moments(merged)?;
    println!("{fit}");

    // All that needs no rows works as for any fit.
    for component in fit.variance_components() {
        println!("{}: standard deviations {:.3?} of {:?}", component.level, component.sd, component.terms);
    }
    Ok(())
}

/// The rows of one region: six schools of 30 students, every other one treated.
fn rows(region: i64) -> Result<Table, tiers::Error> {
    let spread = |i: i64, salt: f64| (i as f64 * 78.233 + salt).sin();
    let (mut score, mut pretest, mut treated, mut school) = (vec![], vec![], vec![], vec![]);
    for row in 0..180_i64 {
        let id = region * 6 + row / 30;
        let before = 10.0 + 3.0 * spread(region * 180 + row, 0.5);
        let slope = 0.8 + 0.2 * spread(id, 1.5);
        let is_treated = id % 2 == 0;
        let effect = if is_treated { 1.0 } else { 0.0 };
        score.push(5.0 + slope * before + effect + 2.0 * spread(id, 2.5) + spread(region * 180 + row, 3.5));
        pretest.push(before);
        treated.push(is_treated);
        school.push(id);
    }
    Table::from_columns([
        ("score", score.into()),
        ("pretest", pretest.into()),
        ("treated", treated.into()),
        ("school", school.into()),
    ])
}
