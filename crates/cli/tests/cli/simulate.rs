//! `tiers simulate`: the files it writes, and errors of specifications.

use crate::support::{Folder, Ran, labels_of, numbers_of, program, run};
use serde_json::Value;
use std::collections::HashSet;

/// Creates a folder with the example as `spec.toml`, with some text replaced.
fn folder_with(changes: &[(&str, &str)]) -> Folder {
    let example = simulate(&["--example"]);
    assert_eq!((example.code, example.err.as_str()), (0, ""));
    let mut text = example.out;
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in the example");
        text = text.replace(from, to);
    }
    let folder = Folder::new();
    folder.text("spec.toml", &text);
    folder
}

fn simulate(arguments: &[&str]) -> Ran {
    run(program().arg("simulate").args(arguments))
}

/// Simulates to a file of the folder, which must succeed; returns the bytes.
fn simulated(folder: &Folder, name: &str, options: &[&str]) -> Vec<u8> {
    let (spec, out) = (folder.join("spec.toml"), folder.join(name));
    let ran = simulate(&[&[spec.as_str(), "--out", &out], options].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    std::fs::read(out).expect("the file is there")
}

fn json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON")
}

/// Returns all columns as text, row by row.
fn rows(path: &str) -> Vec<String> {
    let columns: Vec<Vec<String>> = ["school", "class", "minority"].iter().map(|name| labels_of(path, name)).collect();
    let numbers = ["ses", "pretest", "female", "treat", "class_size", "score"].map(|name| numbers_of(path, name));
    let row = |i: usize| {
        let labels: Vec<&str> = columns.iter().map(|column| column[i].as_str()).collect();
        let numbers: Vec<String> = numbers.iter().map(|column| format!("{:x}", column[i].to_bits())).collect();
        labels.join("|") + "|" + &numbers.join("|")
    };
    (0..columns[0].len()).map(row).collect()
}

#[test]
fn files_do_not_depend_on_the_number_of_threads() {
    let folder = folder_with(&[]);
    for options in [&["--rows", "300001"][..], &["--rows", "1300000", "--shuffle"]] {
        let one = simulated(&folder, "1.parquet", &[options, &["--threads", "1"]].concat());
        let three = simulated(&folder, "3.parquet", &[options, &["--threads", "3"]].concat());
        assert!(one == three, "{options:?}");
    }
    assert_eq!(folder.names(""), ["1.parquet", "1.truth.json", "3.parquet", "3.truth.json", "spec.toml"]);
}

#[test]
fn a_longer_file_begins_with_the_rows_of_a_shorter_one_and_shuffling_keeps_the_rows() {
    let folder = folder_with(&[]);
    simulated(&folder, "short.parquet", &["--rows", "30000"]);
    simulated(&folder, "long.parquet", &["--rows", "90001"]);
    simulated(&folder, "shuffled.parquet", &["--rows", "90001", "--shuffle"]);
    let [short, long, shuffled] =
        ["short", "long", "shuffled"].map(|name| rows(&folder.join(&format!("{name}.parquet"))));
    assert_eq!((short.len(), long.len(), shuffled.len()), (30_000, 90_001, 90_001));
    assert!(short[..] == long[..30_000]);
    assert!(long != shuffled);
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    let moved = long.iter().zip(&shuffled).filter(|(a, b)| a != b).count();
    assert!(moved > 89_900, "{moved}");
    assert!(sorted(long) == sorted(shuffled));
}

#[test]
fn ids_are_reused_within_schools() {
    let folder = folder_with(&[]);
    let path = folder.join("a.parquet");
    simulated(&folder, "a.parquet", &[]);
    let (school, class) = (labels_of(&path, "school"), labels_of(&path, "class"));
    assert_eq!((school[0].as_str(), class[0].as_str()), ("S000001", "C01"));
    assert!(class.iter().collect::<HashSet<_>>().len() <= 30);
    let truth = json(&folder.join("a.truth.json"));
    let groups = |level: usize| truth["levels"][level]["groups"].as_u64().unwrap() as usize;
    assert_eq!(school.iter().collect::<HashSet<_>>().len(), groups(0));
    assert_eq!(school.iter().zip(&class).collect::<HashSet<_>>().len(), groups(1));
}

#[test]
fn seeds_and_missing_values_are_respected() {
    let folder = folder_with(&[("missing = 0.0", "missing = 0.05"), ("labels =", "missing = 0.5\nlabels =")]);
    let path = folder.join("a.parquet");
    let first = simulated(&folder, "a.parquet", &["--shuffle"]);
    let missing = numbers_of(&path, "score").iter().filter(|score| score.is_nan()).count();
    assert!((4700..5300).contains(&missing), "{missing}");
    assert!(first != simulated(&folder, "a.parquet", &["--shuffle", "--seed", "2"]), "and it replaces a file");
    assert_eq!(json(&folder.join("a.truth.json"))["seed"], 2);
}

/// Estimates are within four standard errors of the truth. The file is named without a folder.
#[test]
fn a_fit_recovers_the_truth() {
    let slopes = "random = { \"(Intercept)\" = 0.30, pretest = 0.10 }\ncorrelation = { \"(Intercept):pretest\" = 0.3 }";
    let changes =
        [("random = { \"(Intercept)\" = 0.30 }", slopes), ("treat = 0.20", "treat = 0.20\n\"ses:pretest\" = 0.1")];
    let folder = folder_with(&changes);
    simulated(&folder, "a.parquet", &["--seed", "3"]);
    let truth = json(&folder.join("a.truth.json"));
    let formula = truth["formula"].as_str().unwrap();
    let ran = run(program().current_dir(folder.path()).args(["fit", formula, "a.parquet", "--json"]));
    assert_eq!(ran.code, 0, "{ran:?}");
    let fit: Value = serde_json::from_str(&ran.out).unwrap();

    let effects = fit["fixed_effects"].as_array().unwrap();
    assert_eq!(effects.len(), truth["fixed_effects"].as_array().unwrap().len());
    for (found, true_one) in effects.iter().zip(truth["fixed_effects"].as_array().unwrap()) {
        assert_eq!(found["term"], true_one["term"]);
        let number = |value: &Value| value.as_f64().unwrap();
        let distance = number(&found["estimate"]) - number(&true_one["value"]);
        assert!(distance.abs() < 4.0 * number(&found["std_error"]), "{found} against {true_one}");
    }
    let sigma = fit["sigma"].as_f64().unwrap();
    assert!((sigma - 1.0).abs() < 4.0 / (2.0 * 95_000f64).sqrt(), "{sigma}");
    for (component, level) in
        truth["variance_components"].as_array().unwrap().iter().zip(truth["levels"].as_array().unwrap())
    {
        let found =
            fit["variance_components"].as_array().unwrap().iter().find(|c| c["level"] == component["level"]).unwrap();
        assert_eq!(found["terms"], component["terms"]);
        // Twice the relative error of a standard deviation of effects that are observed without noise.
        let relative = 2.0 / (2.0 * level["groups"].as_f64().unwrap()).sqrt();
        for (found, sd) in found["sd"].as_array().unwrap().iter().zip(component["sd"].as_array().unwrap()) {
            let (found, sd) = (found.as_f64().unwrap(), sd.as_f64().unwrap());
            assert!((found / sd - 1.0).abs() < 4.0 * relative, "{found} against {sd} at {level}");
        }
    }
}

#[test]
fn a_dry_run_reports_and_writes_nothing() {
    let folder = folder_with(&[]);
    let ran = simulate(&[&folder.join("spec.toml"), "--dry-run", "--shuffle", "--rows", "5000000"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for words in ["5000000", "school:class", " MB", "temporary file", "score ~ ses"] {
        assert!(ran.out.contains(words), "{words:?} is not in {}", ran.out);
    }
    assert_eq!(folder.names(""), ["spec.toml"]);
}

#[test]
fn errors_leave_nothing_behind() {
    let folder = folder_with(&[]);
    let spec = folder.join("spec.toml");
    let check = |arguments: &[&str], words: &[&str]| {
        let ran = simulate(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{arguments:?}: {ran:?}");
        for word in words {
            assert!(ran.err.contains(word), "{word:?} is not in {}", ran.err);
        }
    };
    check(&[], &["SPEC"]);
    check(&[&spec], &["--out"]);
    check(&[&spec, "--out", &folder.join("a.csv")], &["a.csv", ".parquet"]);
    check(&[&spec, "--out", &folder.join("none/a.parquet")], &["none/a.parquet"]);
    check(&[&spec, "--out", &folder.join("none/a.parquet"), "--shuffle"], &["none/a.parquet"]);
    check(&[&spec, "--out", &folder.join("a.parquet"), "--rows", "0"], &["spec.toml: rows", "at least one"]);
    check(&["none.toml", "--out", &folder.join("a.parquet")], &["none.toml", "--example"]);
    let wrong = folder.text("wrong.toml", "rows = 10\n[response]\nname = \"y\"\nsd = 1\n");
    check(&[&wrong, "--dry-run"], &["wrong.toml, line 4, column 1", "`sd`", "residual_sd"]);
    assert_eq!(folder.names(""), ["spec.toml", "wrong.toml"]);
}

#[test]
fn folders_in_the_place_of_files_are_errors_at_once() {
    let folder = folder_with(&[]);
    std::fs::create_dir_all(folder.path().join("a.parquet")).unwrap();
    std::fs::create_dir_all(folder.path().join("b.truth.json")).unwrap();
    for (name, word) in [("a.parquet", "folder"), ("b.parquet", "b.truth.json")] {
        let ran = simulate(&[&folder.join("spec.toml"), "--out", &folder.join(name), "--shuffle"]);
        assert!(ran.code == 1 && ran.err.contains(word), "{ran:?}");
    }
    assert_eq!(folder.names(""), ["a.parquet", "b.truth.json", "spec.toml"]);
}
