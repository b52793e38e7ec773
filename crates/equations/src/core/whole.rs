//! Whole matrices of the core, which second derivatives need.
//!
//! ```text
//! H = Z_c'V⁻¹Z_c = (I + ÑG)⁻¹Ñ        E = I - G H = (I + GÑ)⁻¹        D = G - G H G = E G
//! ```

use super::basis::{Basis, transform};
use super::dense;
use super::factor::CoreState;
use super::plan::CrossedPlan;
use rayon::prelude::*;

/// Columns that a thread solves at a time.
const COLUMNS: usize = 64;
/// Where s is at most this, H is not taken from S⁻¹, which would lose more than six digits.
const SMALL: f64 = 1e-3;

/// The whole matrices, c×c column-major, both triangles.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) h: Vec<f64>,
    /// E'.
    pub(super) e: Vec<f64>,
    pub(super) d: Vec<f64>,
}

impl Whole {
    /// Computes the matrices from the factored core; the upper triangle of its Ñ is overwritten.
    pub(super) fn new(plan: &CrossedPlan, core: &mut CoreState) -> Whole {
        let c = core.effects();
        let mut inverse = vec![0.0; c * c];
        dense::inverse(&core.l, c, &mut inverse);
        dense::mirror(&mut inverse, c);
        dense::mirror(&mut core.reduced, c);
        let core = &*core;
        let mut h = core.whole_h(&inverse);
        let mut e = vec![0.0; c * c];
        let s = &core.s;
        e.par_chunks_exact_mut(c.max(1)).enumerate().for_each(|(i, row)| {
            for (j, e) in row.iter_mut().enumerate() {
                let at = i * c + j;
                *e = if s[j] > SMALL {
                    s[i] * inverse[at] / s[j]
                } else {
                    f64::from(u8::from(i == j)) - s[i] * s[i] * h[at]
                };
            }
        });
        let mut d = inverse;
        d.par_chunks_exact_mut(c.max(1)).enumerate().for_each(|(j, column)| {
            column.iter_mut().zip(s).for_each(|(x, s_i)| *x *= s_i * s[j]);
        });
        fn m(basis: &Basis) -> &[f64] {
            &basis.m
        }
        fn dual(basis: &Basis) -> &[f64] {
            &basis.dual
        }
        core.transform_whole(plan, dual, dual, &mut h);
        // E = M Ẽ M⁻¹, here transposed.
        core.transform_whole(plan, dual, m, &mut e);
        core.transform_whole(plan, m, m, &mut d);
        Whole { h, e, d }
    }
}

impl CoreState {
    /// Computes H in the bases of the factors from S⁻¹ and the whole Ñ.
    fn whole_h(&self, inverse: &[f64]) -> Vec<f64> {
        let (c, s) = (self.effects(), &self.s);
        let mut h = vec![0.0; c * c];
        h.par_chunks_exact_mut(c.max(1)).enumerate().filter(|(j, _)| s[*j] > SMALL).for_each(|(j, column)| {
            for (i, h) in column.iter_mut().enumerate().filter(|(i, _)| s[*i] > SMALL) {
                *h = (f64::from(u8::from(i == j)) - inverse[j * c + i]) / (s[i] * s[j]);
            }
        });
        let small: Vec<usize> = (0..c).filter(|&j| s[j] <= SMALL).collect();
        let solved: Vec<Vec<f64>> = small.par_chunks(COLUMNS).map(|columns| self.small_columns(columns)).collect();
        for (columns, solved) in small.chunks(COLUMNS).zip(&solved) {
            for (at, &j) in columns.iter().enumerate() {
                for i in 0..c {
                    let value = solved[i * columns.len() + at];
                    h[j * c + i] = value;
                    h[i * c + j] = value;
                }
            }
        }
        h
    }

    /// Computes the columns of H of effects with small s: `Ñ - Ñ s x` and `x / s` with `x = S⁻¹ s Ñ`.
    fn small_columns(&self, columns: &[usize]) -> Vec<f64> {
        let (c, s, width) = (self.effects(), &self.s, columns.len());
        let own = |i: usize, at: usize| self.reduced[columns[at] * c + i];
        let mut x: Vec<f64> = (0..c * width).map(|k| s[k / width] * own(k / width, k % width)).collect();
        dense::solve_lower(&self.l, c, &mut x, width);
        dense::solve_upper(&self.l, c, &mut x, width);
        let scaled: Vec<f64> = x.iter().enumerate().map(|(k, x)| s[k / width] * x).collect();
        let explained = dense::times_rows(&self.reduced, c, &scaled, width);
        let entry = |k: usize| match s[k / width] > SMALL {
            true => x[k] / s[k / width],
            false => own(k / width, k % width) - explained[k],
        };
        (0..c * width).map(entry).collect()
    }

    /// Replaces a matrix B by `A B C'` with the r×r matrices `left` and `right` of each factor.
    fn transform_whole(
        &self,
        plan: &CrossedPlan,
        left: impl Fn(&Basis) -> &[f64] + Sync,
        right: impl Fn(&Basis) -> &[f64] + Sync,
        matrix: &mut [f64],
    ) {
        let c = self.effects();
        let mut rest = matrix;
        for (k, factor) in plan.factors.iter().enumerate() {
            let (own, next) = rest.split_at_mut(factor.groups * factor.r * c);
            rest = next;
            own.par_chunks_mut((factor.r * c).max(1)).for_each(|columns| {
                let mut work = Vec::new();
                transform(right(&self.bases[k]), false, columns, c, &mut work);
                for column in columns.chunks_exact_mut(c) {
                    for (factor, basis) in plan.factors.iter().zip(&self.bases) {
                        let rows = &mut column[factor.first..factor.first + factor.groups * factor.r];
                        rows.chunks_exact_mut(factor.r).for_each(|b| transform(left(basis), false, b, 1, &mut work));
                    }
                }
            });
        }
    }
}
