//! lme4's example of a binomial model, with figures by lme4, glmmTMB and quadrature in 50 digits.

use crate::fit::fit;
use serde_json::Value;
use tiers_glmm::{Family, GlmmStatus, Link};
use tiers_testdata::{Memory, Values};

fn cbpp() -> Memory {
    Memory::of_dataset("cbpp", &["incidence", "size"], &["herd", "period"])
}

const FORMULA: &str = "cbind(incidence, size - incidence) ~ factor(period) + (1 | herd)";

#[test]
fn cbpp_agrees_with_the_reference_for_every_link() {
    for (model, link) in [("cbpp", Link::Logit), ("cbpp_probit", Link::Probit), ("cbpp_cloglog", Link::Cloglog)] {
        let fitted = fit(&cbpp(), FORMULA, None, Family::Binomial, link).expect("a fit");
        let path = tiers_testkit::datasets_dir().join("cbpp/reference_glmm").join(format!("{model}.json"));
        let text = std::fs::read_to_string(path).expect("reference values");
        let reference: Value = serde_json::from_str(&text).expect("json");
        let want = &reference["fits"]["laplace"];
        let number = |value: &Value| value.as_f64().expect("a number");
        assert_eq!(fitted.fit.status, GlmmStatus::Converged);
        let close = |what: &str, got: f64, want: f64, tolerance: f64| {
            assert!((got - want).abs() <= tolerance, "{model} {what}: {got} for {want}");
        };
        close("criterion", fitted.fit.criterion, number(&want["criterion"]), 1e-7);
        close("theta", fitted.fit.theta[0], number(&want["theta"][0]), 1e-5);
        for (got, want) in fitted.fit.fixed_effects.iter().zip(want["coefficients"].as_array().expect("a list")) {
            let se = number(&want["se"]);
            close("coefficient", got.estimate.expect("one"), number(&want["estimate"]), 1e-5 * se);
            close("standard error", got.std_error.expect("one"), se, 1e-5 * se);
        }
        let shown = &want["blups"]["herd"]["shown"][0];
        close("mode", fitted.effects[0].estimate[0], number(&shown["value"][0]), 1e-5);
        close("sd", fitted.effects[0].conditional_sd[0], number(&shown["cond_sd"][0]), 1e-5);
        assert!(fitted.fit.optimizer.evaluations <= 15, "{} evaluations", fitted.fit.optimizer.evaluations);
    }
}

#[test]
fn shares_with_weights_are_the_same_model() {
    let one = fit(&cbpp(), FORMULA, None, Family::Binomial, Link::Logit).expect("a fit").fit;
    let other =
        fit(&cbpp(), "incidence / size ~ factor(period) + (1 | herd)", Some("size"), Family::Binomial, Link::Logit)
            .expect("a fit")
            .fit;
    assert!((one.criterion - other.criterion).abs() < 1e-10);
    for (a, b) in one.fixed_effects.iter().zip(&other.fixed_effects) {
        assert!((a.estimate.unwrap() - b.estimate.unwrap()).abs() < 1e-8, "{a:?} {b:?}");
    }
}

/// m Bernoulli trials with the same covariates say what one binomial row of m trials says, up to the constant.
#[test]
fn trials_in_rows_of_their_own_give_the_same_estimates() {
    let table = cbpp();
    let (cases, sizes) = (table.numbers("incidence").to_vec(), table.numbers("size").to_vec());
    let text = tiers_testkit::Table::of_dataset("cbpp");
    let (mut y, mut herd, mut period) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..cases.len() {
        for trial in 0..sizes[i] as usize {
            y.push(if (trial as f64) < cases[i] { "sick" } else { "healthy" }.to_owned());
            herd.push(text.text("herd")[i].parse().expect("an id"));
            period.push(text.text("period")[i].clone());
        }
    }
    let long =
        Memory::new(vec![("y", Values::Texts(y)), ("herd", Values::Ids(herd)), ("period", Values::Texts(period))]);
    let one = fit(&table, FORMULA, None, Family::Binomial, Link::Logit).expect("a fit").fit;
    let other = fit(&long, "y ~ period + (1 | herd)", None, Family::Binomial, Link::Logit).expect("a fit").fit;
    assert_eq!(other.success.as_deref(), Some("sick"));
    for (a, b) in one.fixed_effects.iter().zip(&other.fixed_effects) {
        assert!((a.estimate.unwrap() - b.estimate.unwrap()).abs() < 1e-8);
        assert!((a.std_error.unwrap() - b.std_error.unwrap()).abs() < 1e-8);
    }
}

#[test]
fn unsuitable_responses_are_errors_that_say_what_is_needed() {
    let error = |formula: &str, family, link| fit(&cbpp(), formula, None, family, link).unwrap_err().to_string();
    let above = error("cbind(size, 0 - incidence) ~ 1 + (1 | herd)", Family::Binomial, Link::Logit);
    assert!(above.contains("as many successes as trials"), "{above}");
    let shares = error("incidence / size ~ 1 + (1 | herd)", Family::Binomial, Link::Logit);
    assert!(shares.contains("--weights"), "{shares}");
    let fractions = error("I(incidence / 2) ~ 1 + (1 | herd)", Family::Poisson, Link::Log);
    assert!(fractions.contains("counts are whole numbers"), "{fractions}");
    let none = error("I(0 * incidence) ~ 1 + (1 | herd)", Family::Poisson, Link::Log);
    assert!(none.contains("is 0 on all 56 rows"), "{none}");
}

/// A Poisson model with an exposure, against an offset written out.
#[test]
fn offsets_enter_the_linear_predictor() {
    let fitted = fit(&cbpp(), "incidence ~ 1 + offset(log(size)) + (1 | herd)", None, Family::Poisson, Link::Log);
    let fit = fitted.expect("a fit").fit;
    assert_eq!(fit.status, GlmmStatus::Converged);
    // 99 cases of 842 animals: the rate in a typical herd lies near.
    let rate = fit.fixed_effects[0].estimate.expect("one").exp();
    assert!(rate > 0.05 && rate < 0.2, "{rate}");
}

/// lme4: glmer(cbind(incidence, size - incidence) ~ 0 + (1 | herd)).
#[test]
fn a_model_without_fixed_effects_is_fitted() {
    let formula = "cbind(incidence, size - incidence) ~ 0 + (1 | herd)";
    let fitted = fit(&cbpp(), formula, None, Family::Binomial, Link::Logit).expect("a fit");
    assert_eq!(fitted.fit.status, GlmmStatus::Converged);
    assert!(fitted.fit.fixed_effects.is_empty());
    assert_eq!(fitted.effects[0].conditional_sd, fitted.effects[0].prediction_sd);
    assert!((fitted.fit.criterion - 236.749_909_5).abs() < 1e-4, "{}", fitted.fit.criterion);
    assert!((fitted.fit.theta[0] - 2.246_606_7).abs() < 1e-3, "{:?}", fitted.fit.theta);
}
