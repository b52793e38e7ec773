//! One tree out of a shard: a top-level group with all that lies below it.
//!
//! Whatever is summed over a shard's groups is had for a single top-level group by running the same
//! sums over its own tree.

use crate::structure::{Tree, TreeLevel};

/// The groups of a shard by the top-level group that they lie in.
#[derive(Clone, Debug)]
pub struct TopGroups<'a> {
    tree: &'a Tree,
    /// Per level, finest first.
    levels: Vec<Members>,
}

/// The groups of one level, those of the same top-level group together.
#[derive(Clone, Debug)]
struct Members {
    /// Groups in the order of their top-level groups, else in their own.
    groups: Vec<u32>,
    /// Per top-level group where its groups start; one more at the end.
    starts: Vec<u32>,
    /// Per group its place among those of its top-level group.
    place: Vec<u32>,
}

impl<'a> TopGroups<'a> {
    /// Sorts the groups of a shard.
    pub fn new(tree: &'a Tree) -> Self {
        let count = tree.levels.last().map_or(0, |top| top.groups);
        let mut top: Vec<u32> = (0..count as u32).collect();
        let mut levels = Vec::with_capacity(tree.levels.len());
        for (k, level) in tree.levels.iter().enumerate().rev() {
            if k + 1 < tree.levels.len() {
                top = level.parent.iter().map(|&parent| top[parent as usize]).collect();
            }
            levels.push(Members::new(&top, count));
        }
        levels.reverse();
        TopGroups { tree, levels }
    }

    /// Number of top-level groups.
    pub fn len(&self) -> usize {
        self.tree.levels.last().map_or(0, |top| top.groups)
    }

    /// Whether the shard is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tree of one top-level group, without labels: groups keep their order, and the single group
    /// of the top level is number 0.
    pub fn tree(&self, top: usize) -> Tree {
        let mut out = Tree { levels: Vec::with_capacity(self.levels.len()), labels: Vec::new() };
        for (k, (level, members)) in self.tree.levels.iter().zip(&self.levels).enumerate() {
            let groups = members.of(top);
            let per_group = level.moments.len() / level.groups.max(1);
            let mut part = TreeLevel { groups: groups.len(), ..TreeLevel::default() };
            part.moments.reserve_exact(groups.len() * per_group);
            for &group in groups {
                let group = group as usize;
                part.rows.push(level.rows[group]);
                part.moments.extend_from_slice(&level.moments[group * per_group..(group + 1) * per_group]);
                if let Some(above) = self.levels.get(k + 1) {
                    part.parent.push(above.place[level.parent[group] as usize]);
                }
            }
            out.levels.push(part);
        }
        out
    }
}

impl Members {
    fn new(top: &[u32], count: usize) -> Self {
        let mut starts = vec![0_u32; count + 1];
        top.iter().for_each(|&t| starts[t as usize + 1] += 1);
        (0..count).for_each(|t| starts[t + 1] += starts[t]);
        let mut next = starts.clone();
        let (mut groups, mut place) = (vec![0; top.len()], vec![0; top.len()]);
        for (group, &t) in top.iter().enumerate() {
            let at = &mut next[t as usize];
            groups[*at as usize] = group as u32;
            place[group] = *at - starts[t as usize];
            *at += 1;
        }
        Members { groups, starts, place }
    }

    fn of(&self, top: usize) -> &[u32] {
        &self.groups[self.starts[top] as usize..self.starts[top + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_of_top_groups_are_the_shard_dealt_out() {
        let level = |parent: Vec<u32>, moments: Vec<f64>| TreeLevel {
            groups: moments.len(),
            rows: moments.iter().map(|&m| m as u64).collect(),
            parent,
            cell: Vec::new(),
            moments,
        };
        // Five classes in three schools in two districts.
        let levels = vec![
            level(vec![2, 0, 1, 2, 0], vec![1.0, 2.0, 3.0, 4.0, 5.0]),
            level(vec![1, 0, 1], vec![10.0, 20.0, 30.0]),
            level(Vec::new(), vec![100.0, 200.0]),
        ];
        let tree = Tree { levels, labels: Vec::new() };
        let tops = TopGroups::new(&tree);
        assert_eq!(tops.len(), 2);
        let (first, second) = (tops.tree(0), tops.tree(1));
        assert_eq!(first.levels[1].moments, [20.0]);
        assert_eq!(first.levels[0].moments, [3.0]);
        assert_eq!(second.levels[2].moments, [200.0]);
        assert_eq!(second.levels[1].moments, [10.0, 30.0]);
        assert_eq!((&second.levels[1].parent[..], &second.levels[0].parent[..]), (&[0, 0][..], &[1, 0, 1, 0][..]));
        assert_eq!(second.levels[0].moments, [1.0, 2.0, 4.0, 5.0]);
    }
}
