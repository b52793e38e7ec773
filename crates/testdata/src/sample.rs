//! Simulated samples as tables.

use crate::{Memory, Values};
use tiers_testkit::NestedSample;

/// Returns a sample as a table (columns c1 …, y, w, and groupings g0 …, the finest first) with its formula.
pub fn table_of(sample: &NestedSample) -> (Memory, String) {
    let names: Vec<String> = (0..sample.columns.len()).map(|i| format!("c{i}")).collect();
    let groups: Vec<String> = (0..sample.levels.len()).map(|k| format!("g{k}")).collect();
    let mut columns: Vec<(&str, Values)> = vec![("y", Values::Numbers(sample.y.clone()))];
    for (name, values) in names.iter().zip(&sample.columns).skip(1) {
        columns.push((name, Values::Numbers(values.clone())));
    }
    for (name, level) in groups.iter().zip(&sample.levels) {
        columns.push((name, Values::Ids(level.group.iter().map(|&g| 100 + g as i64).collect())));
    }
    if let Some(weights) = &sample.weights {
        columns.push(("w", Values::Numbers(weights.clone())));
    }
    let term = |columns: &[usize]| {
        let own = if columns.contains(&0) { "1" } else { "0" };
        let slopes = columns.iter().filter(|&&c| c != 0).map(|c| format!(" + c{c}"));
        format!("{own}{}", slopes.collect::<String>())
    };
    let fixed: Vec<String> = sample.x.iter().map(|&c| if c == 0 { "1".into() } else { names[c].clone() }).collect();
    let random =
        sample.levels.iter().zip(&groups).flat_map(|(level, group)| {
            level.terms.iter().map(move |columns| format!(" + ({} | {group})", term(columns)))
        });
    let formula = format!("y ~ {}{}", fixed.join(" + "), random.collect::<String>());
    (Memory::new(columns), formula)
}
