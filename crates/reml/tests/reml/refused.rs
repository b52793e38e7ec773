//! Models and tables that cannot be fitted: each has its own message, with what to try.

use crate::common::{fit, model};
use tiers_reml::{Method, check_core};
use tiers_testdata::{Memory, Random, Values};

/// Schools of four classes of five students; classes numbered within each school, and over all schools.
fn schools() -> Memory {
    let mut random = Random(5);
    let (mut y, mut x) = (Vec::new(), Vec::new());
    let [mut school, mut class, mut room, mut student] = [const { Vec::new() }; 4];
    for s in 0..6 {
        let of_school = random.normal();
        for c in 0..4 {
            let of_class = random.normal();
            for _ in 0..5 {
                x.push(random.normal());
                y.push(of_school + of_class + random.normal());
                school.push(s + 1);
                class.push(c + 1);
                room.push(100 * (s + 1) + c);
                student.push(student.len() as i64);
            }
        }
    }
    Memory::new(vec![
        ("y", Values::Numbers(y)),
        ("x", Values::Numbers(x)),
        ("school", Values::Ids(school)),
        ("class", Values::Ids(class)),
        ("room", Values::Ids(room)),
        ("student", Values::Ids(student)),
    ])
}

/// Returns the error message, which must contain all of these words.
#[track_caller]
fn refuses(table: &Memory, formula: &str, words: &[&str]) -> String {
    refuses_by(Method::Reml, table, formula, words)
}

/// [`refuses`] for a given likelihood.
#[track_caller]
fn refuses_by(method: Method, table: &Memory, formula: &str, words: &[&str]) -> String {
    let error = match fit(table, formula, None, method) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{formula} was not refused"),
    };
    for word in words {
        assert!(error.contains(word), "{formula}: no {word:?} in {error:?}");
    }
    error
}

#[test]
fn values_whose_products_overflow() {
    let mut random = Random(6);
    let schools = (0..40).map(|i| i / 8).collect();
    for size in [1e80, 1e160, 1e300] {
        let y = (0..40).map(|_| random.normal()).collect();
        let x = (0..40).map(|i| if i == 17 { size } else { random.normal() }).collect();
        let ids = Values::Ids(Vec::clone(&schools));
        let table = Memory::new(vec![("y", Values::Numbers(y)), ("x", Values::Numbers(x)), ("school", ids)]);
        refuses(&table, "y ~ x + (1 | school)", &["values of x", "overflow"]);
        refuses(&table, "x ~ y + (1 | school)", &["values of x", "overflow"]);
    }
}

#[test]
fn a_level_too_many() {
    let table = schools();
    let words = ["school:class:student has 120 groups", "120 rows", "residual", "Drop that level"];
    refuses(&table, "y ~ x + (1 | school/class/student)", &words);
    refuses(&table, "y ~ x + (1 | school) + (1 | student)", &["student has 120 groups", "residual"]);
    refuses(&table, "y ~ x + (1 | school) + (1 | class) + (1 | student)", &["student has 120 groups", "residual"]);
}

#[test]
fn one_group_only() {
    let table = schools().with("all", Values::Ids(vec![7; 120]));
    refuses(&table, "y ~ x + (1 | all)", &["grouping all has only one group", "Drop the term"]);
    refuses(&table, "y ~ x + (1 | school) + (1 | all)", &["grouping all has only one group"]);
    refuses(&table, "y ~ x + (1 | school) + (1 | class) + (1 | all)", &["grouping all has only one group"]);
}

#[test]
fn the_same_groups_twice() {
    let table = schools();
    let twins = table.ids("school").iter().map(|s| format!("S{s}")).collect();
    let table = table.with("twin", Values::Texts(twins));
    let error = refuses(&table, "y ~ x + (1 | school) + (1 | twin)", &["same 6 groups", "Keep one"]);
    assert!(error.contains("school") && error.contains("twin"), "{error}");
    refuses(&table, "y ~ x + (1 | school/twin)", &["same 6 groups"]);
    // Where other groupings cross, too.
    let half = (0..120).map(|i| (i / 3) % 2).collect();
    let table = table.with("half", Values::Ids(half));
    refuses(&table, "y ~ x + (1 | school) + (1 | half) + (1 | twin)", &["same 6 groups", "Keep one"]);
}

#[test]
fn a_random_effect_that_stands_twice() {
    refuses(&schools(), "y ~ x + (1 | school) + (1 + x | school)", &["(Intercept) occurs twice for school"]);
    refuses(&schools(), "y ~ x + (0 + x | school) + (1 + x | school)", &["x occurs twice for school"]);
    // `school:class` and `class:school` are the same groups.
    refuses(&schools(), "y ~ x + (1 | school:class) + (1 | class:school)", &["occurs twice", "keep one"]);
    assert!(model(&schools(), "y ~ x + (1 | school) + (0 + x | school)", None).is_ok());
}

#[test]
fn a_response_that_does_not_vary() {
    for value in [0.0, 1.0, 1e8, 0.1, -1e-9] {
        let table = schools().map("y", |_| value);
        refuses(&table, "y ~ x + (1 | school)", &["response y has the same value on all 120 rows"]);
        refuses(&table.in_blocks_of(7), "y ~ x + (1 | school)", &["same value"]);
    }
    // A response with little variation far from zero is not constant.
    let table = schools().map("y", |v| 1e6 + 1e-3 * v);
    assert!(model(&table, "y ~ x + (1 | school)", None).is_ok());
}

#[test]
fn fixed_effects_that_fit_exactly() {
    let table = schools();
    let line: Vec<f64> = table.numbers("x").iter().map(|x| 3.0 - 2.0 * x).collect();
    let table = table.with("line", Values::Numbers(line));
    for formula in ["line ~ x + (1 | school)", "line ~ x + y + (1 | school/class)"] {
        refuses(&table, formula, &["fit the response line exactly", "in disguise"]);
        refuses(&table.in_blocks_of(7), formula, &["fit the response line exactly"]);
    }
    let shifted = table.map("line", |v| v + 1e6);
    refuses(&shifted, "line ~ x + (1 | school)", &["fit the response line exactly"]);
}

#[test]
fn as_many_coefficients_as_rows() {
    let table = schools();
    let first: Vec<usize> = vec![0, 1, 20, 21, 40, 41];
    let few = Memory::new(vec![
        ("y", Values::Numbers(first.iter().map(|&i| table.numbers("y")[i]).collect())),
        ("x", Values::Numbers(first.iter().map(|&i| table.numbers("x")[i]).collect())),
        ("school", Values::Ids(first.iter().map(|&i| table.ids("school")[i]).collect())),
    ]);
    let powers = "x + I(x^2) + I(x^3) + I(x^4) + I(x^5)";
    refuses(&few, &format!("y ~ {powers} + (1 | school)"), &["6 fixed-effect coefficients from 6 rows", "drop terms"]);
}

#[test]
fn no_row_left() {
    let table = schools().map("x", |_| f64::NAN);
    refuses(&table, "y ~ x + (1 | school)", &["all 120 rows have a missing value", "x: 120"]);
    refuses(&table.in_blocks_of(13), "y ~ x + (1 | school)", &["all 120 rows", "x: 120"]);
    // No column is missing throughout, but each row lacks one.
    let rows = |odd: usize| (0..120).map(|i| if i % 2 == odd { f64::NAN } else { i as f64 }).collect();
    let table = schools().with("y", Values::Numbers(rows(0))).with("x", Values::Numbers(rows(1)));
    refuses(&table, "y ~ x + (1 | school)", &["all 120 rows", "y: 60", "x: 60"]);
}

#[test]
fn no_random_effect() {
    refuses(&schools(), "y ~ x", &["no random effect", "(1 | school)"]);
}

#[test]
fn a_core_beyond_the_memory_is_an_error_before_the_search() {
    let table = schools();
    let (crossed, _) = model(&table, "y ~ x + (1 | school) + (1 | class)", None).expect("a model");
    assert!(check_core(&crossed, 1 << 30).is_ok());
    let error = check_core(&crossed, 1000).expect_err("too little memory").to_string();
    for word in ["not enough memory", "all but school", "4 random effects, class (4)", "limit is 1 kB"] {
        assert!(error.contains(word), "no {word:?} in {error:?}");
    }
    let (nest, _) = model(&table, "y ~ x + (1 | school/class)", None).expect("a model");
    assert!(check_core(&nest, 0).is_ok());
}
