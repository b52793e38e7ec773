//! Conditional modes of the random effects of a crossed design, with their variances.
//!
//! With `e = y - Xβ`, per unit of σ² where it is a variance:
//!
//! ```text
//! b_c = D Ñ_e                      Cov(b_c | y, β) = D
//! b_g = G F_g[e]                   Cov(b_g | y, β) = K_g + G Y_gDY_g' G
//! Cov(b̂ - b) = Cov(b | y, β) + G F_x S_xx⁻¹ F_x' G
//! ```

use super::evaluate::CrossedScratch;
use super::leaf::{LeafShardState, Rows};
use super::plan::CrossedPlan;
use crate::covariances::Covariances;
use crate::error::EquationsError;
use crate::fixed::FixedEffects;
use crate::tree::small::{apply, multiply};
use nalgebra::DMatrix;
use rayon::prelude::*;
use tiers_moments::{Crossed, LeafShard};

/// The random effects of the groups of one shard of a level, in the order of the groups.
#[derive(Clone, Debug, Default)]
pub struct CrossedModes {
    /// Conditional modes of b, groups×r.
    pub modes: Vec<f64>,
    /// `Var(b | y)/σ²` at given β and G, groups×r.
    pub conditional: Vec<f64>,
    /// `Var(b̂ - b)/σ²` with β's uncertainty, groups×r.
    pub prediction: Vec<f64>,
}

/// Appends the effects of groups, mapped to the columns that are returned.
struct Collector<'a> {
    out: CrossedModes,
    map: &'a DMatrix<f64>,
    /// `S_xx⁻¹`, p×p row-major.
    xx_inverse: &'a [f64],
}

impl Collector<'_> {
    /// Adds a group: GF of the columns of X and of e, r×(p+1), and the conditional covariance, r×r.
    fn add(&mut self, gf: &[f64], conditional: &[f64]) {
        let r = self.map.nrows();
        let width = gf.len() / r;
        let p = width - 1;
        for i in 0..r {
            // The i-th row of the map applied to the effects' rows.
            let row: Vec<f64> =
                (0..width).map(|c| (0..r).map(|s| self.map[(i, s)] * gf[s * width + c]).sum()).collect();
            let mut variance = 0.0;
            for s in 0..r {
                for t in 0..r {
                    variance += self.map[(i, s)] * conditional[s * r + t] * self.map[(i, t)];
                }
            }
            let product = |a: usize| (0..p).map(|b| self.xx_inverse[a * p + b] * row[b]).sum::<f64>();
            let of_fixed: f64 = (0..p).map(|a| row[a] * product(a)).sum();
            self.out.modes.push(row[p]);
            self.out.conditional.push(variance);
            self.out.prediction.push(variance + of_fixed);
        }
    }
}

impl CrossedPlan {
    /// Computes the random effects of all levels at the relative covariances, by level and shard (a factor of the
    /// core has one shard). `maps` holds per level the r×r matrix that maps effects of the shifted z columns to
    /// those that are returned.
    ///
    /// # Errors
    /// If a pivot of the core is not positive in floating point.
    pub fn effects(
        &self,
        design: &Crossed,
        at: &Covariances,
        fixed: &FixedEffects,
        maps: &[DMatrix<f64>],
        scratch: &mut CrossedScratch,
    ) -> Result<Vec<Vec<CrossedModes>>, EquationsError> {
        self.eliminate(design, at, scratch).ok_or(EquationsError::Core)?;
        let m = self.m;
        let gamma = fixed.residual(m);
        let carry = |rows: &[f64]| -> Vec<f64> {
            let of_row = |row: &[f64]| {
                let e = row.iter().zip(&gamma).map(|(v, g)| v * g).sum();
                fixed.x.iter().map(|&x| row[x]).chain([e]).collect::<Vec<f64>>()
            };
            rows.chunks_exact(m).flat_map(of_row).collect()
        };
        let leaf_rows: Vec<Vec<f64>> = design.leaf.par_iter().map(|shard| carry(&shard.moments)).collect();
        let core_rows: Vec<Vec<f64>> = design.core.par_iter().map(|factor| carry(&factor.moments)).collect();
        let rows = Rows {
            width: fixed.x.len() + 1,
            leaf: leaf_rows.iter().map(|rows| &rows[..]).collect(),
            core: core_rows.iter().map(|rows| &rows[..]).collect(),
        };
        let (_, gf) = self.core_residuals(design, scratch, &rows);
        let f = self.leaf_residuals(design, &scratch.leaf, &rows, &gf);
        let CrossedScratch { leaf, core, inverse } = scratch;
        core.inverse(inverse);
        core.covariances(self, inverse);
        let d = |i: usize, j: usize| core.entry(inverse, i, j);
        let collector = |k: usize| Collector {
            out: CrossedModes::default(),
            map: &maps[k],
            xx_inverse: fixed.xx_inverse.as_slice(),
        };
        let of_shard = |((shard, state), f): ((&LeafShard, &LeafShardState), &Vec<f64>)| {
            let mut collector = collector(0);
            self.collect_leaf((shard, state), &at.by_level()[0], f, d, &mut collector);
            collector.out
        };
        let mut out: Vec<Vec<CrossedModes>> =
            vec![design.leaf.par_iter().zip(&*leaf).zip(&f).with_max_len(1).map(of_shard).collect()];
        for (k, factor) in self.factors.iter().enumerate() {
            let mut collector = collector(k + 1);
            let (r, width) = (factor.r, rows.width);
            for group in 0..factor.groups {
                let own = factor.effects(group);
                let block: Vec<f64> = (0..r * r).map(|i| d(own.start + i / r, own.start + i % r)).collect();
                collector.add(&gf[own.start * width..own.end * width], &block);
            }
            out.push(vec![collector.out]);
        }
        Ok(out)
    }

    /// Adds the leaf groups of one shard.
    fn collect_leaf(
        &self,
        (shard, state): (&LeafShard, &LeafShardState),
        g: &[f64],
        f: &[f64],
        d: impl Fn(usize, usize) -> f64,
        collector: &mut Collector<'_>,
    ) {
        let r = self.r;
        let width = f.len() / (shard.groups * r).max(1);
        let (mut gf, mut half, mut covariance) = (vec![0.0; r * width], vec![0.0; r * r], vec![0.0; r * r]);
        let mut buffers = (Vec::new(), Vec::new());
        for group in 0..shard.groups {
            apply(g, &f[group * r * width..(group + 1) * r * width], r, width, &mut gf);
            let explained = self.explained_by_core(shard, state, group, &d, &mut buffers);
            multiply(g, &explained, r, &mut half);
            multiply(&half, g, r, &mut covariance);
            let kernel = &state.kernel[group * r * r..(group + 1) * r * r];
            covariance.iter_mut().zip(kernel).for_each(|(c, k)| *c += k);
            collector.add(&gf, &covariance);
        }
    }
}
