//! Derivatives of the factorisation in four directions at once.
//!
//! Given Ġ of each level and `ẑ'Ẇẑ` of each finest group:
//!
//! ```text
//! K̇ = J'ĠJ - K Ṅ_gg K
//! Ṅ_parent += Ṅ_uu - Ṅ_gu'K N_gu - N_gu'K̇ N_gu - N_gu'K Ṅ_gu
//! Ḣ = Ẏ - Ẏ_u D_u Y_u' - Y_u Ḋ_u Y_u' - Y_u D_u Ẏ_u',   Y = J N_gg, Y_u = J N_gu
//! D_gu = -B D_u,   D_gg = K + B D_u B',   B = K N_gu
//! ```

use super::factor::{complement, kernel_cross, split};
use super::group_tangent::{Dot, GroupTangent, add_product, product};
use super::lanes::{add, with_sizes};
use super::{Factor, Groups, Lanes, PathShape, ZERO};
use tiers_moments::vectorised;

/// Memory for derivatives, reused from direction to direction.
#[derive(Clone, Debug, Default)]
pub struct TangentScratch {
    levels: Vec<TangentLevel>,
    small: GroupTangent,
}

#[derive(Clone, Debug, Default)]
struct TangentLevel {
    /// Ṅ, path×path.
    n: Vec<Lanes>,
    /// K̇, r×r.
    k: Vec<Lanes>,
    /// Ḋ, path×path.
    d: Vec<Lanes>,
}

/// [`super::LANES`] directions: derivatives of G of each level (r×r, row-major; empty for zero).
#[derive(Clone, Copy, Debug)]
pub struct Tangent<'a> {
    /// Ġ of each level.
    pub g: &'a [Vec<Lanes>],
    /// `ẑ'Ẇẑ` of each finest group, D×D.
    pub moments: &'a [Lanes],
}

impl Factor {
    /// Computes the derivatives. Adds `Σ_g Ḣ_g` of each level to `precision` (r×r a level), and returns Ḋ of the
    /// finest groups in the distinct z columns in `covariance` (D×D a group). Requires [`Factor::covariances`].
    pub fn tangent(
        &self,
        shape: &PathShape,
        groups: &Groups<'_>,
        direction: Tangent<'_>,
        scratch: &mut TangentScratch,
        precision: &mut [Vec<Lanes>],
        covariance: &mut Vec<Lanes>,
    ) {
        let (d, path, columns) = (shape.distinct(), shape.path(), shape.columns_from(0));
        scratch.levels.resize_with(shape.levels(), TangentLevel::default);
        let finest = &mut scratch.levels[0].n;
        finest.clear();
        for moments in direction.moments.chunks_exact(d * d) {
            for &i in columns {
                finest.extend(columns.iter().map(|&j| moments[i * d + j]));
            }
        }
        vectorised(
            #[inline(always)]
            || {
                for k in 0..shape.levels() {
                    let size = shape.path_from(k) - shape.r(k);
                    with_sizes(
                        shape.r(k),
                        size,
                        #[inline(always)]
                        |r, size| self.tangent_up(groups, k, (r, size), &direction.g[k], scratch),
                    );
                }
                for k in (0..shape.levels()).rev() {
                    let size = shape.path_from(k) - shape.r(k);
                    with_sizes(
                        shape.r(k),
                        size,
                        #[inline(always)]
                        |r, size| self.tangent_down(groups, k, (r, size), scratch, &mut precision[k]),
                    );
                }
            },
        );
        covariance.clear();
        for matrix in scratch.levels[0].d.chunks_exact(path * path) {
            let start = covariance.len();
            covariance.resize(start + d * d, ZERO);
            for (i, row) in columns.iter().zip(matrix.chunks_exact(path)) {
                columns.iter().zip(row).for_each(|(j, v)| add(&mut covariance[start + i * d + j], 1.0, v));
            }
        }
    }

    /// Computes K̇ of a level and Ṅ of its parents.
    #[inline(always)]
    fn tangent_up(
        &self,
        groups: &Groups<'_>,
        k: usize,
        (r, size): (usize, usize),
        g_dot: &[Lanes],
        scratch: &mut TangentScratch,
    ) {
        let (level, path, count) = (&self.levels[k], r + size, groups.count(k));
        let (below, above) = scratch.levels.split_at_mut(k + 1);
        let own = &mut below[k];
        own.k.resize(count * r * r, ZERO);
        let small = &mut scratch.small;
        small.resize(r, size);
        for g in 0..count {
            let (n, nd) = (split(&level.n, g, path, r), Dot::of(&own.n, g, path, r));
            let (kernel, kd) = (&level.k[g * r * r..][..r * r], &mut own.k[g * r * r..][..r * r]);
            // K̇ = -K Ṅ K
            product(r, r, r, |a, s| kernel[a * r + s], |s, b| nd.own(s, b), &mut small.jd);
            kd.fill(ZERO);
            add_product(r, r, r, |b, s| -kernel[s * r + b], |s, a| small.jd[a * r + s], |b, a| a * r + b, kd);
            if !g_dot.is_empty() {
                complement(&n, kernel, r, &mut small.j);
                let j = &small.j;
                product(r, r, r, |b, s| j[s * r + b], |s, a| g_dot[a * r + s], &mut small.jd);
                add_product(r, r, r, |a, s| j[s * r + a], |s, b| small.jd[b * r + s], |a, b| a * r + b, kd);
            }
        }
        let Some(parent) = above.first_mut() else { return };
        parent.n.clear();
        parent.n.resize(groups.count(k + 1) * size * size, ZERO);
        for (p, into) in parent.n.chunks_exact_mut(size * size).enumerate() {
            for g in groups.children(k, p) {
                let (n, nd) = (split(&level.n, g, path, r), Dot::of(&own.n, g, path, r));
                let (kernel, kd) = (&level.k[g * r * r..][..r * r], &own.k[g * r * r..][..r * r]);
                kernel_cross(kernel, &n, (r, size), &mut small.b);
                small.set_kernel_tangent(&n, &nd, kernel, kd, (r, size));
                for a in 0..size {
                    for b in 0..size {
                        let mut sum = nd.up(a, b);
                        for s in 0..r {
                            add(&mut sum, -small.b[s * size + b], &nd.cross(s, a));
                            add(&mut sum, -n.cross(s, a), &small.bd[s * size + b]);
                        }
                        add(&mut into[a * size + b], 1.0, &sum);
                    }
                }
            }
        }
    }

    /// Computes Ḋ of a level's paths from those above, and sums Ḣ.
    #[inline(always)]
    fn tangent_down(
        &self,
        groups: &Groups<'_>,
        k: usize,
        (r, size): (usize, usize),
        scratch: &mut TangentScratch,
        precision: &mut [Lanes],
    ) {
        let (level, path, count) = (&self.levels[k], r + size, groups.count(k));
        let (below, above) = scratch.levels.split_at_mut(k + 1);
        let TangentLevel { n: n_dot, k: k_dot, d: d_dot } = &mut below[k];
        d_dot.resize(count * path * path, ZERO);
        let small = &mut scratch.small;
        small.resize(r, size);
        let mut level = Down { n: &level.n, k: &level.k, n_dot, k_dot, d_dot, small, precision };
        match above.first() {
            None => (0..count).for_each(|g| level.group(g, (r, size), (&[], &[]))),
            Some(parent) => {
                let covariance = &self.levels[k + 1].d;
                let pairs = covariance.chunks_exact(size * size).zip(parent.d.chunks_exact(size * size));
                for (p, pair) in pairs.enumerate() {
                    for g in groups.children(k, p) {
                        level.group(g, (r, size), pair);
                    }
                }
            }
        }
    }
}

/// What the back-substitution meets of one level.
struct Down<'a> {
    n: &'a [f64],
    k: &'a [f64],
    n_dot: &'a [Lanes],
    k_dot: &'a [Lanes],
    d_dot: &'a mut [Lanes],
    small: &'a mut GroupTangent,
    precision: &'a mut [Lanes],
}

impl Down<'_> {
    /// Computes Ḋ of a group's path from D and Ḋ of the levels above, and adds to Ḣ.
    #[inline(always)]
    fn group(&mut self, g: usize, (r, size): (usize, usize), above: (&[f64], &[Lanes])) {
        let path = r + size;
        let (n, nd) = (split(self.n, g, path, r), Dot::of(self.n_dot, g, path, r));
        let (kernel, kd) = (&self.k[g * r * r..][..r * r], &self.k_dot[g * r * r..][..r * r]);
        self.small.add_precision(&n, &nd, (kernel, kd), r, self.precision);
        let d = &mut self.d_dot[g * path * path..][..path * path];
        if size == 0 {
            d.copy_from_slice(kd);
            return;
        }
        self.small.set_cross(&n, &nd, (kernel, kd), (r, size));
        self.small.subtract_precision(above, (r, size), self.precision);
        self.small.set_covariance(above, kd, (r, size), d);
    }
}
