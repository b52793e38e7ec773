//! Predictions with a saved fit: for students of known schools, and of schools that the fit has not seen.
//!
//! ```text
//! cargo run --release -p tiers --example new_groups
//! ```
#![allow(clippy::print_stdout)]

use tiers::{Fit, Interval, IntervalKind, Table, lmm};

fn main() -> Result<(), tiers::Error> {
    let folder = std::env::temp_dir().join("tiers-example-fit");
    let table = students()?;
    lmm("score ~ pretest + (1 | school)").fit(&table)?.save(&folder)?;

    // Later, perhaps in another program: the folder is enough for predictions.
    let fit = Fit::load(&folder)?;
    let new = Table::from_columns([
        ("pretest", vec![10.0, 10.0, 15.0].into()),
        ("school", vec!["a", "a new school", "f"].into()),
    ])?;
    let prediction = fit.predict(&new)?;
    let known = prediction.known("school").expect("a level of the fit");
    for (row, value) in prediction.values.iter().enumerate() {
        // A new school is predicted at its expectation: no random effect.
        println!("row {}: {value:.2}{}", row + 1, if known[row] { "" } else { " (new school)" });
    }

    // Errors need the moments, so the rows are read again. The interval of a new response is wider for a new
    // school, whose effect is unknown.
    let fit = fit.with_rows(&table)?;
    let prediction = fit.predict_interval(&new, Interval { kind: IntervalKind::Prediction, level: 0.95 })?;
    for row in 0..3 {
        println!("row {}: {:.2} to {:.2}", row + 1, prediction.lower[row], prediction.upper[row]);
    }
    Ok(())
}

/// Twelve students in each of six schools.
fn students() -> Result<Table, tiers::Error> {
    let shifts = [-3.0, 2.0, 0.5, -1.0, 3.0, -1.5];
    let rows = 0..72_usize;
    let pretest: Vec<f64> = rows.clone().map(|row| 6.0 + (row * 7 % 11) as f64).collect();
    let residual = |row: usize| (row * row * 5 % 13) as f64 / 4.0 - 1.5;
    let score = rows.clone().map(|row| 4.0 + 1.1 * pretest[row] + shifts[row / 12] + residual(row)).collect::<Vec<_>>();
    let school: Vec<&str> = rows.map(|row| ["a", "b", "c", "d", "e", "f"][row / 12]).collect();
    Table::from_columns([("score", score.into()), ("pretest", pretest.into()), ("school", school.into())])
}
