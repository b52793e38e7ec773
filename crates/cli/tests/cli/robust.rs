//! `tiers fit --robust`: clubSandwich's figures, the summary, and errors.

use crate::support::{Folder, dataset, fit_err, fit_ok, students};
use serde_json::Value;
use tiers_testkit::{Checks, Golden, Tolerance, golden};

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&fit_ok(arguments)).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|v| v.as_f64().expect("a number")).collect()
}

/// datasets/*/reference: clubSandwich's covariances at lme4's optimum, and its degrees of freedom.
#[test]
fn covariances_match_club_sandwich() {
    for (folder, name) in [("exam", "Exam"), ("sleepstudy", "sleepstudy"), ("pastes", "Pastes")] {
        let golden = Golden::of_dataset(folder, name);
        let want = golden.reml().cluster_robust.as_ref().expect("clubSandwich's figures");
        for kind in ["CR0", "CR1", "CR2"] {
            let fit = json(&[&golden.formula, &dataset(folder), "--robust", kind, "--json"]);
            let robust = &fit["robust"];
            let mut checks = Checks::new(format!("{name} {kind}"));
            checks.equal("type", robust["type"].as_str(), Some(kind));
            checks.equal("cluster", robust["cluster"].as_str(), Some(&want.cluster[..]));
            let vcov: Vec<f64> = robust["vcov"].as_array().expect("rows").iter().flat_map(numbers).collect();
            let reference = golden::matrix(&want.vcov[kind]).transpose();
            checks.slice("vcov", &vcov, reference.as_slice(), Tolerance::of_largest(1e-6));
            let df = numbers(&robust["satterthwaite_df"]);
            checks.slice("df", &df, &want.df[kind], Tolerance::relative(1e-5));
            let first = &robust["coefficients"][0];
            checks.check(
                "se",
                first["std_error"].as_f64().expect("a number"),
                vcov[0].sqrt(),
                Tolerance::relative(1e-12),
            );
            let clusters = robust["clusters"].as_f64().expect("a number");
            let df_in_use = if kind == "CR2" { df[0] } else { clusters - 1.0 };
            checks.check("df in use", first["df"].as_f64().expect("a number"), df_in_use, Tolerance::relative(1e-12));
            checks.finish();
            // The covariance of the model is kept beside it.
            assert_ne!(fit["vcov"], robust["vcov"]);
        }
    }
}

#[test]
fn the_summary_shows_robust_standard_errors() {
    let path = dataset("sleepstudy");
    let text = fit_ok(&["Reaction ~ Days + (Days | Subject)", &path, "--robust", "CR2"]);
    let note = "t, Pr and the 95 % confidence intervals with standard errors robust to clusters\n\
                (CR2, 18 clusters of Subject) and Satterthwaite's degrees of freedom\n";
    assert!(text.contains("Robust SE") && text.contains(note), "{text}");
    let text = fit_ok(&["Reaction ~ Days + (Days | Subject)", &path, "--robust", "cr1s", "--df", "none"]);
    let note = "(CR1S, 18 clusters of Subject) and clusters - 1 degrees of freedom\n";
    assert!(text.contains(note) && text.contains("17.0"), "{text}");
}

#[test]
fn clusters_below_the_top_level_are_errors() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let model = "y ~ x + (1 | school/class)";
    let text = fit_err(&[model, &path, "--robust", "CR2", "--cluster", "school:class"], &["--cluster", "top level"]);
    assert!(text.contains("(school)"), "{text}");
    fit_err(&[model, &path, "--robust", "CR2", "--cluster", "pupil"], &["no level pupil", "school, school:class"]);
    fit_err(&["y ~ x + z + sex + x:z + x:sex + (1 | school/class)", &path, "--robust", "CR1p"], &["6 clusters", "CR2"]);
    let same = |more: &[&str]| fit_ok(&[&[model, &path, "--robust", "CR0", "--json", "--quiet"], more].concat());
    let drop_times = |text: String| text.split_once("\"timing_seconds\"").expect("times").0.to_owned();
    assert_eq!(drop_times(same(&["--threads", "1"])), drop_times(same(&["--threads", "3", "--cluster", "school"])));
}
