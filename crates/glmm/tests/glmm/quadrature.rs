//! Adaptive quadrature and the error of Laplace's approximation.

use crate::fit::{fit, fit_with};
use serde_json::Value;
use tiers_glmm::{Family, GlmmFit, GlmmStatus, LaplaceErrorMethod, LaplaceErrorStatus, Link};
use tiers_testdata::{Memory, Values};

fn cbpp() -> Memory {
    Memory::of_dataset("cbpp", &["incidence", "size"], &["herd", "period"])
}

const FORMULA: &str = "cbind(incidence, size - incidence) ~ factor(period) + (1 | herd)";

fn reference(model: &str) -> Value {
    let path = tiers_testkit::datasets_dir().join("cbpp/reference_glmm").join(format!("{model}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("reference values")).expect("json")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Binary rows in small groups with a large variance, as if at random: twenty groups of four with a number x.
fn binary(groups: usize) -> Memory {
    let rows = 0..4 * groups;
    let hash = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) % 10_007;
    let share = |i: usize| (hash(i) as f64 + 0.5) / 10_007.0;
    let x: Vec<f64> = rows.clone().map(|i| (i * 37 % 100) as f64 / 50.0 - 1.0).collect();
    let g: Vec<i64> = rows.clone().map(|i| (i / 4) as i64).collect();
    let effect = |group: usize| if share(group + 77_777) < 0.5 { -2.0 } else { 2.0 };
    let success = |i: usize| share(i + 1) < 1.0 / (1.0 + (-0.5 - x[i] - effect(i / 4)).exp());
    let y = rows.map(|i| f64::from(u8::from(success(i)))).collect();
    Memory::new(vec![("y", Values::Numbers(y)), ("x", Values::Numbers(x)), ("g", Values::Ids(g))])
}

fn estimates(fit: &GlmmFit) -> Vec<f64> {
    fit.fixed_effects.iter().map(|effect| effect.estimate.expect("an estimate")).collect()
}

#[test]
fn cbpp_by_25_nodes_agrees_with_the_reference_for_every_link() {
    for (model, link) in [("cbpp", Link::Logit), ("cbpp_probit", Link::Probit), ("cbpp_cloglog", Link::Cloglog)] {
        let fit = fit_with(&cbpp(), FORMULA, None, Family::Binomial, link, 25).expect("a fit").fit;
        let reference = reference(model);
        let want = &reference["fits"]["agq25"];
        let close = |what: &str, got: f64, want: f64, tolerance: f64| {
            assert!((got - want).abs() <= tolerance, "{model} {what}: {got} for {want}");
        };
        assert_eq!((fit.status, fit.n_agq), (GlmmStatus::Converged, 25));
        close("criterion", fit.criterion, number(&want["criterion"]), 1e-8);
        close("theta", fit.theta[0], number(&want["theta"][0]), 1e-6);
        for (got, want) in fit.fixed_effects.iter().zip(want["coefficients"].as_array().expect("a list")) {
            let se = number(&want["se"]);
            close("coefficient", got.estimate.expect("one"), number(&want["estimate"]), 1e-5 * se);
            close("standard error", got.std_error.expect("one"), se, 1e-4 * se);
        }
        let change = fit.agq_change.expect("a change with more nodes");
        close(
            "change",
            change,
            number(&want["optimiser"]["criterion_with_51_nodes"]) - number(&want["criterion"]),
            1e-8,
        );
        assert!(fit.laplace_error.is_none() && fit.optimizer.decrement < 1e-8);
    }
}

/// Figures by an independent program, which integrates both levels.
#[test]
fn nested_quadrature_agrees_with_the_reference() {
    let formula = "cbind(incidence, size - incidence) ~ 1 + (1 | period/herd)";
    for (nodes, criterion) in [(7, 183.4329), (15, 183.4356), (25, 183.4356)] {
        let fit = fit_with(&cbpp(), formula, None, Family::Binomial, Link::Logit, nodes).expect("a fit").fit;
        assert_eq!(fit.status, GlmmStatus::Converged);
        assert!((fit.criterion - criterion).abs() < 1e-4, "{nodes} nodes: {}", fit.criterion);
        if nodes > 7 {
            assert!((fit.criterion - 183.435_586_5).abs() < 2e-6, "{nodes} nodes: {}", fit.criterion);
            assert!((fit.theta[0] - 0.993_373).abs() < 1e-3 && (fit.theta[1] - 0.607_772).abs() < 1e-3);
        }
    }
}

#[test]
fn designs_without_quadrature_are_refused() {
    let error = |formula: &str, nodes| {
        fit_with(&cbpp(), formula, None, Family::Binomial, Link::Logit, nodes).unwrap_err().to_string()
    };
    let levels = error("cbind(incidence, size - incidence) ~ 1 + (1 + size | period/herd)", 7);
    assert!(levels.contains("2 coefficients of period and 2 coefficients of period:herd"), "{levels}");
    assert!(levels.contains("Leave out --agq"), "{levels}");
    let nodes = error(FORMULA, 102);
    assert!(nodes.contains("from 1 to 101 nodes, not 102"), "{nodes}");
    assert!(error(FORMULA, 0).contains("from 1 to 101"));
}

#[test]
fn a_small_error_of_laplace_is_estimated_without_a_second_fit() {
    let fit = fit(&cbpp(), FORMULA, None, Family::Binomial, Link::Logit).expect("a fit").fit;
    let found = fit.laplace_error.expect("an error");
    assert_eq!(found.method, Some(LaplaceErrorMethod::Estimate));
    assert_eq!((found.status, found.nodes), (LaplaceErrorStatus::Small, Some(15)));
    let reference = reference("cbpp");
    let (laplace, quadrature) = (&reference["fits"]["laplace"], &reference["fits"]["agq25"]);
    let shift = |what: &str, i: usize, value: &str, se: &str| {
        let error = if what == "theta" { &laplace[se][i] } else { &laplace[what][i][se] };
        let of = |fit: &Value| number(if what == "theta" { &fit[what][i] } else { &fit[what][i][value] });
        (of(quadrature) - of(laplace)) / number(error)
    };
    let mut want: Vec<f64> = (0..4).map(|i| shift("coefficients", i, "estimate", "se")).collect();
    want.push(shift("theta", 0, "", "theta_se"));
    assert_eq!(found.shift_in_se.len(), 5);
    assert_eq!(found.shift_in_se[4].0, "sd((Intercept) | herd)");
    for ((term, got), want) in found.shift_in_se.iter().zip(want) {
        assert!((got - want).abs() < 0.02, "{term}: {got} for {want}");
    }
}

#[test]
fn a_large_error_of_laplace_is_the_difference_of_two_fits() {
    let table = binary(150);
    let of =
        |nodes| fit_with(&table, "y ~ x + (1 | g)", None, Family::Binomial, Link::Logit, nodes).expect("a fit").fit;
    let (laplace, quadrature) = (of(1), of(51));
    let found = laplace.laplace_error.clone().expect("an error");
    assert_eq!((found.method, found.status), (Some(LaplaceErrorMethod::Refit), LaplaceErrorStatus::Large));
    let errors = laplace.fixed_effects.iter().map(|effect| effect.std_error.expect("one"));
    let both = estimates(&quadrature).into_iter().zip(estimates(&laplace));
    for (((term, got), (quadrature, laplace)), se) in found.shift_in_se.iter().zip(both).zip(errors) {
        assert!((got - (quadrature - laplace) / se).abs() < 0.1, "{term}: {got}");
    }
    let delta = found.delta_criterion.expect("one");
    assert!((delta - (quadrature.criterion - laplace.criterion)).abs() < 0.05, "{delta}");
    assert!(laplace.notes.iter().all(|note| !note.contains("binary rows on average")), "{:?}", laplace.notes);
}

#[test]
fn an_error_that_cannot_be_measured_is_unknown_with_its_reason() {
    let formula = "cbind(incidence, size - incidence) ~ 1 + (1 | period) + (1 + size | period:herd)";
    let found = fit(&cbpp(), formula, None, Family::Binomial, Link::Logit).expect("a fit").fit;
    let error = found.laplace_error.expect("an error");
    assert_eq!((error.status, error.method), (LaplaceErrorStatus::Unknown, None));
    assert!(error.reason.is_some_and(|reason| !reason.is_empty()) && error.shift_in_se.is_empty());
}

/// `(0 + x | g) + (1 | g)` and `(1 + x | g)` with two effects a group, and the same data as one scalar effect.
#[test]
fn two_coefficients_of_one_level_are_integrated_together() {
    let table = binary(120);
    let of = |formula: &str, nodes| {
        fit_with(&table, formula, None, Family::Binomial, Link::Logit, nodes).expect("a fit").fit
    };
    let scalar = of("y ~ x + (1 | g)", 15);
    let both = of("y ~ x + (1 + x | g)", 15);
    assert!(both.status.has_estimates(), "{:?}", both.status);
    assert!(both.criterion <= scalar.criterion + 1e-6, "{} {}", both.criterion, scalar.criterion);
    assert!(both.agq_change.expect("a change").abs() < 0.1);
}

#[test]
fn a_variance_of_zero_is_on_the_boundary_by_quadrature_too() {
    let rows = 0..240;
    let y = rows.clone().map(|i| f64::from(u8::from(i % 2 == 0))).collect();
    let g = rows.clone().map(|i| (i / 8) as i64).collect();
    let x = rows.map(|i| ((i * 37 % 100) as f64 - 50.0) / 25.0).collect();
    let table = Memory::new(vec![("y", Values::Numbers(y)), ("x", Values::Numbers(x)), ("g", Values::Ids(g))]);
    let fit = fit_with(&table, "y ~ x + (1 | g)", None, Family::Binomial, Link::Logit, 7).expect("a fit").fit;
    assert_eq!((fit.status, &fit.theta[..]), (GlmmStatus::Boundary, &[0.0][..]));
}

#[test]
fn quadrature_does_not_depend_on_the_number_of_threads() {
    let formula = "cbind(incidence, size - incidence) ~ 1 + (1 | period/herd)";
    let fit = |threads: usize, nodes: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let fit = || fit_with(&cbpp(), formula, None, Family::Binomial, Link::Logit, nodes).expect("a fit").fit;
        let fit = pool.install(fit);
        (fit.criterion, estimates(&fit), fit.theta, fit.laplace_error)
    };
    assert_eq!(fit(1, 7), fit(3, 7));
    assert_eq!(fit(1, 1), fit(3, 1));
}
