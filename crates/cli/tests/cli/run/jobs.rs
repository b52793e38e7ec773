//! Results of a job when all goes well, or when a model fails.

use super::*;
use crate::support::{READ_TIMES, fit_ok, labels_of, numbers_of};
use std::ops::Range;
use tiers_outputs::{OutColumn, OutValues};

#[test]
fn every_model_has_a_folder_and_the_job_has_an_account() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    let printed = job_ok(&job, &[]);
    assert!(printed.starts_with("model status") && printed.contains("null") && printed.contains("full"), "{printed}");
    assert_eq!(folder.names("results"), ["full", "job.json", "manifest.json", "null", "status.json"]);
    let full = ["fit.json", "fitted.parquet", "model.json", "random_effects", "summary.txt"];
    assert_eq!(folder.names("results/full"), full);
    assert_eq!(folder.names("results/full/random_effects"), ["school.class.parquet", "school.parquet"]);
    assert_eq!(json(&folder, "results/status.json")["state"], "done");
    let account = json(&folder, "results/job.json");
    assert_eq!(account["models"][1]["by_this_run"], "fitted");
    assert_eq!(account["data"]["rows"], 96);
    for key in READ_TIMES {
        let seconds = [&account["reads"][0][key], &account["models"][0]["phases"][key]];
        assert!(seconds.iter().all(|seconds| seconds.is_f64()), "{key}: {account}");
    }
    // Every file has a hash in the manifest.
    let manifest = json(&folder, "results/manifest.json");
    let files = manifest["models"].as_array().into_iter().flatten();
    let files: Vec<(&String, &serde_json::Value)> =
        files.flat_map(|model| model["files"].as_object().expect("files")).collect();
    assert_eq!(files.len(), results(&folder.path().join("results")).len() - 1);
    for (name, hash) in files {
        let bytes = fs::metadata(folder.path().join("results").join(name)).expect("a file").len();
        assert_eq!(hash["bytes"], bytes, "{name}");
        assert_eq!(hash["sha256"].as_str().map(str::len), Some(64), "{name}");
    }
}

#[test]
fn a_model_of_a_job_equals_a_fit() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    job_ok(&job, &[]);
    let data = folder.join("data/a.parquet");
    let alone = fit_ok(&["y ~ x + sex + (1 | school/class)", &data, "--ml", "--json"]);
    let alone: serde_json::Value = serde_json::from_str(&alone).expect("JSON");
    let of_job = json(&folder, "results/full/fit.json");
    let number = |fit: &serde_json::Value, key: &str| fit[key].as_f64().expect("a number");
    for key in ["criterion", "sigma"] {
        let (one, two) = (number(&alone, key), number(&of_job, key));
        assert!((one - two).abs() < 1e-9 * one.abs(), "{key}: {one} and {two}");
    }
    assert_eq!(alone["n_obs"], of_job["n_obs"]);
    assert!(of_job.get("timing_seconds").is_none(), "times differ from run to run, and are in job.json");
}

#[test]
fn a_page_is_the_same_for_every_run_and_number_of_threads() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    let report = ["--set", "models.full.report=true"];
    job_ok(&job, &report);
    let one = results(&folder.path().join("results"));
    let page = String::from_utf8(one["full/report.html"].clone()).expect("UTF-8");
    assert!(!crate::page::elements(&page).is_empty() && !one.contains_key("null/report.html"));
    let manifest = json(&folder, "results/manifest.json");
    assert_eq!(manifest["models"][1]["files"]["full/report.html"]["bytes"], page.len());
    for threads in ["run.threads=1", "run.threads=2"] {
        job_ok(&job, &[&report[..], &["--set", threads, "--fresh"]].concat());
        assert_same(&one, &results(&folder.path().join("results")), threads);
    }
    // Without `report`, the page is removed.
    job_ok(&job, &[]);
    assert_eq!(folder.names("results/full").iter().filter(|name| *name == "report.html").count(), 0);
}

#[test]
fn robust_standard_errors_of_a_job_equal_those_of_a_fit() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    job_ok(&job, &["--set", "models.*.robust=CR2", "--set", "models.full.cluster=school"]);
    let data = folder.join("data/a.parquet");
    let alone = fit_ok(&["y ~ x + sex + (1 | school/class)", &data, "--ml", "--json", "--robust", "CR2"]);
    let alone: serde_json::Value = serde_json::from_str(&alone).expect("JSON");
    let of_job = json(&folder, "results/full/fit.json");
    assert_eq!(of_job["robust"]["type"], "CR2");
    for i in 0..3 {
        let error = |fit: &serde_json::Value| fit["robust"]["coefficients"][i]["std_error"].as_f64().expect("a number");
        assert!((error(&alone) - error(&of_job)).abs() < 1e-8 * error(&alone), "coefficient {i}");
    }
    job_err(&job, &["--set", "models.full.cluster=school"], &["models.full.cluster", "robust = \"CR2\""]);
}

#[test]
fn finished_models_are_not_fitted_again() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    job_ok(&job, &[]);
    let before = results(&folder.path().join("results"));
    let printed = job_ok(&job, &[]);
    assert_eq!(printed.matches("kept").count(), 2, "{printed}");
    assert_same(&before, &results(&folder.path().join("results")), "the second run");
    assert_eq!(json(&folder, "results/job.json")["reads"].as_array().map(Vec::len), Some(0));
    // If a file was changed, its model is fitted again, and only that one.
    fs::write(folder.join("results/null/summary.txt"), "mine").expect("a file");
    let printed = job_ok(&job, &[]);
    assert_eq!(printed.matches("kept").count(), 1, "{printed}");
    assert_same(&before, &results(&folder.path().join("results")), "after the repair");
    let printed = job_ok(&job, &["--fresh"]);
    assert_eq!(printed.matches("kept").count(), 0, "{printed}");
    assert_same(&before, &results(&folder.path().join("results")), "a fresh run");
    // If a model of a complete job changes, that one is fitted.
    let printed = job_ok(&job, &["--set", "models.null.method=ML"]);
    assert_eq!(printed.matches("kept").count(), 1, "{printed}");
}

#[test]
fn partitions_are_written_as_one_table() {
    let folder = Folder::new();
    folder.parquet("data/a.parquet", states(false));
    let models = "[[models]]\nname = \"by\"\nformula = \"y ~ x + (1 | school)\"\nby = [\"state\"]\n";
    let job = folder.text("job.toml", &with_data("data/a.parquet", models));
    job_ok(&job, &[]);
    assert_eq!(folder.names("results/by"), ["by.parquet", "fit.json", "summary.txt"]);
    let table = folder.join("results/by/by.parquet");
    assert_eq!(labels_of(&table, "state"), ["NV", "TX"]);
    assert_eq!(numbers_of(&table, "n_obs"), [48.0, 48.0]);
    // Each partition has the fit of its rows alone.
    let texas: Vec<_> = states(false).into_iter().map(|column| column_of(column, 0..48)).collect();
    let alone = fit_ok(&["y ~ x + (1 | school)", &folder.parquet("tx.parquet", texas), "--json"]);
    let alone: serde_json::Value = serde_json::from_str(&alone).expect("JSON");
    let effect = &alone["fixed_effects"][1];
    for (column, key) in [("estimate x", "estimate"), ("std_error x", "std_error"), ("df x", "df")] {
        let (one, two) = (numbers_of(&table, column)[1], effect[key].as_f64().expect("a number"));
        assert!((one - two).abs() < 1e-8 * two.abs(), "{column}: {one} and {two}");
    }
    let sd = alone["variance_components"][0]["sd"][0].as_f64().expect("a number");
    assert!((numbers_of(&table, "sd school (Intercept)")[1] - sd).abs() < 1e-8, "{sd}");
}

fn column_of(mut column: OutColumn, rows: Range<usize>) -> OutColumn {
    column.values = match column.values {
        OutValues::F64(values) => OutValues::F64(values[rows].to_vec()),
        OutValues::I64(values) => OutValues::I64(values[rows].to_vec()),
        OutValues::Text(values) => OutValues::Text(rows.map(|row| values.get(row)).collect()),
        other => other,
    };
    column
}

#[test]
fn a_bad_partition_is_reported_and_fatal_only_without_continue() {
    let folder = Folder::new();
    folder.parquet("data/a.parquet", states(true));
    let models = "[[models]]\nname = \"by\"\nformula = \"y ~ x + (1 | school)\"\nby = [\"state\"]\n";
    let job = folder.text("job.toml", &with_data("data/a.parquet", models));
    job_err(&job, &[], &["by: state=NV", "on_error"]);
    let ran = tiers_run(&job, &["--set", "run.on_error=continue"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("1 of 2 fitted, 1 failed") && ran.err.contains("state=NV"), "{ran:?}");
    let table = folder.join("results/by/by.parquet");
    assert_eq!(labels_of(&table, "status")[0], "failed");
    assert!(numbers_of(&table, "estimate x")[0].is_nan() && numbers_of(&table, "estimate x")[1].is_finite());
    assert_ne!(labels_of(&table, "message")[0], "");
}

#[test]
fn a_bad_model_stops_the_job_only_without_continue() {
    let folder = Folder::new();
    let bad = "[[models]]\nname = \"bad\"\nformula = \"y ~ x + (1 | student)\"\n";
    let job = job(&folder, &format!("{bad}{MODELS}"));
    job_err(&job, &[], &["bad: "]);
    assert_eq!(json(&folder, "results/status.json")["state"], "failed");
    let ran = tiers_run(&job, &["--set", "run.on_error=continue"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("bad: not fitted: ") && ran.out.contains("full"), "{ran:?}");
    assert_eq!(folder.names("results"), ["full", "job.json", "manifest.json", "null", "status.json"]);
    assert!(json(&folder, "results/manifest.json")["failed"]["bad"].is_string());
}

#[test]
fn a_model_that_does_not_converge_exits_2() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    let ran = tiers_run(&job, &["--set", "models.full.max_evaluations=2"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.out.contains("NOT CONVERGED"), "{ran:?}");
    assert_eq!(json(&folder, "results/full/fit.json")["status"], "not_converged");
}

#[test]
fn paths_are_relative_to_the_job_file() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    let ran = run(command(&job, &[]).current_dir("/"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let before = results(&folder.path().join("results"));
    let ran = run(command("job.toml", &["--fresh"]).current_dir(folder.path()));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_same(&before, &results(&folder.path().join("results")), "from another folder");
}

#[test]
fn a_quiet_job_that_fails_says_why() {
    let folder = Folder::new();
    let bad = "[[models]]\nname = \"bad\"\nformula = \"y ~ x + (1 | student)\"\n";
    let job_of_bad = job(&folder, &format!("{bad}{MODELS}"));
    let quiet =
        |job: &str, set: &[&str]| tiers_run(job, &[&["--quiet", "--set", "run.on_error=continue"], set].concat());
    let ran = quiet(&job_of_bad, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert!(ran.err.contains("not fitted") && ran.err.contains("bad") && ran.err.contains("ERROR"), "{ran:?}");

    let by = "[[models]]\nname = \"by\"\nformula = \"y ~ x + (1 | school)\"\nby = [\"student\"]\n";
    let job_of_parts = job(&folder, by);
    for _ in 0..2 {
        let ran = quiet(&job_of_parts, &["--set", "output.folder=parts"]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        assert!(ran.err.contains("no partition was fitted") && ran.err.contains("model=\"by\""), "{ran:?}");
    }

    let job = job(&folder, MODELS);
    for _ in 0..2 {
        let ran = quiet(&job, &["--set", "models.full.max_evaluations=2", "--set", "output.folder=slow"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
        assert!(ran.err.contains("did not converge") && ran.err.contains("model=\"full\""), "{ran:?}");
    }
}
