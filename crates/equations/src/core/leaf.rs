//! The elimination of the leaf, group by group.

use super::plan::CrossedPlan;
use crate::log_sum::LogSum;
use crate::row_buffers::{FBuffers, Pairs};
use crate::tree::small::{add_scaled, apply, invert, multiply, symmetrise};
use rayon::prelude::*;
use tiers_moments::{Cross, Crossed, LeafShard, padded, vectorised};

/// Rows `Z'WB` of the groups for some columns B: those of C or combinations of them.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    /// Number of columns.
    pub(super) width: usize,
    /// Those of the leaf groups by shard, r×width each.
    pub(super) leaf: Vec<&'a [f64]>,
    /// Those of the core groups by factor, r×width each.
    pub(super) core: Vec<&'a [f64]>,
}

impl<'a> Rows<'a> {
    /// Returns the moments of a design, the rows of C.
    pub(super) fn of_design(design: &'a Crossed) -> Self {
        Rows {
            width: design.m,
            leaf: design.leaf.iter().map(|shard| &shard.moments[..]).collect(),
            core: design.core.iter().map(|factor| &factor.moments[..]).collect(),
        }
    }
}

/// Quantities of the leaf groups of one shard at one G, r×r each.
#[derive(Clone, Debug, Default)]
pub(super) struct LeafShardState {
    /// `T_g = (I + N_g[z] G)⁻¹`.
    pub(super) t: Vec<f64>,
    /// `K_g = G T_g`.
    pub(super) kernel: Vec<f64>,
    /// `Σ log|I + N_g[z] G|`.
    pub(super) log_det: f64,
}

impl CrossedPlan {
    /// Computes T and K of all leaf groups and their log-determinants.
    pub(super) fn eliminate_leaf(&self, design: &Crossed, g: &[f64], out: &mut [LeafShardState]) {
        out.par_iter_mut().zip(&design.leaf).with_max_len(1).for_each(|(state, shard)| {
            vectorised(
                #[inline(always)]
                || self.eliminate_shard(shard, g, state),
            );
        });
    }

    #[inline(always)]
    fn eliminate_shard(&self, shard: &LeafShard, g: &[f64], state: &mut LeafShardState) {
        let (r, m) = (self.r, self.m);
        let mut log_det = LogSum::new();
        let groups = shard.moments.chunks_exact(r * m);
        let states = state.t.chunks_exact_mut(r * r).zip(state.kernel.chunks_exact_mut(r * r));
        for (n, (t, kernel)) in groups.zip(states) {
            for i in 0..r {
                for j in 0..r {
                    let sum: f64 = self.z.iter().enumerate().map(|(s, &c)| n[i * m + c] * g[s * r + j]).sum();
                    t[i * r + j] = sum + f64::from(u8::from(i == j));
                }
            }
            log_det.add(invert(t, r));
            multiply(g, t, r, kernel);
            symmetrise(kernel, r);
        }
        state.log_det = log_det.total();
    }

    /// Computes `Σ N_g'K_gN_g` of one shard.
    pub(super) fn downdate(&self, shard: &LeafShard, state: &LeafShardState, into: &mut Cross) {
        let (r, m) = (self.r, self.m);
        vectorised(
            #[inline(always)]
            || {
                let mut pairs = Pairs::new(padded(m));
                let mut kn = vec![0.0; r * m];
                for (n, kernel) in shard.moments.chunks_exact(r * m).zip(state.kernel.chunks_exact(r * r)) {
                    apply(kernel, n, r, m, &mut kn);
                    kn.chunks_exact(m).zip(n.chunks_exact(m)).for_each(|(kn, n)| pairs.push(kn, n, into));
                }
                pairs.flush(into);
            },
        );
    }

    /// Calls `with` with every leaf group of a shard and `F_g = T_g (N_g - Σ_a B_ga (GF)_a)` over its
    /// neighbours a, r×width. `gf` holds GF of the core, a row per effect.
    #[inline(always)]
    pub(super) fn residualise_leaf(
        &self,
        shard: &LeafShard,
        state: &LeafShardState,
        (rows, width): (&[f64], usize),
        gf: &[f64],
        mut with: impl FnMut(usize, &[f64]),
    ) {
        let r = self.r;
        let (mut left, mut f) = (vec![0.0; r * width], vec![0.0; r * width]);
        for group in 0..shard.groups {
            left.copy_from_slice(&rows[group * r * width..(group + 1) * r * width]);
            for entry in shard.starts[group]..shard.starts[group + 1] {
                let (first, block) = neighbour(shard, entry);
                let columns = block.len() / r;
                for (left, b) in left.chunks_exact_mut(width).zip(block.chunks_exact(columns)) {
                    for (j, &b) in b.iter().enumerate() {
                        add_scaled(left, -b, &gf[(first + j) * width..(first + j + 1) * width]);
                    }
                }
            }
            apply(&state.t[group * r * r..(group + 1) * r * r], &left, r, width, &mut f);
            with(group, &f);
        }
    }

    /// Adds `Σ_g F_a'F_b` over the leaf groups of a shard for each pair of coefficients.
    pub(super) fn leaf_cross(&self, shard: &LeafShard, state: &LeafShardState, gf: &[f64], into: &mut [Cross]) {
        let m = self.m;
        vectorised(
            #[inline(always)]
            || {
                let mut buffers = FBuffers::new(self.r, padded(m));
                self.residualise_leaf(shard, state, (&shard.moments, m), gf, |_, f| buffers.push(f, m, into));
                buffers.flush(into);
            },
        );
    }
}

/// Returns the first effect of a neighbour and its block, r_g×r_a.
#[inline(always)]
pub(super) fn neighbour(shard: &LeafShard, entry: usize) -> (usize, &[f64]) {
    (shard.neighbours[entry] as usize, &shard.blocks[shard.block_starts[entry]..shard.block_starts[entry + 1]])
}
