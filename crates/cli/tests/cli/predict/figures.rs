//! Predictions for rows of the fit and for others, with errors, and the report of the run.

use super::{fitted, predict, predict_err};
use crate::support::{
    Folder, ROWS, dataset, fit_ok, integers, labels_of, numbers, numbers_of, program, run, students, students_with,
    texts, without,
};
use serde_json::Value;
use std::fs;
use tiers_outputs::{OutColumn, OutValues};
use tiers_testkit::{Checks, Tolerance};

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().expect("figures").iter().map(|v| v.as_f64().expect("a number")).collect()
}

/// Converts a table in JSON to columns.
fn table(value: &Value) -> Vec<OutColumn> {
    let column = |(name, values): (&String, &Value)| {
        let values = values.as_array().expect("a column");
        match (&values[0], name.ends_with("id") || name == "Subject") {
            (Value::String(_), _) => texts(name, values.iter().map(|v| v.as_str().expect("a text"))),
            (_, true) => integers(name, values.iter().map(|v| v.as_i64().expect("an id"))),
            (_, false) => numbers(name, values.iter().map(|v| v.as_f64().expect("a number"))),
        }
    };
    value.as_object().expect("columns").iter().map(column).collect()
}

#[test]
fn predictions_match_lme4_and_the_full_covariance_matrix() {
    let golden: Value = serde_json::from_str(include_str!("predictions.json")).expect("valid JSON");
    for (name, case) in golden.as_object().expect("cases") {
        let folder = Folder::new();
        let text = |key: &str| case[key].as_str().expect("a text").to_owned();
        let (fit, out) = (folder.join("fit"), folder.join("p.parquet"));
        fit_ok(&[&text("formula"), &dataset(&text("dataset")), "--out", &fit, "--quiet"]);
        let new = folder.parquet("new.parquet", table(&case["new"]));
        let coarsest = text("coarsest");
        for (set, which) in [("all", &[][..]), ("coarsest", &["--level", &coarsest]), ("population", &["--population"])]
        {
            let figures = |key: &str| floats(&case["sets"][set][key]);
            let mut checks = Checks::new(format!("{name} {set}"));
            predict(&[&[&fit, &new, "--out", &out, "--quiet"], which].concat());
            let close = Tolerance::both(1e-6, 1e-6);
            checks.slice("prediction", &numbers_of(&out, "prediction"), &figures("prediction"), close);
            for (kind, error) in [("confidence", "std_error"), ("prediction", "response_error")] {
                let interval = ["--se", "--interval", kind, "--conf-level", "0.9"];
                predict(&[&[&fit, &new, "--out", &out, "--quiet"], which, &interval].concat());
                let (lower, upper) = (numbers_of(&out, "lower"), numbers_of(&out, "upper"));
                let half = |(l, u): (&f64, &f64)| (u - l) / 2.0 / 1.644_853_626_951_472_7;
                let half: Vec<f64> = lower.iter().zip(&upper).map(half).collect();
                checks.slice("prediction again", &numbers_of(&out, "prediction"), &figures("prediction"), close);
                checks.slice("std_error", &numbers_of(&out, "std_error"), &figures("std_error"), close);
                checks.slice(kind, &half, &figures(error), close);
            }
            checks.finish();
        }
    }
}

#[test]
fn rows_of_the_fit_have_its_fitted_values() {
    let folder = fitted();
    let (fit, data, out) = (folder.join("fit"), folder.join("data/students.parquet"), folder.join("p.parquet"));
    let fitted_path = folder.join("fit/fitted.parquet");
    for (options, column) in
        [(&[][..], "fitted"), (&["--se"], "fitted"), (&["--population"], "fixed"), (&["--population", "--se"], "fixed")]
    {
        predict(&[&[&fit, &data, "--out", &out, "--quiet"], options].concat());
        let (got, want) = (numbers_of(&out, "prediction"), numbers_of(&fitted_path, column));
        let mut checks = Checks::new(format!("{options:?}"));
        checks.slice(column, &got, &want, Tolerance::both(1e-12, 1e-12));
        checks.finish();
        assert_eq!(numbers_of(&out, "row"), numbers_of(&fitted_path, "row"));
    }
    // x'Cov(β̂)x at the population level.
    let json: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("fit/fit.json")).expect("fit.json")).unwrap();
    let vcov: Vec<Vec<f64>> = json["vcov"].as_array().expect("rows").iter().map(floats).collect();
    let (x, sex) = (numbers_of(&data, "x"), labels_of(&data, "sex"));
    let want: Vec<f64> = (0..ROWS)
        .map(|i| {
            let row = [1.0, x[i], f64::from(u8::from(sex[i] == "M"))];
            let sum = (0..9).map(|at| row[at / 3] * vcov[at / 3][at % 3] * row[at % 3]).sum::<f64>();
            sum.sqrt()
        })
        .collect();
    let mut checks = Checks::new("standard errors of the population");
    checks.slice("std_error", &numbers_of(&out, "std_error"), &want, Tolerance::relative(1e-9));
    checks.finish();
}

#[test]
fn new_groups_and_missing_values_are_reported_and_columns_kept() {
    let folder = fitted();
    let (fit, out) = (folder.join("fit"), folder.join("p.parquet"));
    // Known school and class, a new class, a new school, no school, no x, no z.
    let new = vec![
        texts("name", ["a", "b", "c", "d", "e", "f"]),
        without(integers("school", [0, 0, 77, 0, 1, 1]), |i| i == 3),
        integers("class", [1, 9, 1, 1, 0, 0]),
        without(numbers("x", [1.0, 1.0, 1.0, 1.0, 0.0, 1.0]), |i| i == 4),
        without(numbers("z", [0.5, 0.5, 0.5, 0.5, 0.5, 0.0]), |i| i == 5),
        texts("sex", ["M", "M", "M", "M", "M", "M"]),
        OutColumn::new("row", OutValues::Bool(vec![true, false, true, true, true, true])),
        without(integers("age", [7, 8, 9, 10, 11, 12]), |i| i == 1),
    ];
    let new = folder.parquet("new.parquet", new);
    let text = predict(&[&fit, &new, "--out", &out, "--keep", "name,row,age,x", "--keep", "school"]);
    for line in [
        "Effects:  fixed and random effects of school, school:class\n",
        "Rows:     4 predicted of 6\n",
        "Missing:  2; x 1, z 1\n",
        "New:      rows of groups that the fit has not seen: school 2, school:class 3\n",
        "Written:  ",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let p = numbers_of(&out, "prediction");
    assert!(p[..4].iter().all(|p| p.is_finite()) && p[4].is_nan() && p[5].is_nan(), "{p:?}");
    assert_eq!(p[2], p[3]);
    assert_eq!(labels_of(&out, "name"), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(labels_of(&out, "row_2"), ["TRUE", "FALSE", "TRUE", "TRUE", "TRUE", "TRUE"]);
    let age = numbers_of(&out, "age");
    assert!(age[1].is_nan() && age[0] == 7.0 && age[5] == 12.0);
    assert!(numbers_of(&out, "x")[4].is_nan() && numbers_of(&out, "school")[3].is_nan());
    assert_eq!(labels_of(&out, "known_school"), ["TRUE", "TRUE", "FALSE", "FALSE", "TRUE", "TRUE"]);
    assert_eq!(labels_of(&out, "known_school.class"), ["TRUE", "FALSE", "FALSE", "FALSE", "TRUE", "TRUE"]);
    // With the school alone, the new class of the second row does not matter.
    let school = folder.join("school.parquet");
    predict(&[&fit, &new, "--out", &school, "--level", "school", "--quiet"]);
    let s = numbers_of(&school, "prediction");
    assert_eq!((s[1], s[2], s[0]), (p[1], p[2], s[1]));
    assert_ne!(s[0], p[0]);
    // The fewer groups are known, the larger the error.
    let text = predict(&[&fit, &new, "--out", &out, "--se", "--interval", "prediction", "--json"]);
    let json: Value = serde_json::from_str(&text).expect("valid JSON");
    assert_eq!((&json["rows"], &json["predicted"]), (&Value::from(6), &Value::from(4)));
    assert_eq!(json["levels"][1]["unknown"], 3);
    assert_eq!(json["interval"]["kind"], "prediction");
    let se = numbers_of(&out, "std_error");
    assert!(se[0] < se[1] && se[1] < se[2] && se[2] == se[3] && se[4].is_nan(), "{se:?}");
    assert!(numbers_of(&out, "lower")[4].is_nan() && numbers_of(&out, "upper")[4].is_nan());
}

#[test]
fn ids_match_whether_stored_as_numbers_or_text() {
    let folder = fitted();
    let (fit, data) = (folder.join("fit"), folder.join("data/students.parquet"));
    let (out, other) = (folder.join("p.parquet"), folder.join("q.parquet"));
    let school = texts("school", (0..ROWS).map(|i| (i / 16).to_string()));
    let words = folder.parquet("words.parquet", students_with(school));
    let school = numbers("school", (0..ROWS).map(|i| (i / 16) as f64));
    let floats = folder.parquet("floats.parquet", students_with(school));
    predict(&[&fit, &data, "--out", &out, "--quiet", "--se"]);
    for new in [&words, &floats] {
        predict(&[&fit, new, "--out", &other, "--quiet", "--se"]);
        assert!(fs::read(&out).expect("p") == fs::read(&other).expect("q"), "{new}");
    }
    // A note says that all ids are unknown.
    let school = texts("school", (0..ROWS).map(|i| format!("S{}", i / 16)));
    let strange = folder.parquet("strange.parquet", students_with(school));
    let ran = run(program().args(["predict", &fit, &strange, "--out", &other]));
    assert_eq!(ran.code, 0);
    assert!(ran.err.contains("no row is in a group of school") && ran.err.contains("compare its ids"), "{ran:?}");
}

#[test]
fn a_moved_fit_without_its_data_predicts() {
    let folder = fitted();
    fs::create_dir(folder.path().join("elsewhere")).expect("a folder");
    fs::rename(folder.join("fit"), folder.join("elsewhere/fit")).expect("moved");
    let new = folder.parquet("new.parquet", students());
    fs::rename(folder.join("data/students.parquet"), folder.join("data/old.parquet")).expect("moved");
    let (fit, out) = (folder.join("elsewhere/fit/fit.json"), folder.join("p.parquet"));
    predict(&[&fit, &new, "--out", &out, "--quiet"]);
    fs::remove_file(&out).expect("removed");
    predict_err(&folder, &[&fit, &new, "--out", &out, "--se"], &["students.parquet", "--data"]);
    // A new response needs the variances of all levels, and those the moments; the population's mean does not.
    let population = [&fit, &new, "--out", &out, "--population", "--quiet"];
    let new_response = [&population[..], &["--interval", "prediction"]].concat();
    predict_err(&folder, &new_response, &["students.parquet", "--data"]);
    predict(&[&population[..], &["--se", "--interval", "confidence"]].concat());
    assert!(numbers_of(&out, "std_error").iter().all(|error| *error > 0.0));
    predict(&[&fit, &new, "--out", &out, "--quiet", "--se", "--data", &folder.join("data/old.parquet")]);
}

#[test]
fn predictions_of_many_blocks_do_not_depend_on_the_threads() {
    let folder = Folder::new();
    let n = 100_000;
    let noise = |i: usize, salt: f64| ((i as f64 + salt) * 12.9898).sin() * 43_758.545_3 % 1.0;
    let columns = || {
        vec![
            numbers("y", (0..n).map(|i| noise(i, 1.0) + noise(i / 50, 2.0))),
            numbers("x", (0..n).map(|i| noise(i, 0.5))),
            integers("g", (0..n).map(|i| (i / 50) as i64)),
        ]
    };
    let data = folder.parquet("a.parquet", columns());
    fit_ok(&["y ~ x + (1 + x | g)", &data, "--out", &folder.join("fit"), "--fitted", "--quiet"]);
    let arguments = |out: &str| {
        [
            "predict",
            &folder.join("fit"),
            &data,
            "--out",
            &folder.join(out),
            "--se",
            "--interval",
            "prediction",
            "--quiet",
        ]
        .map(str::to_owned)
    };
    for threads in ["1", "2", "5"] {
        let ran = run(program().args(arguments(&format!("p{threads}.parquet"))).args(["--threads", threads]));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    }
    let bytes = |name: &str| fs::read(folder.join(name)).expect("predictions");
    assert!(bytes("p1.parquet") == bytes("p2.parquet") && bytes("p1.parquet") == bytes("p5.parquet"));
    let (got, want) = (numbers_of(&folder.join("p1.parquet"), "prediction"), folder.join("fit/fitted.parquet"));
    let mut checks = Checks::new("many blocks");
    checks.slice("fitted", &got, &numbers_of(&want, "fitted"), Tolerance::both(1e-12, 1e-12));
    checks.finish();
    assert_eq!(numbers_of(&folder.join("p1.parquet"), "row")[n - 1], n as f64);
}

#[test]
fn weights_offsets_and_transformations_are_applied() {
    let folder = Folder::new();
    let mut columns = students_with(numbers("w", (0..ROWS).map(|i| 0.5 + (i % 3) as f64)));
    columns.push(numbers("e", (0..ROWS).map(|i| (i % 5) as f64)));
    let data = folder.parquet("a.parquet", columns.clone());
    let (fit, out) = (folder.join("fit"), folder.join("p.parquet"));
    let model = "y ~ log(x + 20) + I(z^2) + offset(2 * e) + (1 | school)";
    fit_ok(&[model, &data, "--weights", "w", "--out", &fit, "--fitted", "--quiet"]);
    predict(&[&fit, &data, "--out", &out, "--interval", "prediction", "--se", "--quiet"]);
    let mut checks = Checks::new(model);
    let want = numbers_of(&folder.join("fit/fitted.parquet"), "fitted");
    checks.slice("fitted", &numbers_of(&out, "prediction"), &want, Tolerance::both(1e-12, 1e-12));
    // (half width)² - (se z)² = z² σ² / w
    let json: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("fit/fit.json")).expect("fit.json")).unwrap();
    let sigma = json["sigma"].as_f64().expect("sigma");
    let (lower, upper, se) = (numbers_of(&out, "lower"), numbers_of(&out, "upper"), numbers_of(&out, "std_error"));
    let z = 1.959_963_984_540_054;
    let got: Vec<f64> = (0..ROWS).map(|i| (((upper[i] - lower[i]) / 2.0 / z).powi(2) - se[i].powi(2)).sqrt()).collect();
    let want: Vec<f64> = (0..ROWS).map(|i| sigma / (0.5 + (i % 3) as f64).sqrt()).collect();
    checks.slice("residual", &got, &want, Tolerance::relative(1e-9));
    checks.finish();
    // Without the weights there is no interval for a response; the logarithm of a negative number is missing.
    columns.retain(|column| column.name != "w" && column.name != "y");
    let mut x = numbers("x", (0..ROWS).map(|i| (i % 7) as f64));
    if let OutValues::F64(x) = &mut x.values {
        x[3] = -21.0;
    }
    columns.retain(|column| column.name != "x");
    columns.push(x);
    let new = folder.parquet("new.parquet", columns);
    fs::remove_file(&out).expect("removed");
    predict_err(&folder, &[&fit, &new, "--out", &out, "--interval", "prediction"], &["new.parquet", "`w`", "weight"]);
    let text = predict(&[&fit, &new, "--out", &out, "--interval", "confidence"]);
    assert!(text.contains("95 predicted of 96") && text.contains("log(x + 20) 1"), "{text}");
    assert!(numbers_of(&out, "prediction")[3].is_nan());
}
