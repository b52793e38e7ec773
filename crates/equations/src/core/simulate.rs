//! Draws of the responses of a crossed design as sums ([`crate::Simulator`] draws those of a nest).
//!
//! A replicate is `y = Zb + ε` with `b ~ N(0, σ²ΛΛ')`, `ε ~ N(0, σ²W⁻¹)`. The random effects are drawn directly.
//! The sums `[Z C]'Wε` have the covariance σ² times the moments, and are drawn by the block factor of these: that of
//! the elimination of a fit with `G → ∞`. With `N_g⁺ = N_g[z]⁺`, `L L'` the named matrix and ξ standard normal,
//!
//! ```text
//! leaf     Z_g'Wε = L_gξ_gσ                      L_gL_g' = N_g[z],                     L_g'a_g = ξ_gσ
//! core     Z_c'Wε = Σ_g B_g'a_g + L_cξ_cσ        L_cL_c' = N_cc - Σ_g B_g'N_g⁺B_g,     L_c'a_c = ξ_cσ
//! columns  C'Wε   = Σ_g N_g'a_g + Ñ_cC'a_c + L_Cξ_Cσ
//! ε'Wε = σ²(Σ ξ² + χ²), n - (number of ξ) degrees of freedom
//! ```
//!
//! All three matrices may be singular; L then has zero columns. See `docs/theory.md`, "The bootstrap in moment space".

use super::basis::Basis;
use super::dense;
use super::leaf::{LeafShardState, Rows, neighbour};
use super::plan::CrossedPlan;
use super::structure::CoreRoute;
use crate::simulate::Draws;
use crate::simulate::semidefinite::{SINGULAR, factor, solve, spread};
use nalgebra::DMatrix;
use rayon::prelude::*;
use tiers_moments::{Crossed, LeafShard};

/// Draws replicates of a fit of a crossed design.
#[derive(Debug)]
pub struct CrossedSimulator {
    plan: CrossedPlan,
    /// Per level, σΛ_k of the shifted columns, r×r row-major.
    factors: Vec<Vec<f64>>,
    sigma: f64,
    /// L of the leaf groups by shard, r×r row-major.
    leaf: Vec<Vec<f64>>,
    /// L of the core, c×c column-major.
    core: Vec<f64>,
    /// `Ñ_cC`, c×m.
    rows: Vec<f64>,
    /// L of C without y, row-major.
    cross: Vec<f64>,
    /// Degrees of freedom of ε'Wε that remain beside the sums.
    degrees: f64,
}

/// What is drawn for the leaf groups of a shard, groups×r each.
struct LeafDraw {
    /// b.
    effects: Vec<f64>,
    /// a.
    coefficients: Vec<f64>,
    /// `Z_g'Wε`.
    errors: Vec<f64>,
    /// `Σ ξ²σ²`.
    square: f64,
}

impl CrossedSimulator {
    /// Prepares draws with the factors σΛ_k of the shifted columns. The core is dense whatever its pattern: the work
    /// grows with the cube of its size, and the memory with its square.
    pub fn new(design: &Crossed, factors: &[DMatrix<f64>], sigma: f64) -> Self {
        let plan = CrossedPlan::with_route(design, CoreRoute::Dense);
        let (c, m, size) = (plan.effects, plan.m, plan.m - 1);
        let of_shard = |shard: &LeafShard| project(&plan, shard);
        let projected: Vec<(Vec<f64>, LeafShardState, usize)> = design.leaf.par_iter().map(of_shard).collect();
        let mut rank: usize = projected.iter().map(|(_, _, rank)| rank).sum();
        let (leaf, states): (Vec<_>, Vec<_>) = projected.into_iter().map(|(l, state, _)| (l, state)).unzip();
        let bases: Vec<Basis> = plan.factors.iter().map(|factor| Basis::identity(factor.r)).collect();
        let mut core = vec![0.0; c * c];
        plan.form(design, &states, &bases, &mut core);
        let rows = plan.form_rows(design, &states, &bases, &Rows::of_design(design));
        let zero = |effect: usize| {
            let (k, group) = plan.place(effect);
            let t = effect - plan.factors[k].effects(group).start;
            SINGULAR * design.core[k].moments[(group * plan.factors[k].r + t) * m + plan.factors[k].z[t]]
        };
        rank += dense::semidefinite(&mut core, c, zero);
        let mut cross: Vec<f64> = (0..size * size).map(|i| design.cross[i / size * m + i % size]).collect();
        let mut subtract = |a: &[f64], b: &[f64]| {
            for (a, into) in a.iter().zip(cross.chunks_exact_mut(size)) {
                into.iter_mut().zip(b).for_each(|(x, b)| *x -= a * b);
            }
        };
        let mut kn = vec![0.0; plan.r * m];
        for (shard, state) in design.leaf.iter().zip(&states) {
            let r = plan.r;
            for (n, kernel) in shard.moments.chunks_exact(r * m).zip(state.kernel.chunks_exact(r * r)) {
                crate::tree::small::apply(kernel, n, r, m, &mut kn);
                n.chunks_exact(m).zip(kn.chunks_exact(m)).for_each(|(n, kn)| subtract(&n[..size], &kn[..size]));
            }
        }
        let mut half = rows.clone();
        solve_forward(&core, c, &mut half, m);
        half.chunks_exact(m).for_each(|row| subtract(&row[..size], &row[..size]));
        rank += factor(&mut cross, |j| design.cross[j * m + j], size);
        let factors = factors.iter().map(|f| f.transpose().as_slice().to_vec()).collect();
        let degrees = (design.rows as f64 - rank as f64).max(0.0);
        CrossedSimulator { plan, factors, sigma, leaf, core, rows, cross, degrees }
    }

    /// Replaces the moments of y by those of a drawn response. `draws` returns the random numbers of a shard of the
    /// leaf or, called with the number of shards, those that all shards share.
    pub fn draw(&self, design: &mut Crossed, draws: &(dyn Fn(usize) -> Box<dyn Draws> + Sync)) {
        let (c, m, size) = (self.plan.effects, self.plan.m, self.plan.m - 1);
        let leaf: Vec<LeafDraw> =
            (0..design.leaf.len()).into_par_iter().map(|shard| self.draw_leaf(shard, &mut *draws(shard))).collect();
        let mut shared = draws(design.leaf.len());
        let b = self.draw_core_effects(&mut *shared);
        let xi: Vec<f64> = (0..c).map(|j| self.normal_if(self.core[j * c + j], &mut *shared)).collect();
        let mut square: f64 = xi.iter().map(|x| x * x).sum();
        let mut errors = vec![0.0; c];
        for (j, xi) in xi.iter().enumerate().filter(|(_, xi)| **xi != 0.0) {
            errors[j..].iter_mut().zip(&self.core[j * c + j..(j + 1) * c]).for_each(|(e, l)| *e += l * xi);
        }
        let mut a = xi;
        solve_backward(&self.core, c, &mut a);
        let mut by_column = vec![0.0; size];
        let mut add = |row: &[f64], factor: f64| by_column.iter_mut().zip(row).for_each(|(x, v)| *x += factor * v);
        // The leaf's sums, then the core's, then those of C.
        let leaf_effects: Vec<Vec<f64>> =
            design.leaf.par_iter().zip(&leaf).map(|(shard, draw)| self.leaf_sums(shard, draw, &b)).collect();
        for ((shard, draw), effects) in design.leaf.iter_mut().zip(&leaf).zip(&leaf_effects) {
            square += draw.square;
            for (i, row) in shard.moments.chunks_exact_mut(m).enumerate() {
                add(&row[..size], draw.effects[i] + draw.coefficients[i]);
                square += draw.effects[i] * (effects[i] + 2.0 * draw.errors[i]);
                row[size] = effects[i] + draw.errors[i];
            }
        }
        let effects = self.core_sums(design, &leaf, &b, &mut errors);
        let mut effect = 0;
        for factor in &mut design.core {
            for row in factor.moments.chunks_exact_mut(m) {
                add(&row[..size], b[effect]);
                add(&self.rows[effect * m..effect * m + size], a[effect]);
                square += b[effect] * (effects[effect] + 2.0 * errors[effect]);
                row[size] = effects[effect] + errors[effect];
                effect += 1;
            }
        }
        let xi: Vec<f64> = (0..size).map(|j| self.normal_if(self.cross[j * size + j], &mut *shared)).collect();
        let mut left = vec![0.0; size];
        spread(&self.cross, &xi, &mut left);
        square += xi.iter().map(|x| x * x).sum::<f64>();
        if self.degrees > 0.0 {
            square += self.sigma * self.sigma * shared.chi_squared(self.degrees);
        }
        for (column, left) in left.into_iter().enumerate() {
            let value = by_column[column] + left;
            design.cross[column * m + size] = value;
            design.cross[size * m + column] = value;
        }
        design.cross[size * m + size] = square;
    }

    /// σ times a standard normal number if a pivot is not zero.
    fn normal_if(&self, pivot: f64, draws: &mut dyn Draws) -> f64 {
        if pivot > 0.0 { self.sigma * draws.normal() } else { 0.0 }
    }

    /// Appends the effects of one group of a level.
    fn draw_group(&self, level: usize, draws: &mut dyn Draws, out: &mut Vec<f64>) {
        let factor = &self.factors[level];
        let r = factor.len().isqrt();
        let xi: Vec<f64> = (0..r).map(|_| draws.normal()).collect();
        out.extend((0..r).map(|i| (0..r).map(|j| factor[i * r + j] * xi[j]).sum::<f64>()));
    }

    fn draw_leaf(&self, shard: usize, draws: &mut dyn Draws) -> LeafDraw {
        let r = self.plan.r;
        let (mut xi, mut of_group) = (vec![0.0; r], vec![0.0; r]);
        let mut out = LeafDraw { effects: Vec::new(), coefficients: Vec::new(), errors: Vec::new(), square: 0.0 };
        for l in self.leaf[shard].chunks_exact(r * r) {
            self.draw_group(0, draws, &mut out.effects);
            (0..r).for_each(|i| xi[i] = self.normal_if(l[i * r + i], draws));
            out.square += xi.iter().map(|x| x * x).sum::<f64>();
            spread(l, &xi, &mut of_group);
            out.errors.extend_from_slice(&of_group);
            solve(l, &xi, &mut of_group);
            out.coefficients.extend_from_slice(&of_group);
        }
        out
    }

    fn draw_core_effects(&self, draws: &mut dyn Draws) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.plan.effects);
        for (k, factor) in self.plan.factors.iter().enumerate() {
            (0..factor.groups).for_each(|_| self.draw_group(k + 1, draws, &mut out));
        }
        out
    }

    /// Computes `Z_g'WZb` of the leaf groups of a shard.
    fn leaf_sums(&self, shard: &LeafShard, draw: &LeafDraw, b: &[f64]) -> Vec<f64> {
        let (r, m) = (self.plan.r, self.plan.m);
        let mut out = vec![0.0; shard.groups * r];
        for group in 0..shard.groups {
            let own = &draw.effects[group * r..(group + 1) * r];
            for t in 0..r {
                let row = &shard.moments[(group * r + t) * m..(group * r + t + 1) * m];
                let mut sum: f64 = own.iter().zip(&self.plan.z).map(|(b, &z)| b * row[z]).sum();
                for entry in shard.starts[group]..shard.starts[group + 1] {
                    let (first, block) = neighbour(shard, entry);
                    let columns = block.len() / r;
                    sum += (0..columns).map(|j| block[t * columns + j] * b[first + j]).sum::<f64>();
                }
                out[group * r + t] = sum;
            }
        }
        out
    }

    /// Computes `Z_c'WZb`, and adds `Σ_g B_g'a_g` to the errors.
    fn core_sums(&self, design: &Crossed, leaf: &[LeafDraw], b: &[f64], errors: &mut [f64]) -> Vec<f64> {
        let (r, m, pairs) = (self.plan.r, self.plan.m, &design.pairs);
        let mut effects = vec![0.0; b.len()];
        for (k, factor) in self.plan.factors.iter().enumerate() {
            for group in 0..factor.groups {
                let own = factor.effects(group);
                for (t, effect) in own.clone().enumerate() {
                    let row = &design.core[k].moments[(group * factor.r + t) * m..][..m];
                    effects[effect] += b[own.clone()].iter().zip(&factor.z).map(|(b, &z)| b * row[z]).sum::<f64>();
                }
                for visit in self.plan.visits(k, group) {
                    let (_, block) = neighbour(&design.leaf[visit.shard as usize], visit.entry as usize);
                    let draw = &leaf[visit.shard as usize];
                    for s in 0..r {
                        let at = visit.group as usize * r + s;
                        for (t, effect) in own.clone().enumerate() {
                            effects[effect] += block[s * factor.r + t] * draw.effects[at];
                            errors[effect] += block[s * factor.r + t] * draw.coefficients[at];
                        }
                    }
                }
                let number = factor.first_group + group;
                for pair in pairs.starts[number]..pairs.starts[number + 1] {
                    let block = &pairs.blocks[pairs.block_starts[pair]..pairs.block_starts[pair + 1]];
                    let (first, columns) = (pairs.partners[pair] as usize, block.len() / factor.r);
                    for (t, row) in block.chunks_exact(columns).enumerate() {
                        for (j, value) in row.iter().enumerate() {
                            effects[own.start + t] += value * b[first + j];
                            effects[first + j] += value * b[own.start + t];
                        }
                    }
                }
            }
        }
        effects
    }
}

/// Factors the leaf groups of a shard: L, with `N⁺` as K and `I - N N⁺` as T; and the rank.
fn project(plan: &CrossedPlan, shard: &LeafShard) -> (Vec<f64>, LeafShardState, usize) {
    let (r, m) = (plan.r, plan.m);
    let (mut all, mut state, mut rank) = (Vec::new(), LeafShardState::default(), 0);
    for n in shard.moments.chunks_exact(r * m) {
        let own: Vec<f64> = (0..r * r).map(|k| n[k / r * m + plan.z[k % r]]).collect();
        let mut l = own.clone();
        rank += factor(&mut l, |j| own[j * r + j], r);
        let mut inverse = vec![0.0; r * r];
        let (mut xi, mut x) = (vec![0.0; r], vec![0.0; r]);
        for column in 0..r {
            for i in 0..r {
                let rest: f64 = (0..i).map(|j| l[i * r + j] * xi[j]).sum();
                let right = f64::from(u8::from(i == column)) - rest;
                xi[i] = if l[i * r + i] > 0.0 { right / l[i * r + i] } else { 0.0 };
            }
            solve(&l, &xi, &mut x);
            (0..r).for_each(|i| inverse[i * r + column] = x[i]);
        }
        for i in 0..r {
            for j in 0..r {
                let product: f64 = (0..r).map(|s| own[i * r + s] * inverse[s * r + j]).sum();
                let left = f64::from(u8::from(i == j)) - product;
                // Rounding is not information that is left.
                state.t.push(if left.abs() > 1e-9 { left } else { 0.0 });
            }
        }
        state.kernel.extend_from_slice(&inverse);
        all.extend_from_slice(&l);
    }
    (all, state, rank)
}

/// Replaces rows b (n×width) by `L⁻¹b`, with zero rows where L has zero columns.
fn solve_forward(l: &[f64], n: usize, b: &mut [f64], width: usize) {
    for j in 0..n {
        let pivot = l[j * n + j];
        let (own, below) = b[j * width..].split_at_mut(width);
        own.iter_mut().for_each(|x| *x = if pivot > 0.0 { *x / pivot } else { 0.0 });
        if pivot > 0.0 {
            for (row, l) in below.chunks_exact_mut(width).zip(&l[j * n + j + 1..(j + 1) * n]) {
                row.iter_mut().zip(&*own).for_each(|(x, own)| *x -= l * own);
            }
        }
    }
}

/// Replaces b by x with `L'x = b` over the columns of L that are not zero.
fn solve_backward(l: &[f64], n: usize, b: &mut [f64]) {
    for j in (0..n).rev() {
        let pivot = l[j * n + j];
        let rest: f64 = l[j * n + j + 1..(j + 1) * n].iter().zip(&b[j + 1..]).map(|(l, x)| l * x).sum();
        b[j] = if pivot > 0.0 { (b[j] - rest) / pivot } else { 0.0 };
    }
}
