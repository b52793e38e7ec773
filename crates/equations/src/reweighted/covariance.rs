//! Conditional covariances along the paths: the selected inverse.

use super::factor::{kernel_cross, split};
use super::small::multiply;
use super::{Factor, Groups, PathShape};

impl Factor {
    /// Computes the conditional covariance of the random coefficients along every path, given the data and the
    /// other parameters: with `B = K N_gu`, `D_gu = -B D_u` and `D_gg = K + B D_u B'`.
    pub fn covariances(&mut self, shape: &PathShape, groups: &Groups<'_>) {
        for k in (0..shape.levels()).rev() {
            let (r, path, count) = (shape.r(k), shape.path_from(k), groups.count(k));
            let size = path - r;
            let (below, above) = self.levels.split_at_mut(k + 1);
            let level = &mut below[k];
            level.d.resize(count * path * path, 0.0);
            let Some(parent) = above.first() else {
                level.d.copy_from_slice(&level.k);
                continue;
            };
            let (mut b, mut bd) = (vec![0.0; r * size], vec![0.0; r * size]);
            for (p, above) in parent.d.chunks_exact(size * size).enumerate() {
                for g in groups.children(k, p) {
                    let (n, kernel) = (split(&level.n, g, path, r), &level.k[g * r * r..][..r * r]);
                    kernel_cross(kernel, &n, (r, size), &mut b);
                    multiply(&b, above, (r, size, size), &mut bd);
                    let d = &mut level.d[g * path * path..][..path * path];
                    for i in 0..r {
                        for j in 0..r {
                            let down: f64 = (0..size).map(|s| bd[i * size + s] * b[j * size + s]).sum();
                            d[i * path + j] = kernel[i * r + j] + down;
                        }
                        for j in 0..size {
                            d[i * path + r + j] = -bd[i * size + j];
                            d[(r + j) * path + i] = -bd[i * size + j];
                        }
                    }
                    for i in 0..size {
                        d[(r + i) * path + r..][..size].copy_from_slice(&above[i * size..(i + 1) * size]);
                    }
                }
            }
        }
    }

    /// The conditional covariance of the path from each group of level k up.
    pub fn covariance(&self, k: usize) -> &[f64] {
        &self.levels[k].d
    }

    /// Returns, for each finest group, the covariance in the distinct z columns: `D̂ = E'DE`, D×D, so that
    /// `Var(z_i'b) = ẑ_i'D̂ẑ_i`.
    pub fn reduced_covariances(&self, shape: &PathShape, out: &mut Vec<f64>) {
        reduce_matrices(shape, &self.levels[0].d, out);
    }
}

/// Adds up path×path matrices of finest groups to D×D in the distinct z columns.
pub(super) fn reduce_matrices(shape: &PathShape, paths: &[f64], out: &mut Vec<f64>) {
    let (d, path, columns) = (shape.distinct(), shape.path(), shape.columns_from(0));
    out.clear();
    for matrix in paths.chunks_exact(path * path) {
        let start = out.len();
        out.resize(start + d * d, 0.0);
        for (i, row) in columns.iter().zip(matrix.chunks_exact(path)) {
            columns.iter().zip(row).for_each(|(j, v)| out[start + i * d + j] += v);
        }
    }
}
