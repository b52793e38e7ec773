//! Traces of second derivatives, `tr(V⁻¹V_iV⁻¹V_j)`, by contractions of blocks of `H = Z'V⁻¹Z`.
//!
//! For two levels with groups g and h, the entries E_ab of the first and E_cd of the second contribute
//!
//! ```text
//! tr(H_hg E_ab H_gh E_cd) = H_gh[a, d] H_gh[b, c]
//! ```
//!
//! so that all directions of the two levels need only `Φ[(a, d), (b, c)] = Σ_gh H_gh[a, d] H_gh[b, c]`, the
//! cross-products of the blocks as vectors. Between factors of the core H is given. Between a leaf group and the core
//! it is `H_gc = Y_g E`, with `Y_g = T_gB_g` at the group's neighbours, so that with `Q_ab = Σ_g Y_g[a]'Y_g[b]` the sums
//! are diagonal blocks of `E'Q_ab E`. Between two leaf groups it is `H_gh = δ_gh T_gN_g[z] - Y_g D Y_h'`, of which the
//! last term needs `tr(D Q_ab D Q_cd)`. Both follow from `E'Q_ab`, as `D = G E'`: one product of the size of the core
//! for each pair of the leaf's coefficients.

use super::dense;
use super::leaf::{LeafShardState, neighbour};
use super::plan::{CrossedPlan, FactorPlan};
use super::whole::Whole;
use crate::tree::small::{add_scaled, apply};
use rayon::prelude::*;
use tiers_moments::{Crossed, LeafShard, vectorised};

/// Φ of two levels with r and s coefficients: (rs)×(rs), over pairs (a, d).
#[derive(Clone, Debug)]
pub(super) struct Phi {
    r: usize,
    s: usize,
    sums: Vec<f64>,
}

impl Phi {
    fn new(r: usize, s: usize) -> Self {
        Phi { r, s, sums: vec![0.0; r * s * r * s] }
    }

    /// Adds a block H_gh, whose entry (a, d) `block` returns.
    #[inline(always)]
    fn add(&mut self, block: impl Fn(usize, usize) -> f64) {
        let (s, size) = (self.s, self.r * self.s);
        for p in 0..size {
            for q in 0..size {
                self.sums[p * size + q] += block(p / s, p % s) * block(q / s, q % s);
            }
        }
    }

    fn merge(&mut self, other: &Phi) {
        self.sums.iter_mut().zip(&other.sums).for_each(|(a, b)| *a += b);
    }

    /// Returns `tr(V⁻¹V_iV⁻¹V_j)` for the entry (a, b) of the first level and (c, d) of the second, each with its
    /// mirror.
    pub(super) fn trace(&self, (a, b): (usize, usize), (c, d): (usize, usize)) -> f64 {
        let (s, size) = (self.s, self.r * self.s);
        let one = |a: usize, b: usize, c: usize, d: usize| self.sums[(a * s + d) * size + b * s + c];
        let over_first = |c: usize, d: usize| one(a, b, c, d) + if a == b { 0.0 } else { one(b, a, c, d) };
        over_first(c, d) + if c == d { 0.0 } else { over_first(d, c) }
    }
}

impl CrossedPlan {
    /// Computes Φ of two factors of the core.
    pub(super) fn core_phi(&self, whole: &Whole, k: usize, l: usize) -> Phi {
        let (c, first, second) = (self.effects, &self.factors[k], &self.factors[l]);
        let of_group = |h: usize| {
            let mut phi = Phi::new(first.r, second.r);
            let columns = &whole.h[second.effects(h).start * c..second.effects(h).end * c];
            if first.r == 1 && second.r == 1 {
                let rows = &columns[first.first..first.first + first.groups];
                phi.sums[0] = vectorised(
                    #[inline(always)]
                    || products(rows, rows),
                );
                return phi;
            }
            for g in 0..first.groups {
                let start = first.effects(g).start;
                phi.add(|a, d| columns[d * c + start + a]);
            }
            phi
        };
        let groups: Vec<Phi> = (0..second.groups).into_par_iter().map(of_group).collect();
        total(Phi::new(first.r, second.r), &groups)
    }

    /// Computes Φ of the leaf with itself and with each factor of the core; `g` are the relative covariances of the
    /// levels.
    pub(super) fn leaf_phi(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        whole: &Whole,
        g: &[Vec<f64>],
    ) -> (Phi, Vec<Phi>) {
        let (r, c) = (self.r, self.effects);
        let mut own = match self.is_plain() {
            true => self.plain_own_phi(design, leaf, whole),
            false => self.own_phi(design, leaf, whole),
        };
        let mut with_core: Vec<Phi> = self.factors.iter().map(|f| Phi::new(r, f.r)).collect();
        let mut q = vec![0.0; c * c];
        // D Q_ab of all (a, b).
        let mut products: Vec<Vec<f64>> = Vec::with_capacity(r * r);
        for ab in 0..r * r {
            match self.is_plain() {
                true => self.form_plain_q(design, leaf, |_, _, _| 1.0, &mut q),
                false => self.form_q(design, leaf, (ab / r, ab % r), &mut q),
            }
            let mut product = vec![0.0; c * c];
            dense::product(&whole.e, &q, c, &mut product);
            self.add_with_core((ab / r, ab % r), &product, whole, &mut with_core);
            product.par_chunks_exact_mut(c).for_each(|column| self.transform_column(|k| &g[k + 1], column));
            products.push(product);
        }
        for ab in 0..r * r {
            for cd in 0..r * r {
                let (a, b, column, d) = (ab / r, ab % r, cd / r, cd % r);
                own.sums[(a * r + d) * r * r + b * r + column] += trace_of_product(&products[ab], &products[cd], c);
            }
        }
        (own, with_core)
    }

    /// Adds the sums of the leaf's coefficients (a, b) with each factor of the core, from `P = E'Q_ab`.
    fn add_with_core(&self, (a, b): (usize, usize), p: &[f64], whole: &Whole, phi: &mut [Phi]) {
        let c = self.effects;
        // Σ_h P[hd, j] E[j, hc] of one effect j, for each (d, c) of each factor.
        let of_effect = |(p, e): (&[f64], &[f64])| {
            let of_factor = |factor: &FactorPlan| {
                let (s, range) = (factor.r, factor.first..factor.first + factor.groups * factor.r);
                let (p, e) = (&p[range.clone()], &e[range]);
                if s == 1 {
                    return vec![vectorised(
                        #[inline(always)]
                        || products(p, e),
                    )];
                }
                let mut sums = vec![0.0; s * s];
                for (p, e) in p.chunks_exact(s).zip(e.chunks_exact(s)) {
                    p.iter().zip(sums.chunks_exact_mut(s)).for_each(|(&p, sums)| add_scaled(sums, p, e));
                }
                sums
            };
            self.factors.iter().map(of_factor).collect::<Vec<_>>()
        };
        let effects: Vec<Vec<Vec<f64>>> =
            p.par_chunks_exact(c).zip(whole.e.par_chunks_exact(c)).map(of_effect).collect();
        for of_effect in &effects {
            for (phi, sums) in phi.iter_mut().zip(of_effect) {
                let (s, size) = (phi.s, phi.r * phi.s);
                for (dc, sum) in sums.iter().enumerate() {
                    phi.sums[(a * s + dc / s) * size + b * s + dc % s] += sum;
                }
            }
        }
    }

    /// Computes Φ of the leaf with itself but for the squares of what the core explains.
    fn own_phi(&self, design: &Crossed, leaf: &[LeafShardState], whole: &Whole) -> Phi {
        let (r, c) = (self.r, self.effects);
        let of_shard = |(shard, state): (&LeafShard, &LeafShardState)| {
            let mut phi = Phi::new(r, r);
            let mut buffers = (Vec::new(), Vec::new());
            for group in 0..shard.groups {
                let own = self.own_moments(shard, state, group);
                let explained = self.explained_by_core(shard, state, group, |i, j| whole.d[i * c + j], &mut buffers);
                for p in 0..r * r {
                    for q in 0..r * r {
                        phi.sums[p * r * r + q] += own[p] * own[q] - own[p] * explained[q] - explained[p] * own[q];
                    }
                }
            }
            phi
        };
        let shards: Vec<Phi> = design.leaf.par_iter().zip(leaf).with_max_len(1).map(of_shard).collect();
        total(Phi::new(r, r), &shards)
    }

    /// [`CrossedPlan::own_phi`] where blocks are numbers.
    fn plain_own_phi(&self, design: &Crossed, leaf: &[LeafShardState], whole: &Whole) -> Phi {
        let (m, z) = (self.m, self.z[0]);
        let own =
            |shard: &LeafShard, state: &LeafShardState, group: usize| state.t[group] * shard.moments[group * m + z];
        let of_shard = |(shard, state): (&LeafShard, &LeafShardState)| -> f64 {
            (0..shard.groups).map(|group| own(shard, state, group).powi(2)).sum()
        };
        let shards: Vec<f64> = design.leaf.par_iter().zip(leaf).with_max_len(1).map(of_shard).collect();
        let mut phi = Phi::new(1, 1);
        phi.sums[0] = shards.iter().sum::<f64>() - 2.0 * self.explained_plain(design, leaf, &whole.d, own);
        phi
    }

    /// Returns `T_gN_g[z]` of a leaf group.
    pub(super) fn own_moments(&self, shard: &LeafShard, state: &LeafShardState, group: usize) -> Vec<f64> {
        let (r, m) = (self.r, self.m);
        let n = &shard.moments[group * r * m..(group + 1) * r * m];
        let t = &state.t[group * r * r..(group + 1) * r * r];
        let entry = |i: usize, j: usize| (0..r).map(|s| t[i * r + s] * n[s * m + self.z[j]]).sum();
        (0..r * r).map(|k| entry(k / r, k % r)).collect()
    }

    /// Returns `Y_g D Y_g'` of a leaf group; `d` returns entries of D between groups that it meets.
    pub(super) fn explained_by_core(
        &self,
        shard: &LeafShard,
        state: &LeafShardState,
        group: usize,
        d: impl Fn(usize, usize) -> f64,
        (effects, y): &mut (Vec<usize>, Vec<f64>),
    ) -> Vec<f64> {
        let r = self.r;
        effects.clear();
        // Rows of Y' for each effect of a neighbour.
        let (mut rows, mut out) = (Vec::new(), vec![0.0; r * r]);
        for entry in shard.starts[group]..shard.starts[group + 1] {
            let (first, columns) = spread(shard, state, r, (group, entry), y);
            for j in 0..columns {
                effects.push(first + j);
                rows.extend((0..r).map(|t| y[t * columns + j]));
            }
        }
        let mut product = vec![0.0; r];
        for (&i, row) in effects.iter().zip(rows.chunks_exact(r)) {
            product.fill(0.0);
            for (&j, other) in effects.iter().zip(rows.chunks_exact(r)) {
                add_scaled(&mut product, d(i, j), other);
            }
            for a in 0..r {
                add_scaled(&mut out[a * r..(a + 1) * r], row[a], &product);
            }
        }
        out
    }

    /// Forms `Q_ab`, c×c column-major.
    fn form_q(&self, design: &Crossed, leaf: &[LeafShardState], (a, b): (usize, usize), q: &mut [f64]) {
        let (r, c) = (self.r, self.effects);
        let mut rest = q;
        for (k, factor) in self.factors.iter().enumerate() {
            let (own, next) = rest.split_at_mut(factor.groups * factor.r * c);
            rest = next;
            own.par_chunks_mut((factor.r * c).max(1)).enumerate().for_each(|(group, columns)| {
                columns.fill(0.0);
                let (mut mine, mut y) = (Vec::new(), Vec::new());
                for visit in self.visits(k, group) {
                    let (shard, state) = (&design.leaf[visit.shard as usize], &leaf[visit.shard as usize]);
                    let number = visit.group as usize;
                    spread(shard, state, r, (number, visit.entry as usize), &mut mine);
                    for entry in shard.starts[number]..shard.starts[number + 1] {
                        let (first, others) = spread(shard, state, r, (number, entry), &mut y);
                        for j in 0..factor.r {
                            let factor = mine[b * factor.r + j];
                            let column = &mut columns[j * c + first..j * c + first + others];
                            add_scaled(column, factor, &y[a * others..(a + 1) * others]);
                        }
                    }
                }
            });
        }
    }
}

/// Computes `Y_g[a] = T_gB_ga` of a neighbour, r×r_a; returns its first effect and r_a.
#[inline(always)]
pub(super) fn spread(
    shard: &LeafShard,
    state: &LeafShardState,
    r: usize,
    (group, entry): (usize, usize),
    y: &mut Vec<f64>,
) -> (usize, usize) {
    let (first, block) = neighbour(shard, entry);
    y.resize(block.len(), 0.0);
    apply(&state.t[group * r * r..(group + 1) * r * r], block, r, block.len() / r, y);
    (first, block.len() / r)
}

/// Returns the sum of the products of two rows of numbers, in eight partial sums.
#[inline(always)]
fn products(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        (0..LANES).for_each(|i| sums[i] += a[i] * b[i]);
    }
    sums.iter().sum::<f64>() + rest
}

/// Returns `tr(A B)`.
fn trace_of_product(a: &[f64], b: &[f64], n: usize) -> f64 {
    const ROWS: usize = 32;
    let of_rows = |first: usize| {
        let mut sum = 0.0;
        for i in (0..n).step_by(ROWS) {
            for j in first..n.min(first + ROWS) {
                for i in i..n.min(i + ROWS) {
                    sum += a[j * n + i] * b[i * n + j];
                }
            }
        }
        sum
    };
    let sums: Vec<f64> = (0..n.div_ceil(ROWS)).into_par_iter().map(|tile| of_rows(tile * ROWS)).collect();
    sums.iter().sum()
}

fn total(mut none: Phi, sums: &[Phi]) -> Phi {
    sums.iter().for_each(|sum| none.merge(sum));
    none
}
