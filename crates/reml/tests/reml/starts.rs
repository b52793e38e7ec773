//! Searches from any start end at the same optimum, for the data sets that can be read without a
//! data-frame library.

use crate::common::{METHODS, fit, model};
use tiers_reml::{Method, NewtonSettings, Objective, Status, optimise, optimise_from};
use tiers_testdata::{Memory, Random};
use tiers_testkit::{Checks, Golden, Tolerance};

/// A data set with a model that lme4 has fitted.
struct Case {
    table: Memory,
    golden: Golden,
}

fn cases() -> Vec<Case> {
    let dyestuff = |folder| Memory::of_dataset(folder, &["Yield"], &["Batch"]);
    let sleepstudy = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    let unbalanced = Memory::of_dataset("unbalanced_simulated", &["y", "x1", "x2", "w"], &["mid", "top"]);
    let smoking = Memory::of_dataset("smoking_simulated", &["THK", "PTHK", "SC", "TV"], &["school", "class"]);
    let list = [
        (dyestuff("dyestuff"), "dyestuff", "Dyestuff"),
        (dyestuff("dyestuff2"), "dyestuff2", "Dyestuff2"),
        (Memory::of_dataset("pastes", &["strength"], &["batch", "cask"]), "pastes", "Pastes"),
        (sleepstudy.clone(), "sleepstudy", "sleepstudy"),
        (sleepstudy, "sleepstudy", "sleepstudy_diag"),
        (unbalanced.clone(), "unbalanced_simulated", "unbalanced"),
        (unbalanced, "unbalanced_simulated", "unbalanced_weighted"),
        (smoking, "smoking_simulated", "smoking_simulated"),
    ];
    list.into_iter().map(|(table, folder, name)| Case { table, golden: Golden::of_dataset(folder, name) }).collect()
}

/// Ten starts in scaled θ: ordinary, tiny, large, of mixed size and zero, of either sign.
fn starts(entries: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut random = Random(seed);
    let mut out = vec![vec![0.0; entries], vec![1e-8; entries], vec![-100.0; entries]];
    for k in 0..7 {
        let size = [1.0, 1e-3, 30.0][k % 3];
        let mut entry = || match k {
            6 => 10f64.powf(8.0 * random.uniform() - 5.0) * (2.0 * random.uniform() - 1.0).signum(),
            _ => size * random.normal(),
        };
        out.push((0..entries).map(|_| entry()).collect());
    }
    out
}

#[test]
fn the_default_start_ends_at_lme4s_optimum_within_fifteen_evaluations() {
    for Case { table, golden } in cases() {
        for method in METHODS {
            let mut checks = Checks::new(format!("{} {method}", golden.model));
            let want = if method == Method::Reml { golden.reml() } else { golden.ml() };
            let got = fit(&table, &golden.formula, golden.weights.as_deref(), method).expect("a fit");
            let small = Tolerance::both(1e-9, 1e-7);
            checks
                .not_above("criterion", got.fit.criterion, want.criterion, small)
                .check("sigma", got.fit.sigma, want.sigma, Tolerance::relative(1e-6))
                .slice(
                    "theta",
                    &got.fit.theta,
                    &want.theta,
                    Tolerance { absolute: 1e-6, ..Tolerance::of_largest(1e-5) },
                )
                .that(
                    &format!("{} evaluations are at most 15", got.fit.optimizer.evaluations),
                    got.fit.optimizer.evaluations <= 15,
                )
                .equal("status", got.fit.status, if want.singular { Status::Boundary } else { Status::Converged });
        }
    }
}

#[test]
fn ten_random_starts_end_at_the_same_optimum() {
    for Case { table, golden } in cases() {
        let (model, _) = model(&table, &golden.formula, golden.weights.as_deref()).expect("a model");
        for method in METHODS {
            let mut checks = Checks::new(format!("{} {method}", golden.model));
            let objective = Objective::new(&model, method);
            let want = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
            for start in starts(objective.parameters.len(), 11) {
                let got = optimise_from(&objective, &start, &NewtonSettings::default());
                let name = |what: &str| format!("{what} from {start:?}, {} evaluations", got.evaluations);
                checks
                    .check(&name("criterion"), got.at.criterion, want.at.criterion, Tolerance::absolute(1e-8))
                    .equal(&name("status"), got.status, want.status)
                    .slice(&name("theta"), &got.scaled, &want.scaled, Tolerance::both(1e-5, 1e-5))
                    .that(&name("few"), got.evaluations <= 40);
            }
        }
    }
}

#[test]
fn a_variance_of_zero_is_exactly_zero() {
    let table = Memory::of_dataset("dyestuff2", &["Yield"], &["Batch"]);
    for method in METHODS {
        let got = fit(&table, "Yield ~ 1 + (1 | Batch)", None, method).expect("a fit");
        assert_eq!(got.fit.status, Status::Boundary);
        assert_eq!((got.fit.theta[0], got.fit.variance_components[0].variance[0]), (0.0, 0.0));
        assert_eq!((got.fit.icc[0].icc, got.optimum.singular.as_slice()), (0.0, &[true][..]));
        let effects = &got.effects[0];
        let all = [&effects.estimate, &effects.conditional_sd, &effects.prediction_sd];
        assert!(all.into_iter().flatten().all(|&v| v == 0.0), "{effects:?}");
    }
}

#[test]
fn a_start_where_the_criterion_is_only_rounding_error() {
    for Case { table, golden } in cases() {
        let (model, _) = model(&table, &golden.formula, golden.weights.as_deref()).expect("a model");
        let objective = Objective::new(&model, Method::Reml);
        let want = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
        for size in [1e7, 1e12, 1e100, 1e160] {
            let start = vec![size; objective.parameters.len()];
            let got = optimise_from(&objective, &start, &NewtonSettings::default());
            let mut checks = Checks::new(format!("{} from {size:e}", golden.model));
            checks.check("criterion", got.at.criterion, want.at.criterion, Tolerance::absolute(1e-8));
        }
    }
}
