//! Sparse symmetric matrices of the core: a fill-reducing order, LL' by supernodes, sweeps, and the inverse on the
//! pattern of L.
//!
//! The order (AMD), the supernodes and the factor are those of `faer`, called sequentially; sweeps and inverse are ours.
//! A supernode holds the columns J of L that have the same rows R below them, as one matrix `[L_JJ; L_RJ]`. From the
//! last supernode to the first, with `U = L_RJL_JJ⁻¹` (Takahashi, Fagan and Chen 1973, by blocks),
//!
//! ```text
//! Z_RJ = -Z_RR U        Z_JJ = L_JJ'⁻¹L_JJ⁻¹ - U'Z_RJ
//! ```
//!
//! where Z_RR is known: its entries are on the pattern of later supernodes.

use super::dense;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::prelude::default;
use faer::sparse::linalg::SupernodalThreshold;
use faer::sparse::linalg::cholesky::supernodal::SymbolicSupernodalCholesky;
use faer::sparse::linalg::cholesky::{
    CholeskySymbolicParams, SymbolicCholesky, SymbolicCholeskyRaw, SymmetricOrdering, factorize_symbolic_cholesky,
};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Accum, MatMut, MatRef, Par, Side};

/// A matrix that is not positive definite in floating point.
#[derive(Debug)]
pub(super) struct Unfactored;

/// The lower triangle of a sparse symmetric matrix by columns, diagonal included, rows ascending.
#[derive(Clone, Debug, Default)]
pub(super) struct Pattern {
    pub(super) starts: Vec<usize>,
    pub(super) rows: Vec<usize>,
}

/// A pattern with its order and supernodes.
#[derive(Debug)]
pub(super) struct Supernodal {
    symbolic: SymbolicCholesky<usize>,
    /// The supernode of each column of L.
    of_column: Vec<usize>,
}

/// One supernode: its first column, its rows below the columns, and where its matrix begins.
#[derive(Clone, Copy)]
struct Node<'a> {
    first: usize,
    columns: usize,
    below: &'a [usize],
    start: usize,
}

impl Node<'_> {
    fn rows(&self) -> usize {
        self.columns + self.below.len()
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.rows() * self.columns
    }

    /// Returns `L_JJ` and `L_RJ`.
    fn parts<'b>(&self, l: &'b [f64]) -> (MatRef<'b, f64>, MatRef<'b, f64>) {
        let matrix = MatRef::from_column_major_slice(&l[self.range()], self.rows(), self.columns);
        matrix.split_at_row(self.columns)
    }
}

impl Pattern {
    /// Returns the number of columns.
    pub(super) fn n(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns the positions of a column's entries.
    pub(super) fn column(&self, j: usize) -> std::ops::Range<usize> {
        self.starts[j]..self.starts[j + 1]
    }
}

impl Supernodal {
    /// Orders and analyses a pattern.
    pub(super) fn new(pattern: &Pattern) -> Self {
        let n = pattern.n();
        let matrix = SymbolicSparseColMatRef::new_checked(n, n, &pattern.starts, None, &pattern.rows);
        let params = CholeskySymbolicParams { supernodal_flop_ratio_threshold: SupernodalThreshold(-1.0), ..default() };
        let symbolic = factorize_symbolic_cholesky(matrix, Side::Lower, SymmetricOrdering::Amd, params)
            .expect("indices are as wide as memory");
        let mut out = Supernodal { symbolic, of_column: Vec::with_capacity(n) };
        for s in 0..out.nodes().n_supernodes() {
            let columns = out.node(s).columns;
            out.of_column.extend(std::iter::repeat_n(s, columns));
        }
        out
    }

    fn nodes(&self) -> &SymbolicSupernodalCholesky<usize> {
        match self.symbolic.raw() {
            SymbolicCholeskyRaw::Supernodal(nodes) => nodes,
            SymbolicCholeskyRaw::Simplicial(_) => unreachable!("supernodes were requested"),
        }
    }

    fn node(&self, s: usize) -> Node<'_> {
        let nodes = self.nodes();
        let (first, end) = (nodes.supernode_begin()[s], nodes.supernode_end()[s]);
        Node { first, columns: end - first, below: nodes.supernode(s).pattern(), start: nodes.col_ptr_for_val()[s] }
    }

    /// Returns the original number of each column of L, and the column of each original number.
    fn order(&self) -> (&[usize], &[usize]) {
        self.symbolic.perm().expect("an order was requested").arrays()
    }

    /// Returns the number of columns.
    pub(super) fn n(&self) -> usize {
        self.of_column.len()
    }

    /// Returns the number of entries of the supernodes' matrices.
    pub(super) fn entries(&self) -> usize {
        self.symbolic.len_val()
    }

    /// Returns the number of multiplications with additions of a factorisation.
    pub(super) fn operations(&self) -> f64 {
        let of_node = |s: usize| {
            let node = self.node(s);
            let (c, r) = (node.columns as f64, node.below.len() as f64);
            c * c * c / 6.0 + c * c * r / 2.0 + c * r * r / 2.0
        };
        (0..self.nodes().n_supernodes()).map(of_node).sum()
    }

    /// Computes L from the values on the pattern.
    pub(super) fn factor(&self, pattern: &Pattern, values: &[f64], l: &mut Vec<f64>) -> Result<(), Unfactored> {
        let n = self.n();
        l.resize(self.entries(), 0.0);
        let symbolic = SymbolicSparseColMatRef::new_checked(n, n, &pattern.starts, None, &pattern.rows);
        let scratch = self.symbolic.factorize_numeric_llt_scratch::<f64>(Par::Seq, default());
        let mut memory = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut memory);
        let matrix = SparseColMatRef::new(symbolic, values);
        let done = self.symbolic.factorize_numeric_llt(l, matrix, Side::Lower, default(), Par::Seq, stack, default());
        done.map_err(|_| Unfactored)?;
        match self.log_det(l).is_finite() {
            true => Ok(()),
            false => Err(Unfactored),
        }
    }

    /// Returns the log-determinant of `L L'`.
    pub(super) fn log_det(&self, l: &[f64]) -> f64 {
        let of_node = |s: usize| {
            let (own, _) = self.node(s).parts(l);
            (0..own.ncols()).map(|j| own[(j, j)].ln()).sum::<f64>()
        };
        2.0 * (0..self.nodes().n_supernodes()).map(of_node).sum::<f64>()
    }

    /// Returns `L⁻¹b` of rows b (n×width, row-major), in the order of L.
    pub(super) fn solve_lower(&self, l: &[f64], b: &[f64], width: usize) -> Vec<f64> {
        let mut out = vec![0.0; b.len()];
        if b.is_empty() {
            return out;
        }
        for (row, &from) in out.chunks_exact_mut(width).zip(self.order().0) {
            row.copy_from_slice(&b[from * width..(from + 1) * width]);
        }
        let mut product = Vec::new();
        for s in 0..self.nodes().n_supernodes() {
            let node = self.node(s);
            let (own, below) = node.parts(l);
            let rows = &mut out[node.first * width..(node.first + node.columns) * width];
            let mut rows = MatMut::from_row_major_slice_mut(rows, node.columns, width);
            solve_lower_triangular_in_place(own, rows.as_mut(), Par::Seq);
            if node.below.is_empty() {
                continue;
            }
            product.resize(node.below.len() * width, 0.0);
            let into = MatMut::from_row_major_slice_mut(&mut product, node.below.len(), width);
            matmul(into, Accum::Replace, below, rows.as_ref(), 1.0, Par::Seq);
            for (&row, product) in node.below.iter().zip(product.chunks_exact(width)) {
                out[row * width..(row + 1) * width].iter_mut().zip(product).for_each(|(x, p)| *x -= p);
            }
        }
        out
    }

    /// Returns `L'⁻¹b` of rows b in the order of L, in the original order.
    pub(super) fn solve_upper(&self, l: &[f64], b: &[f64], width: usize) -> Vec<f64> {
        let mut x = b.to_vec();
        let mut out = vec![0.0; b.len()];
        if b.is_empty() {
            return out;
        }
        let mut gathered = Vec::new();
        for s in (0..self.nodes().n_supernodes()).rev() {
            let node = self.node(s);
            let (own, below) = node.parts(l);
            gathered.clear();
            node.below.iter().for_each(|&row| gathered.extend_from_slice(&x[row * width..(row + 1) * width]));
            let rows = &mut x[node.first * width..(node.first + node.columns) * width];
            let mut rows = MatMut::from_row_major_slice_mut(rows, node.columns, width);
            if !node.below.is_empty() {
                let from = MatRef::from_row_major_slice(&gathered, node.below.len(), width);
                matmul(rows.as_mut(), Accum::Add, below.transpose(), from, -1.0, Par::Seq);
            }
            solve_upper_triangular_in_place(own.transpose(), rows, Par::Seq);
        }
        for (row, &to) in x.chunks_exact(width).zip(self.order().0) {
            out[to * width..(to + 1) * width].copy_from_slice(row);
        }
        out
    }

    /// Computes the inverse of `L L'` at the entries of a pattern that was analysed.
    pub(super) fn inverse(&self, l: &[f64], pattern: &Pattern, out: &mut [f64]) {
        let mut z = vec![0.0; self.entries()];
        let mut square = Vec::new();
        for s in (0..self.nodes().n_supernodes()).rev() {
            let node = self.node(s);
            let (done, later) = z.split_at_mut(node.range().end);
            self.invert_node(node, l, &mut done[node.start..], (later, node.range().end), &mut square);
        }
        let to = self.order().1;
        for j in 0..pattern.n() {
            for at in pattern.column(j) {
                let (a, b) = (to[j], to[pattern.rows[at]]);
                let node = self.node(self.of_column[a.min(b)]);
                let (column, row) = (a.min(b) - node.first, local_row(node, a.max(b)));
                out[at] = z[node.start + column * node.rows() + row];
            }
        }
    }

    /// Computes the blocks Z of one supernode from those of later ones (`later`, which begin at an offset).
    fn invert_node(&self, node: Node<'_>, l: &[f64], own_z: &mut [f64], later: (&[f64], usize), square: &mut Vec<f64>) {
        let (c, r) = (node.columns, node.below.len());
        let (own, below) = node.parts(l);
        let mut contiguous: Vec<f64> = (0..c * c).map(|k| own[(k % c, k / c)]).collect();
        let mut inverse = vec![0.0; c * c];
        dense::inverse(&contiguous, c, &mut inverse);
        let z = MatMut::from_column_major_slice_mut(own_z, c + r, c);
        let (mut z_own, mut z_below) = z.split_at_row_mut(c);
        z_own.copy_from(MatRef::from_column_major_slice(&inverse, c, c));
        if r == 0 {
            return;
        }
        // U, by L_JJ'U' = L_RJ'.
        contiguous.resize(r * c, 0.0);
        let mut u = MatMut::from_column_major_slice_mut(&mut contiguous[..r * c], r, c);
        u.copy_from(below);
        solve_upper_triangular_in_place(own.transpose(), u.as_mut().transpose_mut(), Par::Seq);
        self.gather(node, later, square);
        let later = MatRef::from_column_major_slice(square, r, r);
        matmul(z_below.as_mut(), Accum::Replace, later, u.as_ref(), -1.0, Par::Seq);
        matmul(z_own, Accum::Add, u.as_ref().transpose(), z_below.as_ref(), -1.0, Par::Seq);
    }

    /// Collects the symmetric matrix Z_RR of the rows below a supernode.
    fn gather(&self, node: Node<'_>, (z, offset): (&[f64], usize), square: &mut Vec<f64>) {
        let r = node.below.len();
        square.resize(r * r, 0.0);
        for (j, &column) in node.below.iter().enumerate() {
            let other = self.node(self.of_column[column]);
            let from = &z[other.start - offset + (column - other.first) * other.rows()..][..other.rows()];
            let mut at = 0;
            for (i, &row) in node.below.iter().enumerate().skip(j) {
                let local = if row < other.first + other.columns {
                    row - other.first
                } else {
                    // Both lists ascend, and that of the other node has all of these rows.
                    at += other.below[at..].iter().position(|&b| b == row).expect("rows of L are closed under fill");
                    other.columns + at
                };
                square[j * r + i] = from[local];
                square[i * r + j] = from[local];
            }
        }
    }
}

/// Returns the row of a supernode's matrix that belongs to a row of L.
fn local_row(node: Node<'_>, row: usize) -> usize {
    match row < node.first + node.columns {
        true => row - node.first,
        false => node.columns + node.below.binary_search(&row).expect("on the pattern of L"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample::{M, Random, close};
    use super::*;

    /// A random sparse positive definite matrix with groups of rows that fill.
    fn random(n: usize, links: usize, seed: u64) -> (Pattern, Vec<f64>, M) {
        let mut random = Random(seed);
        let mut full = M::zeros(n, n);
        for _ in 0..links {
            let (i, j) = (random.below(n), random.below(n));
            if i != j {
                let value = random.unit() - 0.5;
                full[(i, j)] = value;
                full[(j, i)] = value;
            }
        }
        for i in 0..n {
            full[(i, i)] = 1.0 + full.row(i).abs().sum();
        }
        let mut pattern = Pattern { starts: vec![0], rows: Vec::new() };
        let mut values = Vec::new();
        for j in 0..n {
            for i in (j..n).filter(|&i| full[(i, j)] != 0.0) {
                pattern.rows.push(i);
                values.push(full[(i, j)]);
            }
            pattern.starts.push(pattern.rows.len());
        }
        (pattern, values, full)
    }

    #[test]
    fn factor_sweeps_and_inverse_agree_with_dense_matrices() {
        for (n, links) in [(1, 0), (2, 1), (12, 10), (60, 70), (90, 400), (150, 160)] {
            let (pattern, values, full) = random(n, links, n as u64);
            let analysed = Supernodal::new(&pattern);
            let mut l = Vec::new();
            analysed.factor(&pattern, &values, &mut l).unwrap();
            let cholesky = full.clone().cholesky().unwrap();
            let log_det = 2.0 * cholesky.l().diagonal().iter().map(|d| d.ln()).sum::<f64>();
            close("log_det", &[analysed.log_det(&l)], &[log_det], 1e-13);
            let b: Vec<f64> = (0..3 * n).map(|i| (i as f64).sin()).collect();
            let half = analysed.solve_lower(&l, &b, 3);
            let x = analysed.solve_upper(&l, &half, 3);
            let want = cholesky.inverse() * M::from_row_slice(n, 3, &b);
            close("solution", &x, want.transpose().as_slice(), 1e-13);
            let square: f64 = half.iter().map(|x| x * x).sum();
            close("half", &[square], &[M::from_row_slice(n, 3, &b).dot(&want)], 1e-12);
            let mut inverse = vec![0.0; values.len()];
            analysed.inverse(&l, &pattern, &mut inverse);
            let whole = cholesky.inverse();
            let columns = (0..n).flat_map(|j| pattern.column(j).map(move |at| (at, j)));
            let want: Vec<f64> = columns.map(|(at, j)| whole[(pattern.rows[at], j)]).collect();
            close("inverse", &inverse, &want, 1e-13);
            assert!(analysed.entries() >= values.len() && analysed.operations() > 0.0);
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_an_error() {
        let (pattern, mut values, _) = random(20, 30, 5);
        values[pattern.starts[7]] = -3.0;
        assert!(Supernodal::new(&pattern).factor(&pattern, &values, &mut Vec::new()).is_err());
    }
}
