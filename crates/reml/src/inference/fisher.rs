//! Tails of the F and χ² distributions for integer numerator and any denominator degrees of freedom.
//!
//! Both are finite sums of positive terms (Abramowitz and Stegun 26.4.4–5, 26.6.4–8): with
//! `b = df/2`, `z = 1/(1 + q f/df)` and `a` running through the values below q/2 that differ from it
//! by whole numbers,
//!
//! ```text
//! P(F > f) = [q odd] 2 P(T > √(q f)) + Σ_a z^b (1-z)^a Γ(a+b) / (Γ(a+1) Γ(b))
//! P(χ² > x) = [q odd] 2 P(Z > √x) + Σ_a e^(-x/2) (x/2)^a / Γ(a+1)
//! ```
//!
//! Unlike these sums, continued fractions of the incomplete beta function lose digits at many degrees of
//! freedom.

use super::student;
use std::f64::consts::PI;

/// P(F > f) for F with `q` and `df` degrees of freedom.
pub(super) fn upper_tail(f: f64, q: usize, df: f64) -> f64 {
    if f.is_nan() || f <= 0.0 || q == 0 {
        return if f.is_nan() { f64::NAN } else { 1.0 };
    }
    let (x, b) = (q as f64 * f, 0.5 * df);
    let log_z = -(x / df).ln_1p();
    // 1 - z = x / (x + df)
    let log_rest = -(df / x).ln_1p();
    let (first, mut log_term, mut a) = match q % 2 {
        0 => (0.0, b * log_z, 0.0),
        _ => {
            let log_term = b * log_z + 0.5 * log_rest + log_gamma_step(b) + (2.0 / PI.sqrt()).ln();
            (2.0 * student::upper_tail(x.sqrt(), df), log_term, 0.5)
        }
    };
    let mut sum = first;
    while 2.0 * a < q as f64 - 0.5 {
        sum += log_term.exp();
        log_term += log_rest + ((a + b) / (a + 1.0)).ln();
        a += 1.0;
    }
    sum.min(1.0)
}

/// P(χ² > x) for `q` degrees of freedom; with zero degrees of freedom, χ² is 0.
pub fn chi_squared_tail(x: f64, q: usize) -> f64 {
    if x.is_nan() || x <= 0.0 || q == 0 {
        return if x.is_nan() { f64::NAN } else { f64::from(u8::from(x <= 0.0)) };
    }
    let half = (0.5 * x).ln();
    let (mut sum, mut log_term, mut a) = match q % 2 {
        0 => (0.0, -0.5 * x, 0.0),
        _ => (2.0 * student::normal_tail(x.sqrt()), -0.5 * x + 0.5 * half + (2.0 / PI.sqrt()).ln(), 0.5),
    };
    while 2.0 * a < q as f64 - 0.5 {
        sum += log_term.exp();
        log_term += half - (a + 1.0_f64).ln();
        a += 1.0;
    }
    sum.min(1.0)
}

/// `log Γ(b + 1/2) - log Γ(b)`, without cancellation at large b.
fn log_gamma_step(b: f64) -> f64 {
    if b < 100.0 {
        return libm::lgamma(b + 0.5) - libm::lgamma(b);
    }
    // log of √b (1 - 1/(8b) + 1/(128b²) + 5/(1024b³) - 21/(32768b⁴) - …)
    let r = 1.0 / b;
    let series = r * (-0.125 + r * (1.0 / 128.0 + r * (5.0 / 1024.0 - r * 21.0 / 32768.0)));
    0.5 * b.ln() + series.ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64, what: &str) {
        assert!((got - want).abs() <= 1e-11 * want, "{what}: {got:e}, not {want:e}");
    }

    /// R: pf(f, q, df, lower.tail = FALSE).
    #[test]
    fn f_tails_are_those_of_r() {
        for (f, q, df, want) in F_OF_R {
            near(upper_tail(f, q, df), want, &format!("P(F > {f}), {q} and {df} df"));
        }
        assert_eq!(upper_tail(0.0, 3, 10.0), 1.0);
        assert!(upper_tail(f64::NAN, 3, 10.0).is_nan());
    }

    /// R: pchisq(x, q, lower.tail = FALSE).
    #[test]
    fn chi_squared_tails_are_those_of_r() {
        for (x, q, want) in CHI_SQUARED_OF_R {
            near(chi_squared_tail(x, q), want, &format!("P(χ² > {x}), {q} df"));
        }
        assert_eq!(chi_squared_tail(0.0, 0), 1.0);
        assert_eq!(chi_squared_tail(2.0, 0), 0.0);
    }

    const F_OF_R: [(f64, usize, f64, f64); 10] = [
        (2.5, 1, 7.3, 1.561031205362132e-01),
        (2.5, 2, 7.3, 1.489274600453307e-01),
        (2.5, 3, 7.3, 1.402408959028225e-01),
        (3.1, 3, 250.5, 2.736580862707744e-02),
        (10.0, 4, 100000.0, 4.344111468964074e-08),
        (10.0, 5, 10000000.0, 1.385874060512701e-09),
        (1.2, 7, 1000000000.0, 2.986463441352115e-01),
        (0.4, 5, 33.0, 8.452473566534091e-01),
        (1.1, 400, 900.0, 1.274_244_258_462_03e-1),
        (30.0, 3, 1000000.0, 2.194913082140691e-19),
    ];
    const CHI_SQUARED_OF_R: [(f64, usize, f64); 7] = [
        (3.84, 1, 5.004352124870522e-02),
        (3.84, 2, 1.466069621303502e-01),
        (7.10, 3, 6.877781936579976e-02),
        (0.20, 5, 9.991138612111874e-01),
        (120.00, 6, 1.629586652937822e-23),
        (1650.00, 801, 4.090365437179062e-61),
        (300.00, 3, 9.948758346327708e-65),
    ];
}
