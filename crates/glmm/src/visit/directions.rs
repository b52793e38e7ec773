//! Four directions of the Hessian side by side.

use super::hessian::Weights;
use super::products::{add_products, padded};
use super::{Point, Shape};
use tiers_equations::reweighted::{Groups, LANES, LaneSolution, Lanes, TangentScratch, ZERO, gather, spread};
use tiers_moments::vectorised;

/// Directions, and memory for derivatives in them.
#[derive(Debug, Default)]
pub(super) struct Directions {
    /// Ġ of each level; empty where it is zero in all directions.
    pub(super) g: Vec<Vec<Lanes>>,
    /// `Ġ a` of each level, and its sums along the paths.
    values: Vec<Vec<Lanes>>,
    sums: Vec<Vec<Lanes>>,
    /// By finest group in the distinct z columns: x (or x₂), a right-hand side, ḃ, v̇, Ṅ, Ḋ.
    pub(super) x: Vec<Lanes>,
    pub(super) t: Vec<Lanes>,
    pub(super) t_dot: Vec<Lanes>,
    pub(super) b: Vec<Lanes>,
    pub(super) v: Vec<Lanes>,
    pub(super) n: Vec<Lanes>,
    pub(super) d: Vec<Lanes>,
    /// ȧ and ã˙ of each level.
    a: Vec<Vec<Lanes>>,
    a_tilde: Vec<Vec<Lanes>>,
    /// Γ̇ of each level.
    pub(super) precision: Vec<Vec<Lanes>>,
    /// Factors of the moments in the derivative of df/dβ.
    factors: Vec<Lanes>,
    beta: Vec<f64>,
    pub(super) solution: LaneSolution,
    pub(super) tangent: TangentScratch,
}

impl Directions {
    /// Sets Ġ for [`LANES`] directions, coefficients (0) and then entries of Λ: `Λ̇Λ' + ΛΛ̇'`. Returns whether any of
    /// it is not zero.
    pub(super) fn point_at(&mut self, shape: &Shape, at: &Point, first: usize) -> bool {
        let levels = shape.path.levels();
        self.g.resize_with(levels, Vec::new);
        self.g.iter_mut().for_each(Vec::clear);
        self.precision.resize_with(levels, Vec::new);
        for (k, precision) in self.precision.iter_mut().enumerate() {
            precision.clear();
            precision.resize(shape.path.r(k) * shape.path.r(k), ZERO);
        }
        let mut moving = false;
        for lane in 0..LANES {
            let entry = (first + lane).checked_sub(shape.p).and_then(|entry| shape.entries.get(entry));
            let Some(&(k, row, column)) = entry else { continue };
            moving = true;
            let r = shape.path.r(k);
            let g = &mut self.g[k];
            g.resize(r * r, ZERO);
            for j in 0..r {
                g[row * r + j][lane] += at.lambda[k][j * r + column];
                g[j * r + row][lane] += at.lambda[k][j * r + column];
            }
        }
        moving
    }

    /// Computes x: `Ġ a` of each level, summed along the path of each finest group; zero if Ġ is.
    pub(super) fn spread(&mut self, shape: &Shape, groups: &Groups<'_>, a: &[Vec<f64>], size: usize) {
        self.x.clear();
        if self.g.iter().all(Vec::is_empty) {
            self.x.resize(size, ZERO);
            return;
        }
        self.values.resize_with(a.len(), Vec::new);
        for (k, (values, a)) in self.values.iter_mut().zip(a).enumerate() {
            let r = shape.path.r(k);
            values.clear();
            values.resize(a.len(), ZERO);
            if !self.g[k].is_empty() {
                for (values, a) in values.chunks_exact_mut(r).zip(a.chunks_exact(r)) {
                    for (value, g) in values.iter_mut().zip(self.g[k].chunks_exact(r)) {
                        g.iter().zip(a).for_each(|(g, a)| add(value, *a, g));
                    }
                }
            }
        }
        spread(&shape.path, groups, &self.values, &mut self.sums);
        self.x.extend_from_slice(&self.sums[0]);
    }

    /// Adds the derivative of df/dβ but for its first term: `Σ κ x e + Σ w' x (z'Ḋz) - Σ w x z'v̇`, where e = Zḃ.
    pub(super) fn add_beta(&mut self, moments: &[f64], (p, d): (usize, usize), first: usize, out: &mut [f64]) {
        let (order, wide) = (Weights { d }, padded(p.max(1)));
        self.factors.clear();
        self.factors.resize(self.b.len() / d * order.len(), ZERO);
        let groups = self.factors.chunks_exact_mut(order.len()).enumerate();
        for (g, factors) in groups {
            for a in 0..d {
                factors[order.kappa(a)] = self.b[g * d + a];
                add(&mut factors[order.weight(a)], -1.0, &self.v[g * d + a]);
            }
            for ab in 0..d * d {
                factors[order.first(ab)] = self.d[g * d * d + ab];
            }
        }
        self.beta.clear();
        self.beta.resize(LANES * wide, 0.0);
        let (factors, beta) = (self.factors.as_flattened(), &mut self.beta);
        vectorised(
            #[inline(always)]
            || add_products((factors, LANES), (moments, wide), (beta, wide), false),
        );
        if p == 0 {
            return;
        }
        for (out, beta) in out.chunks_exact_mut(p).skip(first).zip(self.beta.chunks_exact(wide)) {
            out.iter_mut().zip(beta).for_each(|(out, value)| *out += value);
        }
    }

    /// Adds `sym(ȧã' + aã˙') - ȧa' - aȧ'` to Γ̇, given ȧ and ã˙ of the finest groups in t and t_dot.
    pub(super) fn add_effects(&mut self, shape: &Shape, groups: &Groups<'_>, a: &[Vec<f64>], a_tilde: &[Vec<f64>]) {
        gather(&shape.path, groups, &self.t, &mut self.a);
        gather(&shape.path, groups, &self.t_dot, &mut self.a_tilde);
        for (k, gamma) in self.precision.iter_mut().enumerate() {
            let r = shape.path.r(k);
            let point = a[k].chunks_exact(r).zip(a_tilde[k].chunks_exact(r));
            let moving = self.a[k].chunks_exact(r).zip(self.a_tilde[k].chunks_exact(r));
            for ((a, t), (ad, td)) in point.zip(moving) {
                for i in 0..r {
                    for j in 0..r {
                        let sum = &mut gamma[i * r + j];
                        add(sum, 0.5 * t[j] - a[j], &ad[i]);
                        add(sum, 0.5 * t[i] - a[i], &ad[j]);
                        add(sum, 0.5 * a[i], &td[j]);
                        add(sum, 0.5 * a[j], &td[i]);
                    }
                }
            }
        }
    }
}

/// `sum += factor · values`.
#[inline(always)]
pub(super) fn add(sum: &mut Lanes, factor: f64, values: &Lanes) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

/// Adds `factor · M x` for matrices of n×k numbers of each group.
#[inline(always)]
pub(super) fn add_matrix_product(
    matrices: &[f64],
    factor: f64,
    x: &[Lanes],
    (n, k): (usize, usize),
    out: &mut [Lanes],
) {
    for ((m, x), out) in matrices.chunks_exact(n * k).zip(x.chunks_exact(k)).zip(out.chunks_exact_mut(n)) {
        for (m, out) in m.chunks_exact(k).zip(out) {
            m.iter().zip(x).for_each(|(m, x)| add(out, factor * m, x));
        }
    }
}

/// Moments with the columns of X, in the directions of β among four.
pub(super) struct XMoments<'a> {
    pub(super) moments: &'a [f64],
    pub(super) d: usize,
    pub(super) p: usize,
    pub(super) first: usize,
}

impl XMoments<'_> {
    /// Adds `factor · Σ weight x_j` of n weights of each group from the given one on, for each direction j.
    #[inline(always)]
    pub(super) fn add(&self, (weight, n): (usize, usize), factor: f64, out: &mut [Lanes]) {
        let wide = padded(self.p.max(1));
        if self.first >= wide {
            return;
        }
        let groups = self.moments.chunks_exact(Weights { d: self.d }.len() * wide);
        for (moments, out) in groups.zip(out.chunks_exact_mut(n)) {
            for (moments, out) in moments.chunks_exact(wide).skip(weight).zip(out) {
                let lanes: &Lanes = moments[self.first..][..LANES].try_into().expect("a tile of columns");
                add(out, factor, lanes);
            }
        }
    }
}
