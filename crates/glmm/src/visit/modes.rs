//! Conditional modes by Newton's method with step halving.

use super::products::{add_products, add_weighted, sum_of};
use super::{Point, Shape, Sums, Visit};
use crate::family::RowDerivatives;
use tiers_equations::reweighted::{Groups, spread};
use tiers_moments::vectorised;

/// Once the square of the largest step is below this, relative to `1 + u²`, the step after it is below rounding
/// error, since Newton's method converges quadratically.
const LAST_STEP: f64 = 1e-14;

/// A step whose square is below this, relative to `1 + u²`, is rounding error: the modes are those of an earlier
/// evaluation at the same point.
const NO_STEP: f64 = 1e-24;

/// Largest number of steps, halvings included.
const STEPS: u64 = 200;

/// Rows whose columns are multiplied by weights at a time.
const CHUNK: usize = 64;

impl Visit {
    /// Finds the modes and factors A there. Adds the criterion to the sums.
    pub(super) fn find_modes(&mut self, shape: &Shape, groups: &Groups<'_>, at: &Point, sums: &mut Sums) {
        self.predict_fixed(shape, &at.beta);
        self.evaluate_rows(shape, groups, &at.lambda);
        let mut h = self.penalised();
        let mut last = false;
        let mut steps = 0;
        loop {
            self.sum_moments(shape);
            self.factor.eliminate(&shape.path, groups, &self.p, &at.lambda);
            steps += 1;
            if last || !h.is_finite() {
                break;
            }
            self.factor.solve(&shape.path, groups, &at.lambda, &self.t, Some(&self.u), &mut self.solution);
            let levels = shape.path.levels();
            let length = (0..levels).map(|k| largest_square(self.solution.u(k))).fold(0.0, f64::max);
            let size = 1.0 + self.u.iter().map(|u| largest_square(u)).fold(0.0, f64::max);
            last = length <= LAST_STEP * size;
            if length <= NO_STEP * size {
                break;
            }
            self.trial.clone_from(&self.u);
            let mut size = 1.0;
            loop {
                for k in 0..levels {
                    let steps = self.trial[k].iter().zip(self.solution.u(k));
                    self.u[k].iter_mut().zip(steps).for_each(|(u, (from, step))| *u = from + size * step);
                }
                self.evaluate_rows(shape, groups, &at.lambda);
                let next = self.penalised();
                // h is convex; a rise is rounding error or a step too far.
                if next <= h + 1e-10 * (1.0 + h.abs()) || size < 1e-8 {
                    h = next;
                    break;
                }
                (size, steps, last) = (0.5 * size, steps + 1, false);
            }
            if steps > STEPS {
                break;
            }
        }
        sums.solved &= last && h.is_finite();
        sums.value += 2.0 * h + self.factor.log_det();
    }

    /// Adds log-likelihood, score and observed information (lower triangle) of the model without random effects.
    pub(crate) fn add_fixed(&mut self, shape: &Shape, beta: &[f64], sums: &mut (f64, Vec<f64>, Vec<f64>)) {
        self.predict_fixed(shape, beta);
        self.eta.copy_from_slice(&self.xb);
        let mut out =
            RowDerivatives { l: &mut self.l, s: &mut self.s, w: &mut self.w, w1: &mut self.w1, w2: &mut self.w2 };
        shape.distribution.rows(&self.rows.k, &self.rows.m, &self.eta, &mut out);
        sums.0 += sum(&self.l);
        let (p, x, s, w) = (shape.p, &self.rows.x, &self.s, &self.w);
        vectorised(
            #[inline(always)]
            || {
                add_weighted(s, (x, p), &mut sums.1);
                add_cross(w, (x, p), &mut self.weighted, &mut sums.2);
            },
        );
    }

    /// Computes `offset + Xβ`.
    fn predict_fixed(&mut self, shape: &Shape, beta: &[f64]) {
        let n = self.rows.k.len();
        self.xb.clear();
        self.xb.extend_from_slice(&self.rows.offset);
        let (x, xb) = (&self.rows.x, &mut self.xb);
        vectorised(
            #[inline(always)]
            || {
                for (xb, x) in xb.iter_mut().zip(x.chunks_exact(shape.p.max(1))) {
                    *xb = x.iter().zip(beta).fold(*xb, |sum, (x, b)| x.mul_add(*b, sum));
                }
            },
        );
        for v in [&mut self.eta, &mut self.l, &mut self.s, &mut self.w, &mut self.w1, &mut self.w2] {
            v.resize(n, 0.0);
        }
    }

    /// Computes η and the derivatives of all rows at the present u.
    fn evaluate_rows(&mut self, shape: &Shape, groups: &Groups<'_>, lambda: &[Vec<f64>]) {
        let d = shape.path.distinct();
        self.effects.resize_with(shape.path.levels(), Vec::new);
        for (k, (b, lambda)) in self.effects.iter_mut().zip(lambda).enumerate() {
            let r = shape.path.r(k);
            b.clear();
            for u in self.u[k].chunks_exact(r) {
                b.extend((0..r).map(|i| (0..=i).map(|j| lambda[i * r + j] * u[j]).sum::<f64>()));
            }
        }
        spread(&shape.path, groups, &self.effects, &mut self.b);
        let (rows, b, xb, eta) = (&self.rows, &self.b[0], &self.xb, &mut self.eta);
        vectorised(
            #[inline(always)]
            || {
                for (range, b) in rows.by_group().zip(b.chunks_exact(d)) {
                    let z = &rows.z[range.start * d..range.end * d];
                    let eta = eta[range.clone()].iter_mut().zip(&xb[range]);
                    match b {
                        [b] => eta.zip(z).for_each(|((eta, xb), z)| *eta = z.mul_add(*b, *xb)),
                        _ => {
                            for ((eta, xb), z) in eta.zip(z.chunks_exact(d)) {
                                *eta = z.iter().zip(b).fold(*xb, |sum, (z, b)| z.mul_add(*b, sum));
                            }
                        }
                    }
                }
            },
        );
        let mut out =
            RowDerivatives { l: &mut self.l, s: &mut self.s, w: &mut self.w, w1: &mut self.w1, w2: &mut self.w2 };
        shape.distribution.rows(&self.rows.k, &self.rows.m, &self.eta, &mut out);
    }

    /// `h = -Σ l + u'u/2`.
    fn penalised(&self) -> f64 {
        0.5 * squares(&self.u) - sum(&self.l)
    }

    /// Sums `ẑ'Wẑ` and `ẑ's` over the rows of each finest group.
    fn sum_moments(&mut self, shape: &Shape) {
        let (d, q) = (shape.path.distinct(), self.rows.ends.len());
        for (sums, size) in [(&mut self.p, q * d * d), (&mut self.t, q * d)] {
            sums.clear();
            sums.resize(size, 0.0);
        }
        let (rows, w, s) = (&self.rows, &self.w, &self.s);
        let (p, t) = (&mut self.p, &mut self.t);
        vectorised(
            #[inline(always)]
            || {
                let sums = p.chunks_exact_mut(d * d).zip(t.chunks_exact_mut(d));
                for (range, (p, t)) in rows.by_group().zip(sums) {
                    let z = &rows.z[range.start * d..range.end * d];
                    let (w, s) = (&w[range.clone()], &s[range]);
                    if d == 1 {
                        p[0] = sum_of(z.len(), |i| w[i] * z[i] * z[i]);
                        t[0] = sum_of(z.len(), |i| s[i] * z[i]);
                        continue;
                    }
                    for ((z, w), s) in z.chunks_exact(d).zip(w).zip(s) {
                        for a in 0..d {
                            t[a] += s * z[a];
                            let wz = w * z[a];
                            (0..=a).for_each(|b| p[a * d + b] += wz * z[b]);
                        }
                    }
                    mirror(p, d);
                }
            },
        );
    }
}

/// Adds `Σ w x x'` over rows of p numbers to the lower triangle of `out`. `scratch` holds products of a few rows.
#[inline(always)]
pub(super) fn add_cross(w: &[f64], (x, p): (&[f64], usize), scratch: &mut Vec<f64>, out: &mut [f64]) {
    if p == 0 {
        return;
    }
    scratch.resize(CHUNK * p, 0.0);
    for (w, x) in w.chunks(CHUNK).zip(x.chunks(CHUNK * p)) {
        let weighted = &mut scratch[..x.len()];
        for ((weighted, x), w) in weighted.chunks_exact_mut(p).zip(x.chunks_exact(p)).zip(w) {
            weighted.iter_mut().zip(x).for_each(|(wx, x)| *wx = w * x);
        }
        add_products((weighted, p), (x, p), (out, p), true);
    }
}

/// Copies the lower triangle to the upper.
#[inline(always)]
pub(super) fn mirror(p: &mut [f64], d: usize) {
    for a in 0..d {
        for b in 0..a {
            p[b * d + a] = p[a * d + b];
        }
    }
}

/// Sum of squares.
fn squares(u: &[Vec<f64>]) -> f64 {
    u.iter().map(|u| u.iter().map(|v| v * v).sum::<f64>()).sum()
}

fn largest_square(values: &[f64]) -> f64 {
    // A step that is not a number counts as infinite.
    values.iter().fold(0.0, |most, v| {
        if v * v <= most {
            most
        } else if v.is_nan() {
            f64::INFINITY
        } else {
            v * v
        }
    })
}

fn sum(values: &[f64]) -> f64 {
    sum_of(values.len(), |i| values[i])
}
