//! Means, standard deviations and effects are within four standard errors of the truth, at fixed seeds.

use crate::support::{Drawn, draw, example, mean, run_means, sd, spec};

/// Checks that an estimate is within four standard errors of the truth.
fn check(what: &str, found: f64, truth: f64, std_error: f64) {
    assert!((found - truth).abs() < 4.0 * std_error, "{what}: {found} against {truth}, standard error {std_error}");
}

#[test]
fn covariates_have_their_means_and_sds() {
    let data = draw(&example(&[]));
    let n = data.rows() as f64;
    let schools = data.end.groups[0] as f64;
    let ses = data.numbers("ses");
    let school = data.numbers("school");
    check("mean of ses", mean(&ses), 0.0, (0.25 / schools * 1.5 + 0.7225 / n).sqrt());
    let within: Vec<f64> = within(&ses, &school);
    check("sd of ses within schools", sd(&within), 0.85, 0.85 / (2.0 * n).sqrt() * 1.05);
    let means = run_means(&ses, &school);
    check("sd of ses between schools", sd(&means), 0.5, 0.52 / (2.0 * schools).sqrt());
    check("female", mean(&data.numbers("female")), 0.5, 0.5 / n.sqrt());
    check("treat by school", mean(&run_means(&data.numbers("treat"), &school)), 0.5, 0.5 / schools.sqrt());
    let labels = data.numbers("minority");
    for (label, p) in [0.52, 0.17, 0.22, 0.09f64].into_iter().enumerate() {
        let is: Vec<f64> = labels.iter().map(|&l| f64::from(u8::from(l == label as f64))).collect();
        let shares = run_means(&is, &school);
        check("share of a label", mean(&shares), p, sd(&shares) / schools.sqrt());
        check("its sd between schools", sd(&shares), (p * (1.0 - p) / 12.5).sqrt(), 0.02);
    }
}

/// Returns the values minus the means of their runs.
fn within(values: &[f64], keys: &[f64]) -> Vec<f64> {
    let means = run_means(values, keys);
    let mut run = 0;
    let own = |i: usize| {
        run += usize::from(i > 0 && keys[i] != keys[i - 1]);
        values[i] - means[run]
    };
    (0..values.len()).map(own).collect()
}

const SLOPES: &str = r#"
rows = 200_000
seed = 7
[response]
name = "y"
residual_sd = 0.5
[fixed]
"(Intercept)" = 2.0
x = 1.5
"x:w" = -0.5
[[level]]
name = "g"
id = "integer"
size = 40
random = { "(Intercept)" = 0.8, x = 0.4 }
correlation = { "x:(Intercept)" = -0.6 }
[[covariate]]
name = "w"
kind = "normal"
level = "g"
mean = 1.0
sd = 0.5
[[covariate]]
name = "x"
kind = "normal"
mean = 3.0
depends_on = { w = 2.0 }
"#;

/// Returns intercept and slope of y on x in every group, from 40 rows each.
fn lines(data: &Drawn) -> (Vec<f64>, Vec<f64>) {
    let (x, y) = (data.numbers("x"), data.numbers("y"));
    let line = |rows: std::ops::Range<usize>| {
        let (x, y) = (&x[rows.clone()], &y[rows]);
        let (mx, my) = (mean(x), mean(y));
        let sxy: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
        let slope = sxy / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>();
        (my - slope * mx, slope)
    };
    (0..data.rows() / 40).map(|g| line(40 * g..40 * (g + 1))).unzip()
}

#[test]
fn slopes_interactions_and_their_correlation() {
    let data = draw(&spec(SLOPES));
    let groups = data.end.groups[0] as f64;
    assert_eq!(groups, 5000.0);
    let g = data.numbers("g");
    let w = run_means(&data.numbers("w"), &g);
    check("mean of w", mean(&w), 1.0, 0.5 / groups.sqrt());
    check("sd of w", sd(&w), 0.5, 0.5 / (2.0 * groups).sqrt());
    let x = data.numbers("x");
    check("x depends on w", mean(&x), 5.0, (1.0 / groups + 1.0 / data.rows() as f64).sqrt());
    let (intercepts, slopes) = lines(&data);
    // Without the interaction, a slope is the sum of the fixed and the random slope.
    let slopes: Vec<f64> = slopes.iter().zip(&w).map(|(slope, w)| slope + 0.5 * w).collect();
    let noise = 0.5 / 38f64.sqrt();
    check("fixed slope", mean(&slopes), 1.5, 0.41 / groups.sqrt());
    let spread = (0.16 + noise * noise).sqrt();
    check("sd of slopes", sd(&slopes), spread, 1.2 * spread / (2.0 * groups).sqrt());
    check("fixed intercept", mean(&intercepts), 2.0, sd(&intercepts) / groups.sqrt());
    let (mi, ms) = (mean(&intercepts), mean(&slopes));
    let cross: Vec<f64> = intercepts.iter().zip(&slopes).map(|(i, s)| (i - mi) * (s - ms)).collect();
    // The intercept is at distance 5 from the data, so its noise is −5 times that of the slope.
    let truth = -0.6 * 0.8 * 0.4 - 5.0 * noise * noise;
    check("covariance of intercept and slope", mean(&cross), truth, sd(&cross) / groups.sqrt());
}

#[test]
fn missing_values_have_their_share_and_change_nothing_else() {
    let whole = draw(&example(&[]));
    let gaps = draw(&example(&[("missing = 0.0", "missing = 0.1"), ("sd = 0.9", "sd = 0.9\nmissing = 0.02")]));
    let n = gaps.rows() as f64;
    for (name, share) in [("score", 0.1), ("pretest", 0.02f64)] {
        let missing = gaps.column(name).missing.as_ref().unwrap();
        let found = missing.iter().filter(|&&gone| gone).count() as f64 / n;
        check(name, found, share, (share * (1.0 - share) / n).sqrt());
    }
    for (a, b) in whole.columns.iter().zip(&gaps.columns) {
        assert_eq!(a.values, b.values);
    }
    assert!(gaps.column("ses").missing.is_none());
}

#[test]
fn residuals() {
    let data = draw(&example(&[("\"(Intercept)\" = 0.30", ""), ("\"(Intercept)\" = 0.25", "")]));
    let effect = [0.0, -0.12, 0.07, -0.05];
    let of = |name: &str| data.numbers(name);
    let (pretest, ses, female) = (of("pretest"), of("ses"), of("female"));
    let (minority, treat, size, score) = (of("minority"), of("treat"), of("class_size"), of("score"));
    let residual = |i: usize| {
        let numeric = 0.6 * pretest[i] + 0.15 * ses[i] + 0.08 * female[i] + 0.2 * treat[i] - 0.01 * size[i];
        score[i] - 0.5 - numeric - effect[minority[i] as usize]
    };
    let residuals: Vec<f64> = (0..data.rows()).map(residual).collect();
    let n = data.rows() as f64;
    check("mean residual", mean(&residuals), 0.0, 1.0 / n.sqrt());
    check("sd of residuals", sd(&residuals), 1.0, 1.0 / (2.0 * n).sqrt());
}

const FAMILY: &str = r#"
rows = 200_000
seed = 3
[response]
name = "y"
family = "FAMILY"
[fixed]
"(Intercept)" = -0.5
x = 0.4
[[level]]
name = "g"
id = "integer"
size = 40
random = { "(Intercept)" = 0.6 }
[[covariate]]
name = "x"
kind = "binary"
"#;

/// Means of the response where x is 0 and where it is 1.
fn means_by_x(data: &Drawn) -> [f64; 2] {
    let (x, y) = (data.numbers("x"), data.numbers("y"));
    [0.0, 1.0].map(|value| mean(&x.iter().zip(&y).filter(|(x, _)| **x == value).map(|(_, y)| *y).collect::<Vec<f64>>()))
}

/// Means over groups: of counts `exp(η + sd²/2)`; of probit responses `Φ(η / √(1 + sd²))`.
#[test]
fn other_responses_have_the_means_of_their_family() {
    let counts = draw(&spec(&FAMILY.replace("FAMILY", "poisson")));
    let trials = draw(&spec(&FAMILY.replace("\"FAMILY\"", "\"binomial\"\nlink = \"probit\"")));
    assert!(trials.numbers("y").iter().all(|&y| y == 0.0 || y == 1.0));
    for (k, eta) in [-0.5, -0.1_f64].into_iter().enumerate() {
        let truth = (eta + 0.18).exp();
        check("mean of counts", means_by_x(&counts)[k], truth, truth * (0.6 / 5_000_f64.sqrt() + 1e-3));
        let truth = 0.5 * libm::erfc(-eta / 1.36_f64.sqrt() / 2_f64.sqrt());
        check("share of successes", means_by_x(&trials)[k], truth, 0.2 / 5_000_f64.sqrt() + 1.5e-3);
    }
    let truth = trials.simulation.truth(&trials.end);
    assert_eq!((truth.sigma, truth.family), (None, Some(tiers_simulate::FamilySpec::Binomial)));
}
