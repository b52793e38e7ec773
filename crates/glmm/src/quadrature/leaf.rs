//! The integral over the effect of a finest group.

use super::mixture::{Mixture, accumulate};
use super::nest::{Integral, LAST_STEP, NO_STEP, Nest, RowValues, STEPS, keeps};
use std::ops::Range;

/// State of the finest groups of a visit.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    /// Mode of each group given the effects above, at the last integral.
    pub(super) u: Vec<f64>,
    /// Its derivative by c.
    pub(super) tangent: Vec<f64>,
    /// `d log L_g / dη` of each row, at the last integral.
    pub(super) e: Vec<f64>,
    /// `d log L_g / dλ` of the last integral.
    pub(super) lambda: f64,
    /// Rows at the mode, and at a node.
    mode: RowValues,
    node: RowValues,
}

/// Sums over a group's rows at its mode.
struct AtMode {
    u: f64,
    /// `Σ w z²`, `Σ s z`.
    n: f64,
    score: f64,
    /// `1 + λ² n`.
    a: f64,
    found: bool,
}

impl Leaf {
    pub(super) fn resize(&mut self, groups: usize, rows: usize) {
        self.u.resize(groups, 0.0);
        self.tangent.resize(groups, 0.0);
        self.e.resize(rows, 0.0);
        self.mode.resize(rows);
        self.node.resize(rows);
    }
}

impl Nest<'_> {
    /// Integrates over the effect of a finest group.
    pub(super) fn integrate_leaf(&self, leaf: &mut Leaf, g: usize, c: f64) -> Integral {
        let (lambda, rows) = (self.lambda[0], self.rows_of(g..g + 1));
        let z = &self.rows.z[rows.clone()];
        let at = self.leaf_mode(leaf, &rows, leaf.u[g], c);
        (leaf.u[g], leaf.tangent[g]) = (at.u, -lambda * at.n / at.a);
        let tau = 1.0 / at.a.sqrt();
        let (mut mixture, mut r1, mut r2, mut own, mut slope) = (Mixture::new(), 0.0, 0.0, 0.0, 0.0);
        let e = &mut leaf.e[rows.clone()];
        e.fill(0.0);
        for &j in self.sides.iter().flatten() {
            let node = self.rule.nodes[j];
            let u = at.u + tau * node;
            predict(&mut leaf.node.eta[rows.clone()], &self.xb[rows.clone()], z, c + lambda * u);
            let l = leaf.node.evaluate(self.distribution, self.rows, rows.clone());
            let (scale, weight) = mixture.add(self.rule.log_weights[j] + l - 0.5 * u * u);
            let s = &leaf.node.s[rows.clone()];
            accumulate(e, s, (scale, weight));
            let t = product(s, z);
            let residual = lambda * t - u;
            r1 = scale * r1 + weight * residual;
            r2 = scale * r2 + weight * residual * node;
            own = scale * own + weight * u * t;
            slope = scale * slope + weight * t;
        }
        let share = 1.0 / mixture.total();
        [&mut r1, &mut r2, &mut own, &mut slope].into_iter().for_each(|sum| *sum *= share);
        // The nodes move with û and τ. With the derivative of log τ, that by the logarithm of the pivot a is ρ.
        let rho = -0.5 * (r2 * tau + 1.0);
        let by_n = rho * lambda * lambda / at.a;
        let third: f64 = leaf.mode.w1[rows.clone()].iter().zip(z).map(|(w1, z)| w1 * z * z * z).sum();
        let t = by_n * third;
        let y = (lambda * t + r1) / at.a;
        let q = lambda * y;
        let (w, w1) = (&leaf.mode.w[rows.clone()], &leaf.mode.w1[rows.clone()]);
        for (i, e) in e.iter_mut().enumerate() {
            *e = *e * share + by_n * z[i] * z[i] * w1[i] - w[i] * z[i] * q;
        }
        let moved = t - at.n * q;
        leaf.lambda = own + 2.0 * rho * lambda * at.n / at.a + y * at.score + at.u * moved;
        let value = if at.found { mixture.log() + tau.ln() } else { f64::NAN };
        Integral { value, slope: slope + moved }
    }

    /// Finds the mode of a finest group's effect, from a start. The rows there are left in `leaf.mode`.
    fn leaf_mode(&self, leaf: &mut Leaf, rows: &Range<usize>, start: f64, c: f64) -> AtMode {
        let lambda = self.lambda[0];
        let (xb, z) = (&self.xb[rows.clone()], &self.rows.z[rows.clone()]);
        let penalised = |u: f64, mode: &mut RowValues| {
            predict(&mut mode.eta[rows.clone()], xb, z, c + lambda * u);
            0.5 * u * u - mode.evaluate(self.distribution, self.rows, rows.clone())
        };
        let mode = &mut leaf.mode;
        let mut at = AtMode { u: start, n: 0.0, score: 0.0, a: 1.0, found: false };
        let mut h = penalised(at.u, mode);
        if !h.is_finite() {
            at.u = 0.0;
            h = penalised(0.0, mode);
        }
        for _ in 0..STEPS {
            at.n = mode.w[rows.clone()].iter().zip(z).map(|(w, z)| w * z * z).sum();
            at.score = product(&mode.s[rows.clone()], z);
            at.a = 1.0 + lambda * lambda * at.n;
            if at.found || !h.is_finite() {
                break;
            }
            let step = (lambda * at.score - at.u) / at.a;
            let length = step * step / (1.0 + at.u * at.u);
            at.found = length <= LAST_STEP;
            if length <= NO_STEP {
                break;
            }
            let mut size = 1.0;
            let from = at.u;
            loop {
                at.u = from + size * step;
                let next = penalised(at.u, mode);
                if keeps(next, h, size) {
                    h = next;
                    break;
                }
                (size, at.found) = (0.5 * size, false);
            }
        }
        at.found &= h.is_finite();
        at
    }
}

/// `η = xb + z b`.
pub(super) fn predict(eta: &mut [f64], xb: &[f64], z: &[f64], b: f64) {
    for ((eta, xb), z) in eta.iter_mut().zip(xb).zip(z) {
        *eta = z.mul_add(b, *xb);
    }
}

/// `Σ a b`.
pub(super) fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
