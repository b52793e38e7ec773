//! Saved fits and moments whose files were altered or do not belong together.

use crate::support::{Folder, fit_err, fit_ok, program, run, run_err, run_ok, students};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const MODEL: &str = "y ~ x * sex + (1 + x | school)";

/// Creates a folder with a fit in `fit`, and one of another response in `other`.
fn fits() -> Folder {
    let folder = Folder::new();
    let data = folder.parquet("data/a.parquet", students());
    fit_ok(&[MODEL, &data, "--out", &folder.join("fit"), "--quiet"]);
    fit_ok(&["z ~ x * sex + (1 + x | school)", &data, "--out", &folder.join("other"), "--quiet"]);
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::remove_dir_all(to).ok();
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).expect("a copy")),
        }
    }
}

/// Changes a JSON file.
fn change(path: &str, change: &dyn Fn(&mut Value)) {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path).expect("a file")).expect("JSON");
    change(&mut value);
    fs::write(path, value.to_string()).expect("a file");
}

/// Removes the fingerprint of a fit, so that it is like one of tiers 0.1.0.
pub(crate) fn unseal(fit: &str) {
    change(&format!("{fit}/fit.json"), &|json| {
        json.as_object_mut().expect("an object").retain(|key, _| key != "fingerprint" && key != "files");
    });
    change(&format!("{fit}/model.json"), &|json| json["tiers_model"] = json!(1));
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/saved_0_1_0").join(name)
}

#[test]
fn an_altered_fit_is_an_error() {
    let folder = fits();
    let (fit, data) = (folder.join("v"), folder.join("data/a.parquet"));
    let again = || copy(Path::new(&folder.join("fit")), Path::new(&fit));
    let alter = |file: &str, how: &dyn Fn(&mut Value)| {
        again();
        change(&format!("{fit}/{file}"), how);
    };
    let out = folder.join("p.parquet");
    let questions: [&[&str]; 5] = [
        &["means", &fit, "--test", "x=0"],
        &["confint", &fit, "--method", "wald"],
        &["anova", &fit],
        &["predict", &fit, &data, "--out", &out],
        &["compare", &fit, &fit],
    ];
    alter("model.json", &|json| json["fixed"]["inference"]["beta"][1] = json!(50.0));
    questions
        .iter()
        .for_each(|question| drop(run_err(question, &["model.json", "fingerprint", "Fit the model again"])));
    alter("fit.json", &|json| json["fixed_effects"][0]["p_value"] = json!(0.5));
    questions.iter().for_each(|question| drop(run_err(question, &["fit.json", "was changed", "Fit the model again"])));
    // Changed white space is an error, too.
    again();
    let text = fs::read_to_string(folder.join("v/fit.json")).expect("a file");
    folder.text("v/fit.json", &(text + "\n"));
    run_err(&["anova", &fit], &["fit.json", "was changed"]);
    // Removing the fingerprint does not make it a fit of an older version.
    alter("fit.json", &|json| drop(json.as_object_mut().expect("an object").remove("fingerprint")));
    run_err(&["anova", &fit], &["fit.json", "fingerprint"]);
}

#[test]
fn mixed_files_of_two_fits_are_errors() {
    let folder = fits();
    let (fit, data) = (folder.join("v"), folder.join("data/a.parquet"));
    let mix = |file: &str| {
        copy(Path::new(&folder.join("fit")), Path::new(&fit));
        fs::copy(folder.join(&format!("other/{file}")), folder.join(&format!("v/{file}"))).expect("a copy");
    };
    for file in ["fit.json", "model.json"] {
        mix(file);
        run_err(&["anova", &fit], &["model.json", "belongs to another fit"]);
    }
    mix("random_effects/school.parquet");
    run_ok(&["anova", &fit]);
    let out = folder.join("p.parquet");
    let words = ["school.parquet", "belongs to another fit", "Fit the model again"];
    run_err(&["predict", &fit, &data, "--out", &out], &words);
    run_err(&["ranef", &fit], &words);
    fs::remove_file(folder.join("v/random_effects/school.parquet")).expect("removed");
    run_err(&["ranef", &fit], &["school.parquet", "fit the model again"]);
    fs::write(folder.join("v/random_effects/school.csv"), "school,term\n").expect("a file");
    let words = ["school.csv", "belongs to another fit", "Fit the model again"];
    run_err(&["ranef", &fit], &words);
    run_err(&["predict", &fit, &data, "--out", &out], &words);
}

#[test]
fn impossible_values_are_errors_even_without_a_fingerprint() {
    let folder = fits();
    let (fit, data) = (folder.join("v"), folder.join("data/a.parquet"));
    let alter = |file: &str, how: &dyn Fn(&mut Value)| {
        copy(Path::new(&folder.join("fit")), Path::new(&fit));
        unseal(&fit);
        change(&format!("{fit}/{file}"), how);
    };
    let words = ["v: ", "fit the model again"];
    let pop = |value: &mut Value| drop(value.as_array_mut().expect("an array").pop());
    type Change<'a> = &'a dyn Fn(&mut Value);
    let of_fit: [Change<'_>; 10] = [
        &|j| pop(&mut j["variance_components"][0]["correlation"]),
        &|j| j["levels"][0]["name"] = json!("other"),
        &|j| {
            let terms = j["variance_components"][0]["terms"].as_array().expect("an array").clone();
            j["variance_components"][0]["terms"] = json!([terms.clone(), terms].concat());
        },
        &|j| j["levels"] = json!([]),
        &|j| j["n_obs"] = json!(0),
        &|j| j["theta"][1] = json!(7.5),
        &|j| j["sigma"] = json!(-1.0),
        &|j| j["fixed_effects"][2]["estimate"] = json!(7.5),
        &|j| j["aic"] = json!(7.5),
        &|j| pop(&mut j["icc"]),
    ];
    for change in of_fit {
        alter("fit.json", change);
        run_err(&["diagnose", &fit], &words);
        run_err(&["confint", &fit, "--method", "wald"], &words);
    }
    let of_model: [Change<'_>; 9] = [
        &|j| j["fixed"]["inference"]["shifted"][0][0] = json!(-1.0),
        &|j| j["fixed"]["inference"]["beta"][1] = json!(50.0),
        &|j| j["fixed"]["coefficients"] = json!([0, 1, 2, 99]),
        &|j| pop(&mut j["fixed"]["coefficients"]),
        &|j| j["fixed"]["inference"]["settings"]["df"] = json!("none"),
        &|j| j["fixed"]["cross"][1][1] = json!(-4.0),
        &|j| j["definition"]["formula"] = json!("y ~ x + sex + (1 | school)"),
        &|j| j["fingerprint"]["mean"] = json!(3.0),
        &|j| j["max_evaluations"] = json!(0),
    ];
    for change in of_model {
        alter("model.json", change);
        run_err(&["anova", &fit], &["v: "]);
        run_err(&["predict", &fit, &data, "--out", &folder.join("p.parquet")], &["v: "]);
    }
    // The effects of another fit with other variances.
    alter("fit.json", &|_| ());
    let effects = "random_effects/school.parquet";
    fs::copy(folder.join(&format!("other/{effects}")), folder.join(&format!("v/{effects}"))).expect("a copy");
    for question in [&["ranef", &fit][..], &["predict", &fit, &data, "--out", &folder.join("p.parquet")]] {
        run_err(question, &["school.parquet", "not those of the variances", "fit the model again"]);
    }
    // Files of two fits that have only their data in common.
    alter("fit.json", &|_| ());
    fs::copy(folder.join("other/model.json"), folder.join("v/model.json")).expect("a copy");
    change(&folder.join("v/model.json"), &|json| json["tiers_model"] = json!(1));
    run_err(&["anova", &fit], &words);
}

/// The fit was written by the first release, on another machine.
#[test]
fn a_fit_of_the_first_version_is_read_with_a_note() {
    let folder = Folder::new();
    copy(&golden("fit"), &folder.path().join("fit"));
    let fit = folder.join("fit");
    let data = crate::support::dataset("sleepstudy");
    let asked = |arguments: &[&str]| {
        let ran = run(program().args(arguments));
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains("note: ") && ran.err.contains("tiers 0.1.0 without a fingerprint"), "{ran:?}");
        ran.out
    };
    let anova = asked(&["anova", &fit]);
    assert!(anova.contains("Days  30031   30031     1    17  45.853 3.26e-06"), "{anova}");
    let wald = asked(&["confint", &fit, "--method", "wald"]);
    assert!(wald.contains("7.4") || wald.contains("Days"), "{wald}");
    asked(&["ranef", &fit]);
    asked(&["diagnose", &fit, "--data", &data]);
    asked(&["predict", &fit, &data, "--out", &folder.join("p.parquet"), "--quiet"]);
    assert_eq!(crate::support::numbers_of(&folder.join("p.parquet"), "prediction").len(), 180);
    // Its numbers equal those of a new fit.
    let now = folder.join("now");
    fit_ok(&["Reaction ~ Days + (1 + Days | Subject)", &data, "--out", &now, "--quiet"]);
    assert_eq!(run_ok(&["anova", &now]), anova);
}

#[test]
fn moments_of_the_first_version_are_read() {
    let folder = Folder::new();
    copy(&golden("moments"), &folder.path().join("moments"));
    let moments = folder.join("moments");
    let summary = fit_ok(&["--moments", &moments]);
    assert!(summary.contains("1743.6"), "{summary}");
    change(&format!("{moments}/moments.json"), &|json| json["columns"][1]["shift"] = json!(4.0));
    fit_err(&["--moments", &moments], &["fingerprint", "Make the moments again"]);
}

#[test]
fn altered_moments_are_errors() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", students());
    let parts = ["one", "two"].map(|name| folder.join(name));
    for (part, response) in parts.iter().zip(["y", "z"]) {
        run_ok(&["moments", &format!("{response} ~ x + (1 | school)"), &data, "--out", part, "--quiet"]);
    }
    let moments = folder.join("v");
    for file in ["cells.parquet", "totals.parquet", "moments.json"] {
        copy(Path::new(&parts[0]), Path::new(&moments));
        let path = folder.join(&format!("v/{file}"));
        let mut bytes = fs::read(&path).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).expect("a file");
        fit_err(&["--moments", &moments], &[file, "ake the moments again"]);
        fs::copy(folder.join(&format!("two/{file}")), &path).expect("a copy");
        fit_err(&["--moments", &moments], &["ake the moments again"]);
        fs::remove_file(&path).expect("removed");
        fit_err(&["--moments", &moments], &[file]);
    }
}
