//! Fits from tables in memory against lme4's figures.

use tiers::{BootstrapSettings, Interval, IntervalKind, IntervalMethod, Lmm, Status, Table, Values, lmm};
use tiers_testkit::{Golden, GoldenFit};

/// A data set of the repository as a table in memory.
fn dataset(folder: &str, numbers: &[&str], texts: &[&str]) -> Table {
    let read = tiers_testkit::Table::of_dataset(folder);
    let numbers = numbers.iter().map(|name| (*name, Values::from(read.numbers(name))));
    let texts = texts.iter().map(|name| (*name, Values::from(read.text(name).to_vec())));
    Table::from_columns(numbers.chain(texts)).expect("a table")
}

fn near(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    assert!((ours - theirs).abs() <= tolerance * (1.0 + theirs.abs()), "{what}: {ours} and {theirs}");
}

fn check(model: &Lmm, table: &Table, golden: &GoldenFit) {
    let fit = model.fit(table).expect("a fit");
    near(-2.0 * fit.log_likelihood(), golden.criterion, 1e-8, "criterion");
    near(fit.sigma(), golden.sigma, 1e-5, "sigma");
    for (effect, theirs) in fit.fixed_effects().iter().zip(&golden.coefficients) {
        assert_eq!(effect.term, theirs.name);
        near(effect.estimate, theirs.estimate, 1e-6, &effect.term);
        near(effect.std_error, theirs.se, 1e-5, &effect.term);
    }
    assert_eq!(fit.fixed_effects().len(), golden.coefficients.len());
}

#[test]
fn random_slopes_agree_with_lme4() {
    let table = dataset("sleepstudy", &["Reaction", "Days", "Subject"], &[]);
    let golden = Golden::of_dataset("sleepstudy", "sleepstudy");
    let model = lmm("Reaction ~ Days + (1 + Days | Subject)");
    check(&model, &table, golden.reml());
    check(&model.ml(), &table, golden.ml());
}

#[test]
fn nested_texts_agree_with_lme4() {
    let table = dataset("pastes", &["strength"], &["batch", "cask"]);
    let golden = Golden::of_dataset("pastes", "Pastes");
    check(&lmm("strength ~ 1 + (1 | batch/cask)"), &table, golden.reml());
}

#[test]
fn a_variance_of_zero_is_on_the_boundary() {
    let table = dataset("dyestuff2", &["Yield"], &["Batch"]);
    let fit = lmm("Yield ~ 1 + (1 | Batch)").fit(&table).expect("a fit");
    assert_eq!(fit.status(), Status::Boundary);
    assert_eq!(fit.variance_components()[0].sd, [0.0]);
}

#[test]
fn the_summary_is_that_of_the_program() {
    let table = dataset("sleepstudy", &["Reaction", "Days", "Subject"], &[]);
    let text = lmm("Reaction ~ Days + (1 + Days | Subject)").fit(&table).expect("a fit").to_string();
    for line in [
        "Linear mixed model fit by REML",
        "Formula: Reaction ~ Days + (1 + Days | Subject)",
        "REML criterion at convergence: 1743.6",
        "Number of obs: 180, groups: Subject, 18",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn profile_intervals_agree_with_lme4() {
    // confint(fm, method = "profile") of lme4 1.1-31 for the ML fit of sleepstudy.
    let table = dataset("sleepstudy", &["Reaction", "Days", "Subject"], &[]);
    let fit = lmm("Reaction ~ Days + (1 + Days | Subject)").ml().fit(&table).expect("a fit");
    let intervals = fit.confint(IntervalMethod::Profile, 0.95).expect("intervals");
    let of = |name: &str| intervals.iter().find(|interval| interval.parameter == name).expect(name);
    for (name, lower, upper) in [
        ("sd_(Intercept)|Subject", 14.381_43, 37.715_99),
        ("sd_Days|Subject", 3.801_17, 8.753_38),
        ("sigma", 22.898_26, 28.857_99),
        ("(Intercept)", 237.680_69, 265.129_52),
        ("Days", 7.358_65, 13.575_92),
    ] {
        near(of(name).lower.expect("an end"), lower, 2e-4, name);
        near(of(name).upper.expect("an end"), upper, 2e-4, name);
    }
}

#[test]
fn wald_intervals_hold_the_estimates_and_are_missing_on_the_boundary() {
    let table = dataset("sleepstudy", &["Reaction", "Days", "Subject"], &[]);
    let fit = lmm("Reaction ~ Days + (1 + Days | Subject)").fit(&table).expect("a fit");
    let intervals = fit.confint(IntervalMethod::Wald, 0.95).expect("intervals");
    assert_eq!(intervals.len(), 7);
    for interval in &intervals {
        assert!(interval.lower.is_some_and(|lower| lower < interval.estimate), "{interval:?}");
        assert!(interval.upper.is_some_and(|upper| upper > interval.estimate), "{interval:?}");
    }
    let table = dataset("dyestuff2", &["Yield"], &["Batch"]);
    let fit = lmm("Yield ~ 1 + (1 | Batch)").fit(&table).expect("a fit");
    let intervals = fit.confint(IntervalMethod::Wald, 0.95).expect("intervals");
    assert_eq!((intervals[0].parameter.as_str(), intervals[0].lower), ("sd_(Intercept)|Batch", None));
    assert!(fit.confint(IntervalMethod::Wald, 1.5).is_err());
}

#[test]
fn a_bootstrap_needs_replicates_beyond_its_ends() {
    let table = dataset("dyestuff", &["Yield"], &["Batch"]);
    let fit = lmm("Yield ~ 1 + (1 | Batch)").fit(&table).expect("a fit");
    let settings = BootstrapSettings { replicates: 10, ..BootstrapSettings::default() };
    let error = fit.confint(IntervalMethod::Bootstrap(settings), 0.95).expect_err("too few").to_string();
    assert!(error.contains("need 39"), "{error}");
    let settings = BootstrapSettings { replicates: 200, ..BootstrapSettings::default() };
    let intervals = fit.confint(IntervalMethod::Bootstrap(settings), 0.9).expect("intervals");
    assert!(intervals.iter().all(|i| i.lower.is_none_or(|lower| lower <= i.upper.expect("both ends"))));
    assert_eq!(intervals.last().expect("an interval").parameter, "icc_Batch");
}

#[test]
fn predictions_of_the_rows_are_the_fitted_values() {
    let table = dataset("sleepstudy", &["Reaction", "Days", "Subject"], &[]);
    let fit = lmm("Reaction ~ Days + (1 + Days | Subject)").fit(&table).expect("a fit");
    let fitted = fit.fitted(&table).expect("fitted values");
    let predicted = fit.predict(&table).expect("predictions");
    assert_eq!(predicted.known("Subject").map(<[bool]>::len), Some(180));
    for (ours, theirs) in predicted.values.iter().zip(&fitted.fitted) {
        near(*ours, *theirs, 1e-12, "fitted value");
    }
    let interval = Interval { kind: IntervalKind::Prediction, level: 0.95 };
    let wide = fit.predict_interval(&table, interval).expect("intervals");
    assert!(wide.lower.iter().zip(&wide.upper).zip(&wide.values).all(|((l, u), v)| l < v && v < u));
}

#[test]
fn influence_has_a_row_per_top_level_group() {
    let table = dataset("sleepstudy", &["Reaction", "Days", "Subject"], &[]);
    let fit = lmm("Reaction ~ Days + (1 + Days | Subject)").fit(&table).expect("a fit");
    let influence = fit.influence(&table).expect("influence");
    assert_eq!((influence.level.as_str(), influence.groups.len()), ("Subject", 18));
    assert!(influence.groups.iter().all(|group| group.cooks_distance >= 0.0));
}

#[test]
fn models_of_other_rows_are_not_compared() {
    let table = dataset("sleepstudy", &["Reaction", "Days", "Subject"], &[]);
    let mut gaps: Vec<Option<f64>> = (0..180).map(|i| Some(f64::from(i % 10))).collect();
    gaps[7] = None;
    let table = table.with("gaps", gaps.into()).expect("a column");
    let small = lmm("Reaction ~ 1 + (1 | Subject)").ml().fit(&table).expect("a fit");
    let large = lmm("Reaction ~ gaps + (1 | Subject)").ml().fit(&table).expect("a fit");
    assert!(small.compare(&large).expect_err("other rows").to_string().contains("180 and 179"));
}
