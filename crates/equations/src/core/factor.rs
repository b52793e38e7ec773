//! The core at one point: its Schur complement `S = I + ΛÑΛ`, factored, and what follows from it.
//!
//! Everything here is in the bases of the factors ([`super::basis`]), in which Λ is the diagonal matrix s.
//! With `x = S⁻¹ sÑ_C`, the rows `F = Z_c'V⁻¹C` of the core and the diagonal blocks of `H = Z_c'V⁻¹Z_c` are
//!
//! ```text
//! F  = (I + Ñs²)⁻¹Ñ_C            = x / s                      = Ñ_C - Ñ s x
//! H  = (I + Ñs²)⁻¹Ñ              = (I - S⁻¹) / s²             = S⁻¹ sÑ / s            = Ñ - Ñ s S⁻¹ s Ñ
//! ```
//!
//! row by row. The first form loses nothing where s > 1, when the effect has more variance than its rows leave; the
//! second nothing at small s. At s = 0, only the last exists.

use super::basis::Basis;
use super::dense;
use super::plan::CrossedPlan;
use super::structure::Structure;
use crate::tree::small::add_scaled;
use rayon::prelude::*;
use std::sync::Arc;

/// Columns of the core that a thread solves at a time at a zero variance.
const COLUMNS: usize = 64;

/// The factored core.
#[derive(Clone, Debug, Default)]
pub(super) struct CoreState {
    pub(super) bases: Vec<Basis>,
    /// s of every effect.
    pub(super) s: Vec<f64>,
    /// Ñ, c×c column-major, both triangles; or on the pattern of a sparse core.
    pub(super) reduced: Vec<f64>,
    /// L with `S = L L'`, c×c column-major, lower triangle; or by supernodes.
    pub(super) l: Vec<f64>,
    /// The pattern of a sparse core.
    pub(super) structure: Option<Arc<Structure>>,
}

/// Rows of the core after the solution: c×width, row-major.
#[derive(Debug)]
pub(super) struct Solved {
    pub(super) width: usize,
    /// Ñ_C.
    pub(super) rows: Vec<f64>,
    /// `L⁻¹ s Ñ_C`, whose cross-products the core subtracts.
    pub(super) half: Vec<f64>,
    /// x.
    pub(super) x: Vec<f64>,
}

impl CoreState {
    /// Returns the number of effects.
    pub(super) fn effects(&self) -> usize {
        self.s.len()
    }

    /// Factors S; returns `log|S|`, or `None` if S is not positive definite in floating point.
    pub(super) fn factor(&mut self) -> Option<f64> {
        let (c, s) = (self.s.len(), &self.s);
        if c == 0 {
            return Some(0.0);
        }
        if let Some(Structure { pattern, supernodal, .. }) = self.structure.as_deref() {
            let mut values = self.reduced.clone();
            for j in 0..c {
                let own = pattern.column(j);
                own.clone().for_each(|at| values[at] *= s[pattern.rows[at]] * s[j]);
                values[own.start] += 1.0;
            }
            supernodal.factor(pattern, &values, &mut self.l).ok()?;
            return Some(supernodal.log_det(&self.l));
        }
        let columns = self.l.par_chunks_exact_mut(c).zip(self.reduced.par_chunks_exact(c)).enumerate();
        columns.for_each(|(j, (l, reduced))| {
            for i in j..c {
                l[i] = s[i] * reduced[i] * s[j];
            }
            l[j] += 1.0;
        });
        dense::cholesky(&mut self.l, c).ok()?;
        Some(2.0 * (0..c).map(|j| self.l[j * c + j].ln()).sum::<f64>())
    }

    /// Solves for the rows Ñ_C.
    pub(super) fn solve(&self, rows: Vec<f64>, width: usize) -> Solved {
        let mut half = rows.clone();
        half.chunks_exact_mut(width.max(1)).zip(&self.s).for_each(|(row, s)| row.iter_mut().for_each(|x| *x *= s));
        half = self.solve_lower(half, width);
        let x = self.solve_upper(half.clone(), width);
        Solved { width, rows, half, x }
    }

    /// Returns `L⁻¹b` of rows b, in an order of L's own.
    pub(super) fn solve_lower(&self, mut b: Vec<f64>, width: usize) -> Vec<f64> {
        match self.structure.as_deref() {
            Some(structure) => structure.supernodal.solve_lower(&self.l, &b, width),
            None => {
                dense::solve_lower(&self.l, self.effects(), &mut b, width);
                b
            }
        }
    }

    /// Returns `L'⁻¹b` of rows b in the order of [`CoreState::solve_lower`].
    pub(super) fn solve_upper(&self, mut b: Vec<f64>, width: usize) -> Vec<f64> {
        match self.structure.as_deref() {
            Some(structure) => structure.supernodal.solve_upper(&self.l, &b, width),
            None => {
                dense::solve_upper(&self.l, self.effects(), &mut b, width);
                b
            }
        }
    }

    /// Computes S⁻¹, in the layout of Ñ.
    pub(super) fn inverse(&self, out: &mut [f64]) {
        match self.structure.as_deref() {
            Some(Structure { pattern, supernodal, .. }) => supernodal.inverse(&self.l, pattern, out),
            None => dense::inverse(&self.l, self.effects(), out),
        }
    }

    /// Visits the entries of a whole column of a symmetric matrix in the layout of Ñ.
    #[inline(always)]
    pub(super) fn column(&self, matrix: &[f64], j: usize, mut visit: impl FnMut(usize, f64)) {
        let c = self.effects();
        match self.structure.as_deref() {
            Some(structure) => structure.column(matrix, j, visit),
            None => matrix[j * c..(j + 1) * c].iter().enumerate().for_each(|(i, &x)| visit(i, x)),
        }
    }

    /// Returns an entry of a symmetric matrix in the layout of Ñ; both effects are of groups that meet.
    pub(super) fn entry(&self, matrix: &[f64], i: usize, j: usize) -> f64 {
        match self.structure.as_deref() {
            Some(structure) => structure.entry(matrix, i, j),
            None => matrix[i.min(j) * self.effects() + i.max(j)],
        }
    }

    /// Computes F of the solved rows, c×width.
    pub(super) fn residuals(&self, solved: &Solved) -> Vec<f64> {
        let (c, width, s) = (self.effects(), solved.width, &self.s);
        let mut f = vec![0.0; c * width];
        f.par_chunks_exact_mut(width).enumerate().for_each(|(i, f)| {
            if s[i] > 1.0 {
                f.copy_from_slice(&solved.x[i * width..(i + 1) * width]);
                f.iter_mut().for_each(|f| *f /= s[i]);
                return;
            }
            f.copy_from_slice(&solved.rows[i * width..(i + 1) * width]);
            self.column(&self.reduced, i, |j, n| {
                if s[j] > 0.0 {
                    add_scaled(f, -n * s[j], &solved.x[j * width..(j + 1) * width]);
                }
            });
        });
        f
    }

    /// Computes the diagonal blocks of H of all groups, r×r each, factor by factor; `inverse` is S⁻¹.
    pub(super) fn own_blocks(&self, plan: &CrossedPlan, inverse: &[f64]) -> Vec<Vec<f64>> {
        let of_factor = |k: usize| {
            let (factor, r) = (&plan.factors[k], plan.factors[k].r);
            let mut blocks = vec![0.0; factor.groups * r * r];
            let c = self.effects();
            blocks.par_chunks_exact_mut(r * r).enumerate().for_each_init(
                || vec![0.0; c],
                |buffer, (group, block)| self.own_block(inverse, factor.effects(group).start, block, r, buffer),
            );
            self.add_blocks_without_variance(plan, k, &mut blocks);
            blocks
        };
        (0..plan.factors.len()).map(of_factor).collect()
    }

    /// Computes the entries of a block of which at least one effect has a variance.
    fn own_block(&self, inverse: &[f64], first: usize, block: &mut [f64], r: usize, row: &mut [f64]) {
        for i in 0..r {
            for j in 0..=i {
                // The one with the larger variance first.
                let (a, b) = if self.s[first + i] >= self.s[first + j] { (i, j) } else { (j, i) };
                let (s_a, s_b) = (self.s[first + a], self.s[first + b]);
                let value = if s_b > 1.0 {
                    (f64::from(u8::from(i == j)) - self.entry(inverse, first + i, first + j)) / s_a / s_b
                } else if s_a > 0.0 {
                    self.column(inverse, first + a, |e, x| row[e] = x * self.s[e]);
                    let mut sum = 0.0;
                    self.column(&self.reduced, first + b, |e, n| sum += row[e] * n);
                    sum / s_a
                } else {
                    0.0
                };
                block[i * r + j] = value;
                block[j * r + i] = value;
            }
        }
    }

    /// Adds the entries of the blocks of a factor between effects that all have no variance.
    fn add_blocks_without_variance(&self, plan: &CrossedPlan, k: usize, blocks: &mut [f64]) {
        let (c, factor, r) = (self.effects(), &plan.factors[k], plan.factors[k].r);
        let zeros: Vec<usize> = (0..r).filter(|&i| self.bases[k].s[i] == 0.0).collect();
        if zeros.is_empty() {
            return;
        }
        let at_once = (COLUMNS / zeros.len()).max(1);
        let z = zeros.len();
        blocks.par_chunks_mut(at_once * r * r).enumerate().for_each(|(i, blocks)| {
            let groups = blocks.len() / (r * r);
            // L⁻¹ s Ñ of these effects, a column each.
            let mut solved = vec![0.0; c * groups * z];
            let effects = |group: usize, at: usize| factor.effects(i * at_once + group).start + zeros[at];
            let width = groups * z;
            for at in 0..width {
                self.column(&self.reduced, effects(at / z, at % z), |e, n| solved[e * width + at] = n * self.s[e]);
            }
            let solved = self.solve_lower(solved, width);
            for (group, block) in blocks.chunks_exact_mut(r * r).enumerate() {
                for a in 0..z {
                    for b in 0..=a {
                        let (row, own) = (effects(group, a), effects(group, b));
                        let explained: f64 =
                            solved.chunks_exact(width).map(|x| x[group * z + a] * x[group * z + b]).sum();
                        let value = self.entry(&self.reduced, own, row) - explained;
                        block[zeros[a] * r + zeros[b]] = value;
                        block[zeros[b] * r + zeros[a]] = value;
                    }
                }
            }
        });
    }

    /// Replaces S⁻¹ by `D = M s S⁻¹ s M'`, the conditional covariances over σ² of the effects of the core.
    pub(super) fn covariances(&self, plan: &CrossedPlan, inverse: &mut [f64]) {
        let (c, s) = (self.effects(), &self.s);
        if c == 0 {
            return;
        }
        if let Some(structure) = self.structure.as_deref() {
            return plan.covariances_on_pattern(structure, &self.bases, s, inverse);
        }
        inverse.par_chunks_exact_mut(c).enumerate().for_each(|(j, column)| {
            column[j..].iter_mut().zip(&s[j..]).for_each(|(x, s_i)| *x *= s_i * s[j]);
        });
        self.transform(plan, inverse, |basis| &basis.m);
    }

    /// Replaces the lower triangle of a matrix B by that of `A B A'` with the given r×r matrix of each factor.
    pub(super) fn transform<'a>(
        &'a self,
        plan: &CrossedPlan,
        matrix: &mut [f64],
        of: impl Fn(&'a Basis) -> &'a [f64] + Sync,
    ) {
        let c = self.effects();
        let mut rest = matrix;
        for (k, factor) in plan.factors.iter().enumerate() {
            let (own, next) = rest.split_at_mut(factor.groups * factor.r * c);
            rest = next;
            own.par_chunks_mut((factor.r * c).max(1)).enumerate().for_each(|(group, columns)| {
                plan.transform_columns(&self.bases, &of, false, (k, group), columns);
            });
        }
    }
}
