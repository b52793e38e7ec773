//! Tests of freezing and encoding: shifts, dropped rows, and rows that are errors.

use crate::table::{Table, Values, children};
use proptest::prelude::*;
use tiers_design::{Column, DesignError, EncodeError, Encoder, LevelSet, Plan, Recipe, RowBlock, Settings};

fn plan(table: &Table, formula: &str, settings: &Settings) -> Plan {
    Plan::new(&formula.parse().unwrap(), &table.fields(), settings).unwrap_or_else(|e| panic!("{e}"))
}

const ALL: [usize; 6] = [0, 1, 2, 3, 4, 5];

/// Freezes a formula on the rows `first` and encodes `rows`.
fn encode(table: &Table, formula: &str, first: &[usize], rows: &[usize]) -> Result<(Recipe, RowBlock), DesignError> {
    let plan = plan(table, formula, &Settings::default());
    let recipe = plan.freeze(&table.block(plan.requests(), first), None)?;
    let encoded = Encoder::new(&recipe).encode(&table.block(plan.requests(), rows))?;
    Ok((recipe, encoded))
}

/// Returns column `name` of C with its shift added back.
fn raw(recipe: &Recipe, rows: &RowBlock, name: &str) -> Vec<f64> {
    let j = recipe.columns.iter().position(|c| c.name == name).unwrap();
    rows.column(j).iter().map(|v| v + recipe.columns[j].shift).collect()
}

#[test]
fn columns_hold_the_products_of_their_variables() {
    let (recipe, rows) = encode(&children(), "y ~ n*sex + I(n^2) + flag + factor(grade)", &ALL, &ALL).unwrap();
    let names: Vec<&str> = recipe.x.iter().map(|c| c.name.as_str()).collect();
    let expected = [
        "(Intercept)",
        "n",
        "sexM",
        "sexX",
        "I(n^2)",
        "flagTRUE",
        "factor(grade)10",
        "factor(grade)11",
        "n:sexM",
        "n:sexX",
    ];
    assert_eq!(names, expected);
    assert_eq!(recipe.term_names, ["(Intercept)", "n", "sex", "I(n^2)", "flag", "factor(grade)", "n:sex"]);
    for (name, values) in [
        ("(Intercept)", [1.0; 6]),
        ("n", [4.0, 3.0, 2.0, 1.0, 0.0, 7.0]),
        ("sexM", [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
        ("I(n^2)", [16.0, 9.0, 4.0, 1.0, 0.0, 49.0]),
        ("flagTRUE", [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]),
        ("factor(grade)10", [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
        ("n:sexM", [4.0, 0.0, 2.0, 0.0, 0.0, 0.0]),
    ] {
        let found = raw(&recipe, &rows, name);
        let near = found.iter().zip(values).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near, "{name}: {found:?}");
    }
    let y: Vec<f64> = rows.column(rows.columns - 1).iter().map(|y| y + recipe.response_shift).collect();
    assert_eq!(y, [10.0, 12.0, 11.0, 15.0, 14.0, 9.0]);
    assert_eq!((rows.rows, rows.columns, rows.kept, rows.dropped_rows), (6, 11, None, 0));
}

#[test]
fn rows_with_anything_missing_are_dropped_and_counted() {
    let table = children();
    let settings = Settings { weights: Some("w".to_owned()), ..Settings::default() };
    let plan = plan(&table, "y ~ x + sex + offset(n) + (1 | school)", &settings);
    let block = table.block(plan.requests(), &ALL);
    let recipe = plan.freeze(&block, None).unwrap();
    let encoder = Encoder::new(&recipe);
    let rows = encoder.encode(&block).unwrap();
    assert_eq!(rows.kept.as_deref(), Some(&[0, 1, 2, 4, 5][..]));
    assert_eq!((rows.rows, rows.dropped_rows), (5, 1));
    assert_eq!(rows.missing.iter().sum::<u64>(), 1);
    assert_eq!(rows.weights.as_deref(), Some(&[1.0, 2.0, 1.0, 0.5, 1.0][..]));
    // The level X occurs in the dropped row only.
    assert_eq!(recipe.factors[0].levels, ["F", "M"]);
    let y: Vec<f64> = rows.column(3).iter().map(|y| y + recipe.response_shift).collect();
    assert_eq!(y, [6.0, 9.0, 9.0, 14.0, 2.0]);
    assert_eq!(rows.keys[0].codes, [0, 0, 1, 2, 2]);
}

#[test]
fn an_undefined_expression_drops_the_row_and_is_counted_separately() {
    let table = children().with("d", Values::Float(vec![1.0, -1.0, 2.0, -3.0, 1.0, 1.0]));
    let plan = plan(&table, "y ~ log(d) + x + log(d):sex", &Settings::default());
    let block = table.block(plan.requests(), &ALL);
    let recipe = plan.freeze(&block, None).unwrap();
    let encoder = Encoder::new(&recipe);
    let rows = encoder.encode(&block).unwrap();
    assert_eq!(encoder.expressions().collect::<Vec<_>>(), ["log(d)"]);
    // In row 4 x is missing as well, which is counted already.
    assert_eq!((rows.not_a_number, rows.dropped_rows), (vec![1], 2));
}

#[test]
fn rows_that_cannot_be_used_are_errors_with_their_number() {
    let inf = f64::INFINITY;
    let table = children()
        .with("inf", Values::Float(vec![1.0, 1.0, inf, 1.0, 1.0, 1.0]))
        .with("big", Values::Float(vec![1.0, 1.0, 1.0, 1.0, 1e200, 1.0]))
        .with("zero", Values::Float(vec![1.0, 0.0, 1.0, 1.0, 1.0, 1.0]))
        .with("absent", Values::Float(vec![1.0, 1.0, f64::NAN, f64::NAN, 1.0, 1.0]))
        .with("negative", Values::Float(vec![1.0, 1.0, 1.0, 1.0, 1.0, -2.0]));
    let name = str::to_owned;
    for (formula, weights, expected) in [
        ("y ~ inf", None, EncodeError::InfiniteColumn { column: name("inf"), row: 3 }),
        ("y ~ log(n)", None, EncodeError::InfiniteExpression { expression: name("log(n)"), row: 5 }),
        ("y ~ I(1/zero)", None, EncodeError::InfiniteExpression { expression: name("I(1/zero)"), row: 2 }),
        ("y ~ big:I(big^1.1)", None, EncodeError::InfiniteExpression { expression: name("big:I(big^1.1)"), row: 5 }),
        ("y ~ x", Some("zero"), EncodeError::WeightNotPositive { column: name("zero"), value: 0.0, row: 2 }),
        ("y ~ x", Some("absent"), EncodeError::WeightMissing { column: name("absent"), row: 3 }),
        ("y ~ x", Some("negative"), EncodeError::WeightNotPositive { column: name("negative"), value: -2.0, row: 6 }),
    ] {
        let settings = Settings { weights: weights.map(name), ..Settings::default() };
        let plan = plan(&table, formula, &settings);
        let error = plan
            .freeze(&table.block(plan.requests(), &ALL), None)
            .and_then(|recipe| Ok(Encoder::new(&recipe).encode(&table.block(plan.requests(), &ALL))?));
        assert_eq!(error.unwrap_err(), DesignError::Encode(expected), "{formula}");
    }
}

#[test]
fn a_new_level_is_an_error_that_a_pass_over_the_levels_resolves() {
    let table = children();
    let error = encode(&table, "y ~ factor(grade)", &[0, 1], &ALL).unwrap_err();
    let expected = EncodeError::NewLevel { column: "grade".to_owned(), label: "11".to_owned() };
    assert_eq!(error, DesignError::Encode(expected));
    let plan = plan(&table, "y ~ factor(grade)", &Settings::default());
    let mut set = LevelSet::new();
    if let Column::Labels(labels) = &table.block(&plan.factor_requests(), &ALL).columns[0] {
        set.absorb(labels);
    }
    let recipe = plan.freeze(&table.block(plan.requests(), &[0, 1]), Some(&[set.levels()])).unwrap();
    assert_eq!(recipe.factors[0].levels, ["9", "10", "11"]);
    assert!(Encoder::new(&recipe).encode(&table.block(plan.requests(), &ALL)).is_ok());
}

#[test]
fn the_reference_level_comes_first() {
    let table = children();
    let reference =
        |level: &str| Settings { reference: vec![("sex".to_owned(), level.to_owned())], ..Settings::default() };
    let freeze = |level: &str, levels: Option<&[Vec<String>]>| {
        let plan = plan(&table, "y ~ sex", &reference(level));
        plan.freeze(&table.block(plan.requests(), &[0, 1, 2]), levels)
    };
    let names: Vec<String> = freeze("M", None).unwrap().x.into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["(Intercept)", "sexF"]);
    let error = freeze("X", None).unwrap_err();
    assert!(error.needs_all_levels(), "another block may have it");
    let levels = [["F", "M", "X"].map(str::to_owned).to_vec()];
    assert_eq!(freeze("X", Some(&levels)).unwrap().factors[0].levels, ["X", "F", "M"]);
    let error = freeze("Z", Some(&levels)).unwrap_err();
    assert!(!error.needs_all_levels());
    assert_eq!(error.to_string(), "factor `sex` has no level `Z` to take as the reference; its levels are: F, M, X");
}

#[test]
fn a_factor_with_one_level_is_an_error() {
    let (recipe, _) = encode(&children(), "y ~ sex", &[1, 4], &[5]).unwrap();
    let error = recipe.check_levels().unwrap_err().to_string();
    assert!(error.starts_with("factor `sex` has only one level, `F`, in the complete rows"), "{error}");
}

#[test]
fn an_id_column_as_a_fixed_effect_is_an_error() {
    let table = Table::default()
        .with("y", Values::Float(vec![0.0; 6_000]))
        .with("id", Values::Integer((0..6_000).map(Some).collect()));
    let rows: Vec<usize> = (0..6_000).collect();
    let error = encode(&table, "y ~ factor(id)", &rows, &rows).unwrap_err().to_string();
    assert!(error.contains("`factor(id)` gives 5999 columns") && error.contains("(1 | school)"), "{error}");
}

/// Lists the columns of C; a star marks those that are shifted.
fn layout(formula: &str) -> String {
    let (recipe, _) = encode(&children(), formula, &ALL, &ALL).unwrap();
    let star = |shift: f64| if shift == 0.0 { "" } else { "*" };
    let mut names: Vec<String> = recipe.columns.iter().map(|c| format!("{}{}", c.name, star(c.shift))).collect();
    names.push(format!("{}{}", recipe.response_name, star(recipe.response_shift)));
    names.join(" ")
}

#[test]
fn columns_are_shifted_where_the_model_stays_the_same() {
    for (formula, expected) in [
        ("y ~ x", "(Intercept) x* y*"),
        ("y ~ x + sex", "(Intercept) x* sexM y*"),
        ("y ~ 0 + x + sex", "x* sexF sexM y*"),
        ("y ~ 0 + x", "x y"),
        ("y ~ 0 + x:sex + (x | school)", "x:sexF x:sexM (Intercept) x y"),
        // A slope in a term with an intercept shares the shifted column; a slope without one needs its own.
        ("y ~ x + (x | school)", "(Intercept) x* y*"),
        ("y ~ x + (x || school)", "(Intercept) x* x y*"),
        ("y ~ x + (0 + x | school) + (x | class)", "(Intercept) x* x y*"),
        ("y ~ 1 + (x | school)", "(Intercept) x* y*"),
        ("y ~ x:n + (n:x | school)", "(Intercept) x:n* y*"),
        ("y ~ sex + (0 + sex | school)", "(Intercept) sexM sexX sexF y*"),
    ] {
        assert_eq!(layout(formula), expected, "{formula}");
    }
}

#[test]
fn the_constant_marks_the_coefficients_that_absorb_a_shift() {
    for (formula, expected) in [
        ("y ~ x + sex", Some(vec![1.0, 0.0, 0.0])),
        ("y ~ 0 + x + sex", Some(vec![0.0, 1.0, 1.0])),
        ("y ~ 0 + x", None),
    ] {
        let (recipe, _) = encode(&children(), formula, &ALL, &ALL).unwrap();
        assert_eq!(recipe.constant, expected, "{formula}");
    }
}

#[test]
fn terms_with_the_same_columns_share_a_grouping() {
    let formula = "y ~ 1 + (1 | school/class) + (0 + x | class:school) + (0 + n | school)";
    let (recipe, _) = encode(&children(), formula, &ALL, &ALL).unwrap();
    let names: Vec<&str> = recipe.groupings.iter().map(|g| g.name.as_str()).collect();
    assert_eq!(names, ["school", "school:class"]);
    let terms: Vec<(usize, &str)> = recipe.random.iter().map(|r| (r.grouping, r.text.as_str())).collect();
    let expected = [(0, "1 | school"), (1, "1 | school:class"), (1, "0 + x | class:school"), (0, "0 + n | school")];
    assert_eq!(terms, expected);
}

#[test]
fn a_table_without_rows_encodes_to_no_rows() {
    let table = children();
    let plan = plan(&table, "y ~ log(x) + sex + (1 | school)", &Settings::default());
    let recipe = plan.freeze(&Default::default(), None).unwrap();
    let rows = Encoder::new(&recipe).encode(&Default::default()).unwrap();
    assert_eq!((rows.rows, rows.values.len(), rows.keys.len()), (0, 0, 1));
}

proptest! {
    /// Encoding rows with gaps is bit-identical to encoding the complete rows alone.
    #[test]
    fn dropping_rows_equals_encoding_the_others(
        gaps in prop::collection::vec((0.0_f64..100.0, 0_usize..5, 0_i64..4, any::<bool>(), 0_u8..8), 1..80),
    ) {
        let texts = ["a", "b", "c", "d", "e"];
        let table = Table::default()
            .with("y", Values::Float(gaps.iter().map(|g| if g.4 == 1 { f64::NAN } else { g.0 * 2.0 }).collect()))
            .with("x", Values::Float(gaps.iter().map(|g| if g.4 == 2 { f64::NAN } else { g.0 }).collect()))
            .with("f", Values::Text(gaps.iter().map(|g| (g.4 != 3).then_some(texts[g.1])).collect()))
            .with("g", Values::Integer(gaps.iter().map(|g| (g.4 != 4).then_some(g.2)).collect()))
            .with("b", Values::Boolean(gaps.iter().map(|g| (g.4 != 5).then_some(g.3)).collect()));
        let all: Vec<usize> = (0..gaps.len()).collect();
        let complete: Vec<usize> = all.iter().copied().filter(|&i| !(1..=5).contains(&gaps[i].4)).collect();
        let formula = "y ~ x*f + sqrt(x):b + (x || g) + (1 | f)";
        let with_gaps = encode(&table, formula, &all, &all);
        let without = encode(&table, formula, &complete, &complete);
        let ((recipe, rows), (other_recipe, other_rows)) = (with_gaps.unwrap(), without.unwrap());
        prop_assert_eq!(recipe, other_recipe);
        prop_assert_eq!(&rows.values, &other_rows.values);
        prop_assert_eq!(rows.rows, complete.len());
        prop_assert_eq!(rows.rows as u64 + rows.dropped_rows, gaps.len() as u64);
    }
}
