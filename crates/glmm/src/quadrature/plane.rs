//! The integral over two effects of a group of the only level, by the product of two rules.
//!
//! ```text
//! u_jk = û + C (node_j, node_k)',   C C' = A⁻¹,   A = I + Λ'Z'WZΛ at the mode û
//! log L ≈ log|C| + log Σ_jk W_j W_k exp(Σ l - u'u/2)
//! ```

use super::mixture::{Mixture, accumulate};
use super::nest::{LAST_STEP, NO_STEP, RowValues, STEPS, keeps};
use super::rule::Rule;
use crate::family::Distribution;
use crate::visit::VisitRows;
use nalgebra::{Matrix2, Vector2};
use std::ops::Range;

/// What all integrals of a visit share.
pub(super) struct Plane<'a> {
    pub(super) distribution: Distribution,
    pub(super) rows: &'a VisitRows,
    /// `offset + Xβ` of each row.
    pub(super) xb: &'a [f64],
    pub(super) lambda: Matrix2<f64>,
    pub(super) rule: &'a Rule,
}

/// Memory of visits.
#[derive(Debug, Default)]
pub(super) struct PlaneState {
    /// The mode at the last integral.
    pub(super) u: [f64; 2],
    /// `d log L / dη` of each row.
    pub(super) e: Vec<f64>,
    /// `d log L / dΛ`.
    pub(super) lambda: Matrix2<f64>,
    mode: RowValues,
    node: RowValues,
}

/// Sums over the rows at the mode.
struct AtMode {
    u: Vector2<f64>,
    /// `Σ w zz'`, `Σ s z`.
    n: Matrix2<f64>,
    score: Vector2<f64>,
    /// `A⁻¹`.
    inverse: Matrix2<f64>,
    found: bool,
}

impl PlaneState {
    pub(super) fn resize(&mut self, rows: usize) {
        self.e.resize(rows, 0.0);
        self.mode.resize(rows);
        self.node.resize(rows);
    }
}

impl Plane<'_> {
    /// Integrates over the effects of the group with the given rows; NaN where its mode could not be found.
    pub(super) fn integrate(&self, state: &mut PlaneState, rows: Range<usize>) -> f64 {
        state.e[rows.clone()].fill(0.0);
        let at = self.find_mode(state, &rows);
        state.u = at.u.into();
        let Some(factor) = at.inverse.cholesky().filter(|_| at.found).map(|cholesky| cholesky.l()) else {
            state.lambda = Matrix2::zeros();
            return f64::NAN;
        };
        let mut mixture = Mixture::new();
        let (mut r1, mut by_factor, mut own) = (Vector2::zeros(), Matrix2::zeros(), Matrix2::zeros());
        for (j, first) in self.rule.nodes.iter().enumerate() {
            for (k, second) in self.rule.nodes.iter().enumerate() {
                let node = Vector2::new(*first, *second);
                let u = at.u + factor * node;
                let l = self.evaluate(&mut state.node, &rows, u);
                let weight = self.rule.log_weights[j] + self.rule.log_weights[k];
                let (scale, weight) = mixture.add(weight + l - 0.5 * u.norm_squared());
                accumulate(&mut state.e[rows.clone()], &state.node.s[rows.clone()], (scale, weight));
                let t = self.weighted(&state.node.s, &rows);
                let residual = self.lambda.transpose() * t - u;
                r1 = r1 * scale + residual * weight;
                by_factor = by_factor * scale + residual * node.transpose() * weight;
                own = own * scale + t * u.transpose() * weight;
            }
        }
        let share = 1.0 / mixture.total();
        state.e[rows.clone()].iter_mut().for_each(|e| *e *= share);
        state.lambda = own * share;
        let by_factor = by_factor * share + Matrix2::new(1.0 / factor.m11, 0.0, 0.0, 1.0 / factor.m22);
        self.add_moving_nodes(state, &rows, &at, factor, (r1 * share, by_factor));
        mixture.log() + libm::log(factor.m11 * factor.m22)
    }

    /// Adds the derivatives by way of the nodes, which move with û (`r1`) and with C (`by_factor`).
    ///
    /// `dC = -C Φ(C'dA C)`, where Φ takes the lower triangle with half the diagonal (Smith 1995), so that the
    /// derivative by A is `-C P C'` with P the symmetric part of `Φ(C' by_factor)`.
    fn add_moving_nodes(
        &self,
        state: &mut PlaneState,
        rows: &Range<usize>,
        at: &AtMode,
        factor: Matrix2<f64>,
        (r1, by_factor): (Vector2<f64>, Matrix2<f64>),
    ) {
        let product = factor.transpose() * by_factor;
        let p = Matrix2::new(product.m11, product.m21, product.m21, product.m22) * 0.5;
        let by_a = -(factor * p * factor.transpose());
        let by_n = self.lambda * by_a * self.lambda.transpose();
        state.lambda += at.n * self.lambda * by_a * 2.0;
        let z = |i: usize| Vector2::new(self.rows.z[2 * i], self.rows.z[2 * i + 1]);
        let mut t = Vector2::zeros();
        // The node's scores are no longer needed; m takes their place.
        for i in rows.clone() {
            state.node.s[i] = state.mode.w1[i] * (z(i).transpose() * by_n * z(i)).x;
            t += z(i) * state.node.s[i];
        }
        let y = at.inverse * (self.lambda.transpose() * t + r1);
        let q = self.lambda * y;
        let mut moved = Vector2::zeros();
        for i in rows.clone() {
            let own = state.node.s[i] - state.mode.w[i] * z(i).dot(&q);
            state.e[i] += own;
            moved += z(i) * own;
        }
        state.lambda += at.score * y.transpose() + moved * at.u.transpose();
    }

    /// Evaluates rows at u; returns the sum of their log-likelihoods.
    fn evaluate(&self, values: &mut RowValues, rows: &Range<usize>, u: Vector2<f64>) -> f64 {
        let b = self.lambda * u;
        let z = self.z(rows);
        for ((eta, xb), z) in values.eta[rows.clone()].iter_mut().zip(&self.xb[rows.clone()]).zip(z) {
            *eta = xb + z[0] * b.x + z[1] * b.y;
        }
        values.evaluate(self.distribution, self.rows, rows.clone());
        values.l[rows.clone()].iter().sum()
    }

    /// The z columns of rows.
    fn z(&self, rows: &Range<usize>) -> std::slice::ChunksExact<'_, f64> {
        self.rows.z[2 * rows.start..2 * rows.end].chunks_exact(2)
    }

    /// `Z'v`.
    fn weighted(&self, values: &[f64], rows: &Range<usize>) -> Vector2<f64> {
        let mut sum = Vector2::zeros();
        for (v, z) in values[rows.clone()].iter().zip(self.z(rows)) {
            sum += Vector2::new(v * z[0], v * z[1]);
        }
        sum
    }

    fn find_mode(&self, state: &mut PlaneState, rows: &Range<usize>) -> AtMode {
        let mode = &mut state.mode;
        let zero = Vector2::zeros();
        let mut at =
            AtMode { u: state.u.into(), n: Matrix2::zeros(), score: zero, inverse: Matrix2::zeros(), found: false };
        let mut h = 0.5 * at.u.norm_squared() - self.evaluate(mode, rows, at.u);
        if !h.is_finite() {
            at.u = zero;
            h = -self.evaluate(mode, rows, at.u);
        }
        for _ in 0..STEPS {
            at.n.fill(0.0);
            for (w, z) in mode.w[rows.clone()].iter().zip(self.z(rows)) {
                at.n += Matrix2::new(z[0] * z[0], z[0] * z[1], z[1] * z[0], z[1] * z[1]) * *w;
            }
            at.score = self.weighted(&mode.s, rows);
            let a = Matrix2::identity() + self.lambda.transpose() * at.n * self.lambda;
            let Some(cholesky) = a.cholesky() else { break };
            at.inverse = cholesky.inverse();
            if at.found || !h.is_finite() {
                break;
            }
            let step = at.inverse * (self.lambda.transpose() * at.score - at.u);
            let length = step.norm_squared() / (1.0 + at.u.norm_squared());
            at.found = length <= LAST_STEP;
            if length <= NO_STEP {
                break;
            }
            let (from, mut size) = (at.u, 1.0);
            loop {
                at.u = from + step * size;
                let next = 0.5 * at.u.norm_squared() - self.evaluate(mode, rows, at.u);
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
