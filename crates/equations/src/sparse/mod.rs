//! The sparse route: Henderson's equations in spherical effects, `A = Λ'Z'WZΛ + I`, by `sprs-ldl`.
//!
//! While [`crate::tree`] implements elimination along the nest itself, this route uses a general sparse
//! factorisation of the matrix A. Only the order of the unknowns and the pattern depend on the trees, so it
//! is an independent check of the tree route. Every fit takes the conditional modes (BLUPs) of its random
//! effects and their variances from this route.
//!
//! ```text
//! set-up        moments Z_g'WC of all groups; order and pattern of A; symbolic factorisation
//! per theta     A = Λ'Z'WZΛ + I written in place;  A = LDL';  log|A|,  C'V⁻¹C       (factor, sums)
//! once          b = ΛA⁻¹Λ'Z'W(y - Xβ)                                               (effects)
//!               Cov(b | y, β)/σ² = Λ (A⁻¹)_gg Λ'                                    (conditional)
//!               Cov(b̂ - b)/σ²    = Λ ((A⁻¹)_gg + E_x S_xx⁻¹ E_x') Λ'                (prediction)
//! ```
//!
//! The last line is Henderson's (1975) prediction error variance with `E_x = A⁻¹Λ'Z'WX`. Because
//! `V⁻¹ = W - WZΛA⁻¹Λ'Z'W`,
//!
//! ```text
//! Λ'Z'V⁻¹X = Λ'Z'WX - (A - I)A⁻¹Λ'Z'WX = E_x,
//! ```
//!
//! so `Λ E_x` is `G F_x` in the notation of the tree route (`docs/theory.md`, sections 5 and 8).
//!
//! Sources: Henderson (1975) for the equations; Bates, Mächler, Bolker and Walker (2015, section 3.4)
//! for their spherical form; Davis (2005) for LDL'; Takahashi, Fagan and Chen (1973) for the inverse.

mod factor;
mod moments;
mod pattern;
mod selected;
mod solve;

pub use solve::SparseScratch;

use crate::Sums;
use crate::error::{EquationsError, Place};
use crate::fixed::FixedEffects;
use factor::Factor;
pub(crate) use moments::GroupMoments;
use nalgebra::DMatrix;
use pattern::Pattern;
use selected::SelectedInverse;
use solve::System;
use sprs::CsMatViewI;
use tiers_moments::vectorised;
use tiers_moments::{Forest, Level};

/// Equations of one shard. Shards are independent of each other given theta.
///
/// A new shard is factored at `Λ = 0`, where A is the identity; [`SparseShard::factor`] factors it at
/// another Λ. After an error, the shard must be factored again before any other use.
#[derive(Clone, Debug)]
pub struct SparseShard<'a> {
    levels: &'a [Level],
    shard: usize,
    moments: GroupMoments<'a>,
    pattern: Pattern,
    factor: Factor,
}

impl<'a> SparseShard<'a> {
    /// Sets up the equations of one shard (an index into [`Forest::trees`]) and analyses A.
    pub fn new(forest: &'a Forest, shard: usize) -> Result<Self, EquationsError> {
        let (levels, tree) = (&forest.levels, &forest.trees[shard]);
        let pattern = Pattern::new(levels, tree)?;
        let moments = GroupMoments::new(levels, tree, forest.m);
        let factor = Factor::new(&pattern);
        Ok(SparseShard { levels, shard, moments, pattern, factor })
    }

    /// Factors A at the relative covariance factors Λ_k, one r×r matrix per level, in the basis of the
    /// forest's (shifted) z columns.
    pub fn factor(&mut self, factors: &[DMatrix<f64>]) -> Result<(), EquationsError> {
        let SparseShard { factor, pattern, levels, moments, .. } = self;
        let done = factor.set(pattern, levels, moments, factors);
        done.map_err(|(unknown, value)| EquationsError::Pivot { place: self.place(unknown), value })
    }

    /// Computes log|A| and `B'A⁻¹B` with `B = Λ'Z'WC`, so that the Schur complement is
    /// `C'V⁻¹C = C'WC - B'A⁻¹B`; no derivatives.
    pub fn sums(&self, scratch: &mut SparseScratch) -> Sums {
        vectorised(
            #[inline(always)]
            || self.system().sums(scratch),
        )
    }

    /// Computes the conditional modes `b = ΛA⁻¹Λ'Z'WCγ` of each level, groups×r; γ (length m) is the
    /// combination of the columns of C that is the residual.
    pub fn effects(&self, gamma: &[f64]) -> Vec<Vec<f64>> {
        assert_eq!(gamma.len(), self.moments.columns(), "one weight per column of C");
        let u = self.system().solve(gamma, 1);
        self.by_group(|unknown, r, lambda, b| {
            let u = &u[unknown..unknown + r];
            b.extend(lambda.chunks_exact(r).map(|row| row.iter().zip(u).map(|(l, u)| l * u).sum::<f64>()));
        })
    }

    /// Computes the conditional covariances `Cov(b_g | y, β)/σ² = Λ (A⁻¹)_gg Λ'` of each level, groups × r × r.
    pub fn conditional_covariances(&self) -> Vec<Vec<f64>> {
        let inverse = SelectedInverse::new(&self.factor.l(), self.factor.d());
        let mut block = Vec::new();
        self.by_group(|unknown, r, lambda, out| {
            block.resize(r * r, 0.0);
            inverse.block(unknown, r, &mut block);
            push_congruence(lambda, &block, r, out);
        })
    }

    /// Computes the prediction error variances `Cov(b̂_g - b_g)/σ²` of each level, groups × r × r: the given
    /// conditional covariances plus the contribution of the estimation of β.
    pub fn prediction_covariances(&self, conditional: &[Vec<f64>], fixed: &FixedEffects) -> Vec<Vec<f64>> {
        let (m, p) = (self.moments.columns(), fixed.x.len());
        if p == 0 {
            return conditional.to_vec();
        }
        let mut columns = vec![0.0; m * p];
        fixed.x.iter().enumerate().for_each(|(i, &column)| columns[column * p + i] = 1.0);
        let e_x = vectorised(
            #[inline(always)]
            || self.system().solve(&columns, p),
        );
        let (inverse, mut block, mut row) = (fixed.xx_inverse.as_slice(), Vec::new(), vec![0.0; p]);
        let mut added = self.by_group(|unknown, r, lambda, out| {
            block.resize(r * r, 0.0);
            let e = &e_x[unknown * p..(unknown + r) * p];
            for (s, e_s) in e.chunks_exact(p).enumerate() {
                row.iter_mut().zip(inverse.chunks_exact(p)).for_each(|(row, column)| *row = dot(e_s, column));
                e.chunks_exact(p).enumerate().for_each(|(t, e_t)| block[s * r + t] = dot(&row, e_t));
            }
            push_congruence(lambda, &block, r, out);
        });
        for (added, conditional) in added.iter_mut().zip(conditional) {
            added.iter_mut().zip(conditional).for_each(|(sum, c)| *sum += c);
        }
        added
    }

    /// Returns `Z_g'WC` of the groups of a level, groups × r × m.
    pub fn moments(&self, level: usize) -> &[f64] {
        self.moments.level(level)
    }

    /// Returns the upper triangle of A by columns; entries that are zero at this theta are stored.
    pub fn matrix(&self) -> CsMatViewI<'_, f64, u32> {
        self.factor.a()
    }

    /// Returns L by columns, without its unit diagonal.
    pub fn l(&self) -> CsMatViewI<'_, f64, u32> {
        self.factor.l()
    }

    /// Returns D, whose entries are at least 1 in theory.
    pub fn d(&self) -> &[f64] {
        self.factor.d()
    }

    /// Number of unknowns of the shard, q.
    pub fn unknowns(&self) -> usize {
        self.pattern.unknowns()
    }

    /// Number of unknowns of each level, finest first.
    pub fn level_sizes(&self) -> impl Iterator<Item = usize> {
        (0..self.pattern.levels()).map(|k| self.pattern.groups(k) * self.pattern.r(k))
    }

    /// Returns the first unknown of a group; its others follow.
    pub fn unknown(&self, level: usize, group: usize) -> usize {
        self.pattern.unknown(level, group)
    }

    /// Returns the place of an unknown.
    pub fn place(&self, unknown: usize) -> Place {
        let (level, group, effect) = self.pattern.place(unknown);
        Place { level, name: self.levels[level].name.clone(), shard: self.shard, group, effect }
    }

    fn system(&self) -> System<'_> {
        System { pattern: &self.pattern, moments: &self.moments, factor: &self.factor }
    }

    /// Visits the groups level by level with (first unknown, r, Λ_k, output of the level to append to).
    fn by_group(&self, mut visit: impl FnMut(usize, usize, &[f64], &mut Vec<f64>)) -> Vec<Vec<f64>> {
        let of_level = |k: usize| {
            let (r, lambda) = (self.pattern.r(k), self.factor.lambda(k));
            let mut out = Vec::new();
            (0..self.pattern.groups(k)).for_each(|g| visit(self.pattern.unknown(k, g), r, lambda, &mut out));
            out
        };
        (0..self.pattern.levels()).map(of_level).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Appends `Λ M Λ'`, M symmetric, all r×r row-major.
fn push_congruence(lambda: &[f64], block: &[f64], r: usize, out: &mut Vec<f64>) {
    let entry = |i: usize, j: usize| -> f64 {
        let row = |s: usize| -> f64 { (0..r).map(|t| block[s * r + t] * lambda[j * r + t]).sum() };
        (0..r).map(|s| lambda[i * r + s] * row(s)).sum()
    };
    out.extend((0..r * r).map(|at| entry(at / r, at % r)));
}

/// Equations of a whole forest, processed shard by shard on one thread.
///
/// A driver with several threads keeps its own [`SparseShard`]s and adds up their sums in order.
#[derive(Clone, Debug)]
pub struct SparseEquations<'a> {
    forest: &'a Forest,
    /// The shards, in the order of [`Forest::trees`].
    pub shards: Vec<SparseShard<'a>>,
    scratch: SparseScratch,
}

impl<'a> SparseEquations<'a> {
    /// Sets up and analyses all shards.
    pub fn new(forest: &'a Forest) -> Result<Self, EquationsError> {
        let shards = (0..forest.trees.len()).map(|shard| SparseShard::new(forest, shard));
        Ok(SparseEquations { forest, shards: shards.collect::<Result<_, _>>()?, scratch: SparseScratch::default() })
    }

    /// Factors all shards at the relative covariance factors Λ_k.
    pub fn factor(&mut self, factors: &[DMatrix<f64>]) -> Result<(), EquationsError> {
        self.shards.iter_mut().try_for_each(|shard| shard.factor(factors))
    }

    /// Computes the sums of all shards, added in their order.
    pub fn sums(&mut self) -> Sums {
        let SparseEquations { forest, shards, scratch } = self;
        let mut total = Sums { log_det: 0.0, downdate: tiers_moments::Cross::new(forest.m), derivatives: Vec::new() };
        shards.iter().for_each(|shard| total.merge(&shard.sums(scratch)));
        total
    }

    /// Computes the fixed effects; X consists of the columns `x` of C.
    pub fn fixed_effects(&mut self, x: &[usize]) -> Result<FixedEffects, EquationsError> {
        let sums = self.sums();
        FixedEffects::new(&self.forest.totals(), &sums, x)
    }
}
