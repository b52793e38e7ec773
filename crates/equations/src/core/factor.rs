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
use crate::tree::small::{add_scaled, dot};
use rayon::prelude::*;

/// Columns of the core that a thread solves at a time at a zero variance.
const COLUMNS: usize = 64;

/// The factored core.
#[derive(Clone, Debug, Default)]
pub(super) struct CoreState {
    pub(super) bases: Vec<Basis>,
    /// s of every effect.
    pub(super) s: Vec<f64>,
    /// Ñ, c×c column-major, lower triangle.
    pub(super) reduced: Vec<f64>,
    /// L with `S = L L'`, in the same layout.
    pub(super) l: Vec<f64>,
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
        let c = self.effects();
        let mut half = rows.clone();
        half.chunks_exact_mut(width.max(1)).zip(&self.s).for_each(|(row, s)| row.iter_mut().for_each(|x| *x *= s));
        dense::solve_lower(&self.l, c, &mut half, width);
        let mut x = half.clone();
        dense::solve_upper(&self.l, c, &mut x, width);
        Solved { width, rows, half, x }
    }

    /// Computes F of the solved rows, c×width.
    pub(super) fn residuals(&self, solved: &Solved) -> Vec<f64> {
        let (c, width, s) = (self.effects(), solved.width, &self.s);
        let mut f = vec![0.0; c * width];
        f.par_chunks_exact_mut(width).enumerate().for_each_init(
            || vec![0.0; c],
            |column, (i, f)| {
                if s[i] > 1.0 {
                    f.copy_from_slice(&solved.x[i * width..(i + 1) * width]);
                    f.iter_mut().for_each(|f| *f /= s[i]);
                    return;
                }
                symmetric_column(&self.reduced, c, i, column);
                f.copy_from_slice(&solved.rows[i * width..(i + 1) * width]);
                for ((n, s), x) in column.iter().zip(s).zip(solved.x.chunks_exact(width)) {
                    if *s > 0.0 {
                        add_scaled(f, -n * s, x);
                    }
                }
            },
        );
        f
    }

    /// Computes the diagonal blocks of H of all groups, r×r each, factor by factor; `inverse` is S⁻¹.
    pub(super) fn own_blocks(&self, plan: &CrossedPlan, inverse: &[f64]) -> Vec<Vec<f64>> {
        let of_factor = |k: usize| {
            let (factor, r) = (&plan.factors[k], plan.factors[k].r);
            let mut blocks = vec![0.0; factor.groups * r * r];
            let c = self.effects();
            blocks.par_chunks_exact_mut(r * r).enumerate().for_each_init(
                || (vec![0.0; c], vec![0.0; c]),
                |buffers, (group, block)| self.own_block(inverse, factor.effects(group).start, block, r, buffers),
            );
            self.add_blocks_without_variance(plan, k, &mut blocks);
            blocks
        };
        (0..plan.factors.len()).map(of_factor).collect()
    }

    /// Computes the entries of a block of which at least one effect has a variance.
    fn own_block(
        &self,
        inverse: &[f64],
        first: usize,
        block: &mut [f64],
        r: usize,
        (row, column): &mut (Vec<f64>, Vec<f64>),
    ) {
        let c = self.effects();
        for i in 0..r {
            for j in 0..=i {
                // The one with the larger variance first.
                let (a, b) = if self.s[first + i] >= self.s[first + j] { (i, j) } else { (j, i) };
                let (s_a, s_b) = (self.s[first + a], self.s[first + b]);
                let value = if s_b > 1.0 {
                    let entry = inverse[(first + j) * c + first + i];
                    (f64::from(u8::from(i == j)) - entry) / s_a / s_b
                } else if s_a > 0.0 {
                    symmetric_column(inverse, c, first + a, row);
                    row.iter_mut().zip(&self.s).for_each(|(x, s)| *x *= s);
                    symmetric_column(&self.reduced, c, first + b, column);
                    dot(row, column) / s_a
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
            let mut column = vec![0.0; c];
            let effects = |group: usize, at: usize| factor.effects(i * at_once + group).start + zeros[at];
            let width = groups * z;
            for at in 0..width {
                symmetric_column(&self.reduced, c, effects(at / z, at % z), &mut column);
                for (e, (n, s)) in column.iter().zip(&self.s).enumerate() {
                    solved[e * width + at] = n * s;
                }
            }
            dense::solve_lower(&self.l, c, &mut solved, width);
            for (group, block) in blocks.chunks_exact_mut(r * r).enumerate() {
                for a in 0..z {
                    for b in 0..=a {
                        let (row, own) = (effects(group, a), effects(group, b));
                        let explained: f64 =
                            solved.chunks_exact(width).map(|x| x[group * z + a] * x[group * z + b]).sum();
                        let value = self.reduced[own.min(row) * c + own.max(row)] - explained;
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

/// Copies a column of a symmetric matrix that is stored as its lower triangle.
pub(super) fn symmetric_column(a: &[f64], n: usize, j: usize, out: &mut [f64]) {
    (0..j).for_each(|i| out[i] = a[i * n + j]);
    out[j..].copy_from_slice(&a[j * n + j..(j + 1) * n]);
}
