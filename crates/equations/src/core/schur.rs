//! What the elimination of the leaf leaves of the core.
//!
//! ```text
//! Ñ_ab = Z_a'WZ_b - Σ_g B_ga'K_gB_gb          over the leaf groups g that meet both
//! Ñ_aC = Z_a'WC   - Σ_g B_ga'K_gN_g           B_ga = Z_g'WZ_a
//! ```
//!
//! Where a column of a core group is also one of the leaf's, `Z_a'WZ_a` is itself a sum over leaf groups, of rows
//! of `B_ga`. The difference is then taken within each leaf group, where nothing cancels: with P the selection of
//! these columns among the leaf's,
//!
//! ```text
//! P'B - B'KB = (T B)'P + B'K (N[z]P - B)      = (T B)'P if the core group contains the leaf group
//! ```
//!
//! If every leaf group is within one group of the factor, this also holds of the rows `Ñ_aC` and `Ñ_ab`, as it does
//! for the rows of an ancestor in a nest.
//!
//! A thread forms whole columns, going through the leaf groups in their order.

use super::basis::{Basis, transform};
use super::leaf::{LeafShardState, Rows, neighbour};
use super::plan::{CrossedPlan, Visit};
use crate::tree::small::{add_scaled, apply};
use pulp::Arch;
use rayon::prelude::*;
use tiers_moments::{Crossed, LeafShard};

/// A leaf group as a core group b meets it.
struct Meeting<'a> {
    shard: &'a LeafShard,
    group: usize,
    t: &'a [f64],
    block: &'a [f64],
    /// `K_gB_gb` and `T_gB_gb`, r×r_b.
    kb: Vec<f64>,
    tb: Vec<f64>,
}

impl<'a> Meeting<'a> {
    #[inline(always)]
    fn new(
        plan: &CrossedPlan,
        design: &'a Crossed,
        leaf: &'a [LeafShardState],
        visit: Visit,
        buffers: (Vec<f64>, Vec<f64>),
    ) -> Self {
        let (r, group) = (plan.r, visit.group as usize);
        let (shard, state) = (&design.leaf[visit.shard as usize], &leaf[visit.shard as usize]);
        let (_, block) = neighbour(shard, visit.entry as usize);
        let own = group * r * r..(group + 1) * r * r;
        let (mut kb, mut tb) = buffers;
        let (t, kernel) = (&state.t[own.clone()], &state.kernel[own]);
        apply(kernel, block, r, block.len() / r, &mut kb);
        apply(t, block, r, block.len() / r, &mut tb);
        Meeting { shard, group, t, block, kb, tb }
    }

    fn into_buffers(self) -> (Vec<f64>, Vec<f64>) {
        (self.kb, self.tb)
    }
}

impl CrossedPlan {
    /// Forms `M'ÑM` in the bases of the factors: c×c column-major, lower triangle, or on the pattern.
    pub(super) fn form(&self, design: &Crossed, leaf: &[LeafShardState], bases: &[Basis], out: &mut [f64]) {
        if let Some(structure) = &self.structure {
            return self.form_on_pattern(structure, design, leaf, bases, out);
        }
        let c = self.effects;
        let mut rest = out;
        for (k, factor) in self.factors.iter().enumerate() {
            let (own, next) = rest.split_at_mut(factor.groups * factor.r * c);
            rest = next;
            own.par_chunks_mut(factor.r * c).enumerate().for_each(|(group, columns)| {
                Arch::new().dispatch(|| {
                    columns.fill(0.0);
                    self.add_pairs(design, k, group, columns);
                    self.add_meetings(design, leaf, k, group, columns);
                    self.transform_columns(bases, &|basis| &basis.m[..], true, (k, group), columns);
                });
            });
        }
    }

    /// Adds `Z_b'WZ_a` of the partners a of a core group b.
    #[inline(always)]
    pub(super) fn add_pairs(&self, design: &Crossed, k: usize, group: usize, columns: &mut [f64]) {
        let (c, plan, pairs) = (self.effects, &self.factors[k], &design.pairs);
        let number = plan.first_group + group;
        for pair in pairs.starts[number]..pairs.starts[number + 1] {
            let first = pairs.partners[pair] as usize;
            let block = &pairs.blocks[pairs.block_starts[pair]..pairs.block_starts[pair + 1]];
            let partner = &self.factors[self.place(first).0];
            for (i, row) in block.chunks_exact(partner.r).enumerate() {
                for (j, &value) in row.iter().enumerate() {
                    if plan.summed(i).is_none() && partner.summed(j).is_none() {
                        columns[i * c + first + j] = value;
                    }
                }
            }
        }
    }

    /// Adds the own block of a core group, and subtracts what its leaf groups explain.
    #[inline(always)]
    pub(super) fn add_meetings(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        k: usize,
        group: usize,
        columns: &mut [f64],
    ) {
        if self.is_plain_from(k) {
            return self.add_plain_meetings(design, leaf, (k, group), columns);
        }
        let (c, m, plan) = (self.effects, self.m, &self.factors[k]);
        let (r, first) = (plan.r, plan.first + group * plan.r);
        let moments = &design.core[k].moments[group * r * m..(group + 1) * r * m];
        let mut own = vec![0.0; r * r];
        for i in 0..r {
            for j in i..r {
                if plan.in_leaf[i].is_none() && plan.in_leaf[j].is_none() {
                    own[i * r + j] = moments[i * m + plan.z[j]];
                }
            }
        }
        let mut buffers = (vec![0.0; self.r * r], vec![0.0; self.r * r]);
        for &visit in self.visits(k, group) {
            let meeting = Meeting::new(self, design, leaf, visit, buffers);
            self.add_own(k, &meeting, visit.whole, &mut own);
            self.subtract_others(k, &meeting, visit, columns);
            buffers = meeting.into_buffers();
        }
        for i in 0..r {
            for j in i..r {
                columns[i * c + first + j] = own[i * r + j];
            }
        }
    }

    /// Whether the leaf and all factors have one coefficient, so that blocks are numbers, one after the other, and
    /// none of the core factors from k on has rows that are sums over leaf groups.
    #[inline(always)]
    fn is_plain_from(&self, k: usize) -> bool {
        self.r == 1 && self.factors.iter().all(|f| f.r == 1) && self.factors[k..].iter().all(|f| f.summed(0).is_none())
    }

    /// [`CrossedPlan::add_meetings`] where blocks are numbers.
    #[inline(always)]
    fn add_plain_meetings(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        (k, group): (usize, usize),
        column: &mut [f64],
    ) {
        let (m, plan) = (self.m, &self.factors[k]);
        let z = plan.z[0];
        let in_leaf = plan.in_leaf[0].is_some();
        let mut own = if in_leaf { 0.0 } else { design.core[k].moments[group * m + z] };
        for visit in self.visits(k, group) {
            let (shard, number) = (&design.leaf[visit.shard as usize], visit.group as usize);
            let state = &leaf[visit.shard as usize];
            let range = visit.entry as usize..shard.starts[number + 1];
            let (neighbours, blocks) = (&shard.neighbours[range.clone()], &shard.blocks[range]);
            let b = blocks[0];
            let kb = state.kernel[number] * b;
            own += match (in_leaf, visit.whole) {
                (true, true) => state.t[number] * b,
                (true, false) => state.t[number] * b + kb * (shard.moments[number * m + z] - b),
                (false, _) => -kb * b,
            };
            for (&a, b) in neighbours[1..].iter().zip(&blocks[1..]) {
                column[a as usize] -= b * kb;
            }
        }
        column[plan.effects(group).start] = own;
    }

    /// Adds a leaf group's part of the own block of a core group.
    #[inline(always)]
    fn add_own(&self, k: usize, meeting: &Meeting<'_>, whole: bool, own: &mut [f64]) {
        let (m, plan) = (self.m, &self.factors[k]);
        let r = plan.r;
        let n = &meeting.shard.moments[meeting.group * self.r * m..];
        // Entry (i, j) of P'B - B'KB, where column j is the leaf's column s.
        let summed = |i: usize, j: usize, s: usize| {
            let mut sum = meeting.tb[s * r + i];
            if !whole {
                let left = |t: usize| n[t * m + plan.z[j]] - meeting.block[t * r + j];
                sum += (0..self.r).map(|t| meeting.kb[t * r + i] * left(t)).sum::<f64>();
            }
            sum
        };
        for i in 0..r {
            for j in i..r {
                own[i * r + j] += match (plan.in_leaf[i], plan.in_leaf[j]) {
                    (_, Some(s)) => summed(i, j, s),
                    (Some(s), None) => summed(j, i, s),
                    (None, None) => -(0..self.r).map(|t| meeting.kb[t * r + i] * meeting.block[t * r + j]).sum::<f64>(),
                };
            }
        }
    }

    /// Adds a leaf group's part of the blocks between a core group and the later ones that it meets.
    #[inline(always)]
    fn subtract_others(&self, k: usize, meeting: &Meeting<'_>, visit: Visit, columns: &mut [f64]) {
        let (c, plan) = (self.effects, &self.factors[k]);
        let (r, shard) = (plan.r, meeting.shard);
        for entry in visit.entry as usize + 1..shard.starts[meeting.group + 1] {
            let (first, block) = neighbour(shard, entry);
            let other = &self.factors[self.place(first).0];
            for i in 0..r {
                for j in 0..other.r {
                    let column = |t: usize| block[t * other.r + j];
                    columns[i * c + first + j] += match (plan.summed(i), other.summed(j)) {
                        (Some(s), _) => (0..self.r).map(|t| meeting.t[s * self.r + t] * column(t)).sum::<f64>(),
                        (None, Some(s)) => meeting.tb[s * r + i],
                        (None, None) => -(0..self.r).map(|t| meeting.kb[t * r + i] * column(t)).sum::<f64>(),
                    };
                }
            }
        }
    }

    /// Multiplies the columns of a core group from both sides: by the transposes of the matrices of the factors if
    /// `transposed`, else by the matrices. Only rows from the group's own on are read and written.
    #[inline(always)]
    pub(super) fn transform_columns<'a>(
        &self,
        bases: &'a [Basis],
        of: &(impl Fn(&'a Basis) -> &'a [f64] + Sync),
        transposed: bool,
        (k, group): (usize, usize),
        columns: &mut [f64],
    ) {
        let (c, r) = (self.effects, self.factors[k].r);
        let first = self.factors[k].effects(group).start;
        // The own block is read whole.
        for i in 0..r {
            for j in 0..i {
                columns[i * c + first + j] = columns[j * c + first + i];
            }
        }
        let mut work = Vec::new();
        transform(of(&bases[k]), transposed, columns, c, &mut work);
        for column in columns.chunks_exact_mut(c) {
            for (factor, basis) in self.factors.iter().zip(bases).skip(k) {
                let rows = &mut column[factor.first.max(first)..factor.first + factor.groups * factor.r];
                let matrix = of(basis);
                match factor.r {
                    1 => rows.iter_mut().for_each(|x| *x *= matrix[0]),
                    r => rows.chunks_exact_mut(r).for_each(|rows| transform(matrix, transposed, rows, 1, &mut work)),
                }
            }
        }
    }

    /// Forms the rows `M'Ñ_aB` of the core, c×width row-major.
    pub(super) fn form_rows(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        bases: &[Basis],
        rows: &Rows<'_>,
    ) -> Vec<f64> {
        let width = rows.width;
        let mut out = vec![0.0; self.effects * width];
        let mut rest = &mut out[..];
        for (k, factor) in self.factors.iter().enumerate() {
            let (own, next) = rest.split_at_mut(factor.groups * factor.r * width);
            rest = next;
            own.par_chunks_mut((factor.r * width).max(1)).enumerate().for_each(|(group, out)| {
                Arch::new().dispatch(|| {
                    self.rows_of(design, leaf, rows, (k, group), out);
                    transform(&bases[k].m, true, out, width, &mut Vec::new());
                });
            });
        }
        out
    }

    /// Computes the rows of one core group.
    #[inline(always)]
    fn rows_of(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        rows: &Rows<'_>,
        (k, group): (usize, usize),
        out: &mut [f64],
    ) {
        let (width, plan) = (rows.width, &self.factors[k]);
        let r = plan.r;
        out.copy_from_slice(&rows.core[k][group * r * width..(group + 1) * r * width]);
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            if plan.summed(i).is_some() {
                out.fill(0.0);
            }
        }
        let mut buffers = (vec![0.0; self.r * r], vec![0.0; self.r * r]);
        for &visit in self.visits(k, group) {
            let meeting = Meeting::new(self, design, leaf, visit, buffers);
            let n = &rows.leaf[visit.shard as usize][meeting.group * self.r * width..][..self.r * width];
            for (i, out) in out.chunks_exact_mut(width).enumerate() {
                for (t, n) in n.chunks_exact(width).enumerate() {
                    let factor = match plan.summed(i) {
                        Some(s) => meeting.t[s * self.r + t],
                        None => -meeting.kb[t * r + i],
                    };
                    add_scaled(out, factor, n);
                }
            }
            buffers = meeting.into_buffers();
        }
    }
}
