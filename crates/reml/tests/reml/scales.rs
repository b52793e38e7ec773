//! Units and origins of the columns do not change a fit.

use crate::common::{Fitted, METHODS, Sampled, fit, same_criterion, same_fit};
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use tiers_reml::{Fit, Method};
use tiers_testdata::{Memory, Random, Values};
use tiers_testkit::{Checks, Shape, Tolerance, simulate_nested};

fn sampled(seed: u64) -> Option<Sampled> {
    Sampled::new(&format!("seed {seed}"), simulate_nested(seed, &Shape::any(seed))).filter(Sampled::leaves_a_residual)
}

fn beta(fit: &Fit) -> DVector<f64> {
    DVector::from_iterator(fit.fixed_effects.len(), fit.fixed_effects.iter().map(|e| e.estimate))
}

fn vcov(fit: &Fit) -> DMatrix<f64> {
    DMatrix::from_fn(fit.vcov.len(), fit.vcov.len(), |i, j| fit.vcov[i][j])
}

/// Covariance of one random term.
fn covariance(fit: &Fit, term: usize) -> DMatrix<f64> {
    let of = &fit.variance_components[term];
    let r = of.sd.len();
    DMatrix::from_fn(r, r, |i, j| match of.correlation[i][j] {
        _ if i == j => of.variance[i],
        Some(c) => c * of.sd[i] * of.sd[j],
        None => 0.0,
    })
}

/// A multiple of 2⁻²⁰: sums with numbers up to 1e8 are exact.
fn on_grid(v: f64) -> f64 {
    (v * f64::from(1 << 20)).round() / f64::from(1 << 20)
}

/// Two levels with a slope on x at one of them or both, on a grid; x also in X.
fn slopes(seed: u64) -> Memory {
    let mut random = Random(seed);
    let (tops, mids, rows) = (9, 3, 6);
    let (mut y, mut x, mut mid, mut top) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for g in 0..tops {
        let (a, b) = (random.normal(), 0.6 * random.normal());
        for k in 0..mids {
            let (c, d) = (random.normal(), 0.5 * random.normal());
            for _ in 0..rows {
                let v = random.normal();
                x.push(on_grid(v));
                y.push(on_grid(2.0 + a + c + (1.0 + b + d) * v + random.normal()));
                mid.push((g * mids + k) as i64);
                top.push(g as i64);
            }
        }
    }
    let columns =
        [("y", Values::Numbers(y)), ("x", Values::Numbers(x)), ("mid", Values::Ids(mid)), ("top", Values::Ids(top))];
    Memory::new(columns.into_iter().collect())
}

const SLOPES: [&str; 4] = [
    "y ~ x + (1 | mid) + (1 | top)",
    "y ~ x + (1 + x | mid) + (1 | top)",
    "y ~ x + (1 | mid) + (1 + x | top)",
    "y ~ x + (1 + x | mid) + (1 + x | top)",
];

/// Fits before and after a change, for all formulas and methods.
fn each(
    seeds: std::ops::Range<u64>,
    change: impl Fn(&Memory) -> Memory,
    compare: impl Fn(&mut Checks, &Fitted, &Fitted),
) {
    for seed in seeds {
        let table = slopes(seed);
        for formula in SLOPES {
            for method in METHODS {
                let mut checks = Checks::new(format!("seed {seed} {method} {formula}"));
                let want = fit(&table, formula, None, method).expect("a fit");
                let got = fit(&change(&table), formula, None, method).expect("a fit");
                checks.equal("status", got.fit.status, want.fit.status);
                compare(&mut checks, &got, &want);
            }
        }
    }
}

/// Compares fits whose columns (1, x) are those of the other times a map: β and effects transform by its
/// inverse.
fn mapped(checks: &mut Checks, got: &Fit, want: &Fit, inverse: &DMatrix<f64>, tolerance: f64) {
    // A variance that is small beside the residual variance is known only to the latter's accuracy.
    let close = Tolerance { absolute: tolerance * want.sigma.powi(2), ..Tolerance::of_largest(tolerance) };
    let to = |matrix: DMatrix<f64>| inverse * matrix * inverse.transpose();
    checks.check("sigma", got.sigma, want.sigma, Tolerance::relative(tolerance));
    for i in 0..2 {
        let row = inverse.row(i) * beta(want);
        let allowed = Tolerance::both(1e-8, tolerance * got.fixed_effects[i].std_error);
        checks.check("beta", got.fixed_effects[i].estimate, row[0], allowed);
    }
    checks.matrix("Cov(beta)", &vcov(got), &to(vcov(want)), close);
    for term in 0..want.variance_components.len() {
        let r = want.variance_components[term].sd.len();
        let want = match r {
            2 => to(covariance(want, term)),
            _ => covariance(want, term),
        };
        checks.matrix("Cov(b)", &covariance(got, term), &want, close);
        if r == 2 {
            checks.check("variance of slopes", covariance(got, term)[(1, 1)], want[(1, 1)], close);
        }
    }
}

#[test]
fn a_covariate_far_from_zero() {
    each(
        0..6,
        |table| table.map("x", |v| v + 1e6),
        |checks, got, want| {
            let inverse = DMatrix::from_row_slice(2, 2, &[1.0, -1e6, 0.0, 1.0]);
            same_criterion(checks, &got.fit, want.fit.criterion);
            mapped(checks, &got.fit, &want.fit, &inverse, 1e-7);
        },
    );
}

#[test]
fn a_covariate_in_tiny_and_huge_units() {
    for unit in [1e-9, 1e9] {
        each(
            0..6,
            |table| table.map("x", |v| v * unit),
            |checks, got, want| {
                let inverse = DMatrix::from_row_slice(2, 2, &[1.0, 0.0, 0.0, 1.0 / unit]);
                // log|X'V⁻¹X| has the unit of x squared.
                let moved = if got.fit.method == Method::Reml { 2.0 * unit.ln() } else { 0.0 };
                same_criterion(checks, &got.fit, want.fit.criterion + moved);
                let close = Tolerance::relative(1e-7);
                for i in 0..2 {
                    let scale = inverse[(i, i)];
                    let (got, want) = (&got.fit.fixed_effects[i], &want.fit.fixed_effects[i]);
                    checks
                        .check("beta", got.estimate, want.estimate * scale, Tolerance::both(1e-7, 1e-7 * got.std_error))
                        .check("standard error", got.std_error, want.std_error * scale, close)
                        .check("t", got.t_value, want.t_value, Tolerance::both(1e-7, 1e-7));
                }
                for (got, want) in got.fit.variance_components.iter().zip(&want.fit.variance_components) {
                    for i in 0..want.sd.len() {
                        let floor = Tolerance::both(1e-6, 1e-9 * inverse[(i, i)]);
                        checks.check("sd", got.sd[i], want.sd[i] * inverse[(i, i)], floor);
                    }
                }
            },
        );
    }
}

#[test]
fn a_response_far_from_zero() {
    each(
        0..6,
        |table| table.map("y", |v| v + 1e8),
        |checks, got, want| {
            let far = got.fit.fixed_effects[0].estimate - 1e8;
            let se = want.fit.fixed_effects[0].std_error;
            checks.check("intercept", far, want.fit.fixed_effects[0].estimate, Tolerance::absolute(1e-7 * se + 5e-8));
            let mut near = got.fit.clone();
            near.fixed_effects[0].estimate = want.fit.fixed_effects[0].estimate;
            same_fit(checks, &near, &want.fit);
        },
    );
}

#[test]
fn a_response_in_other_units() {
    for unit in [1e-8, 3.0, 1e8] {
        each(
            0..3,
            |table| table.map("y", |v| v * unit),
            |checks, got, want| {
                let (got, want) = (&got.fit, &want.fit);
                same_criterion(checks, got, want.criterion + 2.0 * want.residual_df * unit.ln());
                let close = Tolerance::relative(1e-7);
                checks
                    .check("sigma", got.sigma, want.sigma * unit, close)
                    .vector("beta", &beta(got), &(beta(want) * unit), Tolerance::of_largest(1e-7))
                    .matrix("Cov(beta)", &vcov(got), &(vcov(want) * unit * unit), Tolerance::of_largest(1e-7))
                    .slice("theta", &got.theta, &want.theta, Tolerance::both(1e-6, 1e-6));
            },
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn weights_of_one_change_nothing(seed in 0u64..100_000) {
        let Some(case) = sampled(seed) else { return Err(TestCaseError::reject("refused")) };
        let table = case.table.with("one", Values::Numbers(vec![1.0; case.table.rows()]));
        let mut checks = Checks::new(&case.name);
        let want = fit(&table, &case.formula, None, Method::Reml).expect("a fit");
        let got = fit(&table, &case.formula, Some("one"), Method::Reml).expect("a fit");
        same_fit(&mut checks, &got.fit, &want.fit);
        checks.finish();
    }

    #[test]
    fn weights_times_four(seed in 0u64..100_000) {
        let Some(case) = sampled(seed) else { return Err(TestCaseError::reject("refused")) };
        let mut random = Random(seed);
        let weights: Vec<f64> = (0..case.table.rows()).map(|_| 0.3 + 2.0 * random.uniform()).collect();
        let fours = weights.iter().map(|w| 4.0 * w).collect();
        let table = case.table.with("one", Values::Numbers(weights)).with("four", Values::Numbers(fours));
        for method in METHODS {
            let mut checks = Checks::new(format!("{method} {}", case.name));
            let want = fit(&table, &case.formula, Some("one"), method).expect("a fit");
            let mut got = fit(&table, &case.formula, Some("four"), method).expect("a fit");
            got.fit.sigma /= 2.0;
            got.fit.theta.iter_mut().for_each(|t| *t *= 2.0);
            // Shares of the variance refer to the residual variance of a row of weight 1.
            got.fit.icc.clone_from(&want.fit.icc);
            same_fit(&mut checks, &got.fit, &want.fit);
            checks.finish();
        }
    }
}
