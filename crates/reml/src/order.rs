//! The order in which results list the levels.

use std::cmp::Reverse;
use tiers_moments::Level;

/// Returns the levels by falling number of groups, ties as in the formula: lme4's order. In a nest this is the
/// order of the levels themselves; in a crossed design the leaf need not have the most groups.
pub(crate) fn by_groups(levels: &[Level]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..levels.len()).collect();
    order.sort_by_key(|&k| (Reverse(levels[k].groups), levels[k].grouping));
    order
}
