//! Students in classes in schools in states, and the models that tests of shared reads fit to them.

use crate::{Memory, Random, Values};
use tiers_design::{Formula, Plan, Settings, Source};

/// Simulates students in classes in schools in states, with or without gaps in some columns.
pub fn students(rows: usize, seed: u64, gaps: bool) -> Memory {
    let mut random = Random(seed);
    let school: Vec<i64> = (0..rows).map(|_| random.below(12) as i64).collect();
    let state: Vec<i64> = school.iter().map(|s| 100 - s / 4).collect();
    let class: Vec<i64> = (0..rows).map(|_| random.below(4) as i64).collect();
    let effect: Vec<f64> = (0..60).map(|_| random.normal()).collect();
    let gap = |values: Vec<f64>, share: usize, random: &mut Random| -> Vec<f64> {
        let hole = |v| if gaps && random.below(100) < share { f64::NAN } else { v };
        values.into_iter().map(hole).collect()
    };
    let x: Vec<f64> = (0..rows).map(|_| 50.0 + 3.0 * random.normal()).collect();
    let z: Vec<f64> = (0..rows).map(|_| random.normal()).collect();
    let y: Vec<f64> = (0..rows)
        .map(|i| {
            let s = school[i] as usize;
            let slope = 0.4 + 0.3 * effect[48 + s];
            200.0 + slope * x[i] + effect[s] + 0.7 * effect[12 + (4 * s + class[i] as usize) % 36] + random.normal()
        })
        .collect();
    let y2: Vec<f64> = (0..rows).map(|i| 0.5 * y[i] - z[i] + effect[school[i] as usize] + random.normal()).collect();
    let level = |names: &[&str], random: &mut Random| -> Vec<String> {
        (0..rows).map(|_| names[random.below(names.len())].to_owned()).collect()
    };
    let f = level(&["A", "B", "C"], &mut random);
    let w: Vec<f64> = (0..rows).map(|_| 0.5 + random.normal().abs()).collect();
    // `z` and `z2` are missing in the same rows, `x` in others.
    let z = gap(z, 10, &mut random);
    let z2 = z.iter().map(|v| v * v + 1.0).collect();
    Memory::new(vec![
        ("x", Values::Numbers(gap(x, 3, &mut random))),
        ("z2", Values::Numbers(z2)),
        ("z", Values::Numbers(z)),
        ("y", Values::Numbers(y)),
        ("y2", Values::Numbers(gap(y2, 2, &mut random))),
        ("w", Values::Numbers(w)),
        ("f", Values::Texts(f)),
        ("school", Values::Ids(school)),
        ("class", Values::Texts(class.iter().map(|c| format!("c{c}")).collect())),
        ("state", Values::Ids(state)),
    ])
}

/// A formula, a column of weights and a reference level of `f`.
pub type ModelSpec = (&'static str, Option<&'static str>, Option<&'static str>);

/// Models that differ in columns, weights, references, groupings and the rows that they drop.
pub const MODELS: [ModelSpec; 16] = [
    ("y ~ x + (1 | school)", None, None),
    ("y ~ x + f + (1 | school/class)", None, None),
    ("y ~ x + f + (1 | school/class)", None, Some("C")),
    ("y2 ~ x + z + (1 + x | school)", None, None),
    ("y ~ z + (1 | school)", None, None),
    ("y ~ z2 + (1 | school) + (1 | state)", None, None),
    ("y ~ z + z2 + f + (1 | school/class)", None, None),
    ("y ~ x + (1 | school)", Some("w"), None),
    ("y2 ~ x * f + (1 | school/class)", Some("w"), None),
    ("y ~ 0 + f + x + (1 | school)", None, None),
    ("y ~ x + I(x^2) + (1 | school/class)", None, None),
    ("log(y) ~ log(x) + (1 | school)", None, None),
    ("y ~ x + log(z) + (1 | school)", None, None),
    ("y ~ x + (1 | school) + (0 + x | school) + (1 | school:class)", None, None),
    ("y - z ~ x:f + (1 | school)", None, None),
    ("y ~ x + offset(z) + (1 | state/school)", None, None),
];

/// Resolves a model against a table; panics if it does not fit.
pub fn plan(table: &dyn Source, (formula, weights, reference): ModelSpec) -> Plan {
    let reference = reference.map(|level| ("f".to_owned(), level.to_owned())).into_iter().collect();
    let settings = Settings { weights: weights.map(str::to_owned), reference, ..Settings::default() };
    let formula: Formula = formula.parse().unwrap();
    Plan::new(&formula, table.fields(), &settings).unwrap()
}
