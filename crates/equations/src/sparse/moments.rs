//! The moments `Z_g'WC` of every group of every level, derived rows included.
//!
//! A shard stores a row of moments only at the finest level that has its z column; the rows of
//! coarser levels are sums over their descendants. The sparse equations need them all, at every
//! theta, so they are summed once: r·m numbers per group of a coarser level, of which there are few.

use std::borrow::Cow;
use tiers_moments::{Level, RowSource, Tree};

/// Per level, finest first, `Z_g'WC` of its groups: groups × r × m, row-major.
#[derive(Clone, Debug)]
pub(crate) struct GroupMoments<'a> {
    m: usize,
    levels: Vec<Cow<'a, [f64]>>,
}

impl<'a> GroupMoments<'a> {
    /// Sums the moments of one shard; those of the finest level stay where they are.
    pub(crate) fn new(levels: &[Level], tree: &'a Tree, m: usize) -> Self {
        let mut out = GroupMoments { m, levels: Vec::with_capacity(levels.len()) };
        for (k, level) in levels.iter().enumerate() {
            let stored = &tree.levels[k].moments;
            let whole = level.source.iter().enumerate().all(|(i, source)| *source == RowSource::Stored(i));
            let moments = match whole {
                true => Cow::Borrowed(&stored[..]),
                false => Cow::Owned(out.derive(levels, tree, m, k)),
            };
            out.levels.push(moments);
        }
        out
    }

    /// The moments of level k, those of the finer levels being there.
    fn derive(&self, levels: &[Level], tree: &Tree, m: usize, k: usize) -> Vec<f64> {
        let (level, groups) = (&levels[k], tree.levels[k].groups);
        let r = level.r();
        let kept = level.source.iter().filter(|source| matches!(source, RowSource::Stored(_))).count();
        let mut out = vec![0.0; groups * r * m];
        for (row, source) in level.source.iter().enumerate() {
            let target = |group: usize| (group * r + row) * m..(group * r + row + 1) * m;
            match *source {
                RowSource::Stored(i) => {
                    for group in 0..groups {
                        let from = &tree.levels[k].moments[(group * kept + i) * m..][..m];
                        out[target(group)].copy_from_slice(from);
                    }
                }
                RowSource::Sum(finer, i) => {
                    for group in 0..tree.levels[finer].groups {
                        let from = &self.levels[finer][(group * levels[finer].r() + i) * m..][..m];
                        let into = &mut out[target(ancestor(tree, finer, group, k))];
                        into.iter_mut().zip(from).for_each(|(sum, v)| *sum += v);
                    }
                }
            }
        }
        out
    }

    /// Columns of C, m.
    pub(crate) fn columns(&self) -> usize {
        self.m
    }

    /// The moments of one level.
    pub(crate) fn level(&self, k: usize) -> &[f64] {
        &self.levels[k]
    }
}

/// The group of level `above` in which a group of a finer level lies.
fn ancestor(tree: &Tree, level: usize, group: usize, above: usize) -> usize {
    (level..above).fold(group, |at, k| tree.levels[k].parent[at] as usize)
}
