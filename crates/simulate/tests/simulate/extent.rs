//! Tests of the numbers of rows and groups, and of their ids.

use crate::support::{draw, example, spec};
use std::collections::{HashMap, HashSet};
use tiers_simulate::{Simulation, Spec};

#[test]
fn ids_are_reused_within_parents_only_if_requested() {
    let data = draw(&example(&[]));
    let (school, class, size) = (data.numbers("school"), data.numbers("class"), data.numbers("class_size"));
    let mut rows: HashMap<(u64, u64), u64> = HashMap::new();
    for (&s, &c) in school.iter().zip(&class) {
        *rows.entry((s as u64, c as u64)).or_default() += 1;
    }
    assert_eq!(rows.len() as u64, data.end.groups[1]);
    assert_eq!(school.iter().map(|&s| s as u64).collect::<HashSet<_>>().len() as u64, data.end.groups[0]);
    assert!(class.iter().all(|&c| (1.0..=30.0).contains(&c)));
    let last = (school[school.len() - 1] as u64, class[class.len() - 1] as u64);
    for ((&s, &c), &size) in school.iter().zip(&class).zip(&size) {
        let key = (s as u64, c as u64);
        assert!(key == last || rows[&key] == size as u64, "class_size is the number of rows");
        assert!((10.0..=35.0).contains(&size));
    }

    let unique = draw(&example(&[("reuse_ids = true", "")]));
    let class: HashSet<u64> = unique.numbers("class").iter().map(|&c| c as u64).collect();
    assert_eq!(class.len() as u64, unique.end.groups[1]);
    assert_eq!(class.iter().max(), Some(&unique.end.groups[1]), "numbers run on over blocks");
}

#[test]
fn whole_groups() {
    let text = "groups = 1000\n[response]\nname = \"y\"\nresidual_sd = 1\n\
                [[level]]\nname = \"a\"\nid = \"integer\"\nsize = 3\n\
                [[level]]\nname = \"b\"\nid = \"integer\"\nsize = 2\n\
                [[level]]\nname = \"c\"\nid = \"integer\"\nsize = { min = 1, max = 1 }";
    let data = draw(&spec(text));
    assert_eq!(data.rows(), 6000);
    assert_eq!(data.end.groups, [1000, 3000, 6000]);
    assert_eq!(data.numbers("c"), (1..=6000).map(f64::from).collect::<Vec<_>>());
    assert_eq!(data.simulation.truth(&data.end).levels[2].name, "a:b:c");
}

#[test]
fn the_expected_size_is_close_to_the_actual_size() {
    let spec = Spec { rows: None, groups: Some(2000), ..example(&[]) };
    let expected = Simulation::new(&spec).unwrap().expected();
    let data = draw(&spec);
    let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.05;
    assert!(near(expected.rows, data.rows() as f64), "{} against {}", expected.rows, data.rows());
    assert!(near(expected.groups[1], data.end.groups[1] as f64));
    assert_eq!(expected.groups[0], 2000.0);
}

#[test]
fn the_truth_has_the_names_of_a_fit() {
    let slopes = "random = { \"(Intercept)\" = 0.30, pretest = 0.10 }\ncorrelation = { \"pretest:(Intercept)\" = 0.3 }";
    let spec = example(&[
        ("random = { \"(Intercept)\" = 0.30 }", slopes),
        ("treat = 0.20", "treat = 0.20\n\"ses:pretest\" = 0.1"),
    ]);
    let data = draw(&spec);
    let truth = data.simulation.truth(&data.end);
    assert_eq!(
        truth.formula,
        "score ~ ses + pretest + female + minority + treat + class_size + ses:pretest \
         + (1 + pretest | school) + (1 | school:class)"
    );
    let terms: Vec<&str> = truth.fixed_effects.iter().map(|effect| effect.term.as_str()).collect();
    let expected = [
        "(Intercept)",
        "ses",
        "pretest",
        "female",
        "minorityB",
        "minorityC",
        "minorityD",
        "treat",
        "class_size",
        "ses:pretest",
    ];
    assert_eq!(terms, expected);
    assert_eq!(truth.variance_components[0].correlation, [[1.0, 0.3], [0.3, 1.0]]);
    assert_eq!((truth.rows, truth.sigma), (100_000, Some(1.0)));
}
