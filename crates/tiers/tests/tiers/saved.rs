//! Folders that fits are saved to.

use std::fs;
use std::path::PathBuf;
use tiers::{Fit, Table, lmm};
use tiers_report::saved::Texts;

fn fit() -> Fit {
    let table: Table = tiers::doc::schools();
    lmm("score ~ pretest + (1 | school)").fit(&table).expect("a fit")
}

/// A folder of this test alone, empty.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn a_saved_fit_is_read_again_and_sealed() {
    let (fit, at) = (fit(), folder("saved"));
    let results = at.join("results");
    fit.save(&results).expect("saved");
    let read = |name: &str| fs::read_to_string(results.join(name)).expect("a file");
    let texts = Texts::read("results", &read("fit.json"), &read("model.json")).expect("a saved fit");
    assert_eq!(&texts.report.fit, fit.estimates());
    assert_eq!(read("summary.txt"), fit.to_string());
    assert_eq!(texts.report.seal.holds(&results, "random_effects/school.csv").ok(), Some(true));
    let effects = read("random_effects/school.csv");
    assert_eq!(effects.lines().count(), 7);
    assert!(effects.starts_with("school,term,estimate,conditional_sd,prediction_sd\na,(Intercept),"), "{effects}");
    let damaged = read("fit.json").replacen("\"sigma\": 1", "\"sigma\": 2", 1);
    assert!(damaged == read("fit.json") || Texts::read("results", &damaged, &read("model.json")).is_err());
}

#[test]
fn a_folder_that_is_there_is_not_overwritten() {
    let (fit, at) = (fit(), folder("there"));
    let error = fit.save(&at).expect_err("it is there").to_string();
    assert!(error.contains("there already"), "{error}");
}

#[test]
fn nothing_is_left_of_results_that_cannot_be_written() {
    let (fit, at) = (fit(), folder("unwritable"));
    fs::write(at.join("file"), "no folder").expect("a file");
    let error = fit.save(at.join("file/results")).expect_err("a file is in the way").to_string();
    assert!(error.contains("cannot be written"), "{error}");
    assert_eq!(fs::read_dir(&at).expect("a folder").count(), 1);
}
