//! The order of the groups: those of one parent are consecutive, so that a top-level group's rows are, too.

use std::ops::Range;
use tiers_equations::reweighted::Groups;
use tiers_moments::Tree;

/// The groups of one shard in order.
#[derive(Clone, Debug)]
pub(crate) struct ShardOrder {
    /// For each level, the group (by its number in the shard) at each position.
    pub(crate) groups: Vec<Vec<u32>>,
    /// For each level but the finest, the end of the children of each group, by position.
    pub(crate) ends: Vec<Vec<u32>>,
    /// For each finest group, by position, the end of its rows among all rows.
    pub(crate) row_ends: Vec<usize>,
    /// Number of rows before this shard.
    pub(crate) first_row: usize,
    /// The top-level groups of each visit: one, or as many small ones as have [`VISIT_ROWS`] together.
    pub(crate) visits: Vec<Range<usize>>,
}

/// Number of rows from which on a visit takes no further top-level group.
const VISIT_ROWS: usize = 512;

impl ShardOrder {
    /// Orders the groups of a shard, whose rows begin at `first_row`.
    pub(crate) fn new(tree: &Tree, first_row: usize) -> ShardOrder {
        let levels = tree.levels.len();
        let top = tree.levels[levels - 1].groups as u32;
        let mut groups: Vec<Vec<u32>> = vec![Vec::new(); levels];
        let mut ends: Vec<Vec<u32>> = vec![Vec::new(); levels - 1];
        groups[levels - 1] = (0..top).collect();
        for k in (0..levels - 1).rev() {
            // Counting sort of the groups by the positions of their parents.
            let mut position = vec![0_u32; groups[k + 1].len()];
            groups[k + 1].iter().enumerate().for_each(|(at, &group)| position[group as usize] = at as u32);
            let parent = |group: usize| position[tree.levels[k].parent[group] as usize] as usize;
            let mut end = vec![0_u32; position.len()];
            (0..tree.levels[k].groups).for_each(|group| end[parent(group)] += 1);
            let mut sum = 0;
            for end in &mut end {
                sum += *end;
                *end = sum - *end;
            }
            let mut own = vec![0; tree.levels[k].groups];
            for group in 0..own.len() {
                let at = &mut end[parent(group)];
                own[*at as usize] = group as u32;
                *at += 1;
            }
            (groups[k], ends[k]) = (own, end);
        }
        let mut row = first_row;
        let row_end = |&group: &u32| {
            row += tree.levels[0].rows[group as usize] as usize;
            row
        };
        let row_ends = groups[0].iter().map(row_end).collect();
        let mut out = ShardOrder { groups, ends, row_ends, first_row, visits: Vec::new() };
        let mut start = 0;
        for top in 0..out.tops() {
            if out.rows_of(start..top + 1).len() >= VISIT_ROWS || top + 1 == out.tops() {
                out.visits.push(start..top + 1);
                start = top + 1;
            }
        }
        out
    }

    /// Number of top-level groups.
    pub(crate) fn tops(&self) -> usize {
        self.groups[self.groups.len() - 1].len()
    }

    /// The groups within some top-level groups.
    pub(crate) fn within(&self, tops: Range<usize>) -> Groups<'_> {
        Groups::within(&self.ends, tops)
    }

    /// The range of groups of each level within some top-level groups, finest first.
    pub(crate) fn ranges(&self, tops: Range<usize>) -> Vec<Range<usize>> {
        let mut range = tops;
        let mut out = vec![range.clone()];
        for ends in self.ends.iter().rev() {
            let start = if range.start == 0 { 0 } else { ends[range.start - 1] as usize };
            range = start..ends[range.end - 1] as usize;
            out.push(range.clone());
        }
        out.reverse();
        out
    }

    /// The finest groups within some top-level groups.
    pub(crate) fn finest_of(&self, tops: Range<usize>) -> Range<usize> {
        self.ends.iter().rev().fold(tops, |range, ends| {
            let start = if range.start == 0 { 0 } else { ends[range.start - 1] as usize };
            start..ends[range.end - 1] as usize
        })
    }

    /// The rows of some top-level groups.
    pub(crate) fn rows_of(&self, tops: Range<usize>) -> Range<usize> {
        let finest = self.finest_of(tops);
        self.row_start(finest.start)..self.row_ends[finest.end - 1]
    }

    /// The first row of a finest group.
    pub(crate) fn row_start(&self, finest: usize) -> usize {
        if finest == 0 { self.first_row } else { self.row_ends[finest - 1] }
    }

    /// The positions of the finest groups by their numbers in the shard.
    pub(crate) fn positions(&self) -> Vec<u32> {
        let mut out = vec![0; self.groups[0].len()];
        self.groups[0].iter().enumerate().for_each(|(at, &group)| out[group as usize] = at as u32);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiers_moments::TreeLevel;

    #[test]
    fn small_top_level_groups_share_a_visit() {
        // Four schools of 300, 900, 10 and 20 rows, in 1, 2, 1 and 1 classes that are not in order.
        let classes = TreeLevel {
            groups: 5,
            parent: vec![3, 1, 0, 1, 2],
            rows: vec![20, 400, 300, 500, 10],
            ..Default::default()
        };
        let schools = TreeLevel { groups: 4, rows: vec![300, 900, 10, 20], ..Default::default() };
        let order = ShardOrder::new(&Tree { levels: vec![classes, schools], labels: Vec::new() }, 7);
        assert_eq!(order.groups[0], [2, 1, 3, 4, 0]);
        assert_eq!(order.visits, [0..2, 2..4]);
        assert_eq!(order.rows_of(0..2), 7..1207);
        assert_eq!(order.rows_of(2..4), 1207..1237);
        assert_eq!(order.ranges(2..4), [3..5, 2..4]);
        assert_eq!(order.within(2..4).count(0), 2);
    }
}
