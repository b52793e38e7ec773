//! The exact Hessian: derivatives of the gradient in every direction.
//!
//! In a direction (β̇, Λ̇), with `e = η̇`, `q_i = w'_i e_i` and x the path of `Ġ a`:
//!
//! ```text
//! ḃ = x - D (Z'WZ x + Z'WX β̇)            e = Xβ̇ + Zḃ
//! Ṅ = Z'diag(w' e)Z                        Ḋ, Ḣ by the tangents of the elimination
//! ċ = w' (z'Ḋz) + v w'' e                  v̇ = x₂ + D (Z'ċ - Ṅ v - Z'WZ x₂),   x₂ the path of Ġ ã
//! c̃˙ = ċ - w' e Zv - W Z v̇
//! d(df/dβ) = X'(2 W e + c̃˙)               Γ̇ = Σ [Ḣ - ȧa' - aȧ' + sym(ȧã' + a ã˙')]
//! ȧ = -Z'W e,   ã˙ = Z'c̃˙
//! ```
//!
//! No direction needs the rows: all sums over rows are group moments, formed once.

use super::modes::mirror;
use super::{Point, Shape, Sums, Visit};
use pulp::Arch;
use tiers_equations::reweighted::{Groups, Tangent, gather, spread};

/// Moments of the finest groups.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `Σ κ x x'`, p×p lower triangle, κ = 2w + v w'' - w' z'v.
    xx: Vec<f64>,
    /// By finest group, p×D: `Σ κ x ẑ'`, `Σ w x ẑ'`, `Σ v w'' x ẑ'`.
    kappa: Vec<f64>,
    weight: Vec<f64>,
    second: Vec<f64>,
    /// By finest group, p×D×D: `Σ w' x ẑẑ'`.
    first: Vec<f64>,
    /// By finest group, D×D×D: `Σ w' ẑ⊗ẑ⊗ẑ`; and D×D: `Σ v w'' ẑẑ'`.
    cube: Vec<f64>,
    square: Vec<f64>,
}

impl Visit {
    /// Adds the derivatives of the gradient in all directions.
    pub(super) fn add_hessian(&mut self, shape: &Shape, groups: &Groups<'_>, at: &Point, sums: &mut Sums) {
        self.group_moments(shape);
        sums.beta_dot[..shape.p * shape.p].iter_mut().zip(&self.hessian.xx).for_each(|(s, v)| *s += v);
        let mut direction = Direction::new(shape);
        for index in 0..shape.p + shape.entries.len() {
            direction.point_at(shape, at, index);
            self.add_direction(shape, groups, at, &mut direction, index, sums);
        }
    }

    /// Forms all sums over rows.
    fn group_moments(&mut self, shape: &Shape) {
        let (p, d, q) = (shape.p, shape.path.distinct(), self.rows.ends.len());
        let m = &mut self.hessian;
        for (v, size) in [
            (&mut m.xx, p * p),
            (&mut m.kappa, q * p * d),
            (&mut m.weight, q * p * d),
            (&mut m.second, q * p * d),
            (&mut m.first, q * p * d * d),
            (&mut m.cube, q * d * d * d),
            (&mut m.square, q * d * d),
        ] {
            v.clear();
            v.resize(size, 0.0);
        }
        let (rows, w, w1, w2) = (&self.rows, &self.w, &self.w1, &self.w2);
        let (variance, zv) = (&self.variance, &self.zv);
        Arch::new().dispatch(|| {
            let mut start = 0;
            for (g, &end) in rows.ends.iter().enumerate() {
                let kappa_g = &mut m.kappa[g * p * d..(g + 1) * p * d];
                let weight_g = &mut m.weight[g * p * d..(g + 1) * p * d];
                let second_g = &mut m.second[g * p * d..(g + 1) * p * d];
                let first_g = &mut m.first[g * p * d * d..(g + 1) * p * d * d];
                let cube_g = &mut m.cube[g * d * d * d..(g + 1) * d * d * d];
                let square_g = &mut m.square[g * d * d..(g + 1) * d * d];
                for i in start..end {
                    let (x, z) = (&rows.x[i * p..(i + 1) * p], &rows.z[i * d..(i + 1) * d]);
                    let vw2 = variance[i] * w2[i];
                    let kappa = 2.0 * w[i] + vw2 - w1[i] * zv[i];
                    for j in 0..p {
                        let kx = kappa * x[j];
                        let row = &mut m.xx[j * p..j * p + j + 1];
                        row.iter_mut().zip(x).for_each(|(s, x)| *s = x.mul_add(kx, *s));
                    }
                    for a in 0..d {
                        let (zk, zw, zs) = (kappa * z[a], w[i] * z[a], vw2 * z[a]);
                        add(&mut kappa_g[a * p..(a + 1) * p], zk, x);
                        add(&mut weight_g[a * p..(a + 1) * p], zw, x);
                        add(&mut second_g[a * p..(a + 1) * p], zs, x);
                        for b in 0..d {
                            let zz = w1[i] * z[a] * z[b];
                            square_g[a * d + b] += vw2 * z[a] * z[b];
                            add(&mut first_g[(a * d + b) * p..(a * d + b + 1) * p], zz, x);
                            add(&mut cube_g[(a * d + b) * d..(a * d + b + 1) * d], zz, z);
                        }
                    }
                }
                start = end;
            }
        });
        mirror(&mut m.xx, p);
    }

    fn add_direction(
        &mut self,
        shape: &Shape,
        groups: &Groups<'_>,
        at: &Point,
        direction: &mut Direction,
        index: usize,
        sums: &mut Sums,
    ) {
        let (p, d, q) = (shape.p, shape.path.distinct(), self.rows.ends.len());
        let of_beta = (index < p).then_some(index);
        let m = &self.hessian;
        // ḃ = x - D (Z'WZ x + Z'WX β̇)
        direction.spread_effects(shape, groups, &self.a);
        let Direction { g, reduced, spread: x_path, t, b, e_moments, work, v_dot, .. } = direction;
        apply(&self.p, reduced, d, t);
        if let Some(j) = of_beta {
            for (g, t) in t.chunks_exact_mut(d).enumerate() {
                (0..d).for_each(|a| t[a] += m.weight[(g * d + a) * p + j]);
            }
        }
        self.factor.solve(&shape.path, groups, &at.lambda, t, None, &mut self.solution);
        self.solution.reduced(&shape.path, b);
        b.iter_mut().zip(reduced.iter()).for_each(|(b, x)| *b = x - *b);
        // Ṅ by finest group.
        e_moments.clear();
        e_moments.resize(q * d * d, 0.0);
        for g in 0..q {
            let b = &b[g * d..(g + 1) * d];
            for ab in 0..d * d {
                let cube = &m.cube[(g * d * d + ab) * d..][..d];
                let mut sum: f64 = cube.iter().zip(b).map(|(c, b)| c * b).sum();
                if let Some(j) = of_beta {
                    sum += m.first[(g * d * d + ab) * p + j];
                }
                e_moments[g * d * d + ab] = sum;
            }
        }
        let precision = &mut sums.gamma_dot[index];
        let tangent = Tangent { g, moments: e_moments };
        self.factor.tangent(&shape.path, groups, tangent, &mut self.tangent, precision, work);
        // Z'ċ by finest group, into t; work holds Ḋ.
        t.clear();
        t.resize(q * d, 0.0);
        for g in 0..q {
            let (b, d_dot) = (&b[g * d..(g + 1) * d], &work[g * d * d..(g + 1) * d * d]);
            for a in 0..d {
                let cube = &m.cube[(g * d + a) * d * d..][..d * d];
                let square = &m.square[(g * d + a) * d..][..d];
                let mut sum: f64 = cube.iter().zip(d_dot).map(|(c, v)| c * v).sum();
                sum += square.iter().zip(b).map(|(s, b)| s * b).sum::<f64>();
                if let Some(j) = of_beta {
                    sum += m.second[(g * d + a) * p + j];
                }
                t[g * d + a] = sum;
            }
        }
        // v̇ = x₂ + D (Z'ċ - Ṅ v - Z'WZ x₂)
        subtract_product(e_moments, &self.v, d, t);
        let mut t_dot = t.clone();
        spread_levels(shape, groups, g, &self.a_tilde, x_path, reduced);
        subtract_product(&self.p, reduced, d, t);
        self.factor.solve(&shape.path, groups, &at.lambda, t, None, &mut self.solution);
        self.solution.reduced(&shape.path, v_dot);
        v_dot.iter_mut().zip(reduced.iter()).for_each(|(v, x)| *v += x);
        // Derivative of df/dβ: Σ κ x e + Σ w' x (z'Ḋz) - Σ w x z'v̇.
        let out = &mut sums.beta_dot[index * p..(index + 1) * p];
        for g in 0..q {
            for a in 0..d {
                add(out, b[g * d + a], &m.kappa[(g * d + a) * p..][..p]);
                add(out, -v_dot[g * d + a], &m.weight[(g * d + a) * p..][..p]);
                for c in 0..d {
                    let ab = a * d + c;
                    add(out, work[g * d * d + ab], &m.first[(g * d * d + ab) * p..][..p]);
                }
            }
        }
        // ȧ = -Z'W e and ã˙ = Z'ċ - Z'(w' e zv) - Z'WZ v̇, by finest group.
        let mut a_dot = vec![0.0; q * d];
        subtract_product(&self.p, b, d, &mut a_dot);
        if let Some(j) = of_beta {
            (0..q * d).for_each(|at| a_dot[at] -= m.weight[at * p + j]);
        }
        subtract_product(&self.p, v_dot, d, &mut t_dot);
        let (mut a_levels, mut t_levels) = (Vec::new(), Vec::new());
        gather(&shape.path, groups, &a_dot, &mut a_levels);
        gather(&shape.path, groups, &t_dot, &mut t_levels);
        for k in 0..shape.path.levels() {
            let r = shape.path.r(k);
            let gamma = &mut sums.gamma_dot[index][k];
            let point = self.a[k].chunks_exact(r).zip(self.a_tilde[k].chunks_exact(r));
            let moving = a_levels[k].chunks_exact(r).zip(t_levels[k].chunks_exact(r));
            for ((a, t), (ad, td)) in point.zip(moving) {
                for i in 0..r {
                    for j in 0..r {
                        gamma[i * r + j] += 0.5 * (ad[i] * t[j] + t[i] * ad[j] + a[i] * td[j] + td[i] * a[j])
                            - ad[i] * a[j]
                            - a[i] * ad[j];
                    }
                }
            }
        }
    }
}

/// A direction, and memory for derivatives in it.
struct Direction {
    /// Ġ of each level; empty where it is zero.
    g: Vec<Vec<f64>>,
    /// `Ġ a` along the paths, and in the distinct z columns.
    spread: Vec<Vec<f64>>,
    reduced: Vec<f64>,
    t: Vec<f64>,
    b: Vec<f64>,
    e_moments: Vec<f64>,
    work: Vec<f64>,
    v_dot: Vec<f64>,
}

impl Direction {
    fn new(shape: &Shape) -> Direction {
        let none = Vec::new;
        Direction {
            g: vec![Vec::new(); shape.path.levels()],
            spread: Vec::new(),
            reduced: none(),
            t: none(),
            b: none(),
            e_moments: none(),
            work: none(),
            v_dot: none(),
        }
    }

    /// Sets Ġ for a coefficient (0) or an entry of Λ: `Λ̇Λ' + ΛΛ̇'`.
    fn point_at(&mut self, shape: &Shape, at: &Point, index: usize) {
        self.g.iter_mut().for_each(Vec::clear);
        let Some(entry) = index.checked_sub(shape.p) else { return };
        let (k, row, column) = shape.entries[entry];
        let r = shape.path.r(k);
        let g = &mut self.g[k];
        g.resize(r * r, 0.0);
        for j in 0..r {
            g[row * r + j] += at.lambda[k][j * r + column];
            g[j * r + row] += at.lambda[k][j * r + column];
        }
    }

    fn spread_effects(&mut self, shape: &Shape, groups: &Groups<'_>, a: &[Vec<f64>]) {
        spread_levels(shape, groups, &self.g, a, &mut self.spread, &mut self.reduced);
    }
}

/// Spreads `Ġ a` of each level along the paths, and adds it up in the distinct z columns.
fn spread_levels(
    shape: &Shape,
    groups: &Groups<'_>,
    g: &[Vec<f64>],
    a: &[Vec<f64>],
    paths: &mut Vec<Vec<f64>>,
    reduced: &mut Vec<f64>,
) {
    let of_level = |(k, a): (usize, &Vec<f64>)| -> Vec<f64> {
        if g[k].is_empty() {
            return vec![0.0; a.len()];
        }
        let r = shape.path.r(k);
        a.chunks_exact(r).flat_map(|a| (0..r).map(|i| (0..r).map(|j| g[k][i * r + j] * a[j]).sum())).collect()
    };
    let values: Vec<Vec<f64>> = a.iter().enumerate().map(of_level).collect();
    spread(&shape.path, groups, &values, paths);
    tiers_equations::reweighted::reduce_path(&shape.path, &paths[0], reduced);
}

/// `out = M x` for D×D matrices of finest groups.
fn apply(matrices: &[f64], x: &[f64], d: usize, out: &mut Vec<f64>) {
    out.clear();
    for (m, x) in matrices.chunks_exact(d * d).zip(x.chunks_exact(d)) {
        out.extend((0..d).map(|a| (0..d).map(|b| m[a * d + b] * x[b]).sum::<f64>()));
    }
}

/// `out -= M x` for D×D matrices of finest groups.
fn subtract_product(matrices: &[f64], x: &[f64], d: usize, out: &mut [f64]) {
    for ((m, x), out) in matrices.chunks_exact(d * d).zip(x.chunks_exact(d)).zip(out.chunks_exact_mut(d)) {
        for (a, out) in out.iter_mut().enumerate() {
            *out -= (0..d).map(|b| m[a * d + b] * x[b]).sum::<f64>();
        }
    }
}

/// `out += factor · values`.
#[inline(always)]
fn add(out: &mut [f64], factor: f64, values: &[f64]) {
    out.iter_mut().zip(values).for_each(|(o, v)| *o = v.mul_add(factor, *o));
}
