//! Forward and backward sweeps with L and D over all right-hand sides at once.
//!
//! With `B = Λ'Z'WC` (q×m) and `A = LDL'`,
//!
//! ```text
//! R = L⁻¹B                 forward sweep
//! log|A| = Σ log d_j
//! S = C'WC - R'D⁻¹R        = C'WC - B'A⁻¹B = C'V⁻¹C
//! E = A⁻¹B = L'⁻¹D⁻¹R      backward sweep
//! u = Eγ,  b = Λu          γ = -β at the columns of X, 1 at y
//! ```
//!
//! (Bates et al. 2015, sections 3.4 and 5.) S is the Schur complement of A. The sums of an evaluation need
//! no backward sweep.

use super::factor::{Factor, spherical};
use super::moments::GroupMoments;
use super::pattern::Pattern;
use crate::Sums;
use sprs::CsMatViewI;
use tiers_moments::{CHUNK, Cross, padded};

/// Buffers for the right-hand sides of a shard, reused by the next evaluation; one per thread.
#[derive(Clone, Debug, Default)]
pub struct SparseScratch {
    rows: Vec<f64>,
    scaled: Vec<f64>,
}

/// The parts of a shard that a sweep needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct System<'a> {
    pub(super) pattern: &'a Pattern,
    pub(super) moments: &'a GroupMoments<'a>,
    pub(super) factor: &'a Factor,
}

impl System<'_> {
    /// Computes log|A| and `B'A⁻¹B`.
    #[inline(always)]
    pub(super) fn sums(&self, scratch: &mut SparseScratch) -> Sums {
        let (m, q) = (self.moments.columns(), self.pattern.unknowns());
        let width = padded(m);
        let SparseScratch { rows, scaled } = scratch;
        rows.clear();
        rows.resize(q * width, 0.0);
        scaled.resize(CHUNK * width, 0.0);
        self.right_hand_sides(|unknown, b| rows[unknown * width..][..m].copy_from_slice(b));
        forward(&self.factor.l(), rows, width);
        let d = self.factor.d();
        let mut downdate = Cross::new(m);
        for (rows, d) in rows.chunks(CHUNK * width).zip(d.chunks(CHUNK)) {
            let scaled = &mut scaled[..rows.len()];
            for ((into, row), d) in scaled.chunks_exact_mut(width).zip(rows.chunks_exact(width)).zip(d) {
                into.iter_mut().zip(row).for_each(|(o, v)| *o = v / d);
            }
            downdate.add(scaled, rows);
        }
        // Summed by chunks: if groups have few distinct sizes, the rounding errors of one long sum do not average out.
        let log_det = d.chunks(CHUNK).map(|d| d.iter().map(|d| d.ln()).sum::<f64>()).sum();
        Sums { log_det, downdate, derivatives: Vec::new() }
    }

    /// Computes `E T` (q×width) for combinations T of the columns of C (m×width, row-major).
    #[inline(always)]
    pub(super) fn solve(&self, combinations: &[f64], width: usize) -> Vec<f64> {
        let mut rows = vec![0.0; self.pattern.unknowns() * width];
        self.right_hand_sides(|unknown, b| {
            let into = &mut rows[unknown * width..(unknown + 1) * width];
            for (b, row) in b.iter().zip(combinations.chunks_exact(width)) {
                add_scaled(into, *b, row);
            }
        });
        forward(&self.factor.l(), &mut rows, width);
        for (row, d) in rows.chunks_exact_mut(width).zip(self.factor.d()) {
            row.iter_mut().for_each(|v| *v /= d);
        }
        backward(&self.factor.l(), &mut rows, width);
        rows
    }

    /// Calls `take` with each row of B and its unknown.
    #[inline(always)]
    fn right_hand_sides(&self, mut take: impl FnMut(usize, &[f64])) {
        let m = self.moments.columns();
        for k in 0..self.pattern.levels() {
            let r = self.pattern.r(k);
            let mut b = vec![0.0; r * m];
            for (group, moments) in self.moments.level(k).chunks_exact(r * m).enumerate() {
                spherical(self.factor.lambda(k), moments, r, m, &mut b);
                let unknown = self.pattern.unknown(k, group);
                b.chunks_exact(m).enumerate().for_each(|(s, row)| take(unknown + s, row));
            }
        }
    }
}

/// Computes `X := L⁻¹X`; X has rows of `width` numbers.
#[inline(always)]
fn forward(l: &CsMatViewI<'_, f64, u32>, x: &mut [f64], width: usize) {
    for (j, column) in l.outer_iterator().enumerate() {
        let (done, rest) = x.split_at_mut((j + 1) * width);
        let row = &done[j * width..];
        for (&i, &value) in column.indices().iter().zip(column.data()) {
            add_scaled(&mut rest[(i as usize - j - 1) * width..][..width], -value, row);
        }
    }
}

/// Computes `X := L'⁻¹X`.
#[inline(always)]
fn backward(l: &CsMatViewI<'_, f64, u32>, x: &mut [f64], width: usize) {
    for (j, column) in l.outer_iterator().enumerate().rev() {
        let (rest, done) = x.split_at_mut((j + 1) * width);
        let row = &mut rest[j * width..];
        for (&i, &value) in column.indices().iter().zip(column.data()) {
            add_scaled(row, -value, &done[(i as usize - j - 1) * width..][..width]);
        }
    }
}

/// `out += factor · row`.
#[inline(always)]
fn add_scaled(out: &mut [f64], factor: f64, row: &[f64]) {
    out.iter_mut().zip(row).for_each(|(o, v)| *o += factor * v);
}
