//! Standard output, standard error, exit codes and threads.

use crate::support::{Folder, READ_TIMES, dataset, fit, fit_ok, program, students};
use serde_json::Value;
use std::io::Read;
use std::process::Stdio;

const MODEL: &str = "y ~ x + sex + (1 | school/class)";

#[test]
fn json_has_the_documented_keys() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let fit: Value = serde_json::from_str(&fit_ok(&[MODEL, &path, "--json"])).expect("valid JSON");
    assert_eq!(fit["tiers"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&fit["formula"], &fit["method"]), (&Value::from(MODEL), &Value::from("REML")));
    assert_eq!((&fit["n_obs"], &fit["n_dropped"]), (&Value::from(96), &Value::from(0)));
    assert_eq!(fit["levels"][0]["name"], "school");
    assert_eq!(fit["levels"][1]["groups"], 12);
    assert_eq!(fit["fixed_effects"][2]["term"], "sexM");
    assert_eq!(fit["n_parameters"], 6);
    for key in ["criterion", "log_likelihood", "aic", "bic", "sigma"] {
        assert!(fit[key].is_f64(), "{key}");
    }
    for key in ["estimate", "std_error", "t_value", "p_value", "lower", "upper"] {
        assert!(fit["fixed_effects"][0][key].is_f64(), "{key}");
    }
    for key in READ_TIMES.iter().chain(&["read", "fit", "total", "settle", "search", "inference", "effects", "write"]) {
        assert!(fit["timing_seconds"][key].is_f64(), "{key}");
    }
    assert_eq!(fit["vcov"].as_array().map(Vec::len), Some(3));
    assert_eq!(fit["theta"].as_array().map(Vec::len), Some(2));
    let icc = |k: usize| fit["icc"][k]["icc"].as_f64().expect("a number");
    assert!(fit["icc"][0]["level"] == "school" && fit["icc"][1]["level"] == "school:class" && icc(0) <= icc(1));
    assert!(fit["optimizer"]["evaluations"].is_u64() && fit["optimizer"]["trace"].is_array());
}

#[test]
fn quiet_with_a_folder_prints_nothing() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    assert_eq!(fit_ok(&[MODEL, &path, "--quiet", "--out", &folder.join("results")]), "");
    // Without a folder the summary is printed.
    assert!(fit_ok(&[MODEL, &path, "--quiet"]).starts_with("Linear mixed model"));
    let json = fit_ok(&[MODEL, &path, "--quiet", "--json", "--out", &folder.join("results")]);
    assert!(serde_json::from_str::<Value>(&json).is_ok());
}

#[test]
fn not_converged_exits_2_and_results_are_written() {
    let folder = Folder::new();
    let out = folder.join("results");
    let model = "score ~ gcsescore + gender + age + (1 | lea/school)";
    let ran = fit(&[model, &dataset("chem97"), "--max-evaluations", "1", "--out", &out]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.out.contains("NOT CONVERGED") && ran.out.contains("--max-evaluations"), "{}", ran.out);
    let json = std::fs::read_to_string(folder.join("results/fit.json")).expect("fit.json");
    let fit: Value = serde_json::from_str(&json).expect("valid JSON");
    assert_eq!(fit["status"], "not_converged");
}

#[test]
fn boundary_fit_exits_0_and_is_explained() {
    let text = fit_ok(&["Yield ~ 1 + (1 | Batch)", &dataset("dyestuff2")]);
    assert!(text.contains("On the boundary: The variance of (Intercept) between groups of Batch"), "{text}");
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let mut child = program()
        .args(["fit", MODEL, &path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut errors).expect("UTF-8");
    let code = child.wait().expect("it ends").code();
    assert_eq!((code, errors.as_str()), (Some(0), ""));
}

#[test]
fn results_are_bit_identical_for_any_number_of_threads() {
    let of = |threads: &str| {
        let model = "score ~ gcsescore + gender + age + (1 | lea/school)";
        let text = fit_ok(&[model, &dataset("chem97"), "--json", "--threads", threads]);
        let mut fit: Value = serde_json::from_str(&text).expect("valid JSON");
        let fit = fit.as_object_mut().expect("an object");
        fit.remove("timing_seconds");
        fit.remove("peak_memory_bytes");
        serde_json::to_string(fit).expect("JSON")
    };
    let one = of("1");
    assert_eq!(one, of("2"));
    assert_eq!(one, of("7"));
}

#[test]
fn options_for_reference_levels_intervals_and_ml_are_respected() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let text = fit_ok(&["y ~ x + sex + (1 | school)", &path, "--reference", "sex=M", "--conf-level", "0.9"]);
    assert!(text.contains("\nsexF ") && text.contains("5 %") && text.contains("90 % confidence"), "{text}");
    let ml = fit_ok(&["y ~ x + (1 | school)", &path, "--ml"]);
    assert!(ml.starts_with("Linear mixed model fit by maximum likelihood\n"), "{ml}");
}
