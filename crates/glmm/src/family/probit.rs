//! Binomial responses with probit link.

use super::elementary::exp;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// 1 / √(2π).
const DENSITY_AT_ZERO: f64 = 0.398_942_280_401_432_7;

/// Φ(η).
pub(super) fn mean(eta: f64) -> f64 {
    0.5 * libm::erfc(-eta * FRAC_1_SQRT_2)
}

/// φ(η).
pub(super) fn density(eta: f64) -> f64 {
    DENSITY_AT_ZERO * exp(-0.5 * eta * eta)
}

/// Φ⁻¹(μ), from a rational start by two steps of Newton.
pub(super) fn quantile(mean_: f64) -> f64 {
    let mut x = -SQRT_2 * statrs::function::erf::erfc_inv(2.0 * mean_);
    if !x.is_finite() {
        return x;
    }
    for _ in 0..2 {
        x -= (mean(x) - mean_) / density(x).max(f64::MIN_POSITIVE);
    }
    x
}

/// `log Φ(t)` and `φ(t)/Φ(t)`.
fn log_cdf(t: f64) -> (f64, f64) {
    if t > -5.0 {
        let upper = 0.5 * libm::erfc(t * FRAC_1_SQRT_2);
        let log = if t > 0.0 { (-upper).ln_1p() } else { (0.5 * libm::erfc(-t * FRAC_1_SQRT_2)).ln() };
        let ratio =
            if t > 0.0 { density(t) / (1.0 - upper) } else { density(t) / (0.5 * libm::erfc(-t * FRAC_1_SQRT_2)) };
        return (log, ratio);
    }
    // φ/Φ by the continued fraction of Mills' ratio, x + 1/(x + 2/(x + 3/(x + …))), x = -t.
    let x = -t;
    let ratio = (1..=60).rev().fold(x, |tail, j| x + f64::from(j) / tail);
    (-0.5 * t * t + (DENSITY_AT_ZERO / ratio).ln(), ratio)
}

/// `log Φ(t)` and its four derivatives.
fn side(t: f64) -> [f64; 5] {
    let (log, a) = log_cdf(t);
    // Far out, a + t is a difference of nearly equal numbers; b = -a(a + t) tends to -1 and its derivatives to 0.
    let sum = if t < -5.0 { tail_difference(-t, a) } else { a + t };
    let b = -a * sum;
    let c = -b * (a + sum) - a;
    [log, a, b, c, -c * (a + sum) - 2.0 * b * (b + 1.0)]
}

/// `φ/Φ - x` at t = -x: the rest of the continued fraction.
fn tail_difference(x: f64, _ratio: f64) -> f64 {
    1.0 / (2..=60).rev().fold(x, |tail, j| x + f64::from(j) / tail)
}

/// l, l', w, w', w''.
pub(super) fn row(k: f64, m: f64, eta: f64) -> [f64; 5] {
    let (mut out, fail) = ([0.0; 5], m - k);
    if k != 0.0 {
        let p = side(eta);
        out = [k * p[0], k * p[1], -k * p[2], -k * p[3], -k * p[4]];
    }
    if fail != 0.0 {
        let q = side(-eta);
        let part = [fail * q[0], -fail * q[1], -fail * q[2], fail * q[3], -fail * q[4]];
        out.iter_mut().zip(part).for_each(|(a, b)| *a += b);
    }
    out
}
