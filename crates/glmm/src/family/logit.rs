//! Binomial responses with logit link.

use super::elementary::{exp, ln_1p};

/// `1 / (1 + exp(-η))`.
#[inline(always)]
pub(super) fn mean(eta: f64) -> f64 {
    let t = exp(-eta.abs());
    if eta >= 0.0 { 1.0 / (1.0 + t) } else { t / (1.0 + t) }
}

/// l, l', w, w', w''.
#[inline(always)]
pub(super) fn row(k: f64, m: f64, eta: f64) -> [f64; 5] {
    // t = exp(-|η|), q = 1/(1 + t): μ is q or tq.
    let t = exp(-eta.abs());
    let q = 1.0 / (1.0 + t);
    let positive = eta >= 0.0;
    let mean = if positive { q } else { t * q };
    let other = if positive { t * q } else { q };
    // log μ and log(1 - μ) are -log1p(t), less |η| for the unlikely outcome.
    let unlikely = if positive { m - k } else { k };
    let l = -(m * ln_1p(t)) - unlikely * eta.abs();
    let v = mean * other;
    let w = m * v;
    [l, k * other - (m - k) * mean, w, w * (other - mean), w * (1.0 - 6.0 * v)]
}
