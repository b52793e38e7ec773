//! Draws the responses of a nest as sums.
//!
//! A replicate is `y = Zb + ε` with `b ~ N(0, σ² Λ Λ')`, `ε ~ N(0, σ² W⁻¹)`; Xβ is left out, since adding Xδ to
//! y only adds δ to the estimates. A fit needs y through `Z'Wy` per group, `C'Wy` and `y'Wy`. The random
//! effects are drawn directly. Of ε only the sums are drawn, by Gaussian conditioning along the tree: with
//! `N_g` a group's rows of `Z'WC` after projecting out those of all groups below (the elimination of a fit
//! with `G → ∞`),
//!
//! ```text
//! Z_g'Wε, less its part along the groups below    = L_g ξ_g σ,  L_g L_g' = N_g[z]
//! its part in c'Wε of any column c further up     = N_g[c]' a_g, N_g[z] a_g = L_g ξ_g σ
//! ε'Wε                                            = σ² (Σ ξ² + χ²), n - (number of ξ) degrees of freedom
//! ```
//!
//! and C's columns last, with `C'WC - Σ_g N_g' N_g[z]⁺ N_g`. This is exactly the joint distribution of
//! those sums: see `docs/theory.md`, "The bootstrap in moment space".

use super::Draws;
use super::semidefinite::{factor, solve, spread};
use crate::tree::ancestors;
use rayon::prelude::*;
use tiers_moments::{Forest, Level, RowSource, Tree};

/// Draws replicates of a fit of a nest.
#[derive(Debug)]
pub(super) struct NestSimulator {
    m: usize,
    levels: Vec<LevelPlan>,
    /// Per level, `σ Λ_k` of the shifted columns, r×r row-major.
    factors: Vec<Vec<f64>>,
    sigma: f64,
    /// Per tree and level above the finest, `N_g`, like [`tiers_moments::TreeLevel::moments`].
    left: Vec<Vec<Vec<f64>>>,
    /// Cholesky factor of C'WC (without y) after all groups are projected out.
    cross: Vec<f64>,
    /// Degrees of freedom of ε'Wε that remain beside the sums.
    degrees: f64,
}

/// One level: its z columns, and which of their rows are stored with its groups.
#[derive(Debug)]
struct LevelPlan {
    r: usize,
    source: Vec<RowSource>,
    /// Stored rows: position in z, and column of C.
    stored: Vec<(usize, usize)>,
}

/// Workspace of one shard.
#[derive(Clone, Debug, Default)]
pub(super) struct ShardScratch {
    /// Per level and group, the coefficients of its z columns: its own effects plus those of ancestors
    /// with the same column.
    coefficients: Vec<Vec<f64>>,
    /// Per level, group and stored row, the sums of the groups below in `z'WZb` and in `z'Wε`.
    effects: Vec<Vec<f64>>,
    errors: Vec<Vec<f64>>,
}

/// The contribution of a shard to `C'Wy` and `y'Wy`.
struct ShardSums {
    cross: Vec<f64>,
    square: f64,
}

impl LevelPlan {
    fn new(level: &Level) -> Self {
        let is_stored = |(position, source): (usize, &RowSource)| {
            matches!(source, RowSource::Stored(_)).then(|| (position, level.z[position]))
        };
        let stored = level.source.iter().enumerate().filter_map(is_stored).collect();
        LevelPlan { r: level.r(), source: level.source.clone(), stored }
    }
}

impl NestSimulator {
    /// Prepares draws with the factors `σ Λ_k` of the shifted columns.
    pub(super) fn new(forest: &Forest, factors: &[nalgebra::DMatrix<f64>], sigma: f64) -> Self {
        let m = forest.m;
        let factors = factors.iter().map(|f| f.transpose().as_slice().to_vec()).collect();
        let levels = forest.levels.iter().map(LevelPlan::new).collect();
        let mut out = NestSimulator { m, levels, factors, sigma, left: Vec::new(), cross: Vec::new(), degrees: 0.0 };
        let shards: Vec<(Vec<Vec<f64>>, Vec<f64>, usize)> =
            forest.trees.par_iter().with_max_len(1).map(|tree| out.project(tree)).collect();
        let size = m - 1;
        let mut cross: Vec<f64> = (0..size * size).map(|i| forest.cross[i / size * m + i % size]).collect();
        let mut rank = 0;
        for (left, taken, shard_rank) in shards {
            cross.iter_mut().zip(&taken).for_each(|(c, t)| *c -= t);
            rank += shard_rank;
            out.left.push(left);
        }
        rank += factor(&mut cross, |j| forest.cross[j * m + j], size);
        out.cross = cross;
        out.degrees = (forest.rows as f64 - rank as f64).max(0.0);
        out
    }

    /// Projects the groups' columns out of all columns further up. Returns N of the levels above the
    /// finest, what C'WC loses, and the number of dimensions.
    fn project(&self, tree: &Tree) -> (Vec<Vec<f64>>, Vec<f64>, usize) {
        let (m, size) = (self.m, self.m - 1);
        let mut left: Vec<Vec<f64>> = tree.levels.iter().skip(1).map(|level| level.moments.clone()).collect();
        let (mut taken, mut rank) = (vec![0.0; size * size], 0);
        for (k, plan) in self.levels.iter().enumerate() {
            let s = plan.stored.len();
            if s == 0 {
                continue;
            }
            let (mut l, mut xi) = (vec![0.0; s * s], vec![0.0; s]);
            let (mut x, mut solved) = (vec![0.0; s], vec![0.0; s * m]);
            for group in 0..tree.levels[k].groups {
                let raw = &tree.levels[k].moments[group * s * m..(group + 1) * s * m];
                let n = if k == 0 { raw.to_vec() } else { left[k - 1][group * s * m..(group + 1) * s * m].to_vec() };
                rank += self.factor_of(k, &n, raw, &mut l);
                // solved = N[z]⁺ N, by L⁻¹ N first.
                for c in 0..size {
                    for i in 0..s {
                        let pivot = l[i * s + i];
                        let rest: f64 = (0..i).map(|j| l[i * s + j] * xi[j]).sum();
                        xi[i] = if pivot > 0.0 { (n[i * m + c] - rest) / pivot } else { 0.0 };
                    }
                    solve(&l, &xi, &mut x);
                    (0..s).for_each(|i| solved[i * m + c] = x[i]);
                }
                for i in 0..s {
                    let (row, solved) = (&n[i * m..(i + 1) * m], &solved[i * m..(i + 1) * m]);
                    for (a, into) in taken.chunks_exact_mut(size).enumerate() {
                        into.iter_mut().zip(solved).for_each(|(t, v)| *t += row[a] * v);
                    }
                    for (a, ancestor) in ancestors(tree, k, group) {
                        let above = &self.levels[a].stored;
                        for (at, &(_, c)) in above.iter().enumerate() {
                            let start = (ancestor * above.len() + at) * m;
                            let into = &mut left[a - 1][start..start + size];
                            into.iter_mut().zip(solved).for_each(|(t, v)| *t -= row[c] * v);
                        }
                    }
                }
            }
        }
        (left, taken, rank)
    }

    /// Computes L of a group's own columns; returns the rank. `raw` are its moments before any projection.
    fn factor_of(&self, k: usize, n: &[f64], raw: &[f64], l: &mut [f64]) -> usize {
        let (m, stored) = (self.m, &self.levels[k].stored);
        let s = stored.len();
        for i in 0..s {
            for (j, &(_, c)) in stored.iter().enumerate() {
                l[i * s + j] = n[i * m + c];
            }
        }
        factor(l, |j| raw[j * m + stored[j].1], s)
    }

    /// Allocates scratch for draws.
    pub(super) fn scratch(&self, forest: &Forest) -> Vec<ShardScratch> {
        let of_tree = |tree: &Tree| {
            let room = |per_group: fn(&LevelPlan) -> usize| {
                let levels = tree.levels.iter().zip(&self.levels);
                levels.map(|(level, plan)| vec![0.0; level.groups * per_group(plan)]).collect()
            };
            let stored = |plan: &LevelPlan| plan.stored.len();
            ShardScratch { coefficients: room(|plan| plan.r), effects: room(stored), errors: room(stored) }
        };
        forest.trees.iter().map(of_tree).collect()
    }

    /// Replaces the moments of y by those of a drawn response.
    pub(super) fn draw(
        &self,
        forest: &mut Forest,
        scratch: &mut [ShardScratch],
        draws: &(dyn Fn(usize) -> Box<dyn Draws> + Sync),
    ) {
        let (m, size) = (self.m, self.m - 1);
        let of_shard = |(shard, (tree, scratch)): (usize, (&mut Tree, &mut ShardScratch))| {
            let mut draws = draws(shard);
            self.draw_effects(tree, scratch, &mut *draws);
            self.draw_sums(shard, tree, scratch, &mut *draws)
        };
        // Shards are drawn on any thread, but summed in the order of the shards.
        let shards = forest.trees.par_iter_mut().zip(scratch).enumerate().with_max_len(1);
        let sums: Vec<ShardSums> = shards.map(of_shard).collect();
        let mut draws = draws(sums.len());
        let xi: Vec<f64> = (0..size).map(|j| self.normal_if(self.cross[j * size + j], &mut *draws)).collect();
        let mut by_column = vec![0.0; size];
        spread(&self.cross, &xi, &mut by_column);
        let mut square: f64 = xi.iter().map(|x| x * x).sum();
        if self.degrees > 0.0 {
            square += self.sigma * self.sigma * draws.chi_squared(self.degrees);
        }
        for sum in sums {
            by_column.iter_mut().zip(&sum.cross).for_each(|(c, s)| *c += s);
            square += sum.square;
        }
        for (c, value) in by_column.into_iter().enumerate() {
            forest.cross[c * m + size] = value;
            forest.cross[size * m + c] = value;
        }
        forest.cross[size * m + size] = square;
    }

    /// σ times a standard normal number if a pivot is not zero.
    fn normal_if(&self, pivot: f64, draws: &mut dyn Draws) -> f64 {
        if pivot > 0.0 { self.sigma * draws.normal() } else { 0.0 }
    }

    /// Draws all random effects, coarsest level first, and adds those of a column that a finer level also
    /// has to the coefficients of that level.
    fn draw_effects(&self, tree: &Tree, scratch: &mut ShardScratch, draws: &mut dyn Draws) {
        for k in (0..self.levels.len()).rev() {
            let (r, factor) = (self.levels[k].r, &self.factors[k]);
            let mut xi = vec![0.0; r];
            for group in 0..tree.levels[k].groups {
                xi.iter_mut().for_each(|x| *x = draws.normal());
                let (own, above) = scratch.coefficients.split_at_mut(k + 1);
                let own = &mut own[k][group * r..(group + 1) * r];
                for (i, b) in own.iter_mut().enumerate() {
                    *b = (0..r).map(|j| factor[i * r + j] * xi[j]).sum();
                }
                for (a, ancestor) in ancestors(tree, k, group) {
                    let plan = &self.levels[a];
                    for (position, source) in plan.source.iter().enumerate() {
                        if let RowSource::Sum(from, t) = *source
                            && from == k
                        {
                            own[t] += above[a - k - 1][ancestor * plan.r + position];
                        }
                    }
                }
            }
        }
    }

    /// Draws the sums of ε, finest level first, and writes those of y.
    fn draw_sums(&self, shard: usize, tree: &mut Tree, scratch: &mut ShardScratch, draws: &mut dyn Draws) -> ShardSums {
        let m = self.m;
        let mut out = ShardSums { cross: vec![0.0; m - 1], square: 0.0 };
        scratch.effects.iter_mut().chain(&mut scratch.errors).for_each(|sums| sums.fill(0.0));
        for (k, plan) in self.levels.iter().enumerate() {
            let s = plan.stored.len();
            if s == 0 {
                continue;
            }
            let room = || vec![0.0; s];
            let (mut xi, mut v, mut a, mut b, mut l) = (room(), room(), room(), room(), vec![0.0; s * s]);
            let mut y = room();
            for group in 0..tree.levels[k].groups {
                let block = group * s * m..(group + 1) * s * m;
                let raw = &tree.levels[k].moments[block.clone()];
                let n = if k == 0 { raw } else { &self.left[shard][k - 1][block.clone()] };
                self.factor_of(k, n, raw, &mut l);
                (0..s).for_each(|i| xi[i] = self.normal_if(l[i * s + i], draws));
                spread(&l, &xi, &mut v);
                solve(&l, &xi, &mut a);
                let own = &scratch.coefficients[k][group * plan.r..(group + 1) * plan.r];
                b.iter_mut().zip(&plan.stored).for_each(|(b, &(position, _))| *b = own[position]);
                out.square += xi.iter().map(|x| x * x).sum::<f64>();
                for i in 0..s {
                    let row = &raw[i * m..(i + 1) * m];
                    let effects =
                        scratch.effects[k][group * s + i] + self.along_path(tree, scratch, (k, group), &b, row);
                    let errors = scratch.errors[k][group * s + i] + v[i];
                    out.square += b[i] * (effects + 2.0 * errors);
                    y[i] = effects + errors;
                    let left = &n[i * m..(i + 1) * m];
                    for (c, sum) in out.cross.iter_mut().enumerate() {
                        *sum += row[c] * b[i] + left[c] * a[i];
                    }
                    for (above, ancestor) in ancestors(tree, k, group) {
                        let stored = &self.levels[above].stored;
                        for (at, &(_, c)) in stored.iter().enumerate() {
                            scratch.effects[above][ancestor * stored.len() + at] += row[c] * b[i];
                            scratch.errors[above][ancestor * stored.len() + at] += left[c] * a[i];
                        }
                    }
                }
                let rows = tree.levels[k].moments[block].chunks_exact_mut(m);
                rows.zip(&y).for_each(|(row, y)| row[m - 1] = *y);
            }
        }
        out
    }

    /// Row of `z'WC` times the coefficients of the stored columns of a group and its ancestors.
    fn along_path(
        &self,
        tree: &Tree,
        scratch: &ShardScratch,
        (k, group): (usize, usize),
        own: &[f64],
        row: &[f64],
    ) -> f64 {
        let mut sum: f64 = own.iter().zip(&self.levels[k].stored).map(|(b, &(_, c))| b * row[c]).sum();
        for (a, ancestor) in ancestors(tree, k, group) {
            let plan = &self.levels[a];
            let coefficients = &scratch.coefficients[a][ancestor * plan.r..(ancestor + 1) * plan.r];
            sum += plan.stored.iter().map(|&(position, c)| coefficients[position] * row[c]).sum::<f64>();
        }
        sum
    }
}
