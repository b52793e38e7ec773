//! The dense kernel: cross-products of chunks of rows.
//!
//! All sums of a fit, over rows or over groups, have the form `Σ_i a_i' b_i`, where `a_i` and `b_i` are
//! rows of `m` numbers and the sum is known to be symmetric. The rows come in chunks that fit into the
//! first-level cache. They are padded with zeros to [`padded`] columns, so that the loops over columns
//! have a fixed width and compile to vector instructions.

use crate::vectorised::vectorised_for;
use pulp::Arch;

/// Number of rows of a tile of the result.
const TILE_ROWS: usize = 4;
/// Number of columns of a tile of the result.
const TILE_COLUMNS: usize = 8;
/// Number of rows that a caller should gather before it calls [`Cross::add`].
pub const CHUNK: usize = 64;

/// Returns `m` rounded up to a multiple of the tile width.
pub const fn padded(m: usize) -> usize {
    m.div_ceil(TILE_COLUMNS) * TILE_COLUMNS
}

/// A symmetric sum of outer products, `Σ_i a_i' b_i`; m×m.
///
/// Only tiles that touch the upper triangle of the m×m result are summed. The order of the additions
/// depends on the calls alone, and no fused multiply-add is used, so the result is bit-identical on every
/// machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Cross {
    m: usize,
    width: usize,
    sums: Vec<f64>,
    arch: Arch2,
}

/// [`Arch`] with the traits that [`Cross`] derives.
#[derive(Clone, Copy, Debug)]
struct Arch2(Arch);

impl PartialEq for Arch2 {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Cross {
    /// Returns the empty sum over `m` columns.
    pub fn new(m: usize) -> Self {
        let width = padded(m);
        Cross { m, width, sums: vec![0.0; width * width], arch: Arch2(Arch::new()) }
    }

    /// Returns the padded sums, for [`Cross::restored`].
    pub fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// Restores a sum from [`Cross::sums`]; `None` if their number does not fit `m` columns.
    pub fn restored(m: usize, sums: Vec<f64>) -> Option<Cross> {
        (sums.len() == padded(m) * padded(m)).then(|| Cross { sums, ..Cross::new(m) })
    }

    /// Number of columns `m`.
    pub fn columns(&self) -> usize {
        self.m
    }

    /// Resets the sum to zero.
    pub fn clear(&mut self) {
        self.sums.fill(0.0);
    }

    /// Adds `Σ_i a_i' b_i` over the rows of two row-major matrices of `padded(m)` columns.
    ///
    /// The padding should be zero; it affects only entries that are never read.
    pub fn add(&mut self, a: &[f64], b: &[f64]) {
        let (m, width, sums) = (self.m, self.width, &mut self.sums);
        debug_assert!(a.len() == b.len() && a.len().is_multiple_of(width));
        vectorised_for(
            self.arch.0,
            #[inline(always)]
            || add_tiles(a, b, m, width, sums),
        );
    }

    /// Adds another sum over the same columns.
    pub fn merge(&mut self, other: &Cross) {
        assert_eq!(self.m, other.m, "sums over different columns cannot be added");
        self.sums.iter_mut().zip(&other.sums).for_each(|(s, o)| *s += o);
    }

    /// Subtracts another sum over the same columns.
    pub fn remove(&mut self, other: &Cross) {
        assert_eq!(self.m, other.m, "sums over different columns cannot be subtracted");
        self.sums.iter_mut().zip(&other.sums).for_each(|(s, o)| *s -= o);
    }

    /// Returns entry (i, j), read from the upper triangle.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        let (i, j) = (i.min(j), i.max(j));
        self.sums[i * self.width + j]
    }

    /// Adds to the upper-triangular entry (i, j).
    pub fn add_entry(&mut self, i: usize, j: usize, value: f64) {
        let (i, j) = (i.min(j), i.max(j));
        self.sums[i * self.width + j] += value;
    }

    /// Returns the whole matrix, row-major m×m, symmetric.
    pub fn to_dense(&self) -> Vec<f64> {
        let m = self.m;
        (0..m * m).map(|k| self.get(k / m, k % m)).collect()
    }
}

/// Adds to the tiles on and above the diagonal.
#[inline(always)]
fn add_tiles(a: &[f64], b: &[f64], m: usize, width: usize, sums: &mut [f64]) {
    for i in (0..m).step_by(TILE_ROWS) {
        let first = i / TILE_COLUMNS * TILE_COLUMNS;
        for j in (first..width).step_by(TILE_COLUMNS) {
            add_tile(a, b, width, i, j, sums);
        }
    }
}

/// Adds to one tile of the sum, which is held in registers over all rows.
#[inline(always)]
fn add_tile(a: &[f64], b: &[f64], width: usize, i: usize, j: usize, sums: &mut [f64]) {
    let mut tile = [[0.0; TILE_COLUMNS]; TILE_ROWS];
    for (row_a, row_b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
        let left: &[f64; TILE_ROWS] = row_a[i..i + TILE_ROWS].try_into().expect("tile width");
        let right: &[f64; TILE_COLUMNS] = row_b[j..j + TILE_COLUMNS].try_into().expect("tile width");
        for (sums, &l) in tile.iter_mut().zip(left) {
            for (s, &r) in sums.iter_mut().zip(right) {
                *s += l * r;
            }
        }
    }
    for (t, sums_of_tile) in tile.iter().enumerate() {
        let start = (i + t) * width + j;
        for (s, t) in sums[start..start + TILE_COLUMNS].iter_mut().zip(sums_of_tile) {
            *s += t;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_naive_sum() {
        for m in [1, 3, 4, 8, 9, 13] {
            let (width, rows) = (padded(m), 7);
            let mut a = vec![0.0; rows * width];
            for r in 0..rows {
                for c in 0..m {
                    a[r * width + c] = ((r * 31 + c * 17) % 11) as f64 - 5.0;
                }
            }
            let mut cross = Cross::new(m);
            cross.add(&a, &a);
            cross.add(&a, &a);
            for i in 0..m {
                for j in 0..m {
                    let want: f64 = (0..rows).map(|r| a[r * width + i] * a[r * width + j]).sum();
                    assert_eq!(cross.get(i, j), 2.0 * want, "m {m} entry {i},{j}");
                }
            }
        }
    }
}
