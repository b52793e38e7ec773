//! Tests of resolving a formula against a schema: the requests and the errors.

use crate::table::children;
use tiers_design::{DesignError, Field, Formula, Kind, Plan, Role, Settings};

fn plan(formula: &str, settings: &Settings) -> Result<Plan, DesignError> {
    let mut fields = children().fields();
    fields.push(Field::new("when", Kind::Other("list".to_owned())));
    fields.push(Field::new("parts", Kind::Unequal("column `parts` is missing in b.parquet".to_owned())));
    Plan::new(&formula.parse::<Formula>()?, &fields, settings)
}

#[test]
fn needed_columns_are_requested_once() {
    let settings = Settings { weights: Some("w".to_owned()), ..Settings::default() };
    let formula = "log(y) ~ x*sex + factor(grade) + grade + offset(n) + (x | school/class) + (1 | grade) + (w - w)";
    let plan = plan(formula, &settings).unwrap();
    let requests: Vec<(&str, bool)> =
        plan.requests().iter().map(|r| (r.column.as_str(), r.role == Role::Label)).collect();
    let expected = [
        ("y", false),
        ("x", false),
        ("sex", true),
        ("grade", true),
        ("grade", false),
        ("n", false),
        ("school", true),
        ("class", true),
        ("w", false),
    ];
    assert_eq!(requests, expected);
    let factors: Vec<String> = plan.factor_requests().into_iter().map(|r| r.column).collect();
    assert_eq!(factors, ["sex", "grade"]);
}

#[test]
fn mismatches_with_the_table_are_errors_with_a_remedy() {
    for (formula, words) in [
        ("y ~ z", "no column `z`"),
        ("y ~ schol", "did you mean `school`?"),
        ("y ~ x + (1 | clas)", "(did you mean `class`?); the columns are: y, x, n"),
        ("y ~ x - typo", "no column `typo`"),
        ("sex ~ x", "the response `sex` holds text values"),
        ("flag ~ x", "write I(flag)"),
        ("log(sex) ~ x", "`log(sex)` computes with column `sex`, which holds text"),
        ("y ~ I(sex + 1)", "holds text"),
        ("y ~ offset(sex)", "holds text"),
        ("y ~ when", "holds list values"),
        ("y ~ (1 | when)", "holds list values"),
        ("y ~ parts", "column `parts` is missing in b.parquet"),
        ("y ~ (1 | parts)", "column `parts` is missing in b.parquet"),
    ] {
        let error = plan(formula, &Settings::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{formula}: {error}");
        assert!(error.ends_with('^'), "the place is shown: {error}");
    }
}

/// Ids stored as floating-point numbers are read as integers; levels are kept as they are.
#[test]
fn floating_point_columns_may_be_ids_and_levels() {
    let plan = plan("y ~ factor(x) + (1 | x) + (1 | w)", &Settings::default()).unwrap();
    let requests: Vec<(&str, Role)> = plan.requests().iter().map(|r| (r.column.as_str(), r.role)).collect();
    assert_eq!(requests, [("y", Role::Number), ("x", Role::Level), ("x", Role::Label), ("w", Role::Label)]);
}

#[test]
fn the_caret_points_at_the_unknown_name() {
    let error = plan("y ~ x + (1 | scool)", &Settings::default()).unwrap_err().to_string();
    assert!(error.ends_with("\n    y ~ x + (1 | scool)\n                 ^"), "{error}");
}

#[test]
fn invalid_settings_are_errors() {
    let weights = |column: &str| Settings { weights: Some(column.to_owned()), ..Settings::default() };
    let reference =
        |column: &str| Settings { reference: vec![(column.to_owned(), "F".to_owned())], ..Settings::default() };
    let levels =
        |column: &str| Settings { levels: vec![(column.to_owned(), vec!["F".to_owned()])], ..Settings::default() };
    for (settings, words) in [
        (weights("weight"), "no column `weight`"),
        (weights("sex"), "the weights column `sex` holds text values"),
        (weights("flag"), "the weights column `flag` holds boolean values"),
        (
            reference("x"),
            "a reference level is set for `x`, which is not a factor of the formula; its factors are: sex",
        ),
        (levels("x"), "levels are listed for `x`, which is not a factor of the formula; its factors are: sex"),
    ] {
        let error = plan("y ~ x + sex", &settings).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
