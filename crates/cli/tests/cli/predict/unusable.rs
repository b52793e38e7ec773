//! New data, options, files and folders that cannot be used.

use super::{fitted, predict, predict_err};
use crate::saved::unseal;
use crate::support::{ROWS, integers, numbers, program, run, students, students_with, texts, without};
use std::fs;
use tiers_outputs::OutValues;

#[test]
fn unusable_columns_are_errors() {
    let folder = fitted();
    let (fit, out) = (folder.join("fit"), folder.join("p.parquet"));
    let file = |name: &str, columns| folder.parquet(name, columns);
    let lacking = |name: &str| {
        let mut columns = students();
        columns.retain(|column| column.name != name);
        columns
    };
    let refuse = |new: &str, options: &[&str], words: &[&str]| {
        predict_err(&folder, &[&[&fit, new, "--out", &out], options].concat(), words);
    };
    refuse(&file("d/a.parquet", lacking("x")), &[], &["a.parquet", "no column `x`", "columns are y, z, school"]);
    refuse(&file("d/b.parquet", lacking("class")), &[], &["no column `class`", "school:class", "--level school"]);
    refuse(&file("d/c.parquet", lacking("school")), &["--level", "school"], &["`school`", "--population"]);
    predict(&[&fit, &file("d/c.parquet", lacking("school")), "--population", "--out", &folder.join("d/ok.parquet")]);
    let words = students_with(texts("x", (0..ROWS).map(|i| format!("{i}!"))));
    refuse(&file("d/e.parquet", words), &["--se"], &["e.parquet", "`x`", "text", "number"]);
    let sexes = students_with(texts("sex", (0..ROWS).map(|i| if i == 17 { "X" } else { "F" })));
    refuse(&file("d/f.parquet", sexes), &[], &["f.parquet", "`sex`", "`X`", "row 18", "F, M"]);
    let infinite = students_with(numbers("x", (0..ROWS).map(|i| if i == 5 { f64::INFINITY } else { 0.0 })));
    refuse(&file("d/g.parquet", infinite), &[], &["g.parquet", "`x`", "row 6"]);
    let halves = students_with(numbers("school", (0..ROWS).map(|i| i as f64 + 0.5)));
    refuse(&file("d/h.parquet", halves), &[], &["school", "row 1", "whole number"]);
    let none = students().into_iter().map(|mut column| {
        column.values = match column.values {
            OutValues::F64(_) => OutValues::F64(Vec::new()),
            OutValues::I64(_) => OutValues::I64(Vec::new()),
            _ => OutValues::Text(Vec::<&str>::new().iter().collect()),
        };
        column
    });
    refuse(&file("d/i.parquet", none.collect()), &[], &["i.parquet", "no rows"]);
    refuse(&folder.text("d/j.parquet", ""), &[], &["j.parquet", "empty"]);
    refuse(&folder.join("d/none.parquet"), &[], &["none.parquet", "no such file"]);
    // A level that only incomplete rows have does not matter.
    let mut columns = students_with(texts("sex", (0..ROWS).map(|i| if i == 17 { "X" } else { "F" })));
    columns.retain(|column| column.name != "x");
    columns.push(without(numbers("x", (0..ROWS).map(|_| 1.0)), |i| i == 17));
    predict(&[&fit, &file("d/k.parquet", columns), "--out", &folder.join("d/ok.parquet")]);
}

#[test]
fn errors_name_the_file_of_the_row() {
    let folder = fitted();
    folder.parquet("new/1.parquet", students());
    folder.parquet("new/2.parquet", students_with(texts("sex", (0..ROWS).map(|i| if i == 3 { "X" } else { "M" }))));
    let arguments = [&folder.join("fit"), &folder.join("new"), "--out", &folder.join("p.parquet")];
    predict_err(&folder, &arguments, &["2.parquet", "row 100", "over all files"]);
}

#[test]
fn invalid_options_are_errors() {
    let folder = fitted();
    let (fit, data, out) = (folder.join("fit"), folder.join("data/students.parquet"), folder.join("p.parquet"));
    let refuse = |options: &[&str], words: &[&str]| {
        predict_err(&folder, &[&[&fit, &data, "--out", &out], options].concat(), words);
    };
    refuse(&["--level", "shcool"], &["shcool", "school, school:class"]);
    refuse(&["--keep", "nobody"], &["--keep nobody", "students.parquet", "student"]);
    refuse(&["--interval", "prediction", "--conf-level", "95"], &["--conf-level 95", "0.95"]);
    for fit in ["data", "nothing", "data/students.parquet"] {
        predict_err(&folder, &[&folder.join(fit), &data, "--out", &out], &[fit, "tiers fit"]);
    }
}

#[test]
fn files_that_are_read_are_not_overwritten() {
    let folder = fitted();
    let (fit, data) = (folder.join("fit"), folder.join("data/students.parquet"));
    let new = folder.parquet("new.parquet", students());
    for (out, options) in [
        ("new.parquet", &[][..]),
        ("fit/../new.parquet", &[]),
        ("fit/random_effects/school.parquet", &[]),
        ("fit/fit.json", &[]),
        ("data/students.parquet", &["--se"]),
    ] {
        let path = folder.join(out);
        let before = fs::read(&path).expect("a file");
        predict_err(&folder, &[&[&fit, &new, "--out", &path], options].concat(), &["--out", "another file"]);
        assert!(before == fs::read(&path).expect("a file"), "{out}");
    }
    predict_err(&folder, &[&fit, &data, "--out", &folder.join("data")], &["--out", "folder"]);
    predict_err(&folder, &[&fit, &data, "--out", &folder.join("none/p.parquet")], &["--out", "no folder"]);
    #[cfg(target_os = "linux")]
    predict_err(&folder, &[&fit, &data, "--out", "/proc/p.parquet"], &["/proc/p.parquet"]);
}

#[test]
fn altered_random_effects_are_errors() {
    let folder = fitted();
    let (fit, data, out) = (folder.join("fit"), folder.join("data/students.parquet"), folder.join("p.parquet"));
    let effects = folder.join("fit/random_effects/school.parquet");
    fs::remove_file(&effects).expect("removed");
    predict_err(&folder, &[&fit, &data, "--out", &out], &["school.parquet", "no such file", "--population"]);
    let some = |term: [&str; 4]| {
        let zeros = ["estimate", "prediction_sd", "standardised"].map(|name| numbers(name, [0.0; 4]));
        [vec![integers("school", [0, 0, 1, 1]), texts("term", term)], zeros.into()].concat()
    };
    folder.parquet("fit/random_effects/school.parquet", some(["(Intercept)", "z", "(Intercept)", "z"]));
    predict_err(&folder, &[&fit, &data, "--out", &out], &["school.parquet", "fingerprint"]);
    // A fit of tiers 0.1.0, without a fingerprint.
    unseal(&fit);
    folder.parquet("fit/random_effects/school.parquet", some(["(Intercept)", "z", "(Intercept)", "z"]));
    predict_err(&folder, &[&fit, &data, "--out", &out], &["school.parquet", "2 groups", "6"]);
    folder.parquet("fit/random_effects/school.parquet", some(["(Intercept)", "z", "z", "(Intercept)"]));
    predict_err(&folder, &[&fit, &data, "--out", &out], &["school.parquet", "terms"]);
    assert_eq!(run(program().args(["predict", &fit, &data, "--out", &out, "--population", "--quiet"])).code, 0);
}
