//! The groups with the largest and smallest random effects of a coefficient, as data, table and JSON.

use crate::layout::Column;
use crate::numbers::{column, trim_number};
use crate::section::{Note, Section};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

/// One group's random effect.
#[derive(Clone, Debug)]
pub struct Effect {
    /// Labels of the group, one per id column.
    pub group: Vec<Value>,
    /// Conditional mode, b̂.
    pub estimate: f64,
    /// Square root of the prediction error variance, sd(b̂ - b).
    pub sd: f64,
    /// The estimate divided by its own standard deviation; NaN if that is zero.
    pub standardised: f64,
}

/// The largest and smallest effects of one coefficient.
#[derive(Clone, Debug)]
pub struct Extremes {
    /// Name of the coefficient.
    pub term: String,
    /// Number of groups of the level.
    pub groups: usize,
    /// Largest first.
    pub largest: Vec<Effect>,
    /// Smallest last; excludes groups that are among the largest.
    pub smallest: Vec<Effect>,
}

/// Divides a random effect (its conditional mode, or BLUP) by its own standard deviation, where
/// `Var(b̂) = Var(b) - Var(b̂ - b)` and the last term is the prediction error variance; NaN if `Var(b̂)`
/// is zero.
pub fn standardise(estimate: f64, prediction_sd: f64, variance: f64) -> f64 {
    let own = variance - prediction_sd * prediction_sd;
    if own > 1e-12 * variance { estimate / own.sqrt() } else { f64::NAN }
}

impl Extremes {
    /// Creates empty lists for a coefficient.
    pub fn new(term: &str) -> Extremes {
        Extremes { term: term.to_owned(), groups: 0, largest: Vec::new(), smallest: Vec::new() }
    }

    /// Whether an effect is among the `top` largest or smallest so far.
    pub fn has_place(&self, estimate: f64, top: usize) -> bool {
        let beyond = |list: &[Effect], by: fn(&f64, &f64) -> bool| {
            list.len() < top || list.get(top - 1).is_some_and(|last| by(&estimate, &last.estimate))
        };
        top > 0 && (beyond(&self.largest, f64::gt) || beyond(&self.smallest, f64::lt))
    }

    /// Adds an effect, keeping the `top` largest and smallest.
    pub fn take(&mut self, effect: Effect, top: usize) {
        let falling = |a: &Effect, b: &Effect| b.estimate.total_cmp(&a.estimate);
        insert(&mut self.largest, effect.clone(), top, falling);
        insert(&mut self.smallest, effect, top, |a, b| falling(b, a));
    }

    /// Removes from the smallest what is among the largest, if there are few groups.
    pub fn no_group_twice(&mut self, top: usize) {
        self.smallest.truncate(self.groups.saturating_sub(top));
        self.smallest.reverse();
    }

    /// Returns the groups as a table, with intervals of `z` standard deviations.
    pub fn section(&self, level: &str, z: f64, ids: &[String]) -> Section {
        let Extremes { term, groups, largest, smallest } = self;
        let all: Vec<&Effect> = largest.iter().chain(smallest).collect();
        let of = |value: &dyn Fn(&Effect) -> f64| -> Vec<f64> { all.iter().map(|effect| value(effect)).collect() };
        let lead = match *groups > all.len() {
            true => format!("the {} largest and {} smallest of {groups}", largest.len(), smallest.len()),
            false => format!("all {groups}"),
        };
        let id = |(i, id): (usize, &String)| Column::names(id, all.iter().map(|e| plain(&e.group[i])).collect());
        let mut columns: Vec<Column> = ids.iter().enumerate().map(id).collect();
        columns.push(Column::numbers("Estimate", column(&of(&|e| e.estimate), 4)));
        columns.push(Column::numbers("Std.Dev.", column(&of(&|e| e.sd), 4)));
        let bounds = [of(&|e| e.estimate - z * e.sd), of(&|e| e.estimate + z * e.sd)].concat();
        let bounds = column(&bounds, 4);
        columns.push(Column::numbers("Lower", bounds[..all.len()].to_vec()));
        columns.push(Column::numbers("Upper", bounds[all.len()..].to_vec()));
        columns.push(Column::numbers("Standardised", column(&of(&|e| e.standardised), 3)));
        Section { title: format!("{term} | {level}:"), lead, indent: 1, columns, notes: Vec::new() }
    }

    /// As JSON, with intervals of z standard deviations; `ids` are the names of the id columns.
    pub fn json(&self, z: f64, ids: &[String]) -> Value {
        let effect = |effect: &Effect| {
            let group: Map<_, _> = ids.iter().cloned().zip(effect.group.iter().cloned()).collect();
            let Effect { estimate, sd, standardised, .. } = effect;
            json!({
                "group": group, "estimate": estimate, "prediction_sd": sd,
                "lower": estimate - z * sd, "upper": estimate + z * sd, "standardised": standardised,
            })
        };
        json!({
            "term": self.term,
            "groups": self.groups,
            "largest": self.largest.iter().map(effect).collect::<Vec<_>>(),
            "smallest": self.smallest.iter().map(effect).collect::<Vec<_>>(),
        })
    }
}

/// Returns the note that explains the columns of the table.
pub fn note(confidence: f64) -> Note {
    let percent = trim_number(100.0 * confidence);
    Note::new(
        format!(
            "Std.Dev. of the error of prediction, beta's uncertainty included; {percent} % intervals by the normal \
             distribution; standardised: over the standard deviation of the estimate itself"
        ),
        0,
    )
}

/// Inserts into a sorted list of bounded length; ties keep their order.
fn insert(list: &mut Vec<Effect>, effect: Effect, top: usize, order: impl Fn(&Effect, &Effect) -> Ordering) {
    let at = list.partition_point(|other| order(other, &effect).is_le());
    list.insert(at, effect);
    list.truncate(top);
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
