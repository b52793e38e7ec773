//! The factorisation of A within a top-level group.

use super::small::{cholesky, multiply, multiply_transposed, solve};
use super::{Groups, PathShape};
use crate::log_sum::LogSum;

/// `A = Λ'Z'WZΛ + I` of the groups of a visit, eliminated. Memory is reused from visit to visit.
#[derive(Clone, Debug, Default)]
pub struct Factor {
    pub(super) levels: Vec<FactorLevel>,
    log_det: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct FactorLevel {
    /// N_g, path×path from this level up.
    pub(super) n: Vec<f64>,
    /// Cholesky factor of A_g, r×r.
    pub(super) a: Vec<f64>,
    /// K_g, r×r.
    pub(super) k: Vec<f64>,
    /// Conditional covariance of the path from this level up; filled by `covariances`.
    pub(super) d: Vec<f64>,
}

/// Views into the moments of one group: its own block and the one with the levels above.
pub(super) struct Split<'a> {
    n: &'a [f64],
    path: usize,
    r: usize,
}

impl Split<'_> {
    /// `N_gg[i][j]`.
    #[inline(always)]
    pub(super) fn own(&self, i: usize, j: usize) -> f64 {
        self.n[i * self.path + j]
    }

    /// `N_gu[i][j]`: row i of the group's own coefficients, column j of the levels above.
    #[inline(always)]
    pub(super) fn cross(&self, i: usize, j: usize) -> f64 {
        self.n[i * self.path + self.r + j]
    }

    /// `N_uu[i][j]`.
    #[inline(always)]
    pub(super) fn up(&self, i: usize, j: usize) -> f64 {
        self.n[(self.r + i) * self.path + self.r + j]
    }
}

/// The moments of group g of a level.
#[inline(always)]
pub(super) fn split(n: &[f64], g: usize, path: usize, r: usize) -> Split<'_> {
    Split { n: &n[g * path * path..(g + 1) * path * path], path, r }
}

impl Factor {
    /// `log|A|`; NaN where A is not positive definite in floating point.
    pub fn log_det(&self) -> f64 {
        self.log_det
    }

    /// Factors A, given `ẑ'Wẑ` of each finest group (D×D, row-major) and Λ of each level (r×r, row-major).
    pub fn eliminate(&mut self, shape: &PathShape, groups: &Groups<'_>, moments: &[f64], lambda: &[Vec<f64>]) {
        self.levels.resize_with(shape.levels(), FactorLevel::default);
        let (d, path, columns) = (shape.distinct(), shape.path(), shape.columns_from(0));
        let finest = &mut self.levels[0].n;
        finest.clear();
        for moments in moments.chunks_exact(d * d) {
            for &i in columns {
                finest.extend(columns.iter().map(|&j| moments[i * d + j]));
            }
        }
        debug_assert_eq!(finest.len(), groups.count(0) * path * path);
        let mut log_det = LogSum::new();
        for (k, lambda) in lambda.iter().enumerate() {
            self.eliminate_level(shape, groups, k, lambda, &mut log_det);
        }
        self.log_det = log_det.total();
    }

    fn eliminate_level(
        &mut self,
        shape: &PathShape,
        groups: &Groups<'_>,
        k: usize,
        lambda: &[f64],
        log_det: &mut LogSum,
    ) {
        let (r, path, count) = (shape.r(k), shape.path_from(k), groups.count(k));
        let (below, above) = self.levels.split_at_mut(k + 1);
        let level = &mut below[k];
        level.a.resize(count * r * r, 0.0);
        level.k.resize(count * r * r, 0.0);
        let mut work = vec![0.0; r * r];
        for g in 0..count {
            let n = split(&level.n, g, path, r);
            let (a, kernel) = (&mut level.a[g * r * r..][..r * r], &mut level.k[g * r * r..][..r * r]);
            if r == 1 {
                // A = 1 + λ²n, K = λ²/A.
                let square = lambda[0] * lambda[0];
                let pivot = 1.0 + square * n.own(0, 0);
                log_det.add(pivot);
                a[0] = pivot.sqrt();
                kernel[0] = square / pivot;
                continue;
            }
            // work = N L, a = I + L'N L
            for i in 0..r {
                for j in 0..r {
                    work[i * r + j] = (0..r).map(|s| n.own(i, s) * lambda[s * r + j]).sum();
                }
            }
            for i in 0..r {
                for j in 0..r {
                    let sum: f64 = (0..r).map(|s| lambda[s * r + i] * work[s * r + j]).sum();
                    a[i * r + j] = sum + f64::from(u8::from(i == j));
                }
            }
            log_det.add(cholesky(a, r));
            // K = L (A⁻¹ L'): the columns of A⁻¹L' are solves with the rows of L.
            for i in 0..r {
                let row = &mut work[i * r..(i + 1) * r];
                row.copy_from_slice(&lambda[i * r..(i + 1) * r]);
                solve(a, r, row);
            }
            multiply_transposed(lambda, &work, (r, r, r), kernel);
            for i in 0..r {
                for j in 0..i {
                    let mean = 0.5 * (kernel[i * r + j] + kernel[j * r + i]);
                    kernel[i * r + j] = mean;
                    kernel[j * r + i] = mean;
                }
            }
        }
        let Some(parent) = above.first_mut() else { return };
        let size = shape.path_from(k + 1);
        parent.n.clear();
        parent.n.resize(groups.count(k + 1) * size * size, 0.0);
        let mut kc = vec![0.0; r * size];
        for (p, into) in parent.n.chunks_exact_mut(size * size).enumerate() {
            for g in groups.children(k, p) {
                let (n, kernel) = (split(&level.n, g, path, r), &level.k[g * r * r..][..r * r]);
                kernel_cross(kernel, &n, (r, size), &mut kc);
                for i in 0..size {
                    for j in 0..size {
                        let mut sum = n.up(i, j);
                        for s in 0..r {
                            sum -= n.cross(s, i) * kc[s * size + j];
                        }
                        into[i * size + j] += sum;
                    }
                }
            }
        }
    }

    /// Sums `H_g = Z_g'V⁻¹Z_g` over the groups of level k into `out`, r×r. Requires
    /// [`Factor::covariances`].
    pub fn add_precision(&self, shape: &PathShape, groups: &Groups<'_>, k: usize, out: &mut [f64]) {
        let (r, path) = (shape.r(k), shape.path_from(k));
        let size = path - r;
        let level = &self.levels[k];
        let (mut j, mut h, mut y, mut yd) =
            (vec![0.0; r * r], vec![0.0; r * r], vec![0.0; r * size], vec![0.0; r * size]);
        let mut add = |g: usize, d_above: &[f64]| {
            let n = split(&level.n, g, path, r);
            complement(&n, &level.k[g * r * r..][..r * r], r, &mut j);
            for a in 0..r {
                for b in 0..r {
                    h[a * r + b] = (0..r).map(|s| j[a * r + s] * n.own(s, b)).sum();
                }
                for b in 0..size {
                    y[a * size + b] = (0..r).map(|s| j[a * r + s] * n.cross(s, b)).sum();
                }
            }
            multiply(&y, d_above, (r, size, size), &mut yd);
            for a in 0..r {
                for b in 0..r {
                    let down: f64 = (0..size).map(|s| yd[a * size + s] * y[b * size + s]).sum();
                    out[a * r + b] += h[a * r + b] - down;
                }
            }
        };
        match self.levels.get(k + 1) {
            None => (0..groups.count(k)).for_each(|g| add(g, &[])),
            Some(above) => {
                for (p, d) in above.d.chunks_exact(size * size).enumerate() {
                    groups.children(k, p).for_each(|g| add(g, d));
                }
            }
        }
    }
}

/// Computes `K N_gu`, r×size.
#[inline(always)]
pub(super) fn kernel_cross(kernel: &[f64], n: &Split<'_>, (r, size): (usize, usize), out: &mut [f64]) {
    for i in 0..r {
        for j in 0..size {
            let mut sum = 0.0;
            for s in 0..r {
                sum += kernel[i * r + s] * n.cross(s, j);
            }
            out[i * size + j] = sum;
        }
    }
}

/// Computes `J = I - N_gg K`, r×r.
#[inline(always)]
pub(super) fn complement(n: &Split<'_>, kernel: &[f64], r: usize, out: &mut [f64]) {
    for i in 0..r {
        for j in 0..r {
            let mut sum = f64::from(u8::from(i == j));
            for s in 0..r {
                sum -= n.own(i, s) * kernel[s * r + j];
            }
            out[i * r + j] = sum;
        }
    }
}
