//! Binomial responses with complementary log-log link: `1 - μ = exp(-exp(η))`.

use super::elementary::exp;

/// μ.
pub(super) fn mean(eta: f64) -> f64 {
    -libm::expm1(-exp(eta))
}

/// l, l', w, w', w''.
pub(super) fn row(k: f64, m: f64, eta: f64) -> [f64; 5] {
    let t = exp(eta);
    let fail = m - k;
    // Failures: log(1 - μ) = -t, and all derivatives are -t.
    let mut out = match fail == 0.0 {
        true => [0.0; 5],
        false => [-fail * t, -fail * t, fail * t, fail * t, fail * t],
    };
    if k != 0.0 {
        // Successes: log μ = log(1 - e^-t), whose derivative is q = t / (e^t - 1).
        let q = if t < 1e-12 {
            1.0 - 0.5 * t
        } else if t < 700.0 {
            t / libm::expm1(t)
        } else {
            0.0
        };
        let a = 1.0 - t - q;
        let q1 = q * a;
        let q2 = q1 * a - q * (t + q1);
        let q3 = q2 * a - 2.0 * q1 * (t + q1) - q * (t + q2);
        // 1 - t - q cancels where t is small: q = 1 - t/2 + t²/12, so that q' = -t/2 + t²/6.
        let (q1, q2, q3) = match t < 1e-4 {
            true => (
                t * (-0.5 + t * (1.0 / 6.0 - t * t / 180.0)),
                t * (-0.5 + t * (1.0 / 3.0 - t * t / 45.0)),
                t * (-0.5 + t * (2.0 / 3.0 - t * t * 4.0 / 45.0)),
            ),
            false => (q1, q2, q3),
        };
        let log = if t < 1e-12 { eta - 0.5 * t } else { libm::log(-libm::expm1(-t)) };
        let part = [k * log, k * q, -k * q1, -k * q2, -k * q3];
        out.iter_mut().zip(part).for_each(|(a, b)| *a += b);
    }
    out
}
