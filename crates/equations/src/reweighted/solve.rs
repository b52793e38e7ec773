//! Solves with the factor of A.

use super::factor::split;
use super::small::solve as solve_small;
use super::{Factor, Groups, PathShape};

/// Scratch and results of solves with one factor.
#[derive(Clone, Debug, Default)]
pub struct Solution {
    /// For each level, the right-hand side of each group's path from that level up.
    t: Vec<Vec<f64>>,
    /// For each level, `u_g` (r numbers a group).
    u: Vec<Vec<f64>>,
    /// For each level, `b = Λu` along the path from each group up.
    path: Vec<Vec<f64>>,
}

impl Solution {
    /// `u_g` of each group of level k, r numbers each.
    pub fn u(&self, k: usize) -> &[f64] {
        &self.u[k]
    }

    /// `b` along the path from each group of level k up; its own coefficients first.
    pub fn path(&self, k: usize) -> &[f64] {
        &self.path[k]
    }

    /// Adds up, for each finest group, the coefficients of each distinct z column along its path: `b̂ = E'b`,
    /// D numbers a group.
    pub fn reduced(&self, shape: &PathShape, out: &mut Vec<f64>) {
        reduce_path(shape, &self.path[0], out);
    }
}

/// Adds up the values of each distinct z column along the paths of finest groups.
fn reduce_path(shape: &PathShape, path: &[f64], out: &mut Vec<f64>) {
    let (d, columns) = (shape.distinct(), shape.columns_from(0));
    out.clear();
    for path in path.chunks_exact(shape.path()) {
        let start = out.len();
        out.resize(start + d, 0.0);
        columns.iter().zip(path).for_each(|(&c, b)| out[start + c] += b);
    }
}

impl Factor {
    /// Solves `A u = Λ't - v`, where `t = Z'(…)` is given for each finest group in the distinct z columns (D
    /// numbers a group) and v for each level (r numbers a group; `None` for 0). Returns `v'u`-free results in
    /// `out`: u, and `b = Λu` along all paths.
    pub fn solve(
        &self,
        shape: &PathShape,
        groups: &Groups<'_>,
        lambda: &[Vec<f64>],
        t: &[f64],
        v: Option<&[Vec<f64>]>,
        out: &mut Solution,
    ) {
        let levels = shape.levels();
        out.t.resize_with(levels, Vec::new);
        out.u.resize_with(levels, Vec::new);
        out.path.resize_with(levels, Vec::new);
        let (d, columns) = (shape.distinct(), shape.columns_from(0));
        out.t[0].clear();
        for t in t.chunks_exact(d) {
            out.t[0].extend(columns.iter().map(|&c| t[c]));
        }
        for k in 0..levels {
            self.forward(shape, groups, k, &lambda[k], v.map(|v| &v[k][..]), out);
        }
        for k in (0..levels).rev() {
            self.backward(shape, groups, k, &lambda[k], out);
        }
    }

    /// Computes `y_g = A_g⁻¹(L't_g - v_g)` and passes the rest of t to the parents.
    fn forward(
        &self,
        shape: &PathShape,
        groups: &Groups<'_>,
        k: usize,
        lambda: &[f64],
        v: Option<&[f64]>,
        out: &mut Solution,
    ) {
        let (r, path, count) = (shape.r(k), shape.path_from(k), groups.count(k));
        let level = &self.levels[k];
        let (below, above) = out.t.split_at_mut(k + 1);
        let (t, u) = (&below[k], &mut out.u[k]);
        u.resize(count * r, 0.0);
        let one = |g: usize, u: &mut [f64]| {
            let t = &t[g * path..][..r];
            for i in 0..r {
                let sum: f64 = (0..r).map(|s| lambda[s * r + i] * t[s]).sum();
                u[i] = sum - v.map_or(0.0, |v| v[g * r + i]);
            }
            solve_small(&level.a[g * r * r..][..r * r], r, u);
        };
        let Some(parent) = above.first_mut() else {
            u.chunks_exact_mut(r).enumerate().for_each(|(g, u)| one(g, u));
            return;
        };
        let size = path - r;
        parent.clear();
        parent.resize(groups.count(k + 1) * size, 0.0);
        let mut b = vec![0.0; r];
        for (p, into) in parent.chunks_exact_mut(size).enumerate() {
            for g in groups.children(k, p) {
                let u = &mut u[g * r..][..r];
                one(g, u);
                (0..r).for_each(|i| b[i] = (0..r).map(|s| lambda[i * r + s] * u[s]).sum());
                let n = split(&level.n, g, path, r);
                for (j, into) in into.iter_mut().enumerate() {
                    let down: f64 = (0..r).map(|s| n.cross(s, j) * b[s]).sum();
                    *into += t[g * path + r + j] - down;
                }
            }
        }
    }

    /// Computes `u_g = y_g - A_g⁻¹L'N_gu b_u` and the paths.
    fn backward(&self, shape: &PathShape, groups: &Groups<'_>, k: usize, lambda: &[f64], out: &mut Solution) {
        let (r, path, count) = (shape.r(k), shape.path_from(k), groups.count(k));
        let size = path - r;
        let level = &self.levels[k];
        let (below, above) = out.path.split_at_mut(k + 1);
        let (own, u) = (&mut below[k], &mut out.u[k]);
        own.resize(count * path, 0.0);
        let mut work = vec![0.0; r];
        let mut one = |g: usize, b_above: &[f64], u: &mut [f64], own: &mut [f64]| {
            if size > 0 {
                let n = split(&level.n, g, path, r);
                let mut t = [0.0_f64; 16];
                let mut heap = Vec::new();
                let t = if r <= 16 {
                    &mut t[..r]
                } else {
                    heap.resize(r, 0.0);
                    &mut heap[..]
                };
                for (i, t) in t.iter_mut().enumerate() {
                    *t = (0..size).map(|j| n.cross(i, j) * b_above[j]).sum();
                }
                (0..r).for_each(|i| work[i] = (0..r).map(|s| lambda[s * r + i] * t[s]).sum());
                solve_small(&level.a[g * r * r..][..r * r], r, &mut work);
                u.iter_mut().zip(&work).for_each(|(u, w)| *u -= w);
            }
            for i in 0..r {
                own[i] = (0..r).map(|s| lambda[i * r + s] * u[s]).sum();
            }
            own[r..].copy_from_slice(b_above);
        };
        match above.first() {
            None => (0..count).for_each(|g| one(g, &[], &mut u[g * r..][..r], &mut own[g * path..][..path])),
            Some(parent) => {
                for (p, b) in parent.chunks_exact(size).enumerate() {
                    for g in groups.children(k, p) {
                        one(g, b, &mut u[g * r..][..r], &mut own[g * path..][..path]);
                    }
                }
            }
        }
    }
}
