//! The normal distribution, and Student's t for any degrees of freedom.
//!
//! `statrs` is used up to [`MANY`] degrees of freedom. Beyond, its continued fraction loses digits and
//! its quantile function may not return, but the distribution is so close to the normal one that short
//! expansions are exact up to rounding.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use std::f64::consts::FRAC_1_SQRT_2;

/// Degrees of freedom from which the expansions are used.
const MANY: f64 = 1e5;

/// P(Z > z) of the standard normal distribution, to full precision (`statrs` gives eleven digits).
pub(crate) fn normal_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// The z that is exceeded with probability `tail`: the library's value, improved by one Newton step.
pub fn normal_quantile(tail: f64) -> f64 {
    let z = -Normal::standard().inverse_cdf(tail);
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    z + (normal_tail(z) - tail) / density
}

/// P(T > t) for t ≥ 0; NaN if t is NaN.
pub(crate) fn upper_tail(t: f64, df: f64) -> f64 {
    if t.is_nan() {
        return f64::NAN;
    }
    if df >= MANY {
        return normal_tail(normal_deviate(t, df));
    }
    StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |distribution| distribution.sf(t))
}

/// The t that is exceeded with probability `tail` (at most one half).
pub(crate) fn upper_quantile(tail: f64, df: f64) -> f64 {
    let z = normal_quantile(tail);
    if df >= MANY {
        // Fisher and Cornish (1960).
        let first = (z.powi(3) + z) / 4.0;
        let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
        return z + first / df + second / (df * df);
    }
    // The tail decreases with t: bracket, then bisect, in about sixty steps.
    let (mut low, mut high) = (0.0, z.max(1.0));
    while upper_tail(high, df) > tail && high < 1e300 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if upper_tail(middle, df) > tail { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The normal deviate with the same tail (Hill 1970, algorithm 395).
fn normal_deviate(t: f64, df: f64) -> f64 {
    let a = df - 0.5;
    let b = 48.0 * a * a;
    let z2 = a * (t * t / df).ln_1p();
    let inner = (((-0.4 * z2 - 3.3) * z2 - 24.0) * z2 - 85.5) / (0.8 * z2 * z2 + 100.0 + b);
    ((inner + z2 + 3.0) / b + 1.0) * z2.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R: pt(t, df, lower.tail = FALSE).
    #[test]
    fn tails_are_those_of_r() {
        let cases = [
            (2.5, 0.7, 1.598521813406369e-1),
            (30.0, 17.0, 1.826466340956297e-16),
            (2.5, 8716.8, 6.218779604858974e-3),
            (2.5, 1e5, 6.210459596279519e-3),
            (30.0, 1e6, 6.010047116831666e-198),
            (0.1, 1e7, 4.601721637252762e-1),
            (2.5, 1e8, 6.209666120027268e-3),
        ];
        for (t, df, want) in cases {
            let got = upper_tail(t, df);
            assert!((got - want).abs() < 1e-11 * want, "P(T > {t}), {df} df: {got:e}, not {want:e}");
        }
    }

    #[test]
    fn nan_has_no_tail() {
        assert!(upper_tail(f64::NAN, 3.0).is_nan() && upper_tail(f64::NAN, 1e7).is_nan());
        assert_eq!(upper_tail(f64::INFINITY, 3.0), 0.0);
    }

    /// The quantile function of the library does not return for these.
    #[test]
    fn quantiles_at_many_degrees_of_freedom_return() {
        // R: qt(0.975, df).
        let cases = [
            (1.0, 12.7062047361747),
            (3.3, 3.02487446184081),
            (250.3, 1.96948691138858),
            (99999.0, 1.95998770777184),
            (1e8, 1.95996400826277),
            (4.4e7, 1.95996403845531),
        ];
        for (df, want) in cases {
            let got = upper_quantile(0.025, df);
            assert!((got - want).abs() < 1e-10 * want, "{df} df: {got}, not {want}");
        }
    }
}
