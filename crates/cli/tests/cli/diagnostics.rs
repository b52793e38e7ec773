//! `tiers influence`, `tiers ranef` and `tiers diagnose` on saved fits.

use crate::support::{Folder, dataset, fit_ok, labels_of, numbers_of, program, run, run_err, run_ok, students};
use serde_json::Value;
use tiers_testkit::{Checks, Tolerance};

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&run_ok(arguments)).expect("JSON")
}

fn sleepstudy(folder: &Folder) -> String {
    let out = folder.join("fit");
    fit_ok(&["Reaction ~ Days + (Days | Subject)", &dataset("sleepstudy"), "--out", &out, "--quiet"]);
    out
}

/// R: `m <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)`; for each subject GLS on the other
/// rows with `V` of `m`; `cooks.distance(influence(m, "Subject"))` refits and so is near to it only.
#[test]
fn influence_is_printed_and_written() {
    let folder = Folder::new();
    let fit = sleepstudy(&folder);
    let text = run_ok(&["influence", &fit, "--top", "3", "--quiet"]);
    let top = text.lines().find(|line| line.contains("337")).expect("the subject that is furthest out");
    assert!(text.starts_with("Influence of the 18 groups of Subject") && top.contains("10"), "{text}");
    let out = folder.join("influence");
    let value = json(&["influence", &fit, "--top", "2", "--json", "--out", &out, "--quiet"]);
    assert_eq!(value["groups"], 18);
    let file = folder.join("influence/influence.parquet");
    let subjects = labels_of(&file, "Subject");
    assert_eq!(subjects.len(), 18);
    let first = &value["most_influential"][0];
    let label = first["group"]["Subject"].to_string().replace('"', "");
    let at = subjects.iter().position(|subject| *subject == label).expect("a subject");
    let mut checks = Checks::new("parquet and JSON");
    let same = Tolerance::relative(1e-15);
    let number = |value: &Value| value.as_f64().expect("a number");
    checks.check("Cook", numbers_of(&file, "cooks_distance")[at], number(&first["cooks_distance"]), same);
    checks.check("beta", numbers_of(&file, "beta:Days")[at], number(&first["beta_without"]["Days"]), same);
    checks.check("sd", numbers_of(&file, "sd:Residual")[at], number(&first["sd_without"]["Residual"]), same);
    checks.finish();
    run_err(&["influence", &fit, "--level", "Day"], &["no such level", "Subject"]);
    let threads = |n| run_ok(&["influence", &fit, "--json", "--quiet", "--threads", n]);
    assert_eq!(threads("1"), threads("3"));
}

#[test]
fn influence_needs_rows_and_the_top_level() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", students());
    let (moments, fit) = (folder.join("moments"), folder.join("fit"));
    let model = "y ~ x + (1 | school/class)";
    let made = run(program().args(["moments", model, &data, "--out", &moments, "--quiet"]));
    assert_eq!(made.code, 0, "{made:?}");
    fit_ok(&["--moments", &moments, "--out", &fit, "--quiet"]);
    run_err(&["influence", &fit], &["moments", "--data"]);
    run_err(&["influence", &fit, "--data", &data, "--level", "school:class"], &["top level (school)"]);
    run_ok(&["influence", &fit, "--data", &data, "--quiet"]);
}

#[test]
fn the_largest_and_smallest_random_effects_are_shown() {
    let folder = Folder::new();
    let fit = sleepstudy(&folder);
    let file = folder.join("fit/random_effects/Subject.parquet");
    let (terms, estimates) = (labels_of(&file, "term"), numbers_of(&file, "estimate"));
    let (deviations, standardised) = (numbers_of(&file, "prediction_sd"), numbers_of(&file, "standardised"));
    let value = json(&["ranef", &fit, "--top", "2", "--json"]);
    let days = &value["terms"][1];
    assert_eq!((days["term"].as_str(), days["groups"].as_u64()), (Some("Days"), Some(18)));
    let mut all: Vec<f64> = terms.iter().zip(&estimates).filter(|(t, _)| *t == "Days").map(|(_, b)| *b).collect();
    all.sort_by(f64::total_cmp);
    let shown: Vec<f64> = ["largest", "smallest"]
        .iter()
        .flat_map(|list| days[list].as_array().expect("a list"))
        .map(|effect| effect["estimate"].as_f64().expect("a number"))
        .collect();
    assert_eq!(shown, [all[17], all[16], all[1], all[0]]);
    // var(b̂) = G - PEV, by lme4's variances of sleepstudy.
    for (row, term) in terms.iter().enumerate() {
        let variance: f64 = if term == "Days" { 35.071_714 } else { 612.100_158 };
        let own = (variance - deviations[row].powi(2)).sqrt();
        assert!((standardised[row] - estimates[row] / own).abs() < 1e-3, "{row}: {}", standardised[row]);
    }
    let text = run_ok(&["ranef", &fit, "--top", "20"]);
    assert!(text.contains("(Intercept) | Subject: all 18\n") && text.contains("Standardised"), "{text}");
    assert_eq!(text.matches(" 337 ").count(), 2, "{text}");
    run_err(&["ranef", &fit, "--level", "School"], &["no such level"]);
    run_err(&["ranef", &folder.join("nothing")], &["no such folder"]);
}

#[test]
fn a_diagnosis_is_printed_as_text_and_json() {
    let folder = Folder::new();
    let fit = sleepstudy(&folder);
    let text = run_ok(&["diagnose", &fit, "--quiet"]);
    for words in
        ["The search converged", "distinguish the variance parameters well", "Determined least", "condition number"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let value = json(&["diagnose", &fit, "--json", "--quiet"]);
    assert!(value["diagnosis"]["gradient"].as_f64().expect("a number") < 1e-4, "{value}");
    assert!(value["diagnosis"]["least_curvature"].as_f64().expect("a number") > 0.1, "{value}");
    let flat = folder.join("flat");
    fit_ok(&["Yield ~ 1 + (1 | Batch)", &dataset("dyestuff2"), "--out", &flat, "--quiet"]);
    let text = run_ok(&["diagnose", &flat, "--quiet"]);
    assert!(text.contains("estimated as zero") && text.contains("On the boundary: sd (Intercept) | Batch"), "{text}");
}
