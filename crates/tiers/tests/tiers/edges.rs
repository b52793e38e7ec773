//! Awkward tables.

use tiers::{Error, Table, Values, lmm};

/// Three schools of four rows each.
fn columns() -> [(&'static str, Values); 3] {
    [
        ("y", vec![1.0, 2.5, 2.0, 3.1, 4.0, 4.4, 5.1, 4.9, 2.2, 2.9, 3.3, 2.0].into()),
        ("x", vec![0.1, 0.9, 0.4, 1.2, 0.3, 0.8, 1.1, 0.7, 0.2, 0.6, 1.0, 0.5].into()),
        ("school", vec![1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3].into()),
    ]
}

fn table() -> Table {
    Table::from_columns(columns()).expect("a table")
}

/// The message of a fit that must fail.
fn refusal(table: &Table, formula: &str) -> String {
    lmm(formula).fit(table).expect_err("an error").to_string()
}

#[test]
fn columns_of_different_lengths_are_an_error() {
    let error = table().with("z", vec![1.0, 2.0].into()).expect_err("too short").to_string();
    assert!(error.contains("`z` has 2 rows") && error.contains("12"), "{error}");
}

#[test]
fn two_columns_of_one_name_are_an_error() {
    let error = table().with("x", vec![0.0; 12].into()).expect_err("a duplicate").to_string();
    assert!(error.contains("two columns are called `x`"), "{error}");
}

#[test]
fn an_unknown_column_is_named() {
    let error = refusal(&table(), "y ~ pretest + (1 | school)");
    assert!(error.contains("pretest"), "{error}");
}

#[test]
fn a_text_cannot_be_a_number() {
    let table = table().with("name", vec!["a"; 12].into()).expect("a column");
    let error = refusal(&table, "name ~ x + (1 | school)");
    assert!(error.contains("name"), "{error}");
}

#[test]
fn ids_that_are_not_whole_are_an_error_with_their_row() {
    let mut ids = vec![1.0; 12];
    ids[5] = 1.5;
    let table = table().with("id", ids.into()).expect("a column");
    let error = refusal(&table, "y ~ x + (1 | id)");
    assert!(error.contains("row 6") && error.contains("1.5"), "{error}");
}

#[test]
fn one_group_is_an_error() {
    let table = table().with("one", vec!["a"; 12].into()).expect("a column");
    let error = refusal(&table, "y ~ x + (1 | one)");
    assert!(error.contains("one group"), "{error}");
}

#[test]
fn crossed_groupings_are_fitted() {
    let table = table().with("rater", ["p", "q"].repeat(6).into()).expect("a column");
    let fit = lmm("y ~ x + (1 | school) + (1 | rater)").fit(&table).expect("a fit");
    assert!(fit.estimates().crossed);
    let levels: Vec<_> = fit.estimates().levels.iter().map(|level| (&level.name[..], level.groups)).collect();
    assert_eq!(levels, [("rater", 2), ("school", 3)]);
    assert!(fit.influence(&table).expect_err("connected rows").to_string().contains("cross"));
}

#[test]
fn an_empty_table_is_an_error() {
    let empty = Table::from_columns(columns().map(|(name, _)| (name, Values::Numbers(Vec::new())))).expect("a table");
    assert!(lmm("y ~ x + (1 | school)").fit(&empty).is_err());
}

#[test]
fn settings_out_of_range_are_errors() {
    let model = lmm("y ~ x + (1 | school)");
    for wrong in [model.clone().confidence(1.0), model.clone().confidence(f64::NAN), model.clone().max_evaluations(0)] {
        assert!(matches!(wrong.fit(&table()), Err(Error::Setting(_))));
    }
    let kenward_roger = model.ml().df(tiers::DfMethod::KenwardRoger);
    assert!(matches!(kenward_roger.fit(&table()), Err(Error::Setting(_))));
}

#[test]
fn a_category_beyond_its_levels_is_an_error() {
    let error = Values::categorical([Some(0), Some(2)], ["low", "high"]).expect_err("a wrong code").to_string();
    assert!(error.contains("row 2") && error.contains("code 2"), "{error}");
    assert!(Values::categorical([Some(0)], ["low", "low"]).is_err());
}

#[test]
fn missing_values_are_left_out_and_counted() {
    let mut x: Vec<Option<f64>> = vec![Some(0.5); 12];
    (0..12).for_each(|i| x[i] = Some((i * 5 % 7) as f64));
    x[3] = None;
    let table = table().with("z", x.into()).expect("a column");
    let fit = lmm("y ~ z + (1 | school)").fit(&table).expect("a fit");
    assert_eq!((fit.estimates().n_obs, fit.estimates().n_dropped), (11, 1));
    assert_eq!(fit.estimates().missing, [("z".to_owned(), 1)]);
}

#[test]
fn categories_keep_their_order_and_booleans_are_factors() {
    let codes = (0..12).map(|i| Some(i % 3));
    let table = table()
        .with("grade", Values::categorical(codes, ["low", "middle", "high"]).expect("a factor"))
        .and_then(|table| table.with("treated", (0..12).map(|i| i % 2 == 0).collect::<Vec<bool>>().into()))
        .expect("columns");
    let fit = lmm("y ~ grade + treated + (1 | school)").fit(&table).expect("a fit");
    let terms: Vec<&str> = fit.fixed_effects().iter().map(|effect| effect.term.as_str()).collect();
    assert_eq!(terms, ["(Intercept)", "grademiddle", "gradehigh", "treatedTRUE"]);
    let fit = lmm("y ~ grade + (1 | school)").reference("grade", "high").fit(&table).expect("a fit");
    assert_eq!(fit.fixed_effects()[1].term, "gradelow");
}
