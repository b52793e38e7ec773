//! Conditional modes by Newton's method with step halving.

use super::{Modes, Point, Shape, Sums, Visit};
use crate::family::RowDerivatives;
use pulp::Arch;
use tiers_equations::reweighted::{Groups, reduce_path, spread};

/// Once the squared length of a step relative to `1 + u'u` is below this, the step after it is below rounding
/// error, since Newton's method converges quadratically.
const LAST_STEP: f64 = 1e-14;

/// Largest number of steps, halvings included.
const STEPS: u64 = 200;

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
            let length: f64 = (0..levels).map(|k| self.solution.u(k).iter().map(|d| d * d).sum::<f64>()).sum();
            last = length <= LAST_STEP * (1.0 + squares(&self.u));
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
        Arch::new().dispatch(|| {
            for (i, x) in x.chunks_exact(p).enumerate() {
                for j in 0..p {
                    sums.1[j] += s[i] * x[j];
                    let wx = w[i] * x[j];
                    let row = &mut sums.2[j * p..j * p + j + 1];
                    row.iter_mut().zip(x).for_each(|(sum, x)| *sum = x.mul_add(wx, *sum));
                }
            }
        });
    }

    /// Computes `offset + Xβ`.
    fn predict_fixed(&mut self, shape: &Shape, beta: &[f64]) {
        let n = self.rows.k.len();
        self.xb.clear();
        self.xb.extend_from_slice(&self.rows.offset);
        let (x, xb) = (&self.rows.x, &mut self.xb);
        Arch::new().dispatch(|| {
            for (xb, x) in xb.iter_mut().zip(x.chunks_exact(shape.p)) {
                let mut sum = *xb;
                for (x, b) in x.iter().zip(beta) {
                    sum = x.mul_add(*b, sum);
                }
                *xb = sum;
            }
        });
        for v in [&mut self.eta, &mut self.l, &mut self.s, &mut self.w, &mut self.w1, &mut self.w2] {
            v.resize(n, 0.0);
        }
    }

    /// Computes η and the derivatives of all rows at the present u.
    fn evaluate_rows(&mut self, shape: &Shape, groups: &Groups<'_>, lambda: &[Vec<f64>]) {
        let (levels, d) = (shape.path.levels(), shape.path.distinct());
        let mut effects: Modes = Vec::with_capacity(levels);
        for (k, lambda) in lambda.iter().enumerate() {
            let r = shape.path.r(k);
            let of_group =
                |u: &[f64]| -> Vec<f64> { (0..r).map(|i| (0..=i).map(|j| lambda[i * r + j] * u[j]).sum()).collect() };
            effects.push(match r {
                1 => self.u[k].iter().map(|u| lambda[0] * u).collect(),
                _ => self.u[k].chunks_exact(r).flat_map(of_group).collect(),
            });
        }
        spread(&shape.path, groups, &effects, &mut self.paths);
        reduce_path(&shape.path, &self.paths[0], &mut self.b);
        let mut start = 0;
        for (g, &end) in self.rows.ends.iter().enumerate() {
            let b = &self.b[g * d..(g + 1) * d];
            let rows = self.eta[start..end].iter_mut().zip(&self.xb[start..end]);
            for ((eta, xb), z) in rows.zip(self.rows.z[start * d..].chunks_exact(d)) {
                *eta = z.iter().zip(b).fold(*xb, |sum, (z, b)| z.mul_add(*b, sum));
            }
            start = end;
        }
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
        let d = shape.path.distinct();
        self.p.clear();
        self.t.clear();
        let (z, w, s) = (&self.rows.z, &self.w, &self.s);
        let mut start = 0;
        for &end in &self.rows.ends {
            let (p, t) = (self.p.len(), self.t.len());
            self.p.resize(p + d * d, 0.0);
            self.t.resize(t + d, 0.0);
            let (p, t) = (&mut self.p[p..], &mut self.t[t..]);
            for i in start..end {
                let z = &z[i * d..(i + 1) * d];
                for a in 0..d {
                    t[a] += s[i] * z[a];
                    let wz = w[i] * z[a];
                    for b in 0..=a {
                        p[a * d + b] += wz * z[b];
                    }
                }
            }
            mirror(p, d);
            start = end;
        }
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

/// Sum in four fixed accumulators.
fn sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; 4];
    let chunks = values.chunks_exact(4);
    let rest: f64 = chunks.remainder().iter().sum();
    chunks.for_each(|chunk| lanes.iter_mut().zip(chunk).for_each(|(lane, v)| *lane += v));
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}
