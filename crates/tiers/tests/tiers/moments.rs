//! Moments of parts: made, merged, saved, loaded and fitted.

use crate::saved::folder;
use std::fs;
use tiers::{Error, Moments, doc, lmm};

const FORMULA: &str = "score ~ pretest + sex + (1 + pretest | school)";

#[test]
fn the_fit_to_moments_of_all_rows_is_bit_identical() {
    let model = lmm(FORMULA);
    let fit = model.fit(&doc::schools()).expect("a fit");
    let moments = model.moments(&doc::schools()).expect("moments");
    assert_eq!((moments.rows(), moments.dropped_rows(), moments.formula()), (48, 0, FORMULA));
    let at = folder("moments-all").join("moments");
    moments.save(&at).expect("saved");
    let again = model.fit_moments(Moments::load([&at]).expect("loaded")).expect("a fit");
    assert_eq!(again.estimates(), fit.estimates());
    assert_eq!(model.fit_moments(moments).expect("a fit").estimates(), fit.estimates());
}

#[test]
fn merged_parts_give_the_fit_of_all_rows() {
    let model = lmm(FORMULA);
    let fit = model.fit(&doc::schools()).expect("a fit");
    // Schools have rows in both parts.
    let parts = [0..21, 21..48].map(|rows| model.moments(&doc::schools_of(rows)).expect("moments"));
    let at = folder("moments-parts");
    let folders = ["north", "south"].map(|name| at.join(name));
    parts.iter().zip(&folders).for_each(|(part, folder)| part.save(folder).expect("saved"));
    for merged in [Moments::merge(&parts), Moments::load(&folders)] {
        let of_parts = model.fit_moments(merged.expect("merged")).expect("a fit");
        let near = |ours: f64, theirs: f64| (ours - theirs).abs() <= 1e-8 * (1.0 + theirs.abs());
        assert!(near(of_parts.log_likelihood(), fit.log_likelihood()));
        assert!(near(of_parts.sigma(), fit.sigma()));
        for (ours, theirs) in of_parts.fixed_effects().iter().zip(fit.fixed_effects()) {
            assert!(near(ours.estimate, theirs.estimate) && near(ours.std_error, theirs.std_error), "{ours:?}");
        }
        assert_eq!(of_parts.estimates().n_obs, 48);
    }
}

#[test]
fn moments_of_another_model_are_an_error() {
    let moments = lmm(FORMULA).moments(&doc::schools()).expect("moments");
    let error = lmm("score ~ pretest + (1 | school)").fit_moments(moments).expect_err("another model").to_string();
    assert!(error.contains(FORMULA), "{error}");
    let other = lmm("score ~ sex + (1 | school)").moments(&doc::schools()).expect("moments");
    let moments = lmm(FORMULA).moments(&doc::schools()).expect("moments");
    assert!(Moments::merge([&moments, &other]).is_err());
    assert!(matches!(Moments::merge([]), Err(Error::Setting(_))));
}

#[test]
fn a_part_may_lack_a_level() {
    let men = tiers::Table::from_columns([
        ("score", vec![5.0; 12].into()),
        ("pretest", (0..12).map(f64::from).collect::<Vec<_>>().into()),
        ("sex", vec!["M"; 12].into()),
        ("school", vec!["x"; 12].into()),
    ])
    .expect("a table");
    let model = lmm("score ~ pretest + sex + (1 | school)");
    let (men, all) = (model.moments(&men).expect("moments"), model.moments(&doc::schools()).expect("moments"));
    let merged = Moments::merge([&men, &all]).expect("merged");
    assert_eq!(merged.rows(), 60);
    assert!(model.fit_moments(merged).is_ok());
}

#[test]
fn damaged_moments_are_an_error() {
    let at = folder("moments-damaged").join("moments");
    lmm(FORMULA).moments(&doc::schools()).expect("moments").save(&at).expect("saved");
    let header = fs::read_to_string(at.join("moments.json")).expect("a file");
    fs::write(at.join("moments.json"), header.replace("\"rows\": 48", "\"rows\": 47")).expect("a file");
    let error = Moments::load([&at]).expect_err("changed").to_string();
    assert!(error.contains("changed"), "{error}");
}

#[test]
fn moments_that_were_sent_are_bit_identical() {
    let model = lmm(FORMULA);
    let of_all_rows = model.fit(&doc::schools()).expect("a fit");
    let sent = serde_json::to_string(&model.moments(&doc::schools()).expect("moments")).expect("json");
    let received: Moments = serde_json::from_str(&sent).expect("moments");
    assert_eq!(received.rows(), 48);
    assert_eq!(model.fit_moments(received).expect("a fit").estimates(), of_all_rows.estimates());
}

#[test]
fn sums_of_moments_are_merged_moments() {
    let model = lmm(FORMULA);
    let parts = [0..16, 16..30, 30..48].map(|rows| model.moments(&doc::schools_of(rows)).expect("moments"));
    let merged = model.fit_moments(Moments::merge(&parts).expect("merged")).expect("a fit");
    let first_two = (&parts[0] + &parts[1]).expect("a sum");
    let [_, _, last] = parts;
    let sum = (first_two + last).expect("a sum");
    assert_eq!(sum.rows(), 48);
    let sum = model.fit_moments(sum).expect("a fit");
    assert!((sum.log_likelihood() - merged.log_likelihood()).abs() < 1e-9);
    let other = lmm("score ~ sex + (1 | school)").moments(&doc::schools()).expect("moments");
    let one = model.moments(&doc::schools()).expect("moments");
    assert!((one + other).expect_err("of different models").to_string().contains("different models"));
}

#[test]
fn moments_that_were_changed_on_their_way_are_an_error() {
    let moments = lmm(FORMULA).moments(&doc::schools()).expect("moments");
    let mut sent: serde_json::Value = serde_json::to_value(&moments).expect("json");
    sent["rows"] = 47.into();
    let error = serde_json::from_value::<Moments>(sent).expect_err("changed").to_string();
    assert!(error.contains("these moments") && error.contains("48"), "{error}");
}
