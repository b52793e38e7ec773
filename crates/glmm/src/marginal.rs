//! Means over unknown random effects: `∫ g⁻¹(η + s t) φ(t) dt`, with s² the variance of `z'b`.
//!
//! Closed for probit and log; otherwise the trapezoidal rule on the line, whose error falls geometrically with the
//! number of points for functions that are analytic in a strip (Trefethen and Weideman 2014, §5): with step h and a
//! strip of half width d it is about `exp(-2π d / h)`. The logistic function has its poles at a distance of π from the
//! line, so `d = π / s`; `1 - exp(-exp η)` is bounded for imaginary parts up to π/2.

use crate::family::Link;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// A mean over unknown random effects, with its derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarginalMean {
    /// The mean.
    pub mean: f64,
    /// Its derivative by η.
    pub by_eta: f64,
    /// Its derivative by the variance s².
    pub by_variance: f64,
}

/// Logarithm of the relative error of the rule.
const DIGITS: f64 = 37.0;
/// The rule ends where the normal density is below e^-37 of its height.
const END: f64 = 8.7;

/// Computes the mean of the response over `η + s t`, t standard normal.
pub fn marginal_mean(link: Link, eta: f64, variance: f64) -> MarginalMean {
    let s = variance.max(0.0).sqrt();
    match link {
        Link::Log => {
            let mean = (eta + 0.5 * variance).exp();
            MarginalMean { mean, by_eta: mean, by_variance: 0.5 * mean }
        }
        Link::Probit => {
            let root = (1.0 + variance).sqrt();
            let density = (-0.5 * (eta / root).powi(2)).exp() / (2.0 * PI).sqrt() / root;
            let mean = 0.5 * libm::erfc(-eta / root * FRAC_1_SQRT_2);
            MarginalMean { mean, by_eta: density, by_variance: -0.5 * density * eta / (1.0 + variance) }
        }
        Link::Logit => integrate(link, eta, s, PI),
        Link::Cloglog => integrate(link, eta, s, 0.5 * PI),
    }
}

/// The trapezoidal rule; `strip` is the half width in which g⁻¹ is analytic and bounded. By Stein's lemma the
/// derivative by s² is half the mean of the second derivative.
fn integrate(link: Link, eta: f64, s: f64, strip: f64) -> MarginalMean {
    let step = (2.0 * PI * strip / (s * DIGITS)).min(0.7);
    let points = (END / step).ceil() as i64;
    let mut sums = [0.0; 4];
    for j in -points..=points {
        let t = j as f64 * step;
        let weight = (-0.5 * t * t).exp();
        let at = eta + s * t;
        let terms = [1.0, link.mean(at), link.mean_derivative(at), second_derivative(link, at)];
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += weight * term);
    }
    let [all, mean, first, second] = sums;
    MarginalMean { mean: mean / all, by_eta: first / all, by_variance: 0.5 * second / all }
}

fn second_derivative(link: Link, eta: f64) -> f64 {
    let first = link.mean_derivative(eta);
    match link {
        Link::Logit => first * (1.0 - 2.0 * link.mean(eta)),
        Link::Cloglog if first > 0.0 => first * (1.0 - eta.exp()),
        Link::Cloglog => 0.0,
        Link::Probit => -eta * first,
        Link::Log => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean by Simpson's rule with many points.
    fn brute(link: Link, eta: f64, variance: f64) -> f64 {
        let (n, s) = (200_000, variance.sqrt());
        let step = 24.0 / n as f64;
        let at = |i: usize| {
            let t = -12.0 + i as f64 * step;
            (-0.5 * t * t).exp() * link.mean(eta + s * t) / (2.0 * PI).sqrt()
        };
        let inner: f64 = (1..n).map(|i| at(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
        (at(0) + inner + at(n)) * step / 3.0
    }

    #[test]
    fn means_over_unknown_effects_are_integrals() {
        for link in Link::ALL {
            for (eta, variance) in [(0.0, 0.0), (-2.0, 0.3), (1.5, 1.0), (-4.0, 6.0), (0.7, 30.0)] {
                if link == Link::Log && variance > 6.0 {
                    continue;
                }
                let (got, want) = (marginal_mean(link, eta, variance).mean, brute(link, eta, variance));
                assert!((got - want).abs() <= 1e-11 * want, "{link} {eta} {variance}: {got} {want}");
            }
        }
    }

    #[test]
    fn derivatives_of_means_are_limits_of_differences() {
        for link in Link::ALL {
            for (eta, variance) in [(-1.0, 0.4), (0.3, 2.0), (2.0, 9.0)] {
                let at = |eta, variance| marginal_mean(link, eta, variance).mean;
                let got = marginal_mean(link, eta, variance);
                let h = 1e-4;
                let by_eta = (at(eta + h, variance) - at(eta - h, variance)) / (2.0 * h);
                let by_variance = (at(eta, variance + h) - at(eta, variance - h)) / (2.0 * h);
                assert!((got.by_eta - by_eta).abs() <= 1e-6 * got.mean.max(0.1), "{link}: {got:?} {by_eta}");
                assert!((got.by_variance - by_variance).abs() <= 1e-6 * got.mean.max(0.1), "{link}: {got:?}");
            }
        }
    }
}
