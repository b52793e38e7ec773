//! Dense symmetric matrices of the core, on all cores. Only this module and `supernodal` call `faer`.
//!
//! Matrices are n×n, column-major, and only their lower triangles are read and written unless stated otherwise.
//! Every call to `faer` is sequential and works on blocks whose size depends on n alone; the threads take
//! different blocks. So the results have the same bits for any number of threads.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::prelude::default;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Columns of a panel, the unit of work of a thread.
const PANEL: usize = 96;
/// Rows that a thread solves at a time below the diagonal block of a panel.
const ROWS: usize = 256;

/// Replaces a positive definite matrix by its Cholesky factor L. The error is a column in whose panel a pivot
/// is not positive.
pub(super) fn cholesky(a: &mut [f64], n: usize) -> Result<(), usize> {
    for first in (0..n).step_by(PANEL) {
        let width = PANEL.min(n - first);
        let (_, rest) = a.split_at_mut(first * n);
        let (panel, right) = rest.split_at_mut(width * n);
        factor_panel(panel, n, first, width)?;
        subtract_from_later(panel, right, n, first + width);
    }
    Ok(())
}

/// Factors the diagonal block of a panel and solves the rows below it.
fn factor_panel(panel: &mut [f64], n: usize, first: usize, width: usize) -> Result<(), usize> {
    let panel = MatMut::from_column_major_slice_mut(panel, n, width);
    let (mut own, below) = panel.subrows_mut(first, n - first).split_at_row_mut(width);
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(width, Par::Seq, default()));
    let stack = MemStack::new(&mut memory);
    cholesky_in_place(own.as_mut(), default(), Par::Seq, stack, default()).map_err(|_| first)?;
    if !(0..width).all(|j| own[(j, j)].is_finite()) {
        return Err(first);
    }
    solve_rows(own.as_ref(), below);
    Ok(())
}

/// Replaces a positive semidefinite matrix by L with `L L'` equal to it, whose columns are zero where a pivot is at
/// most `zero` of its number; returns the rank.
pub(super) fn semidefinite(a: &mut [f64], n: usize, zero: impl Fn(usize) -> f64) -> usize {
    let mut rank = 0;
    for first in (0..n).step_by(PANEL) {
        let width = PANEL.min(n - first);
        let (_, rest) = a.split_at_mut(first * n);
        let (panel, right) = rest.split_at_mut(width * n);
        for j in 0..width {
            let (own, later) = panel[j * n..].split_at_mut(n);
            let pivot = own[first + j];
            if pivot > zero(first + j) {
                rank += 1;
                let root = pivot.sqrt();
                own[first + j..].iter_mut().for_each(|x| *x /= root);
            } else {
                own[first + j..].fill(0.0);
            }
            for (i, column) in later.chunks_exact_mut(n).enumerate() {
                let (row, factor) = (first + j + 1 + i, own[first + j + 1 + i]);
                column[row..].iter_mut().zip(&own[row..]).for_each(|(x, own)| *x -= factor * own);
            }
        }
        subtract_from_later(panel, right, n, first + width);
    }
    rank
}

/// Subtracts the products of the columns of a panel from the columns on its right, which begin at `first`.
fn subtract_from_later(panel: &[f64], right: &mut [f64], n: usize, first: usize) {
    let panel = MatRef::from_column_major_slice(panel, n, panel.len() / n);
    right.par_chunks_mut(PANEL * n).enumerate().for_each(|(i, next)| {
        let (start, columns) = (first + i * PANEL, next.len() / n);
        let below = panel.subrows(start, n - start);
        let next = MatMut::from_column_major_slice_mut(next, n, columns).subrows_mut(start, n - start);
        matmul(next, Accum::Add, below, below.subrows(0, columns).transpose(), -1.0, Par::Seq);
    });
}

/// Replaces B by `B L'⁻¹`.
fn solve_rows(l: MatRef<'_, f64>, b: MatMut<'_, f64>) {
    if b.nrows() > ROWS {
        let half = (b.nrows() / 2).next_multiple_of(ROWS);
        let (top, bottom) = b.split_at_row_mut(half);
        rayon::join(|| solve_rows(l, top), || solve_rows(l, bottom));
    } else if b.nrows() > 0 {
        solve_lower_triangular_in_place(l, b.transpose_mut(), Par::Seq);
    }
}

/// Computes `(L L')⁻¹`, both triangles.
pub(super) fn inverse(l: &[f64], n: usize, out: &mut [f64]) {
    let l = MatRef::from_column_major_slice(l, n, n);
    out.par_chunks_mut(PANEL * n).enumerate().for_each(|(i, panel)| {
        // The trailing block of the inverse of L L' is the inverse of that of the trailing block of L.
        let (first, width) = (i * PANEL, panel.len() / n);
        panel.fill(0.0);
        (0..width).for_each(|j| panel[j * n + first + j] = 1.0);
        let panel = MatMut::from_column_major_slice_mut(panel, n, width);
        let mut panel = panel.subrows_mut(first, n - first);
        let l = l.submatrix(first, first, n - first, n - first);
        solve_lower_triangular_in_place(l, panel.as_mut(), Par::Seq);
        solve_upper_triangular_in_place(l.transpose(), panel, Par::Seq);
    });
    mirror(out, n);
}

/// Replaces the rows b (n×width, row-major) by `L⁻¹b`.
pub(super) fn solve_lower(l: &[f64], n: usize, b: &mut [f64], width: usize) {
    if n * width > 0 {
        let b = MatMut::from_row_major_slice_mut(b, n, width);
        solve_lower_triangular_in_place(MatRef::from_column_major_slice(l, n, n), b, Par::Seq);
    }
}

/// Replaces the rows b (n×width, row-major) by `L'⁻¹b`.
pub(super) fn solve_upper(l: &[f64], n: usize, b: &mut [f64], width: usize) {
    if n * width > 0 {
        let b = MatMut::from_row_major_slice_mut(b, n, width);
        solve_upper_triangular_in_place(MatRef::from_column_major_slice(l, n, n).transpose(), b, Par::Seq);
    }
}

/// Computes the product of two matrices, all of whose entries are read; all three are n×n.
pub(super) fn product(a: &[f64], b: &[f64], n: usize, out: &mut [f64]) {
    let a = MatRef::from_column_major_slice(a, n, n);
    out.par_chunks_mut(PANEL * n).zip(b.par_chunks(PANEL * n)).for_each(|(out, b)| {
        let columns = b.len() / n;
        let b = MatRef::from_column_major_slice(b, n, columns);
        let out = MatMut::from_column_major_slice_mut(out, n, columns);
        matmul(out, Accum::Replace, a, b, 1.0, Par::Seq);
    });
}

/// Computes `A b` for rows b (n×width, row-major); all entries of A are read.
pub(super) fn times_rows(a: &[f64], n: usize, b: &[f64], width: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * width];
    if n * width > 0 {
        let b = MatRef::from_row_major_slice(b, n, width);
        let into = MatMut::from_row_major_slice_mut(&mut out, n, width);
        matmul(into, Accum::Replace, MatRef::from_column_major_slice(a, n, n), b, 1.0, Par::Seq);
    }
    out
}

/// Copies the lower triangle to the upper one.
pub(super) fn mirror(a: &mut [f64], n: usize) {
    const TILE: usize = 32;
    for first in (0..n).step_by(TILE) {
        for start in (first..n).step_by(TILE) {
            for j in first..n.min(first + TILE) {
                for i in start.max(j + 1)..n.min(start + TILE) {
                    a[i * n + j] = a[j * n + i];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::DMatrix;

    /// A positive definite matrix whose entries look random.
    fn matrix(n: usize) -> DMatrix<f64> {
        let root = DMatrix::from_fn(n, n, |i, j| ((i * 7919 + j * 104_729 + i * j) % 1009) as f64 / 1009.0 - 0.5);
        &root * root.transpose() / n as f64 + DMatrix::identity(n, n)
    }

    fn with_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
    }

    #[test]
    fn factor_inverse_and_solutions_agree_with_nalgebra() {
        for n in [1, 2, 5, PANEL, PANEL + 1, 3 * PANEL - 7] {
            let a = matrix(n);
            let mut l = a.as_slice().to_vec();
            cholesky(&mut l, n).unwrap();
            let mut inverse = vec![f64::NAN; n * n];
            super::inverse(&l, n, &mut inverse);
            let error = (DMatrix::from_column_slice(n, n, &inverse) * &a - DMatrix::identity(n, n)).amax();
            assert!(error < 1e-12, "n {n}: {error}");
            let b: Vec<f64> = (0..2 * n).map(|i| (i as f64).sin()).collect();
            let mut x = b.clone();
            solve_lower(&l, n, &mut x, 2);
            solve_upper(&l, n, &mut x, 2);
            let back = times_rows(a.as_slice(), n, &x, 2);
            assert!(back.iter().zip(&b).all(|(x, b)| (x - b).abs() < 1e-12), "n {n}");
            let mut product = vec![0.0; n * n];
            super::product(a.as_slice(), &inverse, n, &mut product);
            assert!((DMatrix::from_column_slice(n, n, &product) - DMatrix::identity(n, n)).amax() < 1e-12);
        }
    }

    #[test]
    fn a_singular_matrix_is_factored() {
        let n = PANEL + 20;
        // The last rows repeat earlier ones.
        let row = |i: usize| if i < n - 30 { i } else { i - n / 2 };
        let full = matrix(n);
        let a = DMatrix::from_fn(n, n, |i, j| full[(row(i), row(j))]);
        let mut l = a.as_slice().to_vec();
        assert_eq!(semidefinite(&mut l, n, |j| 1e-11 * a[(j, j)]), n - 30);
        let l = DMatrix::from_column_slice(n, n, &l).lower_triangle();
        assert!((&l * l.transpose() - &a).amax() < 1e-12);
    }

    #[test]
    fn a_pivot_that_is_not_positive_is_an_error() {
        let mut a = matrix(PANEL + 10);
        a[(PANEL + 3, PANEL + 3)] = -1.0;
        assert_eq!(cholesky(a.as_mut_slice(), PANEL + 10), Err(PANEL));
        let mut a = matrix(3);
        a[(2, 2)] = f64::NAN;
        assert_eq!(cholesky(a.as_mut_slice(), 3), Err(0));
        a[(2, 2)] = f64::INFINITY;
        assert_eq!(cholesky(a.as_mut_slice(), 3), Err(0));
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let n = 5 * PANEL + 13;
        let run = || {
            let mut l = matrix(n).as_slice().to_vec();
            cholesky(&mut l, n).unwrap();
            let mut out = vec![0.0; n * n];
            inverse(&l, n, &mut out);
            (l, out)
        };
        let want = with_threads(1, run);
        for threads in [2, 7] {
            let got = with_threads(threads, run);
            let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same(&want.0, &got.0) && same(&want.1, &got.1), "{threads} threads");
        }
    }
}
