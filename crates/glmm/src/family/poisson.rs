//! Counts with log link.

use super::elementary::exp;

/// l, l', w, w', w''.
#[inline(always)]
pub(super) fn row(k: f64, m: f64, eta: f64) -> [f64; 5] {
    let mean = m * exp(eta);
    [k.mul_add(eta, -mean), k - mean, mean, mean, mean]
}
