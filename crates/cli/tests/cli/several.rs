//! `tiers fit` with several models in one read.

use crate::support::{Folder, fit, fit_err, fit_ok, students};
use std::fs;

#[test]
fn several_models_equal_single_fits() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let out = folder.join("results");
    let (null, full) = ("y ~ 1 + (1 | school)", "y ~ x + sex + (1 + x | school)");
    let also = format!("full = {full}");
    let printed = fit_ok(&[&format!("null={null}"), &path, "--also", &also, "--ml", "--out", &out]);
    assert!(printed.starts_with("Model: null\nLinear mixed model") && printed.contains("\nModel: full\n"), "{printed}");
    assert_eq!(folder.names("results"), ["full", "null"]);
    for (name, formula) in [("null", null), ("full", full)] {
        let alone: serde_json::Value =
            serde_json::from_str(&fit_ok(&[formula, &path, "--ml", "--json"])).expect("JSON");
        let text = fs::read_to_string(folder.join(&format!("results/{name}/fit.json"))).expect("fit.json");
        let together: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let criterion = |fit: &serde_json::Value| fit["criterion"].as_f64().expect("a number");
        assert!((criterion(&alone) - criterion(&together)).abs() < 1e-9, "{name}");
        assert!(
            printed.contains(&fs::read_to_string(folder.join(&format!("results/{name}/summary.txt"))).expect("it"))
        );
    }
}

#[test]
fn names_are_given_or_numbered() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let json = fit_ok(&["y ~ 1 + (1 | school)", &path, "--also", "y ~ x + (1 | school)", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["model1"]["n_obs"], json["model2"]["n_obs"]);
    let twice = "model1 = y ~ x + (1 | school)";
    fit_err(&["y ~ 1 + (1 | school)", &path, "--also", twice], &["two models", "`model1`"]);
}

#[test]
fn one_bad_model_writes_nothing() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let out = folder.join("results");
    let ran = fit(&["y ~ 1 + (1 | school)", &path, "--also", "bad = y ~ x + (1 | student)", "--out", &out]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert!(ran.err.contains("bad: "), "{}", ran.err);
    assert_eq!(folder.names("."), ["a.parquet"]);
}
