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
//! No direction needs the rows: all sums over rows are group moments, formed once. Four directions are worked on side
//! by side, so that the few numbers of a group fill vector registers.

use super::directions::{Directions, XMoments, add, add_matrix_product};
use super::modes::{add_cross, mirror};
use super::products::{add_products, padded, sum_of};
use super::{Point, Shape, Sums, Visit, VisitRows};
use tiers_equations::reweighted::{Groups, LANES, Lanes, Tangent, ZERO};
use tiers_moments::vectorised;

/// Moments of the finest groups, and memory for directions.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `Σ κ x x'`, p×p lower triangle, κ = 2w + v w'' - w' z'v.
    xx: Vec<f64>,
    /// κ of each row.
    kappa: Vec<f64>,
    /// By finest group, the [`Weights`] in order, each a row of `padded(p)` numbers: `Σ weight x'`.
    moments: Vec<f64>,
    /// The weights of a group's rows.
    weights: Vec<f64>,
    /// By finest group, D×D×D: `Σ w' ẑ⊗ẑ⊗ẑ`; and D×D: `Σ v w'' ẑẑ'`.
    cube: Vec<f64>,
    square: Vec<f64>,
    directions: Directions,
}

impl Scratch {
    /// The moments with the columns of X.
    pub(super) fn moments(&self) -> &[f64] {
        &self.moments
    }
}

/// The order of the weights of columns of X in the moments: κẑ, wẑ, vw''ẑ (D each), w'ẑẑ' (D×D).
#[derive(Clone, Copy)]
pub(super) struct Weights {
    pub(super) d: usize,
}

impl Weights {
    pub(super) fn kappa(self, a: usize) -> usize {
        a
    }

    pub(super) fn weight(self, a: usize) -> usize {
        self.d + a
    }

    pub(super) fn second(self, a: usize) -> usize {
        2 * self.d + a
    }

    pub(super) fn first(self, ab: usize) -> usize {
        3 * self.d + ab
    }

    /// Their number, made up to whole tiles.
    pub(super) fn len(self) -> usize {
        padded(3 * self.d + self.d * self.d)
    }
}

impl Visit {
    /// Adds the derivatives of the gradient in all directions.
    pub(super) fn add_hessian(&mut self, shape: &Shape, groups: &Groups<'_>, at: &Point, sums: &mut Sums) {
        self.group_moments(shape);
        sums.beta_dot[..shape.p * shape.p].iter_mut().zip(&self.hessian.xx).for_each(|(s, v)| *s += v);
        for first in (0..shape.p + shape.entries.len()).step_by(LANES) {
            self.add_directions(shape, groups, at, first, sums);
        }
    }

    /// Forms all sums over rows.
    pub(super) fn group_moments(&mut self, shape: &Shape) {
        let (p, d, q) = (shape.p, shape.path.distinct(), self.rows.ends.len());
        let (order, wide) = (Weights { d }, padded(p.max(1)));
        let m = &mut self.hessian;
        for (v, size) in [
            (&mut m.xx, p * p),
            (&mut m.moments, q * order.len() * wide),
            (&mut m.cube, q * d * d * d),
            (&mut m.square, q * d * d),
        ] {
            v.clear();
            v.resize(size, 0.0);
        }
        let of_rows = RowTerms { w: &self.w, w1: &self.w1, w2: &self.w2, variance: &self.variance, zv: &self.zv };
        let (rows, weighted) = (&self.rows, &mut self.weighted);
        vectorised(
            #[inline(always)]
            || {
                of_rows.set_kappa(&mut m.kappa);
                add_cross(&m.kappa, (&rows.x, p), weighted, &mut m.xx);
                let sums = m.cube.chunks_exact_mut(d * d * d).zip(m.square.chunks_exact_mut(d * d));
                let sums = m.moments.chunks_exact_mut(order.len() * wide).zip(sums);
                for (range, (moments, (cube, square))) in rows.by_group().zip(sums) {
                    m.weights.clear();
                    m.weights.resize(range.len() * order.len(), 0.0);
                    if d == 1 {
                        let z = &rows.z;
                        of_rows.set_weights_of_intercept(z, &m.kappa, range.clone(), &mut m.weights);
                        let weights = &m.weights;
                        cube[0] = sum_of(range.len(), |i| weights[4 * i + 3] * z[range.start + i]);
                        square[0] = sum_of(range.len(), |i| weights[4 * i + 2] * z[range.start + i]);
                    } else {
                        of_rows.set_weights(rows, d, &m.kappa, range.clone(), &mut m.weights, (cube, square));
                    }
                    let x = &rows.x[range.start * p..range.end * p];
                    add_products((&m.weights, order.len()), (x, p), (moments, wide), false);
                }
            },
        );
        mirror(&mut m.xx, p);
    }

    /// Adds the derivatives in [`LANES`] directions from the given one on.
    fn add_directions(&mut self, shape: &Shape, groups: &Groups<'_>, at: &Point, first: usize, sums: &mut Sums) {
        let (p, d, q) = (shape.p, shape.path.distinct(), self.rows.ends.len());
        let order = Weights { d };
        let Scratch { moments, cube, square, directions: own, .. } = &mut self.hessian;
        let of_x = XMoments { moments, d, p, first };
        let (zz, v) = (&self.p, &self.v);
        own.point_at(shape, at, first);
        // ḃ = x - D (Z'WZ x + Z'WX β̇)
        own.spread(shape, groups, &self.a, q * d);
        reset(&mut own.t, q * d);
        vectorised(
            #[inline(always)]
            || {
                add_matrix_product(zz, 1.0, &own.x, (d, d), &mut own.t);
                of_x.add((order.weight(0), d), 1.0, &mut own.t);
            },
        );
        self.factor.solve_lanes(&shape.path, groups, &own.t, &mut own.solution);
        own.solution.reduced(&shape.path, &mut own.b);
        own.b.iter_mut().zip(&own.x).for_each(|(b, x)| *b = std::array::from_fn(|lane| x[lane] - b[lane]));
        // Ṅ by finest group.
        reset(&mut own.n, q * d * d);
        vectorised(
            #[inline(always)]
            || {
                add_matrix_product(cube, 1.0, &own.b, (d * d, d), &mut own.n);
                of_x.add((order.first(0), d * d), 1.0, &mut own.n);
            },
        );
        let tangent = Tangent { g: &own.g, moments: &own.n };
        self.factor.tangent(&shape.path, groups, tangent, &mut own.tangent, &mut own.precision, &mut own.d);
        // Z'ċ - Ṅ v by finest group.
        reset(&mut own.t, q * d);
        vectorised(
            #[inline(always)]
            || {
                add_matrix_product(cube, 1.0, &own.d, (d, d * d), &mut own.t);
                add_matrix_product(square, 1.0, &own.b, (d, d), &mut own.t);
                of_x.add((order.second(0), d), 1.0, &mut own.t);
                for ((n, v), t) in own.n.chunks_exact(d * d).zip(v.chunks_exact(d)).zip(own.t.chunks_exact_mut(d)) {
                    for (n, t) in n.chunks_exact(d).zip(t) {
                        n.iter().zip(v).for_each(|(n, v)| add(t, -v, n));
                    }
                }
            },
        );
        own.t_dot.clone_from(&own.t);
        // v̇ = x₂ + D (Z'ċ - Ṅ v - Z'WZ x₂)
        own.spread(shape, groups, &self.a_tilde, q * d);
        add_matrix_product(zz, -1.0, &own.x, (d, d), &mut own.t);
        self.factor.solve_lanes(&shape.path, groups, &own.t, &mut own.solution);
        own.solution.reduced(&shape.path, &mut own.v);
        own.v.iter_mut().zip(&own.x).for_each(|(v, x)| add(v, 1.0, x));
        own.add_beta(moments, (p, d), first, &mut sums.beta_dot);
        // ȧ = -Z'W e and ã˙ = Z'ċ - Ṅ v - Z'WZ v̇, by finest group.
        reset(&mut own.t, q * d);
        vectorised(
            #[inline(always)]
            || {
                add_matrix_product(zz, -1.0, &own.b, (d, d), &mut own.t);
                of_x.add((order.weight(0), d), -1.0, &mut own.t);
                add_matrix_product(zz, -1.0, &own.v, (d, d), &mut own.t_dot);
            },
        );
        own.add_effects(shape, groups, &self.a, &self.a_tilde);
        for (lane, gamma) in sums.gamma_dot.iter_mut().skip(first).take(LANES).enumerate() {
            for (gamma, values) in gamma.iter_mut().zip(&own.precision) {
                gamma.iter_mut().zip(values).for_each(|(sum, value)| *sum += value[lane]);
            }
        }
    }
}

/// Zeros.
fn reset(values: &mut Vec<Lanes>, len: usize) {
    values.clear();
    values.resize(len, ZERO);
}

/// What the sums over rows need of each row.
struct RowTerms<'a> {
    w: &'a [f64],
    w1: &'a [f64],
    w2: &'a [f64],
    variance: &'a [f64],
    zv: &'a [f64],
}

impl RowTerms<'_> {
    #[inline(always)]
    fn set_kappa(&self, out: &mut Vec<f64>) {
        let n = self.w.len();
        out.resize(n, 0.0);
        let (w, w1, w2, variance, zv) = (self.w, &self.w1[..n], &self.w2[..n], &self.variance[..n], &self.zv[..n]);
        for (i, out) in out.iter_mut().enumerate() {
            *out = 2.0 * w[i] + variance[i] * w2[i] - w1[i] * zv[i];
        }
    }

    /// The four weights where there is one z column.
    #[inline(always)]
    fn set_weights_of_intercept(&self, z: &[f64], kappa: &[f64], rows: std::ops::Range<usize>, out: &mut [f64]) {
        for (i, out) in rows.zip(out.chunks_exact_mut(4)) {
            let z = z[i];
            let weights = [kappa[i] * z, self.w[i] * z, self.variance[i] * self.w2[i] * z, self.w1[i] * z * z];
            out.copy_from_slice(&weights);
        }
    }

    /// The weights, and the sums of z columns alone.
    #[inline(always)]
    fn set_weights(
        &self,
        rows: &VisitRows,
        d: usize,
        kappa: &[f64],
        range: std::ops::Range<usize>,
        out: &mut [f64],
        (cube, square): (&mut [f64], &mut [f64]),
    ) {
        let order = Weights { d };
        for (i, out) in range.zip(out.chunks_exact_mut(order.len())) {
            let z = &rows.z[i * d..(i + 1) * d];
            let vw2 = self.variance[i] * self.w2[i];
            for a in 0..d {
                out[order.kappa(a)] = kappa[i] * z[a];
                out[order.weight(a)] = self.w[i] * z[a];
                out[order.second(a)] = vw2 * z[a];
                for b in 0..d {
                    let zz = self.w1[i] * z[a] * z[b];
                    out[order.first(a * d + b)] = zz;
                    square[a * d + b] += vw2 * z[a] * z[b];
                    cube[(a * d + b) * d..][..d].iter_mut().zip(z).for_each(|(sum, z)| *sum += zz * z);
                }
            }
        }
    }
}
