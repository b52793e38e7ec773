//! The dense oracle, evaluated at lme4's θ, agrees with lme4.

use nalgebra::{DMatrix, DVector};
use std::collections::BTreeMap;
use tiers_testkit::golden::{GoldenFit, matrix};
use tiers_testkit::{Checks, Golden, Method, Problem, Sandwich, Table, Term, Tolerance};

/// A problem, and for each term lme4's name of its grouping factor and the labels of its groups.
struct Case {
    problem: Problem,
    groups: Vec<(&'static str, Vec<Vec<String>>)>,
}

/// Makes a case. Terms are (lme4's name of the factor, key columns, z columns); "1" is the constant.
fn case(table: &Table, response: &str, x: &[&str], terms: &[(&'static str, &[&str], &[&str])]) -> Case {
    let n = table.rows();
    let design = |names: &[&str]| {
        let column = |name: &str| if name == "1" { vec![1.0; n] } else { table.numbers(name) };
        let columns: Vec<_> = names.iter().map(|name| DVector::from_vec(column(name))).collect();
        DMatrix::from_columns(&columns)
    };
    let mut groups = Vec::new();
    let mut problem_terms = Vec::new();
    for (name, keys, z) in terms {
        let (group, labels) = table.groups(keys);
        problem_terms.push(Term { z: design(z), group });
        groups.push((*name, labels));
    }
    let problem =
        Problem { x: design(x), y: DVector::from_vec(table.numbers(response)), weights: None, terms: problem_terms };
    Case { problem, groups }
}

fn compare(golden: &Golden, case: &Case) {
    for (method, fit) in [(Method::Reml, golden.reml()), (Method::Ml, golden.ml())] {
        let mut checks = Checks::new(format!("{} {}", golden.model, fit.method));
        let close = Tolerance::relative(1e-9);
        let solution = case.problem.solve(&fit.theta, method);
        let log_w: f64 = case.problem.weights.iter().flat_map(|w| w.iter()).map(|w| w.ln()).sum();
        checks
            .check("criterion", solution.criterion, fit.criterion, Tolerance::relative(1e-11))
            .check("sigma", solution.sigma2.sqrt(), fit.sigma, close)
            .check("pwrss", solution.pwrss, fit.devcomp.pwrss, close)
            .check("log|A|", solution.log_det_v + log_w, fit.devcomp.log_det_a, Tolerance::both(1e-9, 1e-9))
            .check("log|X'V⁻¹X|", solution.log_det_x, fit.devcomp.log_det_x, close)
            .matrix("vcov", &solution.cov_beta, &matrix(&fit.vcov), Tolerance::of_largest(1e-9))
            .slice("fitted", &solution.fitted.as_slice()[..5], &fit.fitted.first5, close);
        for (i, c) in fit.coefficients.iter().enumerate() {
            checks.check(&c.name, solution.beta[i], c.estimate, close);
        }
        if !fit.singular {
            let gradient = case.problem.gradient(&fit.theta, method);
            checks.that("the gradient at the optimum is zero", gradient.amax() < 1e-6);
        }
        random_effects(&mut checks, case, fit, &solution);
        inference(&mut checks, case, fit, method);
    }
}

/// Compares with lmerTest, pbkrtest and clubSandwich, if the file has their values.
fn inference(checks: &mut Checks, case: &Case, fit: &GoldenFit, method: Method) {
    let p = case.problem.p();
    let unit = |i: usize| DVector::from_fn(p, |j, _| f64::from(u8::from(i == j)));
    for (i, c) in fit.coefficients.iter().enumerate().filter(|_| !fit.singular) {
        let df = case.problem.satterthwaite(&unit(i), &fit.theta, method);
        checks.check("Satterthwaite", df, c.df_satterthwaite.expect("df"), Tolerance::relative(1e-4));
    }
    if let Some(want) = &fit.kenward_roger {
        let kr = case.problem.kenward_roger(&fit.theta);
        checks.matrix("adjusted", &kr.adjusted, &matrix(&want.vcov_adjusted), Tolerance::of_largest(1e-6));
        for (i, c) in want.coefficients.iter().enumerate() {
            let test = kr.test(&DMatrix::from_row_slice(1, p, unit(i).as_slice()));
            checks.check("Kenward-Roger", test.df, c.df, Tolerance::relative(1e-6));
            checks.check("Kenward-Roger's scale of one contrast", test.scale, 1.0, Tolerance::absolute(1e-9));
        }
    }
    if let Some(want) = &fit.cluster_robust {
        let cluster = &case.problem.terms.last().expect("a term").group;
        for (name, kind) in [("CR0", Sandwich::Cr0), ("CR1", Sandwich::Cr1), ("CR2", Sandwich::Cr2)] {
            let got = case.problem.cluster_robust(&fit.theta, cluster, kind);
            checks.matrix(name, &got, &matrix(&want.vcov[name]), Tolerance::of_largest(1e-7));
            for i in 0..p {
                let got = case.problem.robust_df(&fit.theta, cluster, kind, &unit(i));
                checks.check(&format!("df of {name}"), got, want.df[name][i], Tolerance::relative(1e-6));
            }
        }
    }
}

fn random_effects(checks: &mut Checks, case: &Case, fit: &GoldenFit, solution: &tiers_testkit::Solution) {
    // lme4's table has several terms of one factor side by side.
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (k, (name, labels)) in case.groups.iter().enumerate() {
        let blups = &fit.blups[*name];
        let (r, first) = (solution.b[k].ncols(), *seen.get(name).unwrap_or(&0));
        seen.insert(name, first + r);
        for shown in &blups.shown {
            let label: Vec<_> = blups.key_columns.iter().map(|c| shown.key[c].clone()).collect();
            let g = labels.iter().position(|l| *l == label).expect("a known group");
            for j in 0..r {
                let at = case.problem.effect_offset(k) + g * r + j;
                let scale = blups.max_abs[first + j].max(1e-12);
                checks.check(
                    &format!("b {name} {label:?} {j}"),
                    solution.b[k][(g, j)],
                    shown.value[first + j],
                    Tolerance::absolute(1e-8 * scale),
                );
                let sd = solution.conditional[(at, at)].max(0.0).sqrt();
                checks.check(
                    &format!("sd {name} {label:?} {j}"),
                    sd,
                    shown.cond_sd[first + j],
                    Tolerance::both(1e-8, 1e-12),
                );
                checks.that(
                    "the prediction error variance is at least the conditional variance",
                    solution.prediction[(at, at)] >= solution.conditional[(at, at)] - 1e-9,
                );
            }
        }
    }
}

#[test]
fn dyestuff() {
    let case = case(&Table::of_dataset("dyestuff"), "Yield", &["1"], &[("Batch", &["Batch"], &["1"])]);
    compare(&Golden::of_dataset("dyestuff", "Dyestuff"), &case);
}

#[test]
fn dyestuff2_with_a_variance_of_zero() {
    let case = case(&Table::of_dataset("dyestuff2"), "Yield", &["1"], &[("Batch", &["Batch"], &["1"])]);
    compare(&Golden::of_dataset("dyestuff2", "Dyestuff2"), &case);
}

#[test]
fn pastes() {
    let terms: [(&str, &[&str], &[&str]); 2] =
        [("cask:batch", &["cask", "batch"], &["1"]), ("batch", &["batch"], &["1"])];
    compare(&Golden::of_dataset("pastes", "Pastes"), &case(&Table::of_dataset("pastes"), "strength", &["1"], &terms));
}

#[test]
fn sleepstudy() {
    let table = Table::of_dataset("sleepstudy");
    let together = case(&table, "Reaction", &["1", "Days"], &[("Subject", &["Subject"], &["1", "Days"])]);
    compare(&Golden::of_dataset("sleepstudy", "sleepstudy"), &together);
    let apart: [(&str, &[&str], &[&str]); 2] =
        [("Subject", &["Subject"], &["1"]), ("Subject", &["Subject"], &["Days"])];
    compare(&Golden::of_dataset("sleepstudy", "sleepstudy_diag"), &case(&table, "Reaction", &["1", "Days"], &apart));
}

#[test]
fn unbalanced_with_and_without_weights() {
    let table = Table::of_dataset("unbalanced_simulated");
    let terms: [(&str, &[&str], &[&str]); 2] = [("mid", &["mid"], &["1"]), ("top", &["top"], &["1", "x1"])];
    let mut case = case(&table, "y", &["1", "x1", "x2"], &terms);
    compare(&Golden::of_dataset("unbalanced_simulated", "unbalanced"), &case);
    case.problem.weights = Some(DVector::from_vec(table.numbers("w")));
    compare(&Golden::of_dataset("unbalanced_simulated", "unbalanced_weighted"), &case);
}

#[test]
fn every_reference_file_can_be_read() {
    let mut read = 0;
    let folders = std::fs::read_dir(tiers_testkit::datasets_dir())
        .expect("datasets")
        .flatten()
        .map(|d| d.path().join("reference"));
    for folder in folders.chain([tiers_testkit::reference_dir()]).filter(|f| f.is_dir()) {
        for file in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let golden = Golden::load(file.path());
            assert_eq!(golden.n + golden.n_dropped_missing, golden.n_rows_in_file, "{}", golden.model);
            assert_eq!(golden.reml().theta.len(), golden.ml().theta_names.len(), "{}", golden.model);
            read += 1;
        }
    }
    assert!(read >= 11, "{read} files");
}
