//! Gathers the moments of the cells by the groups of a crossed design, and by pairs of groups that share rows.

use crate::moments::Moments;
use crate::structure::Level;
use crate::structure::factors::Factor;
use rayon::prelude::*;
use std::ops::Range;

/// The cells of every group of a factor, in the order of their first rows.
pub(super) struct CellsOfGroups {
    starts: Vec<usize>,
    /// Shard and cell.
    cells: Vec<(u32, u32)>,
}

impl CellsOfGroups {
    pub(super) fn new(factor: &Factor, moments: &Moments) -> Self {
        let mut starts = vec![0_usize; factor.groups + 1];
        factor.of_cell.iter().flatten().for_each(|&group| starts[group as usize + 1] += 1);
        (0..factor.groups).for_each(|group| starts[group + 1] += starts[group]);
        let mut next = starts.clone();
        let mut cells = vec![(0, 0); starts[factor.groups]];
        for (shard, groups) in factor.of_cell.iter().enumerate() {
            for (cell, &group) in groups.iter().enumerate() {
                cells[next[group as usize]] = (shard as u32, cell as u32);
                next[group as usize] += 1;
            }
        }
        // The order must not depend on the shards that the cells were summed in.
        let first_row = |&(shard, cell): &(u32, u32)| moments.shards[shard as usize].first_row[cell as usize];
        let mut rest = &mut cells[..];
        let mut groups = Vec::with_capacity(factor.groups);
        for window in starts.windows(2) {
            let (group, after) = rest.split_at_mut(window[1] - window[0]);
            groups.push(group);
            rest = after;
        }
        groups.into_par_iter().for_each(|group| group.sort_by_key(first_row));
        CellsOfGroups { starts, cells }
    }

    fn of(&self, group: usize) -> &[(u32, u32)] {
        &self.cells[self.starts[group]..self.starts[group + 1]]
    }
}

/// A factor that others share rows with.
pub(super) struct Partner<'a> {
    pub(super) factor: &'a Factor,
    pub(super) level: &'a Level,
    /// Its first effect in the core.
    pub(super) first: usize,
}

/// The moments of some groups of a factor, with the blocks between them and groups of other factors.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) rows: Vec<u64>,
    /// `Z_g'WC` of each group, r×m row-major.
    pub(super) moments: Vec<f64>,
    /// Number of partners of each group.
    pub(super) counts: Vec<usize>,
    /// First effects of the partners, ascending within a group.
    pub(super) partners: Vec<u32>,
    /// Number of entries of each block.
    pub(super) sizes: Vec<usize>,
    /// The blocks, row-major.
    pub(super) blocks: Vec<f64>,
}

/// Sums cells by the groups of one factor.
pub(super) struct Gatherer<'a> {
    pub(super) moments: &'a Moments,
    pub(super) level: &'a Level,
    pub(super) cells: &'a CellsOfGroups,
    pub(super) partners: &'a [Partner<'a>],
}

impl Gatherer<'_> {
    /// Gathers some groups. The sums of a group are taken in the order of its cells.
    pub(super) fn gather(&self, groups: Range<usize>) -> Gathered {
        let summands = &self.moments.summands;
        let row = |column: &usize| summands.z.iter().position(|z| z == column).expect("z columns are summed");
        let own: Vec<usize> = self.level.z.iter().map(row).collect();
        let mut out = Gathered::default();
        // First effect of the partner's group, the partner, and the position of the cell.
        let mut meetings: Vec<(u32, u32, u32)> = Vec::new();
        for group in groups {
            self.add_group(group, &own, &mut out, &mut meetings);
        }
        out
    }

    fn add_group(&self, group: usize, own: &[usize], out: &mut Gathered, meetings: &mut Vec<(u32, u32, u32)>) {
        let m = self.moments.summands.m;
        let cells = self.cells.of(group);
        let start = out.moments.len();
        out.moments.resize(start + own.len() * m, 0.0);
        let mut rows = 0;
        meetings.clear();
        for (position, &(shard, cell)) in cells.iter().enumerate() {
            rows += self.moments.shards[shard as usize].counts[cell as usize];
            for (into, &row) in out.moments[start..].chunks_exact_mut(m).zip(own) {
                into.iter_mut().zip(self.row(shard, cell, row)).for_each(|(sum, v)| *sum += v);
            }
            for (p, partner) in self.partners.iter().enumerate() {
                let group = partner.factor.of_cell[shard as usize][cell as usize] as usize;
                let first = partner.first + group * partner.level.r();
                meetings.push((first as u32, p as u32, position as u32));
            }
        }
        out.rows.push(rows);
        meetings.sort_unstable();
        let mut count = 0;
        for meeting in meetings.chunk_by(|a, b| a.0 == b.0) {
            let z = &self.partners[meeting[0].1 as usize].level.z;
            let start = out.blocks.len();
            out.blocks.resize(start + own.len() * z.len(), 0.0);
            for &(_, _, position) in meeting {
                let (shard, cell) = cells[position as usize];
                for (into, &row) in out.blocks[start..].chunks_exact_mut(z.len()).zip(own) {
                    let values = self.row(shard, cell, row);
                    into.iter_mut().zip(z).for_each(|(sum, &c)| *sum += values[c]);
                }
            }
            out.partners.push(meeting[0].0);
            out.sizes.push(own.len() * z.len());
            count += 1;
        }
        out.counts.push(count);
    }

    /// Row of `z'WC` of a cell.
    fn row(&self, shard: u32, cell: u32, row: usize) -> &[f64] {
        let summands = &self.moments.summands;
        let start = cell as usize * summands.per_cell() + row * summands.m;
        &self.moments.shards[shard as usize].sums[start..start + summands.m]
    }
}

/// Returns the start of each of some consecutive pieces, followed by the end of the last.
pub(super) fn starts(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut out = vec![0];
    let mut end = 0;
    out.extend(lengths.map(|length| {
        end += length;
        end
    }));
    out
}
