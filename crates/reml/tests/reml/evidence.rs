//! A fit is returned only if its numerical precision and the likelihood support it.

use crate::common::{METHODS, fit};
use tiers_reml::{Method, Status};
use tiers_testdata::{Memory, Random, Values};
use tiers_testkit::{Checks, Tolerance};

const GROUPS: usize = 12;
const ROWS: usize = 6;

/// Groups of equal size whose values differ by N(0, 1) and whose rows by `size`, with a covariate of the
/// groups (`w`), one of the rows (`x`), two levels of groups and weights.
fn grouped(seed: u64, size: f64) -> Memory {
    let mut random = Random(seed);
    let of_group: Vec<f64> = (0..GROUPS).map(|_| random.normal()).collect();
    let n = GROUPS * ROWS;
    let column = |value: &dyn Fn(usize) -> f64| Values::Numbers((0..n).map(value).collect());
    let noise: Vec<f64> = (0..n).map(|_| random.normal()).collect();
    let x: Vec<f64> = (0..n).map(|_| random.normal()).collect();
    Memory::new(vec![
        ("y", column(&|i| of_group[i / ROWS] + size * noise[i])),
        ("w", column(&|i| ((i / ROWS) % 5) as f64)),
        ("x", column(&|i| x[i])),
        ("weight", column(&|i| 1.0 + (i % 3) as f64)),
        ("g", Values::Ids((0..n).map(|i| (i / ROWS) as i64).collect())),
        ("top", Values::Ids((0..n).map(|i| (i / ROWS / 3) as i64).collect())),
    ])
}

#[test]
fn a_response_that_is_constant_within_groups_is_refused() {
    let table = grouped(11, 0.0);
    let formulas =
        ["y ~ 1 + (1 | g)", "y ~ w + (1 | g)", "y ~ x + (1 | g)", "y ~ w + (1 + x | g)", "y ~ x + (1 | top/g)"];
    for formula in formulas {
        for (method, weights) in METHODS.into_iter().flat_map(|method| [(method, None), (method, Some("weight"))]) {
            let refusal = fit(&table, formula, weights, method).err().map(|error| error.to_string());
            let refusal = refusal.unwrap_or_else(|| panic!("{formula} by {method} was fitted"));
            assert!(refusal.contains("explain the response y") && refusal.contains("keep one row"), "{refusal}");
        }
    }
}

/// For balanced groups the coefficient of a group's covariate is that of the regression of the means, its
/// variance the residual variance of that regression over the sum of squares, and sigma² the mean square
/// within groups.
#[test]
fn nearly_constant_groups_are_right_to_six_digits_or_refused() {
    let (mut fitted, mut refused) = (0, 0);
    for (seed, exponent) in (0..60).map(|seed| (seed, 1 + seed % 10)) {
        let table = grouped(100 + seed, 10_f64.powi(-(exponent as i32)));
        let found = match fit(&table, "y ~ w + (1 | g)", None, Method::Reml) {
            Ok(found) => found,
            Err(error) => {
                assert!(error.to_string().contains("16 digits"), "{error}");
                refused += 1;
                continue;
            }
        };
        fitted += 1;
        assert!(exponent < 6, "a residual of 1e-{exponent} was not refused");
        let (y, w) = (table.numbers("y"), table.numbers("w"));
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let means: Vec<f64> = y.chunks(ROWS).map(mean).collect();
        let of_w: Vec<f64> = w.chunks(ROWS).map(|w| w[0]).collect();
        let within: f64 = y.chunks(ROWS).zip(&means).flat_map(|(y, m)| y.iter().map(move |y| (y - m).powi(2))).sum();
        let (mean_y, mean_w) = (mean(&means), mean(&of_w));
        let sww: f64 = of_w.iter().map(|w| (w - mean_w).powi(2)).sum();
        let swy: f64 = of_w.iter().zip(&means).map(|(w, y)| (w - mean_w) * (y - mean_y)).sum();
        let slope = swy / sww;
        let rest = |(w, y): (&f64, &f64)| (y - mean_y - slope * (w - mean_w)).powi(2);
        let between = of_w.iter().zip(&means).map(rest).sum::<f64>() / (GROUPS - 2) as f64;
        let mut checks = Checks::new(format!("residual of 1e-{exponent}, seed {seed}"));
        let close = Tolerance::relative(1e-6);
        assert_eq!(found.fit.status, Status::Converged);
        checks.check("w", found.fit.fixed_effects[1].estimate, slope, close);
        checks.check("error of w", found.fit.fixed_effects[1].std_error, (between / sww).sqrt(), close);
        checks.check("sigma", found.fit.sigma, (within / (GROUPS * (ROWS - 1)) as f64).sqrt(), close);
        checks.finish();
    }
    assert!(fitted >= 18 && refused >= 30, "{fitted} fitted, {refused} refused");
}

/// Persons measured twice, at t = 0 and t = 1.
fn two_occasions(seed: u64, persons: usize) -> (Memory, [f64; 3]) {
    let mut random = Random(seed);
    let pairs: Vec<[f64; 2]> = (0..persons)
        .map(|_| {
            let (person, slope) = (1.5 * random.normal(), random.normal());
            [person + 0.5 * random.normal(), 1.0 + person + slope + 0.5 * random.normal()]
        })
        .collect();
    let mean = |k: usize| pairs.iter().map(|pair| pair[k]).sum::<f64>() / persons as f64;
    let product = |j: usize, k: usize| {
        pairs.iter().map(|pair| (pair[j] - mean(j)) * (pair[k] - mean(k))).sum::<f64>() / (persons - 1) as f64
    };
    let covariance = [product(0, 0), product(0, 1), product(1, 1)];
    let table = Memory::new(vec![
        ("y", Values::Numbers(pairs.concat())),
        ("t", Values::Numbers((0..2 * persons).map(|i| (i % 2) as f64).collect())),
        ("id", Values::Ids((0..2 * persons).map(|i| (i / 2) as i64).collect())),
    ]);
    (table, covariance)
}

/// There are as many effects as rows, yet the covariance of the two occasions determines all three variances.
#[test]
fn two_occasions_with_independent_effects_are_fitted() {
    let (table, [first, both, second]) = two_occasions(3, 80);
    let found = fit(&table, "y ~ t + (1 + t || id)", None, Method::Reml).expect("a fit").fit;
    let mut checks = Checks::new("two occasions");
    let close = Tolerance::relative(1e-7);
    checks.check("person", found.variance_components[0].variance[0], both, close);
    checks.check("slope", found.variance_components[1].variance[0], second - first, close);
    checks.check("residual", found.sigma.powi(2), first - both, close);
    checks.finish();
    let refusal = fit(&table, "y ~ t + (1 + t | id)", None, Method::Reml).expect_err("four numbers from three");
    assert!(refusal.to_string().contains("cannot be distinguished from the residual"), "{refusal}");
}

/// A random intercept beside those of a factor's levels: V is the same for many splits of the variance.
#[test]
fn variances_that_can_be_split_arbitrarily_are_fitted_with_a_note() {
    let mut random = Random(21);
    let n = 30 * 8;
    let of_group: Vec<[f64; 2]> = (0..30).map(|_| [random.normal(), random.normal()]).collect();
    let levels = ["a", "b"];
    let y = (0..n).map(|i| of_group[i / 8][i % 2] + random.normal()).collect();
    let table = Memory::new(vec![
        ("y", Values::Numbers(y)),
        ("f", Values::Texts((0..n).map(|i| levels[i % 2].to_owned()).collect())),
        ("g", Values::Ids((0..n).map(|i| (i / 8) as i64).collect())),
    ]);
    let open = fit(&table, "y ~ f + (1 + f || g)", None, Method::Reml).expect("a fit").fit;
    let plain = fit(&table, "y ~ f + (0 + f | g)", None, Method::Reml).expect("a fit").fit;
    assert!((open.criterion - plain.criterion).abs() < 1e-7, "{} {}", open.criterion, plain.criterion);
    assert!(open.notes.iter().any(|note| note.contains("do not determine the variances of")), "{:?}", open.notes);
    assert!(open.variance_components.iter().flat_map(|c| &c.sd_std_error).all(Option::is_none));
    assert!(!plain.notes.iter().any(|note| note.contains("do not determine")));
}

/// The fixed effects determine the groups, so that the variance between groups, and with it standard errors,
/// are not determined.
#[test]
fn fixed_effects_in_the_place_of_the_groups_are_refused() {
    let table = grouped(31, 1.0);
    let refusal = fit(&table, "y ~ factor(g) + (1 | g)", None, Method::Reml).expect_err("a free variance");
    assert!(refusal.to_string().contains("do not determine the variance of (Intercept)"), "{refusal}");
}

/// A correlation of 1 is on the boundary, whatever other variance is merely small.
#[test]
fn a_perfect_correlation_beside_a_small_variance_is_on_the_boundary() {
    let mut random = Random(8);
    let (tops, groups, rows) = (60, 300, 6000);
    let of_top: Vec<[f64; 2]> = (0..tops).map(|_| [0.3 * random.normal(), 0.02 * random.normal()]).collect();
    let of_group: Vec<f64> = (0..groups).map(|_| 0.3 * random.normal()).collect();
    let x: Vec<f64> = (0..rows).map(|_| random.normal()).collect();
    let row = |i: usize, noise: f64| {
        let (g, t) = (i / 20, i / 100);
        of_top[t][0] + of_top[t][1] * x[i] + of_group[g] * (1.0 + 0.02 * x[i]) + 0.2 * noise
    };
    let y = (0..rows).map(|i| row(i, random.normal())).collect();
    let table = Memory::new(vec![
        ("y", Values::Numbers(y)),
        ("x", Values::Numbers(x.clone())),
        ("g", Values::Ids((0..rows).map(|i| (i / 20) as i64).collect())),
        ("top", Values::Ids((0..rows).map(|i| (i / 100) as i64).collect())),
    ]);
    let found = fit(&table, "y ~ x + (1 + x | top/g)", None, Method::Reml).expect("a fit").fit;
    let correlation = found.variance_components[0].correlation[1][0].expect("a correlation");
    let error = found.variance_components[0].correlation_std_error[1][0];
    assert!(found.variance_components[1].sd[1] > 0.0, "the small variance is not zero");
    match found.status {
        Status::Boundary => assert!(correlation.abs() > 1.0 - 1e-12 && error.is_none(), "{correlation} {error:?}"),
        _ => assert!(correlation.abs() < 1.0 - 1e-6 && error.is_some(), "{correlation} {error:?}"),
    }
}

#[test]
fn a_dropped_column_that_needs_centring_is_named() {
    let mut random = Random(14);
    let year: Vec<f64> = (0..220).map(|i| 1990.0 + (i % 11) as f64).collect();
    let y = year.iter().map(|t| (t - 1995.0) + 0.05 * (t - 1995.0).powi(3) + random.normal()).collect();
    let table = Memory::new(vec![
        ("y", Values::Numbers(y)),
        ("year", Values::Numbers(year)),
        ("g", Values::Ids((0..220).map(|i| i / 11).collect())),
    ]);
    let formula = "y ~ year + I(year^2) + I(year^3) + (1 | g)";
    let found = fit(&table, formula, None, Method::Reml).expect("a fit").fit;
    assert_eq!(found.dropped_columns, ["I(year^3)"]);
    assert!(found.notes.iter().any(|note| note.contains("I(year^3)") && note.contains("Centre")), "{:?}", found.notes);
    // A column that others determine exactly is dropped without this note.
    let copies = fit(&table, "y ~ year + I(2 * year) + (1 | g)", None, Method::Reml).expect("a fit").fit;
    assert_eq!((copies.dropped_columns.len(), copies.notes.len()), (1, 0));
}
