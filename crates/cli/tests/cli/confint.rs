//! `tiers confint` on saved fits.

use crate::support::{Folder, dataset, fit_ok, labels_of, numbers_of, run_err, run_ok};
use serde_json::Value;

fn confint(arguments: &[&str]) -> String {
    run_ok(&[&["confint"], arguments].concat())
}

fn confint_err(arguments: &[&str], words: &[&str]) {
    run_err(&[&["confint"], arguments].concat(), words);
}

/// Saves the fit of a formula to a data set; returns its folder.
fn saved(folder: &Folder, formula: &str, data: &str) -> String {
    let out = folder.join("fit");
    fit_ok(&[formula, data, "--out", &out, "--quiet"]);
    out
}

fn interval(json: &Value, name: &str) -> (f64, f64) {
    let intervals = json["intervals"].as_array().expect("intervals");
    let found = intervals.iter().find(|interval| interval["parameter"] == name).unwrap_or_else(|| panic!("no {name}"));
    (found["lower"].as_f64().expect("an end"), found["upper"].as_f64().expect("an end"))
}

#[test]
fn profiles_are_printed_as_r_prints_them() {
    let folder = Folder::new();
    let fit = saved(&folder, "Reaction ~ Days + (Days | Subject)", &dataset("sleepstudy"));
    let out = folder.join("intervals");
    let text = confint(&[&fit, "--out", &out]);
    // lme4 has 14.381, -0.482, 3.801, 22.898, 237.681, 7.359 and 37.716, 0.685, 8.753, 28.858, 265.130, 13.576.
    let expected = "                                 2.5 %    97.5 %
sd_(Intercept)|Subject        14.38138  37.71605
cor_Days.(Intercept)|Subject  -0.48149   0.68502
sd_Days|Subject                3.80118   8.75339
sigma                         22.89826  28.85800
(Intercept)                  237.68069 265.12952
Days                           7.35865  13.57592
Profile likelihood intervals. The fit is by REML; profiles, as lme4's, are of
  the maximum likelihood.
";
    assert_eq!(text, expected);
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("intervals/confint.json")).expect("a file"))
            .expect("JSON");
    let (lower, upper) = interval(&json, "cor_Days.(Intercept)|Subject");
    assert!((lower + 0.4815).abs() < 1e-3 && (upper - 0.685).abs() < 1e-3, "{lower} {upper}");

    let profile = folder.join("intervals/profile.parquet");
    let (names, zeta) = (labels_of(&profile, "parameter"), numbers_of(&profile, "zeta"));
    let (value, days) = (numbers_of(&profile, "value"), numbers_of(&profile, "Days"));
    assert!(names.iter().any(|name| name == "sigma") && zeta.contains(&0.0));
    for (i, name) in names.iter().enumerate().filter(|(_, name)| *name == "Days") {
        assert!((value[i] - days[i]).abs() < 1e-9, "{name} is held");
        assert!(zeta[i].abs() < 1.96 + 1e-6);
    }
}

#[test]
fn an_interval_that_ends_at_zero_has_a_note() {
    let folder = Folder::new();
    let fit = saved(&folder, "strength ~ 1 + (1 | batch/cask)", &dataset("pastes"));
    let text = confint(&[&fit, "--parm", "sd_(Intercept)|batch", "sigma"]);
    assert!(
        text.contains("sd_(Intercept)|batch 0.00000")
            && text.contains("do not exclude the bound of sd_(Intercept)|batch"),
        "{text}"
    );
    assert!(!text.contains("batch:cask"), "{text}");
    confint_err(&[&fit, "--parm", "sd_cask"], &["--parm sd_cask", "sd_(Intercept)|batch:cask", "sigma"]);
}

#[test]
fn wald_intervals_need_no_data() {
    let folder = Folder::new();
    let data = folder.join("data.parquet");
    std::fs::copy(dataset("sleepstudy"), &data).expect("a copy");
    let fit = saved(&folder, "Reaction ~ Days + (Days | Subject)", &data);
    std::fs::remove_file(&data).expect("removed");
    let json: Value =
        serde_json::from_str(&confint(&[&fit, "--method", "wald", "--json", "--level", "0.9"])).expect("JSON");
    // exp(log(24.740448) ± 1.644854 · 5.836243 / 24.740448), as nlme's intervals do.
    let (lower, upper) = interval(&json, "sd_(Intercept)|Subject");
    assert!((lower - 16.784_2).abs() < 1e-3 && (upper - 36.468).abs() < 1e-2, "{lower} {upper}");
    let (lower, upper) = interval(&json, "icc_Subject");
    assert!(0.25 < lower && upper < 0.75);
    // Satterthwaite's 17 degrees of freedom.
    let (lower, upper) = interval(&json, "Days");
    assert!(
        (0.5 * (lower + upper) - 10.467_29).abs() < 1e-4 && (upper - lower - 2.0 * 1.739_607 * 1.545_79).abs() < 1e-3
    );
    confint_err(&[&fit], &["data.parquet", "--data"]);
}

#[test]
fn a_bootstrap_does_not_depend_on_the_number_of_threads() {
    let folder = Folder::new();
    let fit = saved(&folder, "Yield ~ 1 + (1 | Batch)", &dataset("dyestuff2"));
    let out = folder.join("boot");
    let common = [&fit[..], "--method", "bootstrap", "--replicates", "100", "--seed", "3"];
    let with = |more: &[&str]| confint(&[&common[..], more].concat());
    let one = with(&["--threads", "1", "--json"]);
    assert_eq!(one, with(&["--threads", "2", "--json"]));
    let text = with(&["--out", &out, "--type", "basic"]);
    assert!(
        text.contains("basic intervals from 100 replicates (seed 3)") && text.contains("0 did not converge"),
        "{text}"
    );
    assert!(text.contains("icc_Batch"), "{text}");
    let replicates = folder.join("boot/replicates.parquet");
    let (status, sd) = (labels_of(&replicates, "status"), numbers_of(&replicates, "sd_(Intercept)|Batch"));
    assert_eq!(sd.len(), 100);
    assert!(status.iter().zip(&sd).all(|(status, sd)| (status == "boundary") == (*sd == 0.0)));
}

#[test]
fn invalid_options_are_errors() {
    let folder = Folder::new();
    let fit = saved(&folder, "Yield ~ 1 + (1 | Batch)", &dataset("dyestuff2"));
    confint_err(&[&fit, "--seed", "3"], &["--seed", "--method bootstrap"]);
    confint_err(&[&fit, "--level", "95"], &["--level 95", "between 0 and 1"]);
    confint_err(&[&fit, "--method", "bootstrap", "--replicates", "20"], &["--replicates 20", "39"]);
    confint_err(&[&folder.join("nothing")], &["no such folder"]);
    let text = confint(&[&fit, "--method", "wald"]);
    assert!(text.contains("On the boundary") && text.contains("NA"), "{text}");
}
