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
use std::borrow::Cow;

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
    /// Computes the matrices from the factored core.
    pub(super) fn new(plan: &CrossedPlan, core: &CoreState) -> Whole {
        let c = core.effects();
        let inverse = core.whole_inverse();
        let mut h = core.whole_h(&inverse);
        let mut e = vec![0.0; c * c];
        let s = &core.s;
        let reciprocal = core.reciprocals();
        let small = core.small();
        e.par_chunks_exact_mut(c.max(1)).enumerate().for_each(|(i, row)| {
            let own = &inverse[i * c..(i + 1) * c];
            for ((e, x), reciprocal) in row.iter_mut().zip(own).zip(&reciprocal) {
                *e = s[i] * x * reciprocal;
            }
            for &j in &small {
                row[j] = f64::from(u8::from(i == j)) - s[i] * s[i] * h[i * c + j];
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
    /// Returns the effects whose s is small.
    fn small(&self) -> Vec<usize> {
        (0..self.effects()).filter(|&j| self.s[j] <= SMALL).collect()
    }

    /// Returns 1/s of every effect, or 0 where s is small.
    fn reciprocals(&self) -> Vec<f64> {
        self.s.iter().map(|&s| if s <= SMALL { 0.0 } else { 1.0 / s }).collect()
    }

    /// Computes S⁻¹, c×c, both triangles.
    fn whole_inverse(&self) -> Vec<f64> {
        let c = self.effects();
        let mut inverse = vec![0.0; c * c];
        if self.structure.is_none() {
            self.inverse(&mut inverse);
            return inverse;
        }
        inverse.par_chunks_mut(COLUMNS * c).enumerate().for_each(|(i, columns)| {
            let width = columns.len() / c;
            let mut unit = vec![0.0; c * width];
            (0..width).for_each(|j| unit[(i * COLUMNS + j) * width + j] = 1.0);
            let solved = self.solve_upper(self.solve_lower(unit, width), width);
            for (row, solved) in solved.chunks_exact(width).enumerate() {
                solved.iter().enumerate().for_each(|(j, x)| columns[j * c + row] = *x);
            }
        });
        inverse
    }

    /// Returns Ñ, c×c, both triangles.
    fn whole_reduced(&self) -> Cow<'_, [f64]> {
        if self.structure.is_none() {
            return Cow::Borrowed(&self.reduced);
        }
        let c = self.effects();
        let mut reduced = vec![0.0; c * c];
        reduced.par_chunks_mut(c).enumerate().for_each(|(j, column)| {
            self.column(&self.reduced, j, |i, x| column[i] = x);
        });
        Cow::Owned(reduced)
    }

    /// Computes H in the bases of the factors from S⁻¹.
    fn whole_h(&self, inverse: &[f64]) -> Vec<f64> {
        let c = self.effects();
        let reciprocal = self.reciprocals();
        let mut h = vec![0.0; c * c];
        h.par_chunks_exact_mut(c.max(1)).enumerate().for_each(|(j, column)| {
            let own = &inverse[j * c..(j + 1) * c];
            for ((h, x), of_row) in column.iter_mut().zip(own).zip(&reciprocal) {
                *h = -x * of_row * reciprocal[j];
            }
            column[j] = (1.0 - own[j]) * reciprocal[j] * reciprocal[j];
        });
        let small = self.small();
        if small.is_empty() {
            return h;
        }
        let reduced = self.whole_reduced();
        let solved: Vec<Vec<f64>> =
            small.par_chunks(COLUMNS).map(|columns| self.small_columns(columns, &reduced)).collect();
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
    fn small_columns(&self, columns: &[usize], reduced: &[f64]) -> Vec<f64> {
        let (c, s, width) = (self.effects(), &self.s, columns.len());
        let own = |i: usize, at: usize| reduced[columns[at] * c + i];
        let right = (0..c * width).map(|k| s[k / width] * own(k / width, k % width)).collect();
        let x = self.solve_upper(self.solve_lower(right, width), width);
        let scaled: Vec<f64> = x.iter().enumerate().map(|(k, x)| s[k / width] * x).collect();
        let explained = dense::times_rows(reduced, c, &scaled, width);
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
                transform(right(&self.bases[k]), false, columns, c, &mut Vec::new());
                for column in columns.chunks_exact_mut(c) {
                    plan.transform_column(|k| left(&self.bases[k]), column);
                }
            });
        }
    }
}

impl CrossedPlan {
    /// Multiplies the rows of every group of the core in a column by the r×r matrix of its factor.
    pub(super) fn transform_column<'a>(&self, of: impl Fn(usize) -> &'a [f64], column: &mut [f64]) {
        let mut work = Vec::new();
        for (k, factor) in self.factors.iter().enumerate() {
            let rows = &mut column[factor.first..factor.first + factor.groups * factor.r];
            match factor.r {
                1 => rows.iter_mut().for_each(|x| *x *= of(k)[0]),
                r => rows.chunks_exact_mut(r).for_each(|rows| transform(of(k), false, rows, 1, &mut work)),
            }
        }
    }
}
