//! Models that the data do not identify, or that are not nested.

use crate::support::{Folder, ROWS, fit_err, fit_ok, integers, numbers, students, students_with, texts};

#[test]
fn a_text_response_is_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    fit_err(&["sex ~ x + (1 | school)", &path], &["response `sex`", "text", "number"]);
}

#[test]
fn a_constant_response_is_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students_with(numbers("y", vec![7.1; ROWS])));
    fit_err(&["y ~ x + (1 | school)", &path], &["response y", "same value", "96"]);
}

#[test]
fn a_response_that_the_fixed_effects_fit_exactly_is_an_error() {
    let folder = Folder::new();
    let twice = numbers("twice", (0..ROWS).map(|i| 2.0 * (i * i % 17) as f64 + 1.0));
    let mut columns = students_with(twice);
    columns.push(numbers("once", (0..ROWS).map(|i| (i * i % 17) as f64)));
    fit_err(&["twice ~ once + (1 | school)", &folder.parquet("a.parquet", columns)], &["twice", "exactly"]);
}

#[test]
fn a_single_group_is_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students_with(integers("school", vec![5; ROWS])));
    fit_err(&["y ~ x + (1 | school)", &path], &["school", "one group", "Drop the term"]);
}

#[test]
fn groups_of_size_one_are_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    fit_err(&["y ~ x + (1 | student)", &path], &["student", "96 groups", "96 rows", "residual"]);
}

#[test]
fn a_level_with_one_row_per_group_is_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let words = ["school:class:student", "96 groups", "residual", "Drop that level"];
    fit_err(&["y ~ x + (1 | school/class/student)", &path], &words);
}

#[test]
fn as_many_coefficients_as_rows_are_an_error() {
    let folder = Folder::new();
    let columns =
        vec![numbers("y", [1.0, 2.5, 2.0, 4.0]), texts("kind", ["a", "b", "c", "d"]), integers("school", [1, 1, 2, 2])];
    let path = folder.parquet("a.parquet", columns);
    fit_err(&["y ~ kind + (1 | school)", &path], &["4 fixed-effect coefficients", "4 rows", "drop terms"]);
}

#[test]
fn dependent_columns_are_dropped_and_named() {
    let folder = Folder::new();
    let mut columns = students_with(numbers("three", vec![3.0; ROWS]));
    columns.push(numbers("u", (0..ROWS).map(|i| (i % 7) as f64)));
    columns.push(numbers("v", (0..ROWS).map(|i| 100.0 - 2.0 * (i % 7) as f64)));
    let path = folder.parquet("a.parquet", columns);
    let message = "fixed-effect model matrix is rank deficient so dropping";
    // The names may be on the next line.
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = fit_ok(&["y ~ x + three + (1 | school)", &path]);
    assert!(one_line(&text).contains(&format!("{message} 1 column / coefficient: three")), "{text}");
    let text = fit_ok(&["y ~ x + three + u + v + (1 | school)", &path]);
    assert!(one_line(&text).contains(&format!("{message} 2 columns / coefficients: three, v")), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("three ") || line.starts_with("v ")), "{text}");
}

#[test]
fn a_factor_with_one_level_is_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students_with(texts("sex", vec!["F"; ROWS])));
    fit_err(&["y ~ sex + (1 | school)", &path], &["`sex`", "only one level", "`F`"]);
}

#[test]
fn labels_reused_in_every_school_are_noted() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let text = fit_ok(&["y ~ x + (1 | school) + (1 | class)", &path]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("class and school were taken as crossed") && text.contains("(1 | school/class)"), "{text}");
    // With a family, groupings that cross are an error with the same remedy.
    let words = ["class", "school", "cross", "(1 | school/class)"];
    fit_err(&["sex ~ x + (1 | school) + (1 | class)", &path, "--family", "binomial"], &words);
}

#[test]
fn two_groupings_with_the_same_groups_are_an_error() {
    let folder = Folder::new();
    let names = texts("name", (0..ROWS).map(|i| format!("s{}", i / 16)));
    let path = folder.parquet("a.parquet", students_with(names));
    fit_err(&["y ~ x + (1 | school) + (1 | name)", &path], &["school", "name", "same 6 groups"]);
}
