//! One evaluation of a crossed design: log|A|, `C'V⁻¹C` and their first derivatives.

use super::basis::{Basis, transform};
use super::factor::{CoreState, Solved};
use super::leaf::{LeafShardState, Rows, neighbour};
use super::plan::CrossedPlan;
use crate::covariances::Covariances;
use crate::equations::Want;
use crate::row_buffers::{FBuffers, Pairs};
use crate::tree::small::apply;
use crate::tree::{Derivatives, Sums};
use rayon::prelude::*;
use std::convert::Infallible;
use tiers_moments::{Cross, Crossed, LeafShard, in_order, padded, vectorised};

/// Workspace of evaluations of a crossed design, which an evaluation overwrites. It holds three matrices of the
/// core.
#[derive(Clone, Debug)]
pub struct CrossedScratch {
    pub(super) leaf: Vec<LeafShardState>,
    pub(super) core: CoreState,
    /// S⁻¹, then D, in the layout of Ñ.
    pub(super) inverse: Vec<f64>,
}

impl CrossedScratch {
    /// Allocates memory for the evaluations of a design.
    pub fn new(plan: &CrossedPlan, design: &Crossed) -> Self {
        let size = plan.r * plan.r;
        let of_shard = |shard: &LeafShard| LeafShardState {
            t: vec![0.0; shard.groups * size],
            kernel: vec![0.0; shard.groups * size],
            log_det: 0.0,
        };
        let (c, matrix) = (plan.effects, vec![0.0; plan.entries()]);
        let l = if plan.structure.is_some() { Vec::new() } else { matrix.clone() };
        let core = CoreState {
            bases: Vec::new(),
            s: Vec::with_capacity(c),
            reduced: matrix.clone(),
            l,
            structure: plan.structure.clone(),
        };
        CrossedScratch { leaf: design.leaf.iter().map(of_shard).collect(), core, inverse: matrix }
    }
}

impl CrossedPlan {
    /// Evaluates a design at the relative covariances, as [`TreePlan::evaluate`](crate::TreePlan::evaluate) does a
    /// tree; levels are in the order of [`Crossed::levels`]. The sums are NaN if a pivot of the core is not positive
    /// in floating point.
    pub fn evaluate(&self, design: &Crossed, at: &Covariances, want: Want, scratch: &mut CrossedScratch) -> Sums {
        let Some(log_det) = self.eliminate(design, at, scratch) else {
            return self.undefined(want);
        };
        let rows = self.form_rows(design, &scratch.leaf, &scratch.core.bases, &Rows::of_design(design));
        let solved = scratch.core.solve(rows, self.m);
        let downdate = self.total_downdate(design, &scratch.leaf, &solved);
        let mut sums = Sums { log_det, downdate, derivatives: Vec::new() };
        if want == Want::Derivatives {
            sums.derivatives = self.derivatives(design, &solved, scratch);
        }
        sums
    }

    /// Eliminates the leaf and factors the core; returns log|A|, or `None` if a pivot is not positive.
    pub(super) fn eliminate(&self, design: &Crossed, at: &Covariances, scratch: &mut CrossedScratch) -> Option<f64> {
        let CrossedScratch { leaf, core, .. } = scratch;
        self.eliminate_leaf(design, &at.by_level()[0], leaf);
        core.bases = self.factors.iter().zip(&at.factors()[1..]).map(|(f, lambda)| Basis::new(f, lambda)).collect();
        core.s.clear();
        for (factor, basis) in self.factors.iter().zip(&core.bases) {
            (0..factor.groups).for_each(|_| core.s.extend(&basis.s));
        }
        self.form(design, leaf, &core.bases, &mut core.reduced);
        let of_core = core.factor()?;
        Some(leaf.iter().map(|state| state.log_det).sum::<f64>() + of_core)
    }

    /// Returns the sums of a point at which the core could not be factored.
    fn undefined(&self, want: Want) -> Sums {
        let width = padded(self.m);
        let cross = || Cross::restored(self.m, vec![f64::NAN; width * width]).expect("of this size");
        let of_level =
            |r: usize| Derivatives { h: vec![f64::NAN; r * r], cross: (0..r * (r + 1) / 2).map(|_| cross()).collect() };
        let levels = std::iter::once(self.r).chain(self.factors.iter().map(|f| f.r));
        let derivatives = if want == Want::Derivatives { levels.map(of_level).collect() } else { Vec::new() };
        Sums { log_det: f64::NAN, downdate: cross(), derivatives }
    }

    /// Computes what `C'WC` loses.
    fn total_downdate(&self, design: &Crossed, leaf: &[LeafShardState], solved: &Solved) -> Cross {
        let of_shard = |(shard, state): (&LeafShard, &LeafShardState)| {
            let mut cross = Cross::new(self.m);
            self.downdate(shard, state, &mut cross);
            cross
        };
        let mut total = self.sum_shards(design, leaf, 1, of_shard, Cross::merge).unwrap_or_else(|| Cross::new(self.m));
        let mut pairs = Pairs::new(padded(self.m));
        solved.half.chunks_exact(self.m).for_each(|row| pairs.push(row, row, &mut total));
        pairs.flush(&mut total);
        total
    }

    /// Adds up what `make` computes from the leaf's shards, each of about `matrices` m×m matrices.
    fn sum_shards<T: Send>(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        matrices: usize,
        make: impl Fn((&LeafShard, &LeafShardState)) -> T + Sync,
        merge: impl Fn(&mut T, &T),
    ) -> Option<T> {
        let width = padded(self.m);
        let at_once = in_order::at_once(8 * matrices * width * width, leaf.len());
        let shards = design.leaf.chunks(at_once).zip(leaf.chunks(at_once));
        let shards = shards.map(|(shards, states)| shards.par_iter().zip(states));
        let Ok(sum) = in_order::merged(shards, |shard| Ok::<_, Infallible>(make(shard)), merge);
        sum
    }

    /// Computes the derivatives of all levels, the leaf first; leaves D in the scratch.
    fn derivatives(&self, design: &Crossed, solved: &Solved, scratch: &mut CrossedScratch) -> Vec<Derivatives> {
        let CrossedScratch { leaf, core, inverse } = scratch;
        core.inverse(inverse);
        let own = core.own_blocks(self, inverse);
        core.covariances(self, inverse);
        let gf = self.spread_effects(core, solved);
        let mut out = vec![self.leaf_derivatives(design, leaf, inverse, &gf)];
        let f = core.residuals(solved);
        for (k, blocks) in own.iter().enumerate() {
            out.push(self.core_derivatives(core, k, blocks, &f));
        }
        out
    }

    /// Computes `GF` of the core, `M s x`, c×width.
    pub(super) fn spread_effects(&self, core: &CoreState, solved: &Solved) -> Vec<f64> {
        let mut out = solved.x.clone();
        let width = solved.width;
        out.chunks_exact_mut(width.max(1)).zip(&core.s).for_each(|(row, s)| row.iter_mut().for_each(|x| *x *= s));
        self.transform_rows(core, |basis| &basis.m, &mut out, width);
        out
    }

    /// Multiplies the rows of every group of the core by the given r×r matrix of its factor.
    pub(super) fn transform_rows(
        &self,
        core: &CoreState,
        of: impl Fn(&Basis) -> &[f64],
        rows: &mut [f64],
        width: usize,
    ) {
        let mut work = Vec::new();
        for (factor, basis) in self.factors.iter().zip(&core.bases) {
            let own = &mut rows[factor.first * width..(factor.first + factor.groups * factor.r) * width];
            let groups = own.chunks_exact_mut((factor.r * width).max(1));
            groups.for_each(|rows| transform(of(basis), false, rows, width, &mut work));
        }
    }

    /// Computes the derivatives by G of the leaf: `H_g = T_gN_g[z] - T_g (Σ_ab B_ga D_ab B_gb') T_g'`.
    fn leaf_derivatives(&self, design: &Crossed, leaf: &[LeafShardState], d: &[f64], gf: &[f64]) -> Derivatives {
        let r = self.r;
        let of_shard = |(shard, state): (&LeafShard, &LeafShardState)| {
            let mut out = no_derivatives(r, self.m);
            self.add_own_moments(shard, state, &mut out.h);
            self.leaf_cross(shard, state, gf, &mut out.cross);
            out
        };
        let merge = |sum: &mut Derivatives, other: &Derivatives| {
            sum.h.iter_mut().zip(&other.h).for_each(|(a, b)| *a += b);
            sum.cross.iter_mut().zip(&other.cross).for_each(|(a, b)| a.merge(b));
        };
        let sum = self.sum_shards(design, leaf, r * (r + 1) / 2, of_shard, merge);
        let mut out = sum.unwrap_or_else(|| no_derivatives(r, self.m));
        if self.structure.is_none() && self.is_plain() {
            out.h[0] -= self.explained_plain(design, leaf, d, |_, _, _| 1.0);
            return out;
        }
        for (k, factor) in self.factors.iter().enumerate() {
            let mut explained = vec![0.0; factor.groups * r * r];
            let (c, size) = (self.effects, if self.structure.is_some() { self.effects * factor.r } else { 0 });
            explained.par_chunks_exact_mut(r * r).enumerate().for_each_init(
                || vec![0.0; size],
                |columns, (group, out)| {
                    let (place, effects) = ((k, group), factor.effects(group));
                    let Some(structure) = &self.structure else {
                        let columns = &d[effects.start * c..effects.end * c];
                        return vectorised(
                            #[inline(always)]
                            || self.explained(design, leaf, columns, place, out),
                        );
                    };
                    let starts = &structure.pattern.starts;
                    self.scatter(structure, place, &d[starts[effects.start]..starts[effects.end]], columns);
                    vectorised(
                        #[inline(always)]
                        || self.explained(design, leaf, columns, place, out),
                    );
                    self.clear(structure, place, columns);
                },
            );
            for explained in explained.chunks_exact(r * r) {
                out.h.iter_mut().zip(explained).for_each(|(h, e)| *h -= e);
            }
        }
        out
    }

    /// Adds `T_gN_g[z]` of the leaf groups of a shard.
    fn add_own_moments(&self, shard: &LeafShard, state: &LeafShardState, h: &mut [f64]) {
        let (r, m) = (self.r, self.m);
        for (n, t) in shard.moments.chunks_exact(r * m).zip(state.t.chunks_exact(r * r)) {
            for i in 0..r {
                for (j, &c) in self.z.iter().enumerate() {
                    h[i * r + j] += (0..r).map(|s| t[i * r + s] * n[s * m + c]).sum::<f64>();
                }
            }
        }
    }

    /// Computes the part of `Σ_g Y_g D Y_g'` that a core group b and the later ones contribute, where `Y_g = T_gB_g`
    /// and g are the leaf groups that it meets. `columns` are D's of b, from b's own rows on.
    #[inline(always)]
    fn explained(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        columns: &[f64],
        (k, group): (usize, usize),
        out: &mut [f64],
    ) {
        let (r, c, factor) = (self.r, self.effects, &self.factors[k]);
        let (r_b, first) = (factor.r, factor.effects(group).start);
        if self.is_plain() {
            out[0] = self.explained_by_effect(design, leaf, columns, first, |_, _, _| 1.0);
            return;
        }
        let (mut left, mut inner) = (vec![0.0; r * r_b], vec![0.0; r * r]);
        let (mut half, mut whole) = (vec![0.0; r * r], vec![0.0; r * r]);
        for visit in self.visits(k, group) {
            let shard = &design.leaf[visit.shard as usize];
            let (_, own) = neighbour(shard, visit.entry as usize);
            left.fill(0.0);
            for entry in visit.entry as usize..shard.starts[visit.group as usize + 1] {
                let (a, block) = neighbour(shard, entry);
                let r_a = block.len() / r;
                for t in 0..r {
                    for j in 0..r_b {
                        let sum: f64 =
                            (0..r_a).map(|i| block[t * r_a + i] * entry_of(columns, c, a + i, first, j)).sum();
                        left[t * r_b + j] += if a == first { 0.5 * sum } else { sum };
                    }
                }
            }
            for s in 0..r {
                for t in 0..r {
                    inner[s * r + t] = (0..r_b).map(|j| left[s * r_b + j] * own[t * r_b + j]).sum();
                }
            }
            let at = visit.group as usize * r * r;
            let t = &leaf[visit.shard as usize].t[at..at + r * r];
            apply(t, &inner, r, r, &mut half);
            for i in 0..r {
                for j in 0..r {
                    whole[i * r + j] = (0..r).map(|s| half[i * r + s] * t[j * r + s]).sum();
                }
            }
            for i in 0..r {
                for j in 0..r {
                    out[i * r + j] += whole[i * r + j] + whole[j * r + i];
                }
            }
        }
    }

    /// Computes the derivatives by G of a factor of the core from F in its basis and the blocks of H.
    fn core_derivatives(&self, core: &CoreState, k: usize, blocks: &[f64], f: &[f64]) -> Derivatives {
        let (m, factor, basis) = (self.m, &self.factors[k], &core.bases[k]);
        let r = factor.r;
        let mut out = no_derivatives(r, m);
        let mut work = Vec::new();
        let mut h = vec![0.0; r * r];
        blocks.chunks_exact(r * r).for_each(|block| h.iter_mut().zip(block).for_each(|(h, b)| *h += b));
        // A sum of blocks is mapped as each block is: A H A' with A the inverse of M'.
        transform(&basis.dual, false, &mut h, r, &mut work);
        for i in 0..r {
            let row = &h[i * r..(i + 1) * r];
            for j in 0..r {
                out.h[i * r + j] = (0..r).map(|s| row[s] * basis.dual[j * r + s]).sum();
            }
        }
        let mut own = f[factor.first * m..(factor.first + factor.groups * r) * m].to_vec();
        let mut buffers = FBuffers::new(r, padded(m));
        for rows in own.chunks_exact_mut((r * m).max(1)) {
            transform(&basis.dual, false, rows, m, &mut work);
            buffers.push(rows, m, &mut out.cross);
        }
        buffers.flush(&mut out.cross);
        out
    }
}

/// Returns entry (i, j) of the own block or below it, from the columns of a core group.
#[inline(always)]
fn entry_of(columns: &[f64], c: usize, i: usize, first: usize, j: usize) -> f64 {
    match i < first + j {
        true => columns[(i - first) * c + first + j],
        false => columns[j * c + i],
    }
}

fn no_derivatives(r: usize, m: usize) -> Derivatives {
    Derivatives { h: vec![0.0; r * r], cross: (0..r * (r + 1) / 2).map(|_| Cross::new(m)).collect() }
}
