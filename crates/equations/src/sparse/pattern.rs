//! The pattern of `A = Λ'Z'WZΛ + I` for one shard, found once and filled with values at every theta.
//!
//! The unknowns are the spherical effects u (length q), ordered by level, finest level first, by group
//! within a level and by effect within a group. Every group thus comes before its ancestors. Two
//! unknowns share an entry of A only if they belong to one group or to a group and its ancestor, and
//! the ancestors of a group are ancestors of each other. So eliminating a group touches only existing
//! entries: L has the pattern of the lower triangle of A, without fill-in.
//!
//! The upper triangle is stored by columns (CSC). The column of effect t of group a holds
//!
//! ```text
//! below(a) rows    the effects of all descendants of a, in the order of the unknowns
//! t + 1 rows       the effects 0..=t of a itself
//! ```
//!
//! so the rows of a descendant g start at the same *offset* in each of a's columns. One number per pair
//! (g, a) therefore locates a whole block of A. An entry that is zero because a variance is zero is still
//! stored.

use crate::error::EquationsError;
use sprs::CsMatI;
use tiers_moments::{Level, Tree};

/// An ancestor of a group, and the start of the group's rows in the ancestor's columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Number of the ancestor within its level.
    pub(super) group: u32,
    /// Offset of the group's first row in each column of the ancestor.
    pub(super) offset: u32,
}

/// Order of the unknowns and positions of the entries of A, for one shard.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// Number of effects per group, for each level.
    r: Vec<usize>,
    /// Number of groups of each level.
    groups: Vec<usize>,
    /// First unknown of each level, followed by q.
    first: Vec<usize>,
    /// For each level and group, the number of unknowns of its descendants.
    below: Vec<Vec<u32>>,
    /// For each level, the ancestors of each group, nearest first: groups × coarser levels.
    links: Vec<Vec<Link>>,
    /// Start of each column, followed by the number of entries.
    starts: Vec<u32>,
}

impl Pattern {
    /// Finds the pattern of a shard.
    pub(super) fn new(levels: &[Level], tree: &Tree) -> Result<Self, EquationsError> {
        let r: Vec<usize> = levels.iter().map(Level::r).collect();
        let groups: Vec<usize> = tree.levels.iter().map(|level| level.groups).collect();
        let path = |k: usize| r[k + 1..].iter().sum::<usize>();
        let entries: usize = (0..r.len()).map(|k| groups[k] * r[k] * path(k) + groups[k] * r[k] * (r[k] + 1) / 2).sum();
        if u32::try_from(entries).is_err() {
            return Err(EquationsError::TooLarge { entries });
        }
        let mut first = vec![0];
        (0..r.len()).for_each(|k| first.push(first[k] + groups[k] * r[k]));
        let (below, links) = descend(tree, &r);
        let mut starts = vec![0];
        let mut end = 0;
        for (below, &r) in below.iter().zip(&r) {
            for (&below, effect) in below.iter().flat_map(|b| (1..=r as u32).map(move |effect| (b, effect))) {
                end += below + effect;
                starts.push(end);
            }
        }
        Ok(Pattern { r, groups, first, below, links, starts })
    }

    /// Number of unknowns, q.
    pub(super) fn unknowns(&self) -> usize {
        self.first[self.r.len()]
    }

    /// Number of levels.
    pub(super) fn levels(&self) -> usize {
        self.r.len()
    }

    /// Number of effects per group of a level.
    pub(super) fn r(&self, level: usize) -> usize {
        self.r[level]
    }

    /// Number of groups of a level.
    pub(super) fn groups(&self, level: usize) -> usize {
        self.groups[level]
    }

    /// Returns the first unknown of a group.
    pub(super) fn unknown(&self, level: usize, group: usize) -> usize {
        self.first[level] + group * self.r[level]
    }

    /// Returns the level, group and effect of an unknown.
    pub(super) fn place(&self, unknown: usize) -> (usize, usize, usize) {
        let level = self.first[1..].partition_point(|&end| end <= unknown);
        let within = unknown - self.first[level];
        (level, within / self.r[level], within % self.r[level])
    }

    /// Returns the ancestors of a group, nearest first.
    pub(super) fn links(&self, level: usize, group: usize) -> &[Link] {
        let above = self.levels() - 1 - level;
        &self.links[level][group * above..(group + 1) * above]
    }

    /// Returns the start of the column of an unknown.
    pub(super) fn start(&self, unknown: usize) -> usize {
        self.starts[unknown] as usize
    }

    /// Returns the start of the rows of a group in its own columns.
    pub(super) fn own_offset(&self, level: usize, group: usize) -> usize {
        self.below[level][group] as usize
    }

    /// Returns A at `Λ = 0`: the identity, with all other entries of the pattern stored as zeros.
    pub(super) fn identity(&self) -> CsMatI<f64, u32> {
        let (q, entries) = (self.unknowns(), self.start(self.unknowns()));
        let mut rows = vec![0u32; entries];
        let mut values = vec![0.0; entries];
        for level in 0..self.levels() {
            for group in 0..self.groups[level] {
                self.set_rows(level, group, &mut rows);
            }
        }
        // The diagonal comes last in each column of an upper triangle.
        (1..=q).for_each(|end| values[self.start(end) - 1] = 1.0);
        CsMatI::new_csc((q, q), self.starts.clone(), rows, values)
    }

    /// Writes the row indices of a group's unknowns into all columns that have them.
    fn set_rows(&self, level: usize, group: usize, rows: &mut [u32]) {
        let (r, unknown) = (self.r[level], self.unknown(level, group));
        for t in 0..r {
            let start = self.start(unknown + t) + self.own_offset(level, group);
            (0..=t).for_each(|s| rows[start + s] = (unknown + s) as u32);
        }
        for (link, above) in self.links(level, group).iter().zip(level + 1..) {
            let ancestor = self.unknown(above, link.group as usize);
            for t in 0..self.r[above] {
                let start = self.start(ancestor + t) + link.offset as usize;
                (0..r).for_each(|s| rows[start + s] = (unknown + s) as u32);
            }
        }
    }
}

/// Counts the unknowns below every group by visiting the groups in order; returns (below, links).
fn descend(tree: &Tree, r: &[usize]) -> (Vec<Vec<u32>>, Vec<Vec<Link>>) {
    let mut below: Vec<Vec<u32>> = tree.levels.iter().map(|level| vec![0; level.groups]).collect();
    let mut links = Vec::with_capacity(r.len());
    for (k, level) in tree.levels.iter().enumerate() {
        let mut of_level = Vec::with_capacity(level.groups * (r.len() - 1 - k));
        for group in 0..level.groups {
            let mut at = group;
            // The parent of a group of level j is a group of level j + 1, to which `below` belongs.
            for (level, below) in tree.levels[k..].iter().zip(&mut below[k + 1..]) {
                at = level.parent[at] as usize;
                of_level.push(Link { group: at as u32, offset: below[at] });
                below[at] += r[k] as u32;
            }
        }
        links.push(of_level);
    }
    (below, links)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiers_moments::{RowSource, TreeLevel};

    fn level(name: &str, r: usize) -> Level {
        let (z, source) = ((0..r).collect(), (0..r).map(RowSource::Stored).collect());
        Level { name: name.to_owned(), grouping: 0, keys: Vec::new(), groups: 0, z, terms: vec![(0, 0)], source }
    }

    /// Classes 0 and 2 (two effects each) in school 0, class 1 in school 1; both in one district.
    #[test]
    fn columns_hold_the_descendants_of_their_group() {
        let of = |groups, parent: &[u32]| TreeLevel { groups, parent: parent.to_vec(), ..TreeLevel::default() };
        let tree = Tree { levels: vec![of(3, &[0, 1, 0]), of(2, &[0, 0]), of(1, &[])], labels: Vec::new() };
        let levels = [level("class", 2), level("school", 1), level("district", 1)];
        let pattern = Pattern::new(&levels, &tree).expect("small");
        let a = pattern.identity();
        let columns: Vec<Vec<u32>> = a.outer_iterator().map(|column| column.indices().to_vec()).collect();
        let classes = [vec![0], vec![0, 1], vec![2], vec![2, 3], vec![4], vec![4, 5]];
        assert_eq!(columns[..6], classes);
        assert_eq!(columns[6], [0, 1, 4, 5, 6], "school 0 with its classes");
        assert_eq!(columns[7], [2, 3, 7], "school 1 with its class");
        assert_eq!(columns[8], [0, 1, 2, 3, 4, 5, 6, 7, 8], "the district with all");
        assert!(a.iter().all(|(&value, (i, j))| value == f64::from(u8::from(i == j))));
        assert_eq!((pattern.place(5), pattern.place(7)), ((0, 2, 1), (1, 1, 0)));
    }
}
