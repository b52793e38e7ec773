//! How the factors of a crossed design relate: which lies within which, and which may be meant to.

use crate::structure::Crossed;

/// A factor whose labels may be reused within every group of another, as class 1 of every school.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reused {
    /// The level whose labels may be reused.
    pub inner: usize,
    /// The level within whose groups they may be.
    pub outer: usize,
    /// Number of pairs of their groups that share rows.
    pub pairs: usize,
}

/// A factor with more groups than this does not number groups within those of another.
const FEW: usize = 50;

/// Labels may be reused if at least this share of the pairs of groups share rows.
const NEARLY_ALL: f64 = 0.6;

/// Pairs of reused labels stand for groups, which have more rows than this on average.
const ROWS: u64 = 2;

impl Crossed {
    /// Returns the number of pairs of groups of two levels that share rows.
    pub fn pairs_of(&self, one: usize, other: usize) -> usize {
        let (a, b) = (one.min(other), one.max(other));
        let (factor, r) = (&self.core[b - 1], self.levels[b].r());
        let effects = factor.first as u32..(factor.first + factor.groups * r) as u32;
        let count = |partners: &[u32]| partners.iter().filter(|first| effects.contains(first)).count();
        match a {
            0 => self.leaf.iter().map(|shard| count(&shard.neighbours)).sum(),
            _ => {
                let before: usize = self.core[..a - 1].iter().map(|factor| factor.groups).sum();
                let starts = &self.pairs.starts;
                count(&self.pairs.partners[starts[before]..starts[before + self.core[a - 1].groups]])
            }
        }
    }

    /// Whether every group of one level lies within one group of another.
    pub fn is_within(&self, level: usize, other: usize) -> bool {
        level != other && self.pairs_of(level, other) == self.levels[level].groups
    }

    /// Returns two levels neither of which lies within the other.
    pub fn crossing(&self) -> (usize, usize) {
        let pairs = (0..self.levels.len()).flat_map(|a| (a + 1..self.levels.len()).map(move |b| (a, b)));
        let mut crossing = pairs.filter(|&(a, b)| !self.is_within(a, b) && !self.is_within(b, a));
        crossing.next().expect("a design whose levels all lie within each other is a nest")
    }

    /// Returns the level within whose groups those of all other levels lie, if there is one.
    pub fn top(&self) -> Option<usize> {
        let levels = 0..self.levels.len();
        levels.clone().find(|&top| levels.clone().all(|level| level == top || self.is_within(level, top)))
    }

    /// Returns a factor whose labels are probably reused within every group of another: one of few groups, most of
    /// which share several rows with most groups of the other, so that the model would be a nest if pairs of both
    /// labels were its groups.
    pub fn reused(&self) -> Option<Reused> {
        let levels = 0..self.levels.len();
        let pairs = levels.clone().flat_map(|inner| levels.clone().map(move |outer| (inner, outer)));
        let candidate = |(inner, outer): (usize, usize)| {
            let pairs = self.pairs_of_reused(inner, outer)?;
            Some(Reused { inner, outer, pairs })
        };
        pairs.filter(|(inner, outer)| inner != outer).find_map(candidate)
    }

    fn pairs_of_reused(&self, inner: usize, outer: usize) -> Option<usize> {
        let groups = |level: usize| self.levels[level].groups;
        let is_later = (groups(inner), outer) > (groups(outer), inner);
        let nested = self.is_within(inner, outer) || self.is_within(outer, inner);
        if groups(inner) > FEW || is_later || nested {
            return None;
        }
        let pairs = self.pairs_of(inner, outer);
        let is_dense = pairs as f64 >= NEARLY_ALL * (groups(inner) * groups(outer)) as f64;
        let nests = |level: usize| {
            let within_both = self.is_within(level, inner) && self.is_within(level, outer);
            // A level with a group for each pair is the one that the formula would need.
            (within_both && groups(level) > pairs) || self.is_within(outer, level)
        };
        let mut others = (0..self.levels.len()).filter(|level| ![inner, outer].contains(level));
        (is_dense && self.rows > ROWS * pairs as u64 && others.all(nests)).then_some(pairs)
    }
}
