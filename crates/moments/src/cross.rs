//! The one dense kernel: cross-products of short, wide row sets.
//!
//! Everything that a fit sums over rows or over groups has the form `Σ_i a_i' b_i`, where `a_i` and
//! `b_i` are rows of `m` numbers and the sum is known to be symmetric. The rows come in chunks that
//! stay in the first-level cache, padded with zeros to [`padded`] columns so that the loops over
//! columns have a fixed width and compile to vector instructions.

use pulp::Arch;

/// Columns of one tile in the row direction of the result.
const TILE_ROWS: usize = 4;
/// Columns of one tile in the column direction of the result.
const TILE_COLUMNS: usize = 8;
/// Rows that a caller should gather before it calls [`Cross::add`].
pub const CHUNK: usize = 64;

/// `m` rounded up to the kernel's tile width.
pub const fn padded(m: usize) -> usize {
    m.div_ceil(TILE_COLUMNS) * TILE_COLUMNS
}

/// A symmetric sum of outer products, `Σ_i a_i' b_i`; m×m.
///
/// Only tiles that touch the upper triangle of the m×m result are summed. The order of the additions depends on the
/// calls alone, and no fused multiply-add is used, so the result has the same bits on every machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Cross {
    m: usize,
    width: usize,
    sums: Vec<f64>,
    arch: Arch2,
}

/// [`Arch`] with the traits that the structs which hold it need.
#[derive(Clone, Copy, Debug)]
struct Arch2(Arch);

impl PartialEq for Arch2 {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Cross {
    /// The empty sum over `m` columns.
    pub fn new(m: usize) -> Self {
        let width = padded(m);
        Cross { m, width, sums: vec![0.0; width * width], arch: Arch2(Arch::new()) }
    }

    /// The numbers of the sum, to be kept elsewhere.
    pub fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// A sum that was kept elsewhere; `None` where the numbers are not those of `m` columns.
    pub fn restored(m: usize, sums: Vec<f64>) -> Option<Cross> {
        (sums.len() == padded(m) * padded(m)).then(|| Cross { sums, ..Cross::new(m) })
    }

    /// Number of columns `m`.
    pub fn columns(&self) -> usize {
        self.m
    }

    /// Sets the sum back to zero.
    pub fn clear(&mut self) {
        self.sums.fill(0.0);
    }

    /// Adds `Σ_i a_i' b_i` over the rows of two row-major matrices of `padded(m)` columns.
    ///
    /// The padding must be zero (or at least finite: it reaches only entries that are never read).
    pub fn add(&mut self, a: &[f64], b: &[f64]) {
        let (m, width, sums) = (self.m, self.width, &mut self.sums);
        debug_assert!(a.len() == b.len() && a.len().is_multiple_of(width));
        self.arch.0.dispatch(|| add_tiles(a, b, m, width, sums));
    }

    /// Adds another sum over the same columns.
    pub fn merge(&mut self, other: &Cross) {
        assert_eq!(self.m, other.m, "sums over different columns cannot be added");
        self.sums.iter_mut().zip(&other.sums).for_each(|(s, o)| *s += o);
    }

    /// Takes another sum over the same columns away.
    pub fn remove(&mut self, other: &Cross) {
        assert_eq!(self.m, other.m, "sums over different columns cannot be subtracted");
        self.sums.iter_mut().zip(&other.sums).for_each(|(s, o)| *s -= o);
    }

    /// Entry (i, j), read from the upper triangle.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        let (i, j) = (i.min(j), i.max(j));
        self.sums[i * self.width + j]
    }

    /// Adds to the upper-triangular entry (i, j).
    pub fn add_entry(&mut self, i: usize, j: usize, value: f64) {
        let (i, j) = (i.min(j), i.max(j));
        self.sums[i * self.width + j] += value;
    }

    /// The whole matrix, row-major m×m, symmetric.
    pub fn to_dense(&self) -> Vec<f64> {
        let m = self.m;
        (0..m * m).map(|k| self.get(k / m, k % m)).collect()
    }
}

/// Walks over the tiles on and above the diagonal.
#[inline(always)]
fn add_tiles(a: &[f64], b: &[f64], m: usize, width: usize, sums: &mut [f64]) {
    for i in (0..m).step_by(TILE_ROWS) {
        let first = i / TILE_COLUMNS * TILE_COLUMNS;
        for j in (first..width).step_by(TILE_COLUMNS) {
            add_tile(a, b, width, i, j, sums);
        }
    }
}

/// One tile of the sum, held in registers over all rows.
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
    fn equals_the_sum_written_out() {
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
