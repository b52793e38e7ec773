//! Folders that fits are saved to and loaded from.

use std::fs;
use std::path::PathBuf;
use tiers::{BootstrapSettings, Error, Fit, Interval, IntervalKind, IntervalMethod, Table, lmm};
use tiers_report::saved::Texts;

fn fit() -> Fit {
    let table: Table = tiers::doc::schools();
    lmm("score ~ pretest + (1 + pretest | school)").fit(&table).expect("a fit")
}

/// A folder of this test alone, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Extension of the tables that the library writes.
fn extension() -> &'static str {
    if cfg!(feature = "files") { "parquet" } else { "csv" }
}

#[test]
fn a_saved_fit_is_sealed() {
    let (fit, at) = (fit(), folder("sealed"));
    let results = at.join("results");
    fit.save(&results).expect("saved");
    let read = |name: &str| fs::read_to_string(results.join(name)).expect("a file");
    let texts = Texts::read("results", &read("fit.json"), &read("model.json")).expect("a saved fit");
    assert_eq!(&texts.report.fit, fit.estimates());
    assert_eq!(read("summary.txt"), fit.to_string());
    let effects = format!("random_effects/school.{}", extension());
    assert_eq!(texts.report.seal.holds(&results, &effects).ok(), Some(true));
}

#[test]
#[cfg(not(feature = "files"))]
fn random_effects_are_a_csv_file_with_a_row_per_group_and_term() {
    let (fit, at) = (fit(), folder("csv"));
    fit.save(at.join("results")).expect("saved");
    let effects = fs::read_to_string(at.join("results/random_effects/school.csv")).expect("a file");
    assert_eq!(effects.lines().count(), 1 + 2 * 6);
    let header = "school,term,estimate,conditional_sd,prediction_sd,standardised\na,(Intercept),";
    assert!(effects.starts_with(header), "{effects}");
}

#[test]
fn a_loaded_fit_answers_what_needs_no_moments() {
    let (fit, at) = (fit(), folder("loaded"));
    fit.save(at.join("results")).expect("saved");
    let loaded = Fit::load(at.join("results")).expect("loaded");
    assert_eq!(loaded.to_string(), fit.to_string());
    assert_eq!(loaded.anova(tiers::AnovaType::Three), fit.anova(tiers::AnovaType::Three));
    assert_eq!(loaded.test("pretest = 1").expect("a test"), fit.test("pretest = 1").expect("a test"));
    let intervals = |fit: &Fit| fit.confint(IntervalMethod::Wald, 0.9).expect("intervals");
    assert_eq!(intervals(&loaded), intervals(&fit));
    let (read, made) = (loaded.random_effects("school").expect("read"), fit.random_effects("school").expect("made"));
    assert_eq!((&read.keys, &read.terms, &read.estimate), (&made.keys, &made.terms, &made.estimate));
    assert_eq!((&read.conditional_sd, &read.prediction_sd), (&made.conditional_sd, &made.prediction_sd));
    let new = Table::from_columns([("pretest", vec![9.0, 12.0].into()), ("school", vec!["a", "a new school"].into())]);
    let new = new.expect("a table");
    assert_eq!(loaded.predict(&new).expect("predictions"), fit.predict(&new).expect("predictions"));
}

#[test]
fn a_loaded_fit_with_its_rows_answers_everything() {
    let (fit, at, table) = (fit(), folder("rows"), tiers::doc::schools());
    fit.save(at.join("results")).expect("saved");
    let loaded = Fit::load(at.join("results")).expect("loaded");
    let settings = BootstrapSettings { replicates: 50, ..BootstrapSettings::default() };
    let interval = Interval { kind: IntervalKind::Prediction, level: 0.95 };
    assert!(matches!(loaded.confint(IntervalMethod::Profile, 0.95), Err(Error::NoMoments)));
    assert!(matches!(loaded.confint(IntervalMethod::Bootstrap(settings), 0.9), Err(Error::NoMoments)));
    assert!(matches!(loaded.predict_interval(&table, interval), Err(Error::NoMoments)));
    assert!(matches!(loaded.influence(&table).map(drop), Err(Error::NoMoments)));
    let loaded = loaded.with_rows(&table).expect("the rows of the fit");
    for method in [IntervalMethod::Profile, IntervalMethod::Bootstrap(settings)] {
        assert_eq!(loaded.confint(method, 0.9).expect("intervals"), fit.confint(method, 0.9).expect("intervals"));
    }
    let of = |fit: &Fit| fit.predict_interval(&table, interval).expect("intervals");
    assert_eq!(of(&loaded), of(&fit));
    assert_eq!(loaded.random_effects("school").expect("effects"), fit.random_effects("school").expect("effects"));
}

#[test]
fn rows_that_are_not_those_of_the_fit_are_an_error() {
    let (fit, at) = (fit(), folder("other-rows"));
    fit.save(at.join("results")).expect("saved");
    let loaded = Fit::load(at.join("results")).expect("loaded");
    let error = loaded.with_rows(&tiers::doc::schools_of(0..47)).expect_err("a row is missing").to_string();
    assert!(error.contains("rows used: 48 and 47"), "{error}");
}

#[test]
fn ids_that_look_like_numbers_stay_texts() {
    let ids: Vec<String> = (0..48).map(|row| format!("{:02}", row / 8)).collect();
    let table = tiers::doc::schools().with("id", ids.into()).expect("a column");
    let model = lmm("score ~ pretest + (1 | id)");
    let (fit, at) = (model.fit(&table).expect("a fit"), folder("digits"));
    fit.save(at.join("results")).expect("saved");
    let loaded = Fit::load(at.join("results")).expect("loaded");
    assert_eq!(loaded.predict(&table).expect("predictions"), fit.predict(&table).expect("predictions"));
    let at = at.join("moments");
    model.moments(&table).expect("moments").save(&at).expect("saved");
    let again = model.fit_moments(tiers::Moments::load([&at]).expect("loaded")).expect("a fit");
    assert_eq!(again.random_effects("id").expect("effects"), fit.random_effects("id").expect("effects"));
}

#[test]
fn a_saved_fit_can_be_saved_again() {
    let (fit, at) = (fit(), folder("again"));
    fit.save(at.join("one")).expect("saved");
    Fit::load(at.join("one")).expect("loaded").save(at.join("two")).expect("saved");
    let read = |name: &str| fs::read(at.join(name)).expect("a file");
    for file in ["fit.json", "model.json", "summary.txt"] {
        assert!(read(&format!("one/{file}")) == read(&format!("two/{file}")), "{file}");
    }
}

#[test]
fn former_results_are_replaced_and_other_files_stay() {
    let (fit, at) = (fit(), folder("replaced"));
    fit.save(&at).expect("an empty folder is taken");
    let small = lmm("score ~ 1 + (1 | school)").fit(&tiers::doc::schools()).expect("a fit");
    fs::write(at.join("notes.txt"), "mine").expect("a file");
    small.save(&at).expect("replaced");
    assert_eq!(Fit::load(&at).expect("loaded").estimates(), small.estimates());
    assert_eq!(fs::read_to_string(at.join("notes.txt")).expect("a file"), "mine");
    let others = folder("others");
    fs::write(others.join("fit.json"), "{}").expect("a file");
    let error = fit.save(&others).expect_err("a file of someone else").to_string();
    assert!(error.contains("fit.json"), "{error}");
}

#[test]
fn nothing_is_left_of_results_that_cannot_be_written() {
    let (fit, at) = (fit(), folder("unwritable"));
    fs::write(at.join("file"), "no folder").expect("a file");
    let error = fit.save(at.join("file/results")).expect_err("a file is in the way").to_string();
    assert!(error.contains("cannot be written"), "{error}");
    assert_eq!(fs::read_dir(&at).expect("a folder").count(), 1);
}

#[test]
fn damaged_folders_are_errors() {
    let (fit, at) = (fit(), folder("damaged"));
    fit.save(&at).expect("saved");
    let effects = at.join(format!("random_effects/school.{}", extension()));
    let mut bytes = fs::read(&effects).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&effects, bytes).expect("a file");
    let error = Fit::load(&at).expect("loaded").random_effects("school").expect_err("changed").to_string();
    assert!(error.contains("it was changed"), "{error}");
    fs::remove_file(&effects).expect("removed");
    assert!(Fit::load(&at).expect("loaded").random_effects("school").is_err());
    assert!(Fit::load(at.join("none")).expect_err("no folder").to_string().contains("no such folder"));
}

#[test]
#[cfg(not(feature = "files"))]
fn a_group_that_csv_cannot_name_is_an_error() {
    let mut ids = vec!["a".to_owned(); 48];
    (0..48).filter(|row| row % 2 == 0).for_each(|row| ids[row] = "NA".to_owned());
    (0..48).filter(|row| row % 3 == 0).for_each(|row| ids[row] = "c".to_owned());
    let table = tiers::doc::schools().with("id", ids.into()).expect("a column");
    let fit = lmm("score ~ pretest + (1 | id)").fit(&table).expect("a fit");
    let error = fit.save(folder("na").join("results")).expect_err("no name for the group").to_string();
    assert!(error.contains("`NA`") && error.contains("files"), "{error}");
}
