//! Data that cannot be read or used: each case has its own message and exit code 1.

use crate::support::{Folder, ROWS, dataset, fit, fit_err, integers, numbers, students, students_with, texts, without};

const MODEL: &str = "y ~ x + (1 | school)";

#[test]
fn a_missing_file_is_an_error() {
    let folder = Folder::new();
    folder.parquet("students.parquet", students());
    let path = folder.join("student.parquet");
    fit_err(&[MODEL, &path], &["student.parquet", "no such file", "did you mean", "students.parquet"]);
    fit_err(&[MODEL, &folder.join("*.csv")], &["*.csv", "matches no file"]);
}

#[test]
fn a_file_in_another_format_is_an_error() {
    let folder = Folder::new();
    let path = folder.text("a.parquet", "y,x,school\n1,2,3\n");
    fit_err(&[MODEL, &path], &["a.parquet", "not parquet"]);
    let path = folder.text("a.xlsx", "PK");
    fit_err(&[MODEL, &path], &["a.xlsx", ".parquet", "convert"]);
    let path = folder.text("empty.parquet", "");
    fit_err(&[MODEL, &path], &["empty.parquet", "empty"]);
}

#[test]
fn a_truncated_file_is_an_error() {
    let folder = Folder::new();
    let whole = std::fs::read(dataset("chem97")).expect("chem97");
    let path = folder.join("cut.parquet");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("a file");
    fit_err(&["score ~ age + (1 | lea)", &path], &["cut.parquet", "cut off", "again"]);
}

#[test]
fn a_folder_without_data_files_is_an_error() {
    let folder = Folder::new();
    folder.text("notes.md", "nothing here");
    fit_err(&[MODEL, &folder.join("")], &["no data files", ".parquet"]);
}

#[test]
fn files_with_different_schemas_are_errors() {
    let folder = Folder::new();
    folder.parquet("all/a.parquet", students());
    folder.parquet("all/b.parquet", students().into_iter().filter(|c| c.name != "x").collect());
    fit_err(&[MODEL, &folder.join("all")], &["a.parquet", "b.parquet", "`x`"]);
    folder.parquet("all/b.parquet", students_with(texts("x", vec!["1"; ROWS])));
    fit_err(&[MODEL, &folder.join("all")], &["a.parquet", "b.parquet", "`x`"]);
}

#[test]
fn a_table_without_rows_is_an_error() {
    let folder = Folder::new();
    let empty = vec![numbers("y", []), numbers("x", []), integers("school", [])];
    fit_err(&[MODEL, &folder.parquet("a.parquet", empty)], &["a.parquet", "no rows"]);
}

#[test]
fn an_unknown_column_is_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let error = fit_err(&["y ~ x + (1 | shcool)", &path], &["`shcool`", "did you mean `school`?", "^"]);
    let caret = error.lines().last().expect("a caret").find('^');
    assert_eq!(caret, error.lines().rev().nth(1).expect("the formula").find("shcool"));
    fit_err(&[MODEL, &path, "--weights", "wt"], &["`wt`"]);
}

#[test]
fn an_infinite_value_is_an_error() {
    let folder = Folder::new();
    let infinite = numbers("x", (0..ROWS).map(|i| if i == 41 { f64::INFINITY } else { i as f64 }));
    fit_err(&[MODEL, &folder.parquet("a.parquet", students_with(infinite))], &["`x`", "infinite", "row 42"]);
}

#[test]
fn invalid_weights_are_errors() {
    let folder = Folder::new();
    let with = |bad: f64| numbers("w", (0..ROWS).map(move |i| if i == 6 { bad } else { 1.0 }));
    let of = |bad: f64| folder.parquet("w.parquet", students_with(with(bad)));
    fit_err(&[MODEL, &of(-1.0), "--weights", "w"], &["`w`", "-1", "row 7", "positive"]);
    fit_err(&[MODEL, &of(0.0), "--weights", "w"], &["`w`", " 0 ", "row 7", "positive"]);
    let null = folder.parquet("w.parquet", students_with(without(with(1.0), |i| i == 6)));
    fit_err(&[MODEL, &null, "--weights", "w"], &["`w`", "missing", "row 7"]);
    fit_err(&[MODEL, &null, "--weights", "sex"], &["`sex`", "text"]);
}

#[test]
fn null_id_rows_are_dropped_and_counted() {
    let folder = Folder::new();
    let some = without(integers("school", (0..ROWS).map(|i| i as i64 / 16)), |i| i < 16);
    let ran = fit(&[MODEL, &folder.parquet("some.parquet", students_with(some))]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("80 used of 96, 16 dropped for missing values: school 16"), "{}", ran.out);
    let all = without(integers("school", vec![0; ROWS]), |_| true);
    let path = folder.parquet("all.parquet", students_with(all));
    fit_err(&[MODEL, &path], &["no row is left", "96", "school: 96"]);
}

#[test]
fn fractional_ids_are_errors() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    fit_err(&["y ~ x + (1 | z)", &path], &["`z`", "not a whole number", "integer"]);
}

#[test]
fn dropping_all_rows_is_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students_with(without(numbers("x", vec![0.0; ROWS]), |_| true)));
    fit_err(&[MODEL, &path], &["no row is left", "x: 96"]);
}
