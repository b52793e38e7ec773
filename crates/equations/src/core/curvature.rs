//! Second derivatives of a crossed design.
//!
//! The traces come from [`super::traces`]. The other sums need `P_j = H dG_jF` for each direction j, the rows that
//! the columns `Z dG_jF` would have in F: for a direction of the core `P = H_cR` at the core's rows, with `R = dG_jF`;
//! for one of the leaf, with `Ñ_R = Σ_g Y_g'R_g`,
//!
//! ```text
//! P_c = E'Ñ_R,    P_g = T_gN_g[z]R_g - Y_g D Ñ_R
//! ```
//!
//! Then `dF = -P_j`.

use super::dense;
use super::evaluate::CrossedScratch;
use super::factor::CoreState;
use super::leaf::{LeafShardState, Rows};
use super::plan::CrossedPlan;
use super::traces::spread;
use super::whole::Whole;
use crate::covariances::Covariances;
use crate::tree::contraction::Contraction;
use crate::tree::small::{add_scaled, apply, dot};
use crate::tree::{Curvature, CurvatureAt, Direction};
use rayon::prelude::*;
use tiers_moments::{Crossed, LeafShard};

/// F of all levels, with e in place of y.
struct Residuals {
    width: usize,
    /// By shard, r×width per group.
    leaf: Vec<Vec<f64>>,
    /// c×width.
    core: Vec<f64>,
}

/// P of one direction.
struct Moved {
    /// Its rows at the core, c×width.
    core: Vec<f64>,
    /// `D Ñ_R`, c×width; empty for a direction of the core.
    spread: Vec<f64>,
}

impl CrossedPlan {
    /// Sums the second derivatives, as [`TreePlan::curvature`](crate::TreePlan::curvature) does over a tree. Besides
    /// the scratch it needs whole matrices of the size of the core, six and one more for each pair of the leaf's
    /// coefficients, also if the core is sparse ([`CrossedPlan::cost`]). All sums are NaN if a pivot of the core is not positive in floating point.
    pub fn curvature(
        &self,
        design: &Crossed,
        covariances: &Covariances,
        at: &CurvatureAt<'_>,
        scratch: &mut CrossedScratch,
    ) -> Curvature {
        let d = at.directions.len();
        let mut out = Curvature::none(d, self.m, at.with_products);
        if self.eliminate(design, covariances, scratch).is_none() {
            return out.undefined();
        }
        let f = self.carried_residuals(design, at, scratch);
        let CrossedScratch { leaf, core, .. } = scratch;
        let whole = Whole::new(self, core);
        self.add_traces(design, leaf, (&whole, covariances), at.directions, &mut out.trace);
        let moved: Vec<Moved> =
            at.directions.iter().map(|&direction| self.moved(design, leaf, &whole, &f, direction)).collect();
        self.contract_core(at, &f, &moved, &mut out);
        self.contract_leaf(design, leaf, at, (&f, &moved), &mut out);
        out
    }

    /// Adds the traces of all pairs of directions of which the second is not of a later level.
    fn add_traces(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        (whole, covariances): (&Whole, &Covariances),
        directions: &[Direction],
        trace: &mut [f64],
    ) {
        let d = directions.len();
        let has_leaf = directions.iter().any(|direction| direction.level == 0);
        let of_leaf = has_leaf.then(|| self.leaf_phi(design, leaf, whole, covariances.by_level()));
        let factors = 0..self.factors.len();
        let core_core: Vec<Vec<_>> =
            factors.map(|k| (k..self.factors.len()).map(|l| self.core_phi(whole, k, l)).collect()).collect();
        for (i, first) in directions.iter().enumerate() {
            for (j, second) in directions.iter().enumerate().filter(|(_, second)| second.level <= first.level) {
                let phi = match (second.level, first.level) {
                    (0, 0) => &of_leaf.as_ref().expect("has a direction of the leaf").0,
                    (0, k) => &of_leaf.as_ref().expect("has a direction of the leaf").1[k - 1],
                    (l, k) => &core_core[l - 1][k - l],
                };
                trace[i * d + j] -= phi.trace((second.a, second.b), (first.a, first.b));
            }
        }
    }

    /// Computes F of the carried columns, the last of which is e.
    fn carried_residuals(&self, design: &Crossed, at: &CurvatureAt<'_>, scratch: &CrossedScratch) -> Residuals {
        let m = self.m;
        let width = if at.s_xx_inverse.is_some() { m } else { 1 };
        let carry = |rows: &[f64]| -> Vec<f64> {
            let with_e = |row: &[f64]| {
                let e = dot(row, at.residual);
                row[..width - 1].iter().copied().chain([e]).collect::<Vec<_>>()
            };
            rows.chunks_exact(m).flat_map(with_e).collect()
        };
        let leaf_rows: Vec<Vec<f64>> = design.leaf.par_iter().map(|shard| carry(&shard.moments)).collect();
        let core_rows: Vec<Vec<f64>> = design.core.par_iter().map(|factor| carry(&factor.moments)).collect();
        let rows = Rows {
            width,
            leaf: leaf_rows.iter().map(|rows| &rows[..]).collect(),
            core: core_rows.iter().map(|rows| &rows[..]).collect(),
        };
        let (core, gf) = self.core_residuals(design, scratch, &rows);
        let leaf = self.leaf_residuals(design, &scratch.leaf, &rows, &gf);
        Residuals { width, leaf, core }
    }

    /// Computes F and GF of the core for some rows, c×width.
    pub(super) fn core_residuals(
        &self,
        design: &Crossed,
        scratch: &CrossedScratch,
        rows: &Rows<'_>,
    ) -> (Vec<f64>, Vec<f64>) {
        let core: &CoreState = &scratch.core;
        let solved = core.solve(self.form_rows(design, &scratch.leaf, &core.bases, rows), rows.width);
        let mut f = core.residuals(&solved);
        self.transform_rows(core, |basis| &basis.dual, &mut f, rows.width);
        (f, self.spread_effects(core, &solved))
    }

    /// Computes F of the leaf by shard, r×width per group, from GF of the core.
    pub(super) fn leaf_residuals(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        rows: &Rows<'_>,
        gf: &[f64],
    ) -> Vec<Vec<f64>> {
        let of_shard = |((shard, state), own): ((&LeafShard, &LeafShardState), &&[f64])| {
            let mut out = Vec::with_capacity(own.len());
            self.residualise_leaf(shard, state, (own, rows.width), gf, |_, f| out.extend_from_slice(f));
            out
        };
        design.leaf.par_iter().zip(leaf).zip(&rows.leaf).with_max_len(1).map(of_shard).collect()
    }

    /// Computes P of one direction.
    fn moved(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        whole: &Whole,
        f: &Residuals,
        direction: Direction,
    ) -> Moved {
        let (c, width) = (self.effects, f.width);
        let mut rows = vec![0.0; c * width];
        if direction.level > 0 {
            let factor = &self.factors[direction.level - 1];
            for group in 0..factor.groups {
                let at = factor.effects(group).start * width..factor.effects(group).end * width;
                direct(direction, &f.core[at.clone()], width, &mut rows[at]);
            }
            return Moved { core: dense::times_rows(&whole.h, c, &rows, width), spread: Vec::new() };
        }
        let r = self.r;
        let mut rest = &mut rows[..];
        for (k, factor) in self.factors.iter().enumerate() {
            let (own, next) = rest.split_at_mut(factor.groups * factor.r * width);
            rest = next;
            own.par_chunks_mut((factor.r * width).max(1)).enumerate().for_each(|(group, out)| {
                let (mut y, mut right) = (Vec::new(), vec![0.0; r * width]);
                for visit in self.visits(k, group) {
                    let (shard, number) = (visit.shard as usize, visit.group as usize);
                    let at = (number, visit.entry as usize);
                    let (_, columns) = spread(&design.leaf[shard], &leaf[shard], r, at, &mut y);
                    let own = &f.leaf[shard][number * r * width..(number + 1) * r * width];
                    right.fill(0.0);
                    direct(direction, own, width, &mut right);
                    for (t, right) in right.chunks_exact(width).enumerate() {
                        for (j, out) in out.chunks_exact_mut(width).enumerate() {
                            add_scaled(out, y[t * columns + j], right);
                        }
                    }
                }
            });
        }
        Moved {
            core: dense::times_rows(&whole.e, c, &rows, width),
            spread: dense::times_rows(&whole.d, c, &rows, width),
        }
    }

    /// Adds the sums over the groups of the core.
    fn contract_core(&self, at: &CurvatureAt<'_>, f: &Residuals, moved: &[Moved], out: &mut Curvature) {
        let (d, width) = (at.directions.len(), f.width);
        for (k, factor) in self.factors.iter().enumerate() {
            let mut contraction = Contraction::new(at, k + 1, factor.r, width);
            let (zero, mut df) = (vec![0.0; factor.r * factor.r], vec![0.0; factor.r * width]);
            for group in 0..factor.groups {
                let range = factor.effects(group).start * width..factor.effects(group).end * width;
                contraction.load(&f.core[range.clone()]);
                for (j, moved) in moved.iter().enumerate().filter(|(j, _)| at.directions[*j].level <= k + 1) {
                    df.iter_mut().zip(&moved.core[range.clone()]).for_each(|(df, p)| *df = -p);
                    contraction.add(j, d, &df, &zero, out);
                }
            }
        }
    }

    /// Adds the sums over the leaf groups.
    fn contract_leaf(
        &self,
        design: &Crossed,
        leaf: &[LeafShardState],
        at: &CurvatureAt<'_>,
        (f, moved): (&Residuals, &[Moved]),
        out: &mut Curvature,
    ) {
        let (d, r, width) = (at.directions.len(), self.r, f.width);
        let of_shard = |((shard, state), f): ((&LeafShard, &LeafShardState), &Vec<f64>)| {
            let mut sums = Curvature::none(d, self.m, at.with_products);
            let mut contraction = Contraction::new(at, 0, r, width);
            let zero = vec![0.0; r * r];
            let (mut right, mut df, mut y) = (vec![0.0; r * width], vec![0.0; r * width], Vec::new());
            for group in 0..shard.groups {
                let own = &f[group * r * width..(group + 1) * r * width];
                contraction.load(own);
                let moments = self.own_moments(shard, state, group);
                for (j, moved) in moved.iter().enumerate().filter(|(j, _)| at.directions[*j].level == 0) {
                    right.fill(0.0);
                    direct(at.directions[j], own, width, &mut right);
                    apply(&moments, &right, r, width, &mut df);
                    df.iter_mut().for_each(|df| *df = -*df);
                    for entry in shard.starts[group]..shard.starts[group + 1] {
                        let (first, columns) = spread(shard, state, r, (group, entry), &mut y);
                        for (df, y) in df.chunks_exact_mut(width).zip(y.chunks_exact(columns)) {
                            for (i, &y) in y.iter().enumerate() {
                                add_scaled(df, y, &moved.spread[(first + i) * width..(first + i + 1) * width]);
                            }
                        }
                    }
                    contraction.add(j, d, &df, &zero, &mut sums);
                }
            }
            sums
        };
        let shards: Vec<Curvature> =
            design.leaf.par_iter().zip(leaf).zip(&f.leaf).with_max_len(1).map(of_shard).collect();
        shards.iter().for_each(|shard| out.merge(shard));
    }
}

/// Adds `dG f` of a direction to `out`, r×width.
fn direct(direction: Direction, f: &[f64], width: usize, out: &mut [f64]) {
    let Direction { a, b, .. } = direction;
    add_scaled(&mut out[a * width..(a + 1) * width], 1.0, &f[b * width..(b + 1) * width]);
    if a != b {
        add_scaled(&mut out[b * width..(b + 1) * width], 1.0, &f[a * width..(a + 1) * width]);
    }
}
