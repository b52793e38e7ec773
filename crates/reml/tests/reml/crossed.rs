//! Crossed designs against lme4, and nests that are forced through the core.

use crate::common::{METHODS, fit, same_fit};
use tiers_reml::{Fit, Method, Status};
use tiers_testdata::{Memory, Random, Values};
use tiers_testkit::{Checks, Golden, GoldenFit, Table, Tolerance};

/// A data set; an empty number is missing.
fn dataset(folder: &str, numbers: &[&str], labels: &[&str]) -> Memory {
    let complete: Vec<&str> = numbers.iter().copied().filter(|name| *name != "Preference").collect();
    let memory = Memory::of_dataset(folder, &complete, labels);
    let number = |text: &String| if text.is_empty() { f64::NAN } else { text.parse().expect("a number") };
    let missing = numbers.iter().filter(|name| !complete.contains(name));
    missing.fold(memory, |memory, name| {
        let values = Table::of_dataset(folder).text(name).iter().map(number).collect();
        memory.with(name, Values::Numbers(values))
    })
}

fn compare(checks: &mut Checks, got: &Fit, want: &GoldenFit) {
    let most = if want.singular { 25 } else { 15 };
    checks
        .not_above("criterion", got.criterion, want.criterion, Tolerance::both(1e-9, 1e-8))
        .that(&format!("{} evaluations", got.optimizer.evaluations), got.optimizer.evaluations <= most)
        .equal("status", got.status, if want.singular { Status::Boundary } else { Status::Converged })
        .equal("crossed", got.crossed, true)
        .equal("entries of theta", got.theta.len(), want.theta.len());
    for (got, want) in got.fixed_effects.iter().zip(&want.coefficients) {
        checks
            .equal("term", &got.term, &want.name)
            .check(&want.name, got.estimate, want.estimate, Tolerance::both(1e-6, 1e-6 * want.se))
            .check("standard error", got.std_error, want.se, Tolerance::relative(1e-5));
    }
    if want.singular {
        return;
    }
    checks.check("sigma", got.sigma, want.sigma, Tolerance::relative(1e-6)).slice(
        "theta in lme4's order",
        &got.theta,
        &want.theta,
        Tolerance::of_largest(2e-5),
    );
    for (got, want) in got.variance_components.iter().zip(&want.random) {
        checks.slice(&got.level, &got.variance, &want.variance, Tolerance::of_largest(2e-5));
    }
}

#[test]
fn reference_models_agree_with_lme4() {
    let carrots =
        dataset("carrots", &["Preference", "Bitter", "Homesize", "sens1", "sens2"], &["Consumer", "Product", "Work"]);
    let machines = dataset("machines", &["score"], &["Worker", "Machine"]);
    let schools = dataset("scotssec", &["attain", "verbal"], &["sex", "primary", "second"]);
    let ratings = dataset("crossed_ratings_simulated", &["rating", "service"], &["student", "lecturer", "department"]);
    let models = [
        (&machines, "machines", "Machines"),
        (&carrots, "carrots", "carrots"),
        (&carrots, "carrots", "carrots_diag"),
        (&carrots, "carrots", "carrots_work"),
        (&schools, "scotssec", "ScotsSec"),
        (&schools, "scotssec", "ScotsSec_slope"),
        (&schools, "scotssec", "ScotsSec_cells"),
        (&ratings, "crossed_ratings_simulated", "islands_sim"),
    ];
    for (table, folder, name) in models {
        let golden = Golden::of_dataset(folder, name);
        for method in METHODS {
            let want = &golden.fits[if method == Method::Reml { "REML" } else { "ML" }];
            let mut checks = Checks::new(format!("{name} {method}"));
            let got = fit(table, &golden.formula, None, method).expect("a fit").fit;
            compare(&mut checks, &got, want);
            checks.finish();
        }
    }
}

/// Classes in schools, and a factor without effect that makes the design crossed.
#[test]
fn a_nest_within_a_crossed_design_has_its_own_fit() {
    let mut random = Random(6);
    let rows = 0..240_i64;
    let effects: Vec<f64> = (0..40).map(|_| random.normal()).collect();
    let x: Vec<f64> = rows.clone().map(|_| random.normal()).collect();
    let y = |row: i64| effects[(row / 6) as usize] + 1.5 * effects[(row / 24) as usize] + 0.4 * x[row as usize];
    let y: Vec<f64> = rows.clone().map(|row| y(row) + random.normal()).collect();
    // Both halves of every class have the same sums of y and x, so that their variance is zero.
    let mirrored = |values: &[f64]| values.iter().chain(values).copied().collect::<Vec<f64>>();
    let twice = |of: fn(i64) -> i64| rows.clone().chain(rows.clone()).map(of).collect::<Vec<i64>>();
    let table = Memory::new(vec![
        ("y", Values::Numbers(mirrored(&y))),
        ("x", Values::Numbers(mirrored(&x))),
        ("class", Values::Ids(twice(|row| row / 6))),
        ("school", Values::Ids(twice(|row| row / 24))),
        ("half", Values::Ids((0..480).map(|row| row / 240).collect())),
    ]);
    for method in METHODS {
        let nest = fit(&table, "y ~ x + (1 + x | class) + (1 | school)", None, method).expect("a fit");
        let crossed = fit(&table, "y ~ x + (1 + x | class) + (1 | school) + (1 | half)", None, method).expect("a fit");
        assert!(crossed.fit.crossed && !nest.fit.crossed);
        let half = &crossed.fit.variance_components[2];
        assert_eq!((&half.level[..], half.variance[0]), ("half", 0.0));
        let mut checks = Checks::new(format!("{method}"));
        let close = Tolerance::of_largest(1e-6);
        checks.check("criterion", crossed.fit.criterion, nest.fit.criterion, Tolerance::both(1e-10, 1e-9));
        let numbers = |fit: &Fit| fit.vcov.concat();
        checks.slice("vcov", &numbers(&crossed.fit), &numbers(&nest.fit), close);
        for (got, want) in crossed.effects[1..].iter().zip(&nest.effects) {
            checks
                .slice(&want.level, &got.estimate, &want.estimate, close)
                .slice("conditional sd", &got.conditional_sd, &want.conditional_sd, close)
                .slice("prediction sd", &got.prediction_sd, &want.prediction_sd, close);
        }
        checks.finish();
    }
}

#[test]
fn the_order_of_crossed_terms_does_not_matter() {
    let table = dataset("machines", &["score"], &["Worker", "Machine"]);
    let fitted = |terms: [&str; 3]| {
        let formula = format!("score ~ 1 + (1 | {}) + (1 | {}) + (1 | {})", terms[0], terms[1], terms[2]);
        fit(&table, &formula, None, Method::Reml).expect("a fit").fit
    };
    let want = fitted(["Worker", "Machine", "Worker:Machine"]);
    for terms in [["Machine", "Worker", "Worker:Machine"], ["Worker:Machine", "Machine", "Worker"]] {
        let mut checks = Checks::new(format!("{terms:?}"));
        same_fit(&mut checks, &fitted(terms), &want);
        checks.finish();
    }
}
