//! Wald intervals of variance parameters, on scales on which their estimates are closer to normal.

use crate::inference::student;

/// Scale on which an estimate is assumed normal (Pinheiro and Bates 2000, section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaldScale {
    /// The logarithm: standard deviations.
    Log,
    /// Fisher's z, `atanh`: correlations.
    Fisher,
    /// The log odds: shares, such as intraclass correlations.
    LogOdds,
}

/// The interval `h⁻¹(h(estimate) ± z h'(estimate) std_error)` of the given level; `None` on the boundary.
pub fn wald_interval(estimate: f64, std_error: f64, level: f64, scale: WaldScale) -> Option<(f64, f64)> {
    let (at, slope) = match scale {
        WaldScale::Log => (estimate.ln(), 1.0 / estimate),
        WaldScale::Fisher => (estimate.atanh(), 1.0 / (1.0 - estimate * estimate)),
        WaldScale::LogOdds => ((estimate / (1.0 - estimate)).ln(), 1.0 / (estimate * (1.0 - estimate))),
    };
    let half = student::normal_quantile(0.5 - 0.5 * level) * slope * std_error;
    let back = |value: f64| match scale {
        WaldScale::Log => value.exp(),
        WaldScale::Fisher => value.tanh(),
        WaldScale::LogOdds => 1.0 / (1.0 + (-value).exp()),
    };
    (at.is_finite() && half.is_finite()).then(|| (back(at - half), back(at + half)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R: exp(log(5.9) + c(-1, 1) * qnorm(0.975) * 1.25 / 5.9), and similarly on the other scales.
    #[test]
    fn intervals_are_made_on_their_scales() {
        let close = |got: Option<(f64, f64)>, want: (f64, f64)| {
            let (low, high) = got.expect("an interval");
            assert!((low - want.0).abs() < 1e-9 && (high - want.1).abs() < 1e-9, "{low} {high}");
        };
        close(wald_interval(5.9, 1.25, 0.95, WaldScale::Log), LOG);
        close(wald_interval(0.07, 0.32, 0.95, WaldScale::Fisher), FISHER);
        close(wald_interval(0.48, 0.12, 0.95, WaldScale::LogOdds), ODDS);
        assert_eq!(wald_interval(0.0, 0.0, 0.95, WaldScale::Log), None);
        assert_eq!(wald_interval(1.0, 0.1, 0.95, WaldScale::Fisher), None);
    }

    const LOG: (f64, f64) = (3.895_046_992_270, 8.936_991_021_952);
    const FISHER: (f64, f64) = (-0.508_097_739_694, 0.604_616_220_254);
    const ODDS: (f64, f64) = (0.264_573_193_094, 0.703_130_042_911);
}
