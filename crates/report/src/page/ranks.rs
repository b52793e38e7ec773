//! The groups of a level that a page shows, ordered by a random effect.

use crate::extremes::{Effect, Extremes, standardise};
use serde_json::{Value, json};
use std::cmp::Ordering;
use tiers_reml::{KeyColumn, KeyLabels, LevelEffects};

/// Largest number of groups in the figure.
const FIGURE: usize = 200;
/// Number of groups at either end in the table.
const TOP: usize = 10;

/// The shown groups of a level, ordered by its first random effect.
#[derive(Debug)]
pub(super) struct Ranked {
    /// Groups of the figure, smallest effect first.
    pub points: Vec<Point>,
    /// Groups of the table.
    pub extremes: Extremes,
}

/// A group of the figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Rank, 1 for the smallest effect.
    pub rank: usize,
    /// Conditional mode, b̂.
    pub estimate: f64,
    /// Square root of the prediction error variance, sd(b̂ - b).
    pub sd: f64,
}

impl Ranked {
    /// Ranks the groups of a level by its first coefficient; `variance` is that of the coefficient.
    pub(super) fn new(level: &LevelEffects, variance: f64) -> Ranked {
        let (groups, r) = (level.rows.len(), level.terms.len());
        let ends = (0..groups.min(TOP)).chain(groups.saturating_sub(TOP)..groups);
        let spread = spread(groups);
        let mut wanted: Vec<usize> = spread.iter().copied().chain(ends).collect();
        wanted.sort_unstable();
        wanted.dedup();
        // There may be millions of groups, so only those that are shown are sorted into place.
        let mut order: Vec<u32> = (0..groups as u32).collect();
        let estimate = |group: u32| level.estimate[group as usize * r];
        // Ties are broken by the order of the labels.
        let rising = |a: &u32, b: &u32| estimate(*a).total_cmp(&estimate(*b)).then(a.cmp(b));
        place(&mut order, 0, &wanted, &rising);

        let at = |rank: usize| order[rank] as usize;
        let point = |&rank: &usize| Point {
            rank: rank + 1,
            estimate: level.estimate[at(rank) * r],
            sd: level.prediction_sd[at(rank) * r],
        };
        let effect = |rank: usize| {
            let (group, Point { estimate, sd, .. }) = (at(rank), point(&rank));
            let labels = level.keys.iter().map(|key| label(key, group)).collect();
            Effect { group: labels, estimate, sd, standardised: standardise(estimate, sd, variance) }
        };
        let largest = groups.saturating_sub(TOP)..groups;
        let smallest = 0..largest.start.min(TOP);
        let extremes = Extremes {
            term: level.terms[0].clone(),
            groups,
            largest: largest.rev().map(effect).collect(),
            smallest: smallest.rev().map(effect).collect(),
        };
        Ranked { points: spread.iter().map(point).collect(), extremes }
    }
}

/// Returns all ranks, or some at even distances including both ends if there are many groups.
fn spread(groups: usize) -> Vec<usize> {
    match groups <= FIGURE {
        true => (0..groups).collect(),
        false => (0..FIGURE).map(|i| (i * (groups - 1) + (FIGURE - 1) / 2) / (FIGURE - 1)).collect(),
    }
}

/// Moves the groups with the given ranks, in increasing order, to their sorted places; `first` is the
/// rank of the first group.
fn place(groups: &mut [u32], first: usize, ranks: &[usize], order: &impl Fn(&u32, &u32) -> Ordering) {
    let middle = ranks.len() / 2;
    let Some(rank) = ranks.get(middle) else { return };
    let (before, _, after) = groups.select_nth_unstable_by(rank - first, order);
    place(before, first, &ranks[..middle], order);
    place(after, rank + 1, &ranks[middle + 1..], order);
}

fn label(key: &KeyColumn, group: usize) -> Value {
    match &key.labels {
        KeyLabels::Integer(labels) => json!(labels[group]),
        KeyLabels::Text(labels) => json!(labels.get(group)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(groups: usize) -> LevelEffects {
        // Every effect occurs at least twice, in no order.
        let estimate: Vec<f64> = (0..groups).flat_map(|i| [((i * 7919) % (groups / 2)) as f64, f64::NAN]).collect();
        LevelEffects {
            level: "school".to_owned(),
            keys: vec![KeyColumn {
                name: "school".to_owned(),
                labels: KeyLabels::Integer((0..groups as i64).collect()),
            }],
            terms: vec!["(Intercept)".to_owned(), "x".to_owned()],
            rows: vec![1; groups],
            prediction_sd: vec![0.5; 2 * groups],
            conditional_sd: vec![0.5; 2 * groups],
            estimate,
        }
    }

    #[test]
    fn shown_groups_have_their_sorted_ranks() {
        for groups in [2, 9, 15, 21, 200, 201, 5_003] {
            let (level, mut sorted) = (level(groups), (0..groups).collect::<Vec<usize>>());
            sorted.sort_by(|&a, &b| level.estimate[2 * a].total_cmp(&level.estimate[2 * b]));
            let Ranked { points, extremes } = Ranked::new(&level, 1.0);
            assert_eq!(points.len(), groups.min(FIGURE));
            for point in &points {
                assert_eq!(point.estimate, level.estimate[2 * sorted[point.rank - 1]], "rank {}", point.rank);
            }
            assert_eq!((points[0].rank, points[points.len() - 1].rank), (1, groups));
            assert!(points.windows(2).all(|two| two[0].rank < two[1].rank));
            let falling: Vec<Value> = sorted.iter().rev().map(|&group| json!(group)).collect();
            let shown: Vec<Value> =
                extremes.largest.iter().chain(&extremes.smallest).map(|effect| effect.group[0].clone()).collect();
            let (top, bottom) = (groups.min(TOP), groups.saturating_sub(TOP).min(TOP));
            assert_eq!(shown, [&falling[..top], &falling[groups - bottom..]].concat(), "{groups} groups");
        }
    }
}
