//! Derivatives of the factorisation in one direction.
//!
//! Given Ġ of each level and `ẑ'Ẇẑ` of each finest group:
//!
//! ```text
//! K̇ = J'ĠJ - K Ṅ_gg K
//! Ṅ_parent += Ṅ_uu - Ṅ_gu'K N_gu - N_gu'K̇ N_gu - N_gu'K Ṅ_gu
//! Ḣ = Ẏ - Ẏ_u D_u Y_u' - Y_u Ḋ_u Y_u' - Y_u D_u Ẏ_u',   Y = J N_gg, Y_u = J N_gu
//! ```

use super::covariance::reduce_matrices;
use super::factor::{complement, split};
use super::small::{multiply, multiply_transposed};
use super::{Factor, Groups, PathShape};

/// Memory for derivatives in one direction, reused from direction to direction.
#[derive(Clone, Debug, Default)]
pub struct TangentScratch {
    levels: Vec<TangentLevel>,
    small: Vec<f64>,
}

#[derive(Clone, Debug, Default)]
struct TangentLevel {
    /// Ṅ, path×path.
    n: Vec<f64>,
    /// K̇, r×r.
    k: Vec<f64>,
    /// Ḋ, path×path.
    d: Vec<f64>,
}

/// A direction: derivatives of G of each level (r×r, row-major; empty for zero).
#[derive(Clone, Copy, Debug)]
pub struct Tangent<'a> {
    /// Ġ of each level.
    pub g: &'a [Vec<f64>],
    /// `ẑ'Ẇẑ` of each finest group, D×D.
    pub moments: &'a [f64],
}

impl Factor {
    /// Computes the derivatives in one direction. Adds `Σ_g Ḣ_g` of each level to `precision` (r×r a level), and
    /// returns Ḋ of the finest groups in the distinct z columns in `covariance` (D×D a group). Requires
    /// [`Factor::covariances`].
    pub fn tangent(
        &self,
        shape: &PathShape,
        groups: &Groups<'_>,
        direction: Tangent<'_>,
        scratch: &mut TangentScratch,
        precision: &mut [Vec<f64>],
        covariance: &mut Vec<f64>,
    ) {
        let (d, columns) = (shape.distinct(), shape.columns_from(0));
        scratch.levels.resize_with(shape.levels(), TangentLevel::default);
        let finest = &mut scratch.levels[0].n;
        finest.clear();
        for moments in direction.moments.chunks_exact(d * d) {
            for &i in columns {
                finest.extend(columns.iter().map(|&j| moments[i * d + j]));
            }
        }
        for k in 0..shape.levels() {
            self.tangent_up(shape, groups, k, &direction.g[k], scratch);
        }
        for k in (0..shape.levels()).rev() {
            self.tangent_down(shape, groups, k, scratch, &mut precision[k]);
        }
        reduce_matrices(shape, &scratch.levels[0].d, covariance);
    }

    /// Computes K̇ of a level and Ṅ of its parents.
    fn tangent_up(
        &self,
        shape: &PathShape,
        groups: &Groups<'_>,
        k: usize,
        g_dot: &[f64],
        scratch: &mut TangentScratch,
    ) {
        let (r, path, count) = (shape.r(k), shape.path_from(k), groups.count(k));
        let size = path - r;
        let level = &self.levels[k];
        let (below, above) = scratch.levels.split_at_mut(k + 1);
        let own = &mut below[k];
        own.k.resize(count * r * r, 0.0);
        let small = &mut scratch.small;
        small.clear();
        small.resize(2 * r * r + 3 * r * size, 0.0);
        let (j, rest) = small.split_at_mut(r * r);
        let (work, rest) = rest.split_at_mut(r * r);
        let (kc, rest) = rest.split_at_mut(r * size);
        let (kdc, kcd) = rest.split_at_mut(r * size);
        for g in 0..count {
            let (n, nd) = (split(&level.n, g, path, r), split(&own.n, g, path, r));
            let kernel = &level.k[g * r * r..][..r * r];
            let kd = &mut own.k[g * r * r..][..r * r];
            if r == 1 {
                let j = 1.0 - n.own(0, 0) * kernel[0];
                kd[0] = g_dot.first().map_or(0.0, |g| g * j * j) - kernel[0] * kernel[0] * nd.own(0, 0);
                continue;
            }
            // kd = -K Ṅ K
            for a in 0..r {
                for b in 0..r {
                    work[a * r + b] = (0..r).map(|s| kernel[a * r + s] * nd.own(s, b)).sum();
                }
            }
            multiply(work, kernel, (r, r, r), kd);
            kd.iter_mut().for_each(|v| *v = -*v);
            if !g_dot.is_empty() {
                complement(&n, kernel, r, j);
                multiply(g_dot, j, (r, r, r), work);
                for a in 0..r {
                    for b in 0..r {
                        kd[a * r + b] += (0..r).map(|s| j[s * r + a] * work[s * r + b]).sum::<f64>();
                    }
                }
            }
        }
        let Some(parent) = above.first_mut() else { return };
        parent.n.clear();
        parent.n.resize(groups.count(k + 1) * size * size, 0.0);
        for (p, into) in parent.n.chunks_exact_mut(size * size).enumerate() {
            for g in groups.children(k, p) {
                let (n, nd) = (split(&level.n, g, path, r), split(&own.n, g, path, r));
                let (kernel, kd) = (&level.k[g * r * r..][..r * r], &own.k[g * r * r..][..r * r]);
                for a in 0..r {
                    for b in 0..size {
                        let (mut one, mut two, mut three) = (0.0, 0.0, 0.0);
                        for s in 0..r {
                            one += kernel[a * r + s] * n.cross(s, b);
                            two += kd[a * r + s] * n.cross(s, b);
                            three += kernel[a * r + s] * nd.cross(s, b);
                        }
                        (kc[a * size + b], kdc[a * size + b], kcd[a * size + b]) = (one, two, three);
                    }
                }
                for a in 0..size {
                    for b in 0..size {
                        let mut sum = nd.up(a, b);
                        for s in 0..r {
                            sum -= nd.cross(s, a) * kc[s * size + b]
                                + n.cross(s, a) * (kdc[s * size + b] + kcd[s * size + b]);
                        }
                        into[a * size + b] += sum;
                    }
                }
            }
        }
    }

    /// Computes Ḋ of a level's paths from those above, and sums Ḣ.
    fn tangent_down(
        &self,
        shape: &PathShape,
        groups: &Groups<'_>,
        k: usize,
        scratch: &mut TangentScratch,
        precision: &mut [f64],
    ) {
        let (r, path, count) = (shape.r(k), shape.path_from(k), groups.count(k));
        let size = path - r;
        let level = &self.levels[k];
        let (below, above) = scratch.levels.split_at_mut(k + 1);
        let own = &mut below[k];
        own.d.resize(count * path * path, 0.0);
        let mut w = Work::new(r, size);
        let TangentLevel { n: n_dot, k: k_dot, d: d_dot } = own;
        let mut one = |g: usize, (d_a, dd_a): (&[f64], &[f64])| {
            let (n, nd) = (split(&level.n, g, path, r), split(n_dot, g, path, r));
            let (kernel, kd) = (&level.k[g * r * r..][..r * r], &k_dot[g * r * r..][..r * r]);
            complement(&n, kernel, r, &mut w.j);
            // J̇ = -(Ṅ K + N K̇)
            for a in 0..r {
                for b in 0..r {
                    w.jd[a * r + b] =
                        -(0..r).map(|s| nd.own(a, s) * kernel[s * r + b] + n.own(a, s) * kd[s * r + b]).sum::<f64>();
                }
            }
            for a in 0..r {
                for b in 0..r {
                    let sum: f64 = (0..r).map(|s| w.jd[a * r + s] * n.own(s, b) + w.j[a * r + s] * nd.own(s, b)).sum();
                    precision[a * r + b] += sum;
                }
            }
            let d = &mut d_dot[g * path * path..][..path * path];
            if size == 0 {
                d.copy_from_slice(kd);
                return;
            }
            for a in 0..r {
                for b in 0..size {
                    let (mut y, mut yd, mut bb, mut bd) = (0.0, 0.0, 0.0, 0.0);
                    for s in 0..r {
                        y += w.j[a * r + s] * n.cross(s, b);
                        yd += w.jd[a * r + s] * n.cross(s, b) + w.j[a * r + s] * nd.cross(s, b);
                        bb += kernel[a * r + s] * n.cross(s, b);
                        bd += kd[a * r + s] * n.cross(s, b) + kernel[a * r + s] * nd.cross(s, b);
                    }
                    let at = a * size + b;
                    (w.y[at], w.yd[at], w.b[at], w.bd[at]) = (y, yd, bb, bd);
                }
            }
            // Ḣ -= Ẏ D Y' + Y Ḋ Y' + Y D Ẏ'
            multiply(&w.y, d_a, (r, size, size), &mut w.left);
            multiply(&w.y, dd_a, (r, size, size), &mut w.right);
            for a in 0..r {
                for b in 0..r {
                    let sum: f64 = (0..size)
                        .map(|s| {
                            let (at, bt) = (a * size + s, b * size + s);
                            w.left[at] * w.yd[bt] + w.left[bt] * w.yd[at] + w.right[at] * w.y[bt]
                        })
                        .sum();
                    precision[a * r + b] -= sum;
                }
            }
            // D_gu = -B D_u, D_gg = K + B D_u B'
            multiply(&w.b, d_a, (r, size, size), &mut w.left);
            multiply(&w.b, dd_a, (r, size, size), &mut w.right);
            multiply(&w.bd, d_a, (r, size, size), &mut w.y);
            multiply_transposed(&w.right, &w.b, (r, size, r), &mut w.jd);
            for a in 0..r {
                for b in 0..r {
                    let sum: f64 = (0..size)
                        .map(|s| {
                            let (at, bt) = (a * size + s, b * size + s);
                            w.left[at] * w.bd[bt] + w.left[bt] * w.bd[at]
                        })
                        .sum();
                    d[a * path + b] = kd[a * r + b] + w.jd[a * r + b] + sum;
                }
                for b in 0..size {
                    let value = -(w.y[a * size + b] + w.right[a * size + b]);
                    d[a * path + r + b] = value;
                    d[(r + b) * path + a] = value;
                }
            }
            for a in 0..size {
                d[(r + a) * path + r..][..size].copy_from_slice(&dd_a[a * size..(a + 1) * size]);
            }
        };
        match above.first() {
            None => (0..count).for_each(|g| one(g, (&[], &[]))),
            Some(parent) => {
                let covariance = &self.levels[k + 1].d;
                let pairs = covariance.chunks_exact(size * size).zip(parent.d.chunks_exact(size * size));
                for (p, pair) in pairs.enumerate() {
                    groups.children(k, p).for_each(|g| one(g, pair));
                }
            }
        }
    }
}

/// Small matrices of one group.
struct Work {
    j: Vec<f64>,
    jd: Vec<f64>,
    y: Vec<f64>,
    yd: Vec<f64>,
    b: Vec<f64>,
    bd: Vec<f64>,
    left: Vec<f64>,
    right: Vec<f64>,
}

impl Work {
    fn new(r: usize, size: usize) -> Work {
        let (square, wide) = (|| vec![0.0; r * r], || vec![0.0; r * size]);
        Work { j: square(), jd: square(), y: wide(), yd: wide(), b: wide(), bd: wide(), left: wide(), right: wide() }
    }
}
