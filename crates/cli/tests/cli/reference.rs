//! Fits every reference model with the program and compares the results with lme4's.

use crate::support::{Folder, fit, labels_of, numbers_of, program, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tiers_testkit::golden::{GoldenAnova, GoldenBlups, GoldenFit};
use tiers_testkit::{Checks, Golden, Tolerance, datasets_dir, reference_dir, shared_dir};

/// Largest number of evaluations of criterion and gradient for a model.
const EVALUATIONS: u64 = 15;

/// The same for a singular fit of crossed groupings, which is searched for from two starts.
const EVALUATIONS_OF_TWO_STARTS: u64 = 25;

#[test]
fn models_of_the_datasets_match_lme4() {
    let mut models = 0;
    for entry in std::fs::read_dir(datasets_dir()).expect("datasets") {
        let folder = entry.expect("an entry").path();
        for reference in json_files(&folder.join("reference")) {
            let golden = Golden::load(&reference);
            compare(&golden, &folder.join(&golden.dataset));
            models += 1;
        }
    }
    assert!(models >= 29, "only {models} models were found");
}

#[test]
fn models_of_shared_data_match_lme4() {
    let Some(shared) = shared_dir() else {
        println!("skipped: there is no folder of shared data");
        return;
    };
    for reference in json_files(&reference_dir()) {
        let golden = Golden::load(&reference);
        let data = shared.join("data").join(&golden.dataset);
        match data.exists() {
            true => compare(&golden, &data),
            false => println!("{}: skipped, {} is not there", golden.model, data.display()),
        }
    }
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files
}

/// Fits a model by REML and ML and compares all results.
fn compare(golden: &Golden, data: &Path) {
    for (method, expected) in &golden.fits {
        let folder = Folder::new();
        let (data, out) = (data.to_str().expect("UTF-8"), folder.join("out"));
        let option = format!("--{}", method.to_lowercase());
        let mut arguments = vec![&golden.formula[..], data, &option, "--out", &out, "--fitted", "--quiet"];
        arguments.extend(golden.weights.iter().flat_map(|weights| ["--weights", weights]));
        let ran = fit(&arguments);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""), "{} {method}", golden.model);
        let json = std::fs::read_to_string(folder.join("out/fit.json")).expect("fit.json");
        let json: Value = serde_json::from_str(&json).expect("valid JSON");
        let mut checks = Checks::new(format!("{} {method}", golden.model));
        sizes(&mut checks, golden, &json);
        likelihood(&mut checks, expected, &json);
        fixed_effects(&mut checks, expected, &json);
        if expected.singular {
            checks.equal("status", json["status"].as_str(), Some("boundary"));
        } else {
            checks.equal("status", json["status"].as_str(), Some("converged"));
            variances(&mut checks, expected, &json);
            tests_of_terms(&mut checks, &expected.anova_type3_satterthwaite, &folder.join("out"));
            for blups in expected.blups.values() {
                random_effects(&mut checks, blups, &folder);
            }
        }
        fitted_values(&mut checks, golden, expected, &folder);
        checks.finish();
    }
}

fn sizes(checks: &mut Checks, golden: &Golden, json: &Value) {
    checks.equal("n", json["n_obs"].as_u64(), Some(golden.n as u64));
    checks.equal("dropped", json["n_dropped"].as_u64(), Some(golden.n_dropped_missing as u64));
    let size = |level: &Value| (same_name(text(&level["name"])), level["groups"].as_u64().unwrap_or(0));
    let sizes: BTreeMap<_, _> = list(&json["levels"]).iter().map(size).collect();
    let wanted = golden.groups.iter().map(|(name, &groups)| (same_name(name), groups as u64)).collect();
    checks.equal("levels", sizes, wanted);
}

fn likelihood(checks: &mut Checks, expected: &GoldenFit, json: &Value) {
    let tolerance = Tolerance { relative: 1e-9, absolute: 1e-7, of_largest: 0.0 };
    checks.not_above("criterion", number(&json["criterion"]), expected.criterion, tolerance);
    checks.check("log-likelihood", number(&json["log_likelihood"]), expected.log_likelihood, tolerance);
    checks.check("AIC", number(&json["aic"]), expected.aic, tolerance);
    checks.check("BIC", number(&json["bic"]), expected.bic, tolerance);
    checks.equal("parameters", json["n_parameters"].as_u64(), Some(expected.n_parameters as u64));
    let evaluations = json["optimizer"]["evaluations"].as_u64().unwrap_or(u64::MAX);
    let two_starts = expected.singular && json["crossed"].as_bool().unwrap_or(false);
    let most = if two_starts { EVALUATIONS_OF_TWO_STARTS } else { EVALUATIONS };
    checks.that(&format!("at most {most} evaluations, not {evaluations}"), evaluations <= most);
}

fn fixed_effects(checks: &mut Checks, expected: &GoldenFit, json: &Value) {
    let effects = list(&json["fixed_effects"]);
    let names: Vec<&str> = effects.iter().map(|effect| text(&effect["term"])).collect();
    checks.equal("terms", names, expected.coefficients.iter().map(|c| c.name.as_str()).collect());
    for (i, (effect, wanted)) in effects.iter().zip(&expected.coefficients).enumerate() {
        let name = &wanted.name;
        // The tolerance of an estimate near zero is relative to its standard error.
        let own = Tolerance::both(1e-6, 1e-6 * wanted.se);
        checks.check(&format!("estimate of {name}"), number(&effect["estimate"]), wanted.estimate, own);
        checks.check(&format!("se of {name}"), number(&effect["std_error"]), wanted.se, Tolerance::relative(1e-6));
        for (j, other) in expected.coefficients.iter().enumerate() {
            let tolerance = Tolerance::absolute(2e-6 * wanted.se * other.se);
            let found = number(&json["vcov"][i][j]);
            checks.check(&format!("vcov[{i},{j}]"), found, expected.vcov[i][j], tolerance);
        }
    }
    checks.check("sigma", number(&json["sigma"]), expected.sigma, Tolerance::relative(1e-6));
}

fn variances(checks: &mut Checks, expected: &GoldenFit, json: &Value) {
    let tolerance = Tolerance { relative: 1e-5, absolute: 0.0, of_largest: 0.01 };
    checks.slice("theta", &numbers(&json["theta"]), &expected.theta, tolerance);
    let components = list(&json["variance_components"]);
    checks.equal("components", components.len(), expected.random.len());
    for wanted in &expected.random {
        let is_it = |component: &&Value| {
            same_name(text(&component["level"])) == same_name(&wanted.key_columns.join(":"))
                && list(&component["terms"]).iter().map(text).eq(wanted.terms.iter().map(String::as_str))
        };
        let name = format!("{} {}", wanted.group, wanted.terms.join(", "));
        let Some(component) = components.iter().find(is_it) else {
            checks.that(&format!("{name} is there"), false);
            continue;
        };
        let relative = Tolerance::relative(1e-5);
        checks.slice(&format!("variance of {name}"), &numbers(&component["variance"]), &wanted.variance, relative);
        checks.slice(&format!("sd of {name}"), &numbers(&component["sd"]), &wanted.sd, relative);
        for (i, row) in wanted.corr.iter().enumerate() {
            for (j, correlation) in row.iter().enumerate().filter(|&(j, _)| j < i) {
                let found = number(&component["correlation"][i][j]);
                let wanted = correlation.expect("a correlation");
                checks.check(&format!("correlation of {name}"), found, wanted, Tolerance::absolute(1e-5));
            }
        }
    }
    intraclass_correlations(checks, expected, json);
}

/// Compares the type III tests of the saved fit.
fn tests_of_terms(checks: &mut Checks, expected: &[GoldenAnova], fit: &str) {
    if expected.is_empty() {
        return;
    }
    let ran = run(program().args(["anova", fit, "--json"]));
    let json: Value = serde_json::from_str(&ran.out).expect("valid JSON");
    let tests = list(&json["tests"]);
    checks.equal("tests", tests.len(), expected.len());
    for (test, wanted) in tests.iter().zip(expected) {
        let name = &wanted.term;
        checks.equal("term", text(&test["term"]), name);
        let mut check = |what: &str, want: f64| {
            // lmerTest differentiates numerically; p values are compared down to rounding error.
            let tolerance = Tolerance::both(1e-4, 1e-14);
            checks.check(&format!("{what} of {name}"), number(&test[what]), want, tolerance);
        };
        check("sum_sq", wanted.sum_sq);
        check("num_df", wanted.num_df);
        check("den_df", wanted.den_df);
        check("f_value", wanted.f);
        check("p_value", wanted.p);
    }
}

/// The correlation of a level is the share of the variances of its intercept and, in a nest, all coarser ones.
fn intraclass_correlations(checks: &mut Checks, expected: &GoldenFit, json: &Value) {
    let shares: BTreeMap<_, _> = expected.icc.share.iter().map(|(name, share)| (same_name(name), *share)).collect();
    let mut sum = 0.0;
    for icc in list(&json["icc"]) {
        let level = text(&icc["level"]);
        if json["crossed"] == true {
            sum = 0.0;
        }
        sum += shares.get(&same_name(level)).copied().unwrap_or(0.0);
        checks.check(&format!("icc of {level}"), number(&icc["icc"]), sum, Tolerance::relative(1e-5));
    }
}

fn random_effects(checks: &mut Checks, blups: &GoldenBlups, folder: &Folder) {
    let name = same_name(&blups.key_columns.join(":"));
    let is_it = |file: &String| same_name(&file.trim_end_matches(".parquet").replace('.', ":")) == name;
    let files = folder.names("out/random_effects");
    let Some(file) = files.iter().find(|file| is_it(file)) else {
        checks.that(&format!("a file for {name:?} among {files:?}"), false);
        return;
    };
    let path = folder.join("out/random_effects") + "/" + file;
    let keys: Vec<Vec<String>> = blups.key_columns.iter().map(|key| labels_of(&path, key)).collect();
    let terms = labels_of(&path, "term");
    let value = ["estimate", "conditional_sd", "prediction_sd"].map(|column| numbers_of(&path, column));
    checks.equal("rows of random effects", terms.len(), blups.n_levels * blups.terms.len());
    let key = |row: usize| keys.iter().map(|labels| labels[row].as_str()).collect::<Vec<_>>();
    let rows: BTreeMap<_, _> = (0..terms.len()).map(|row| ((key(row), terms[row].as_str()), row)).collect();
    for (t, term) in blups.terms.iter().enumerate() {
        let of_term = || (0..terms.len()).filter(|&row| terms[row] == *term);
        let sum_of_squares = of_term().map(|row| value[0][row].powi(2)).sum::<f64>();
        checks.check(&format!("sum of squares of {term}"), sum_of_squares, blups.sum_sq[t], Tolerance::relative(2e-5));
        let variances = of_term().map(|row| value[1][row].powi(2)).sum::<f64>();
        checks.check(
            &format!("cond. variances of {term}"),
            variances,
            blups.cond_var_sum[t],
            Tolerance::relative(2e-5),
        );
        for shown in &blups.shown {
            let labels = blups.key_columns.iter().map(|key| shown.key[key].as_str()).collect::<Vec<_>>();
            let what = format!("{term} of {labels:?}");
            let Some(&row) = rows.get(&(labels, term.as_str())) else {
                checks.that(&format!("{what} is there"), false);
                continue;
            };
            let of_largest = Tolerance::absolute(1e-5 * blups.max_abs[t]);
            checks.check(&what, value[0][row], shown.value[t], of_largest);
            checks.check(&format!("sd of {what}"), value[1][row], shown.cond_sd[t], Tolerance::relative(1e-5));
            checks.that("the uncertainty of beta adds to the error of prediction", value[2][row] >= value[1][row]);
        }
    }
}

fn fitted_values(checks: &mut Checks, golden: &Golden, expected: &GoldenFit, folder: &Folder) {
    let path = folder.join("out/fitted.parquet");
    let [row, response, fixed, fitted, residual] =
        ["row", "response", "fixed", "fitted", "residual"].map(|column| numbers_of(&path, column));
    checks.equal("fitted rows", row.len(), golden.n);
    checks.that("rows are in order", row.windows(2).all(|pair| pair[0] < pair[1]));
    let squares = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
    let tolerance = Tolerance::relative(1e-5);
    checks.check("sum of fitted", fitted.iter().sum(), expected.fitted.sum, tolerance);
    checks.check("squares of fitted", squares(&fitted), expected.fitted.sum_sq, tolerance);
    checks.check("squares of the fixed part", squares(&fixed), expected.fitted.fixed_part_sum_sq, tolerance);
    checks.check("squares of residuals", squares(&residual), expected.residuals.sum_sq, tolerance);
    let largest = Tolerance { relative: 1e-5, absolute: 1e-9, of_largest: 1.0 };
    checks.slice("first fitted", &fitted[..5], &expected.fitted.first5, largest);
    checks.slice("first residuals", &residual[..5], &expected.residuals.first5, largest);
    let sums = fitted.iter().zip(&residual).map(|(fitted, residual)| fitted + residual).collect::<Vec<_>>();
    checks.slice("fitted and residual", &sums, &response, Tolerance::relative(1e-12));
}

/// Returns a level's name independent of the order of its columns, since lme4 writes `class:school`.
fn same_name(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = name.split(':').map(str::to_owned).collect();
    parts.sort();
    parts
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
