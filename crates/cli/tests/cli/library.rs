//! Folders that the library writes, read by the program, and the reverse.

use crate::support::{Folder, fit_ok, integers, labels_of, numbers, numbers_of, run_ok, students};
use tiers::{Fit, Moments, Table, Values, lmm};
use tiers_outputs::{OutColumn, OutValues};

const FORMULA: &str = "y ~ x + sex + (1 | school)";

/// Rows of `students` in memory, as the program reads them from a file.
fn table(columns: Vec<OutColumn>) -> Table {
    let values = |values: OutValues| -> Values {
        match values {
            OutValues::F64(values) => values.into(),
            OutValues::I64(values) => values.into(),
            OutValues::U32(values) => values.into(),
            OutValues::Bool(values) => values.into(),
            OutValues::Text(texts) => texts.iter().map(str::to_owned).collect::<Vec<String>>().into(),
        }
    };
    Table::from_columns(columns.into_iter().map(|column| (column.name, values(column.values)))).expect("a table")
}

#[test]
fn the_program_answers_from_a_fit_that_the_library_saved() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", students());
    let (of_program, of_library) = (folder.join("program"), folder.join("library"));
    fit_ok(&[FORMULA, &data, "--out", &of_program, "--quiet"]);
    let rows = table(students());
    lmm(FORMULA).fit(&rows).expect("a fit").save(&of_library).expect("saved");
    assert!(folder.names("library/random_effects").iter().all(|name| name.ends_with(".csv")));
    for question in
        [&["ranef"][..], &["ranef", "--json"], &["anova"], &["means", "sex"], &["confint", "--method", "wald"]]
    {
        let ask = |fit: &String| run_ok(&[&[question[0], &fit[..]], &question[1..]].concat());
        assert_eq!(ask(&of_library), ask(&of_program), "{question:?}");
    }
    let predict = |fit: &str, out: &str| {
        let out = folder.join(out);
        run_ok(&["predict", fit, &data, "--out", &out, "--quiet"]);
        numbers_of(&out, "prediction")
    };
    assert_eq!(predict(&of_library, "l.parquet"), predict(&of_program, "p.parquet"));
    // The data that the library had in memory are those in the file.
    let refit = |fit: &str| run_ok(&["confint", fit, "--data", &data, "--quiet"]);
    assert_eq!(refit(&of_library), refit(&of_program));
    // A fit by the program replaces all of it.
    fit_ok(&[FORMULA, &data, "--out", &of_library, "--quiet"]);
    assert!(folder.names("library/random_effects").iter().all(|name| name.ends_with(".parquet")));
}

#[test]
fn the_library_answers_from_a_fit_that_the_program_saved() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", students());
    let out = folder.join("program");
    fit_ok(&[FORMULA, &data, "--out", &out, "--quiet"]);
    let rows = table(students());
    let (loaded, made) = (Fit::load(&out).expect("loaded"), lmm(FORMULA).fit(&rows).expect("a fit"));
    assert_eq!(loaded.estimates(), made.estimates());
    let error = loaded.random_effects("school").expect_err("without the feature").to_string();
    assert!(error.contains("parquet") && error.contains("`files`"), "{error}");
    let loaded = loaded.with_rows(&rows).expect("the same rows");
    assert_eq!(loaded.random_effects("school").expect("effects"), made.random_effects("school").expect("effects"));
}

#[test]
fn the_program_fits_moments_that_the_library_saved() {
    let folder = Folder::new();
    let columns = || {
        let ids = ["01", "1", "x", "2"].repeat(30).into_iter();
        vec![
            numbers("y", (0..120).map(|i| f64::from(i % 7) + f64::from(i % 4) + (f64::from(i) * 12.9898).sin())),
            numbers("x", (0..120).map(|i| f64::from(i % 5))),
            crate::support::texts("id", ids),
            integers("class", (0..120).map(|i| i64::from(i / 8))),
        ]
    };
    let formula = "y ~ x + (1 | id/class)";
    let data = folder.parquet("a.parquet", columns());
    let (moments, out, of_rows) = (folder.join("moments"), folder.join("out"), folder.join("rows"));
    lmm(formula).moments(&table(columns())).expect("moments").save(&moments).expect("saved");
    fit_ok(&["--moments", &moments, "--out", &out, "--quiet"]);
    fit_ok(&[formula, &data, "--out", &of_rows, "--quiet"]);
    let estimates = |out: &str| Fit::load(out).expect("loaded").estimates().clone();
    assert_eq!(estimates(&out), estimates(&of_rows));
    for file in ["id", "id.class"] {
        let of = |fit: &str| format!("{fit}/random_effects/{file}.parquet");
        assert_eq!(labels_of(&of(&out), "id"), labels_of(&of(&of_rows), "id"));
        assert_eq!(numbers_of(&of(&out), "estimate"), numbers_of(&of(&of_rows), "estimate"));
    }
    let error = Moments::load([&out]).expect_err("these are results").to_string();
    assert!(error.contains("not a folder of moments"), "{error}");
}
