//! Solves with the factor of A for four right-hand sides at once.
//!
//! The derivatives of a criterion need solves in as many directions as it has parameters, each with little work in
//! each group. Four directions fill a vector register, and share the work that does not depend on the direction.

use super::factor::{Split, split};
use super::{Factor, Groups, PathShape};
use tiers_moments::vectorised;

/// Number of directions side by side.
pub const LANES: usize = 4;

/// A number in each direction.
pub type Lanes = [f64; LANES];

/// Zero in each direction.
pub const ZERO: Lanes = [0.0; LANES];

/// `sum += factor · values`.
#[inline(always)]
pub(super) fn add(sum: &mut Lanes, factor: f64, values: &Lanes) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

/// `a - b`.
#[inline(always)]
pub(super) fn difference(a: &Lanes, b: &Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane] - b[lane])
}

/// Calls a function with the numbers of a group's own coefficients and of those above it, as constants of the
/// compiler for nests of intercepts.
#[inline(always)]
pub(super) fn with_sizes(r: usize, size: usize, mut f: impl FnMut(usize, usize)) {
    match (r, size) {
        (1, 0) => f(1, 0),
        (1, 1) => f(1, 1),
        (1, 2) => f(1, 2),
        _ => f(r, size),
    }
}

/// Scratch and results of solves for [`LANES`] right-hand sides.
#[derive(Clone, Debug, Default)]
pub struct LaneSolution {
    /// For each level, the right-hand side of each group's path from that level up.
    t: Vec<Vec<Lanes>>,
    /// For each level, `K_g t_g` of each group.
    y: Vec<Vec<Lanes>>,
    /// For each level, the solution along the path from each group up.
    path: Vec<Vec<Lanes>>,
    work: Vec<Lanes>,
}

impl LaneSolution {
    /// The solution along the path from each group of level k up; its own coefficients first.
    pub fn path(&self, k: usize) -> &[Lanes] {
        &self.path[k]
    }

    /// Adds up, for each finest group, the coefficients of each distinct z column along its path, D a group.
    pub fn reduced(&self, shape: &PathShape, out: &mut Vec<Lanes>) {
        let (d, columns) = (shape.distinct(), shape.columns_from(0));
        out.clear();
        for path in self.path[0].chunks_exact(shape.path()) {
            let start = out.len();
            out.resize(start + d, ZERO);
            columns.iter().zip(path).for_each(|(&c, b)| add(&mut out[start + c], 1.0, b));
        }
    }
}

impl Factor {
    /// Computes `D t` along all paths, where t is given for each finest group in the distinct z columns, D a group.
    pub fn solve_lanes(&self, shape: &PathShape, groups: &Groups<'_>, t: &[Lanes], out: &mut LaneSolution) {
        let levels = shape.levels();
        for vectors in [&mut out.t, &mut out.y, &mut out.path] {
            vectors.resize_with(levels, Vec::new);
        }
        let (d, columns) = (shape.distinct(), shape.columns_from(0));
        out.t[0].clear();
        for t in t.chunks_exact(d) {
            out.t[0].extend(columns.iter().map(|&c| t[c]));
        }
        vectorised(
            #[inline(always)]
            || {
                for k in 0..levels {
                    let size = shape.path_from(k) - shape.r(k);
                    with_sizes(
                        shape.r(k),
                        size,
                        #[inline(always)]
                        |r, size| self.forward_lanes(groups, k, (r, size), out),
                    );
                }
                for k in (0..levels).rev() {
                    let size = shape.path_from(k) - shape.r(k);
                    with_sizes(
                        shape.r(k),
                        size,
                        #[inline(always)]
                        |r, size| self.backward_lanes(groups, k, (r, size), out),
                    );
                }
            },
        );
    }

    /// Computes `y_g = K_g t_g` and passes `t_u - N_ug y_g` to the parents.
    #[inline(always)]
    fn forward_lanes(&self, groups: &Groups<'_>, k: usize, (r, size): (usize, usize), out: &mut LaneSolution) {
        let (level, path, count) = (&self.levels[k], r + size, groups.count(k));
        let (below, above) = out.t.split_at_mut(k + 1);
        let (t, y) = (&below[k][..count * path], &mut out.y[k]);
        y.resize(count * r, ZERO);
        for ((t, y), kernel) in t.chunks_exact(path).zip(y.chunks_exact_mut(r)).zip(level.k.chunks_exact(r * r)) {
            multiply(kernel, t, r, y);
        }
        let Some(parent) = above.first_mut() else { return };
        parent.clear();
        parent.resize(groups.count(k + 1) * size, ZERO);
        for (p, into) in parent.chunks_exact_mut(size).enumerate() {
            for g in groups.children(k, p) {
                let n = split(&level.n, g, path, r);
                let (t, y) = (&t[g * path + r..][..size], &y[g * r..][..r]);
                for (j, into) in into.iter_mut().enumerate() {
                    let mut sum = t[j];
                    (0..r).for_each(|s| add(&mut sum, -n.cross(s, j), &y[s]));
                    add(into, 1.0, &sum);
                }
            }
        }
    }

    /// Computes `b_g = y_g - K_g N_gu b_u` and the paths.
    #[inline(always)]
    fn backward_lanes(&self, groups: &Groups<'_>, k: usize, (r, size): (usize, usize), out: &mut LaneSolution) {
        let (level, path, count) = (&self.levels[k], r + size, groups.count(k));
        let (below, above) = out.path.split_at_mut(k + 1);
        let (own, y) = (&mut below[k], &out.y[k]);
        own.resize(count * path, ZERO);
        let Some(parent) = above.first() else {
            own.copy_from_slice(y);
            return;
        };
        out.work.resize(2 * r, ZERO);
        let (nb, knb) = out.work.split_at_mut(r);
        for (p, b) in parent.chunks_exact(size).enumerate() {
            for g in groups.children(k, p) {
                cross_product(&split(&level.n, g, path, r), b, nb);
                multiply(&level.k[g * r * r..][..r * r], nb, r, knb);
                let own = &mut own[g * path..][..path];
                (0..r).for_each(|i| own[i] = difference(&y[g * r + i], &knb[i]));
                own[r..].copy_from_slice(b);
            }
        }
    }
}

/// `out = M x` for an r×r matrix.
#[inline(always)]
fn multiply(m: &[f64], x: &[Lanes], r: usize, out: &mut [Lanes]) {
    for i in 0..r {
        out[i] = ZERO;
        (0..r).for_each(|s| add(&mut out[i], m[i * r + s], &x[s]));
    }
}

/// `out = N_gu b`.
#[inline(always)]
fn cross_product(n: &Split<'_>, b: &[Lanes], out: &mut [Lanes]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = ZERO;
        b.iter().enumerate().for_each(|(j, b)| add(out, n.cross(i, j), b));
    }
}
