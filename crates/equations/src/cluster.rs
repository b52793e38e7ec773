//! The rows of a top-level group (a cluster) in a basis in which V is diagonal, from moments alone.
//!
//! Multiply the rows of a cluster by √w. Then `V = I + Z̃ Z̃'` with `Z̃ = W^½ZΛ` (n×q): outside the
//! span of Z̃ it is the identity. With `Z̃'Z̃ = U diag(d²) U'` the vectors `Z̃u_i/d_i` are orthonormal
//! eigenvectors of V with the eigenvalues `1 + d_i²`, and on the part of X outside their span V is the
//! identity. So in an orthonormal basis of the span of `[Z̃, W^½X]`
//!
//! ```text
//! V = diag(1 + d², 1)       X = [ diag(1/d) U'Λ'Z'WX ; R ],  R'R = X'WX - (the first part)'(the first part)
//! ```
//!
//! and all of it can be computed from `Z'WC` of the groups and `X'WC` of the cluster. The part of e outside
//! that span is orthogonal to X and V⁻¹X, and is not needed.
//!
//! If a cluster has many random effects, only the smallest subspace that contains `Z̃'X` and that
//! `T = Z̃'Z̃` maps into itself is needed. Its orthonormal basis is built by the block Lanczos method.

use crate::sparse::GroupMoments;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use tiers_moments::{Crossed, Level, Tree};

/// Eigenvalues of `Z̃'Z̃` below this share of the largest (or of 1) count as zero.
const NO_VARIANCE: f64 = 1e-13;
/// A direction of X counts as inside the span of Z̃ if less than this share of its square is outside.
const INSIDE: f64 = 1e-12;
/// A direction is added to the basis if more than this share of its length is outside the basis.
const NEW: f64 = 1e-10;

/// A cluster of rows, in a basis in which V is diagonal; s is the size of the basis.
#[derive(Clone, Debug)]
pub struct ClusterSpan {
    /// Diagonal of V, s numbers that are at least 1.
    pub v: DVector<f64>,
    /// X, s×p.
    pub x: DMatrix<f64>,
    /// The residual e, s.
    pub e: DVector<f64>,
}

/// The moments of a cluster in spherical random effects: `T = Z̃'Z̃` by blocks, and `Z̃'[X, e]`.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Blocks of T on and above the diagonal: (first row, first column, rows, columns).
    blocks: Vec<(usize, usize, usize, usize)>,
    /// Their entries, row-major, one block after the other.
    entries: Vec<f64>,
    /// `Z̃'X`, q×p.
    zx: DMatrix<f64>,
    /// `Z̃'e`.
    ze: DVector<f64>,
    /// `X'WX`, p×p, and `X'We`.
    xx: DMatrix<f64>,
    xe: DVector<f64>,
}

impl Cluster {
    /// Computes these moments from the tree of a top-level group, its `C'WC` (m×m row-major), the relative
    /// covariance factors Λ_k, the columns `x` of C that are X, and γ, the combination of the columns that is
    /// the residual.
    pub fn new(
        levels: &[Level],
        tree: &Tree,
        cross: &[f64],
        factors: &[DMatrix<f64>],
        x: &[usize],
        gamma: &[f64],
    ) -> Self {
        let (m, p) = (gamma.len(), x.len());
        let moments = GroupMoments::new(levels, tree, m);
        let mut first = Vec::with_capacity(levels.len());
        let mut q = 0;
        for (level, groups) in levels.iter().zip(&tree.levels) {
            first.push(q);
            q += groups.groups * level.r();
        }
        let combine = |row: &[f64]| row.iter().zip(gamma).map(|(v, g)| v * g).sum::<f64>();
        let mut out = Cluster {
            blocks: Vec::new(),
            entries: Vec::new(),
            zx: DMatrix::zeros(q, p),
            ze: DVector::zeros(q),
            xx: DMatrix::from_fn(p, p, |i, j| cross[x[i] * m + x[j]]),
            xe: DVector::from_fn(p, |i, _| combine(&cross[x[i] * m..(x[i] + 1) * m])),
        };
        for (k, level) in levels.iter().enumerate() {
            let r = level.r();
            let lambda = factors[k].transpose();
            for (group, rows) in moments.level(k).chunks_exact(r * m).enumerate() {
                let at = first[k] + group * r;
                let spread = &lambda * DMatrix::from_row_slice(r, m, rows);
                for i in 0..r {
                    x.iter().enumerate().for_each(|(j, &c)| out.zx[(at + i, j)] = spread[(i, c)]);
                    out.ze[at + i] = (0..m).map(|c| spread[(i, c)] * gamma[c]).sum();
                }
                let mut above = group;
                for (a, ancestor) in levels.iter().enumerate().skip(k) {
                    if a > k {
                        above = tree.levels[a - 1].parent[above] as usize;
                    }
                    let block = spread.select_columns(&ancestor.z) * &factors[a];
                    out.blocks.push((at, first[a] + above * ancestor.r(), r, ancestor.r()));
                    out.entries.extend(block.transpose().iter());
                }
            }
        }
        out
    }

    /// Computes these moments of a connected part of a crossed design, as [`Cluster::new`] does of a tree.
    pub fn of_crossed(design: &Crossed, cross: &[f64], factors: &[DMatrix<f64>], x: &[usize], gamma: &[f64]) -> Self {
        let (m, p, levels) = (gamma.len(), x.len(), &design.levels);
        let leaf: usize = design.leaf.iter().map(|shard| shard.groups * levels[0].r()).sum();
        let q = leaf + design.core_effects();
        let combine = |row: &[f64]| row.iter().zip(gamma).map(|(v, g)| v * g).sum::<f64>();
        let mut out = Cluster {
            blocks: Vec::new(),
            entries: Vec::new(),
            zx: DMatrix::zeros(q, p),
            ze: DVector::zeros(q),
            xx: DMatrix::from_fn(p, p, |i, j| cross[x[i] * m + x[j]]),
            xe: DVector::from_fn(p, |i, _| combine(&cross[x[i] * m..(x[i] + 1) * m])),
        };
        let level_of = |effect: usize| design.core.partition_point(|factor| factor.first <= effect);
        let mut at = 0;
        for shard in &design.leaf {
            for (group, rows) in shard.moments.chunks_exact(levels[0].r() * m).enumerate() {
                out.add_group(at, &levels[0].z, &factors[0], rows, (x, gamma));
                for entry in shard.starts[group]..shard.starts[group + 1] {
                    let block = &shard.blocks[shard.block_starts[entry]..shard.block_starts[entry + 1]];
                    let first = shard.neighbours[entry] as usize;
                    out.add_block((at, leaf + first), block, (&factors[0], &factors[level_of(first)]));
                }
                at += levels[0].r();
            }
        }
        let (mut number, pairs) = (0, &design.pairs);
        for (k, (factor, level)) in design.core.iter().zip(&levels[1..]).enumerate() {
            for rows in factor.moments.chunks_exact(level.r() * m) {
                out.add_group(at, &level.z, &factors[k + 1], rows, (x, gamma));
                for pair in pairs.starts[number]..pairs.starts[number + 1] {
                    let block = &pairs.blocks[pairs.block_starts[pair]..pairs.block_starts[pair + 1]];
                    let first = pairs.partners[pair] as usize;
                    out.add_block((at, leaf + first), block, (&factors[k + 1], &factors[level_of(first)]));
                }
                at += level.r();
                number += 1;
            }
        }
        out
    }

    /// Adds the rows of a group and its own block, from its moments with C.
    fn add_group(
        &mut self,
        at: usize,
        z: &[usize],
        factor: &DMatrix<f64>,
        rows: &[f64],
        (x, gamma): (&[usize], &[f64]),
    ) {
        let (r, m) = (z.len(), gamma.len());
        let rows = DMatrix::from_row_slice(r, m, rows);
        let spread = factor.transpose() * &rows;
        for i in 0..r {
            x.iter().enumerate().for_each(|(j, &c)| self.zx[(at + i, j)] = spread[(i, c)]);
            self.ze[at + i] = (0..m).map(|c| spread[(i, c)] * gamma[c]).sum();
        }
        let own = rows.select_columns(z).transpose();
        self.add_block((at, at), own.as_slice(), (factor, factor));
    }

    /// Adds the block `Λ_a' B Λ_b` of two groups, B row-major.
    fn add_block(&mut self, (row, column): (usize, usize), block: &[f64], (a, b): (&DMatrix<f64>, &DMatrix<f64>)) {
        let block = a.transpose() * DMatrix::from_row_slice(a.nrows(), b.nrows(), block) * b;
        self.blocks.push((row, column, a.nrows(), b.nrows()));
        self.entries.extend(block.transpose().iter());
    }

    /// Returns the number of random effects of the cluster, q.
    pub fn effects(&self) -> usize {
        self.ze.len()
    }

    /// Returns the span of all random effects and X. The work grows with q³.
    pub fn span(&self) -> ClusterSpan {
        let q = self.effects();
        let mut t = DMatrix::zeros(q, q);
        self.each_block(|row, column, r, s, entries| {
            for i in 0..r {
                for j in 0..s {
                    t[(row + i, column + j)] = entries[i * s + j];
                    t[(column + j, row + i)] = entries[i * s + j];
                }
            }
        });
        self.in_basis(t, &self.zx, &self.ze)
    }

    /// Returns the smallest sufficient span (or part of it, if it needs more than `size` directions of the
    /// random effects), and whether it is complete.
    pub fn krylov_span(&self, size: usize) -> (ClusterSpan, bool) {
        let (basis, complete) = self.krylov(size);
        let images: Vec<DVector<f64>> = basis.column_iter().map(|v| self.apply(&v.clone_owned())).collect();
        let t = basis.transpose() * DMatrix::from_columns(&images);
        let t = 0.5 * (&t + t.transpose());
        (self.in_basis(t, &(basis.transpose() * &self.zx), &(basis.transpose() * &self.ze)), complete)
    }

    /// Computes the span from T, `Z̃'X` and `Z̃'e`, all in some orthonormal basis of the effects.
    fn in_basis(&self, t: DMatrix<f64>, zx: &DMatrix<f64>, ze: &DVector<f64>) -> ClusterSpan {
        let p = zx.ncols();
        let eigen = SymmetricEigen::new(t);
        let least = NO_VARIANCE * eigen.eigenvalues.iter().fold(1.0_f64, |m, v| m.max(*v));
        let kept: Vec<usize> = (0..eigen.eigenvalues.len()).filter(|&i| eigen.eigenvalues[i] > least).collect();
        let inside = kept.len();
        let mut scaled = eigen.eigenvectors.select_columns(&kept);
        scaled.column_iter_mut().zip(&kept).for_each(|(mut column, &i)| column /= eigen.eigenvalues[i].sqrt());
        let (x_inside, e_inside) = (scaled.tr_mul(zx), scaled.tr_mul(ze));
        // The part of X outside the span of Z̃, each column in units of its own length.
        let unit = self.xx.diagonal().map(|square| if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 });
        let beyond = &self.xx - x_inside.transpose() * &x_inside;
        let beyond = DMatrix::from_fn(p, p, |i, j| 0.5 * (beyond[(i, j)] + beyond[(j, i)]) * unit[i] * unit[j]);
        let with_e = (&self.xe - x_inside.transpose() * &e_inside).component_mul(&unit);
        let outside = SymmetricEigen::new(beyond);
        let new: Vec<usize> = (0..p).filter(|&i| outside.eigenvalues[i] > INSIDE).collect();
        let size = inside + new.len();
        let mut out =
            ClusterSpan { v: DVector::from_element(size, 1.0), x: DMatrix::zeros(size, p), e: DVector::zeros(size) };
        for (row, &i) in kept.iter().enumerate() {
            out.v[row] += eigen.eigenvalues[i];
            out.x.set_row(row, &x_inside.row(row));
            out.e[row] = e_inside[row];
        }
        for (row, &i) in (inside..).zip(&new) {
            let root = outside.eigenvalues[i].sqrt();
            let direction = outside.eigenvectors.column(i);
            (0..p).filter(|&j| unit[j] > 0.0).for_each(|j| out.x[(row, j)] = root * direction[j] / unit[j]);
            out.e[row] = direction.dot(&with_e) / root;
        }
        out
    }

    /// Returns orthonormal columns that span `Z̃'X, TZ̃'X, T²Z̃'X, …`, stopping once there are `size` of them,
    /// and whether they span all of it.
    fn krylov(&self, size: usize) -> (DMatrix<f64>, bool) {
        let mut basis: Vec<DVector<f64>> = Vec::new();
        for column in self.zx.column_iter() {
            add_direction(&mut basis, column.clone_owned(), column.norm());
        }
        let (mut done, mut largest) = (0, 0.0_f64);
        while done < basis.len() && basis.len() < size {
            let image = self.apply(&basis[done]);
            largest = largest.max(image.norm());
            add_direction(&mut basis, image, largest);
            done += 1;
        }
        let complete = done == basis.len();
        match basis.is_empty() {
            true => (DMatrix::zeros(self.effects(), 0), true),
            false => (DMatrix::from_columns(&basis), complete),
        }
    }

    /// Returns `T v`.
    fn apply(&self, v: &DVector<f64>) -> DVector<f64> {
        let mut out = DVector::zeros(v.len());
        self.each_block(|row, column, r, s, entries| {
            for i in 0..r {
                for j in 0..s {
                    let entry = entries[i * s + j];
                    out[row + i] += entry * v[column + j];
                    if row != column {
                        out[column + j] += entry * v[row + i];
                    }
                }
            }
        });
        out
    }

    fn each_block(&self, mut visit: impl FnMut(usize, usize, usize, usize, &[f64])) {
        let mut start = 0;
        for &(row, column, r, s) in &self.blocks {
            visit(row, column, r, s, &self.entries[start..start + r * s]);
            start += r * s;
        }
    }
}

/// Adds the part of a vector outside the basis, if it exceeds the rounding of numbers of size `scale`.
fn add_direction(basis: &mut Vec<DVector<f64>>, mut vector: DVector<f64>, scale: f64) {
    // Orthogonalising twice is enough (Parlett 1998, section 6.9).
    for _ in 0..2 {
        for other in basis.iter() {
            let along = other.dot(&vector);
            vector.axpy(-along, other, 1.0);
        }
    }
    let left = vector.norm();
    if left > NEW * scale {
        basis.push(vector / left);
    }
}
