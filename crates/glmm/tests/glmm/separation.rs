//! Coefficients and variances that grow without end.

use crate::fit::fit;
use tiers_glmm::{Family, GlmmFit, GlmmStatus, Link};
use tiers_testdata::{Memory, Values};

/// 300 rows in 20 groups: a number x, a factor f of three levels, and the outcome of each row by its number.
fn table(outcome: impl Fn(usize) -> f64) -> Memory {
    let rows = 0..300;
    let x = rows.clone().map(|i| ((i * 37 % 100) as f64 - 50.0) / 25.0).collect();
    let f = rows.clone().map(|i| ["a", "b", "c"][i % 3].to_owned()).collect();
    let g = rows.clone().map(|i| (i / 15) as i64).collect();
    let y = rows.map(outcome).collect();
    Memory::new(vec![
        ("y", Values::Numbers(y)),
        ("x", Values::Numbers(x)),
        ("f", Values::Texts(f)),
        ("g", Values::Ids(g)),
    ])
}

/// Whether outcome i is a success, as if at random.
fn coin(i: usize) -> f64 {
    f64::from(u8::from((i * i * 7919 + i * 104_729) % 1009 % 5 < 2))
}

fn separated(fit: &GlmmFit) -> Vec<(&str, u64)> {
    fit.separation.iter().map(|found| (&found.term[..], found.rows)).collect()
}

#[test]
fn a_level_with_failures_only_is_named_and_the_others_are_estimated() {
    for link in [Link::Logit, Link::Probit, Link::Cloglog] {
        let table = table(|i| if i % 3 == 2 { 0.0 } else { coin(i) });
        let found = fit(&table, "y ~ x + f + (1 | g)", None, Family::Binomial, link).expect("a fit").fit;
        assert_eq!(found.status, GlmmStatus::Separated, "{link}");
        assert_eq!(separated(&found), [("fc", 100)], "{link}");
        let effect = |term: &str| found.fixed_effects.iter().find(|e| e.term == term).expect("a term");
        assert_eq!((effect("fc").estimate, effect("fc").std_error), (None, None));
        assert!(found.vcov[3].iter().all(Option::is_none));
        // The other coefficients are those of the rows that are not separated.
        assert!(effect("x").std_error.is_some_and(|se| se < 1.0) && effect("x").estimate.is_some());
    }
}

#[test]
fn a_level_without_counts_separates_a_poisson_model() {
    let table = table(|i| if i % 3 == 1 { 0.0 } else { (i * 17 % 4) as f64 });
    let found = fit(&table, "y ~ x + f + (1 | g)", None, Family::Poisson, Link::Log).expect("a fit").fit;
    assert_eq!((found.status, separated(&found)), (GlmmStatus::Separated, vec![("fb", 100)]));
}

#[test]
fn an_outcome_that_a_number_decides_separates_all_coefficients() {
    let sign = |i: usize| f64::from(u8::from(i * 37 % 100 > 50));
    let found = fit(&table(sign), "y ~ x + (1 | g)", None, Family::Binomial, Link::Logit).expect("a fit").fit;
    assert_eq!(found.status, GlmmStatus::Separated);
    assert!(found.fixed_effects.iter().all(|effect| effect.estimate.is_none()), "{:?}", found.fixed_effects);
}

#[test]
fn outcomes_that_differ_at_every_level_are_not_separated() {
    let plain = table(coin);
    let found = fit(&plain, "y ~ x + f + (1 | g)", None, Family::Binomial, Link::Logit).expect("a fit").fit;
    assert!(found.status.has_estimates() && found.separation.is_empty(), "{:?}", found.status);
}

#[test]
fn groups_of_one_outcome_do_not_identify_their_variance() {
    let by_group = |i: usize| f64::from(u8::from((i / 15) % 2 == 1));
    let found = fit(&table(by_group), "y ~ x + (1 | g)", None, Family::Binomial, Link::Logit).expect("a fit").fit;
    assert_eq!(found.status, GlmmStatus::NotIdentified);
}
