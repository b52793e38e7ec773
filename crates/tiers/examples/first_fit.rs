//! A first fit: the program of the README, from vectors in memory to a summary, a prediction and
//! profile likelihood intervals.
//!
//! ```text
//! cargo run --release -p tiers --example first_fit
//! ```
#![allow(clippy::print_stdout)]

use tiers::{Interval, IntervalKind, IntervalMethod, Table, lmm};

fn main() -> Result<(), tiers::Error> {
    let table = Table::from_columns([
        ("score", vec![12.1, 13.4, 11.2, 9.8, 10.9, 9.1, 14.2, 15.0, 13.9, 10.0, 11.5, 9.7].into()),
        ("pretest", vec![5.0, 6.1, 4.4, 5.2, 6.0, 4.1, 5.5, 6.3, 5.1, 4.6, 6.2, 4.0].into()),
        ("school", vec!["a", "a", "a", "b", "b", "b", "c", "c", "c", "d", "d", "d"].into()),
    ])?;
    let fit = lmm("score ~ pretest + (1 | school)").fit(&table)?;
    println!("{fit}");

    let new = Table::from_columns([("pretest", vec![5.0].into()), ("school", vec!["a new school"].into())])?;
    let interval = Interval { kind: IntervalKind::Prediction, level: 0.95 };
    println!("{:?}", fit.predict_interval(&new, interval)?);

    for parameter in fit.confint(IntervalMethod::Profile, 0.95)? {
        println!("{}: {:?} to {:?}", parameter.parameter, parameter.lower, parameter.upper);
    }
    Ok(())
}
