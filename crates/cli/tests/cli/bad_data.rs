//! Data that cannot be read or used: each with its own message and exit code 1.

use crate::support::{
    Folder, ROWS, dataset, fit, fit_refused, integers, numbers, students, students_with, texts, without,
};

const MODEL: &str = "y ~ x + (1 | school)";

#[test]
fn missing_file() {
    let folder = Folder::new();
    folder.parquet("students.parquet", students());
    let path = folder.join("student.parquet");
    fit_refused(&[MODEL, &path], &["student.parquet", "no such file", "did you mean", "students.parquet"]);
    fit_refused(&[MODEL, &folder.join("*.csv")], &["*.csv", "matches no file"]);
}

#[test]
fn not_parquet() {
    let folder = Folder::new();
    let path = folder.text("a.parquet", "y,x,school\n1,2,3\n");
    fit_refused(&[MODEL, &path], &["a.parquet", "not parquet"]);
    let path = folder.text("a.xlsx", "PK");
    fit_refused(&[MODEL, &path], &["a.xlsx", ".parquet", "convert"]);
    let path = folder.text("empty.parquet", "");
    fit_refused(&[MODEL, &path], &["empty.parquet", "empty"]);
}

#[test]
fn cut_off_file() {
    let folder = Folder::new();
    let whole = std::fs::read(dataset("chem97")).expect("chem97");
    let path = folder.join("cut.parquet");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("a file");
    fit_refused(&["score ~ age + (1 | lea)", &path], &["cut.parquet", "cut off", "again"]);
}

#[test]
fn folder_without_files() {
    let folder = Folder::new();
    folder.text("notes.md", "nothing here");
    fit_refused(&[MODEL, &folder.join("")], &["no data files", ".parquet"]);
}

#[test]
fn files_with_different_schemas() {
    let folder = Folder::new();
    folder.parquet("all/a.parquet", students());
    folder.parquet("all/b.parquet", students().into_iter().filter(|c| c.name != "x").collect());
    fit_refused(&[MODEL, &folder.join("all")], &["a.parquet", "b.parquet", "`x`"]);
    folder.parquet("all/b.parquet", students_with(texts("x", vec!["1"; ROWS])));
    fit_refused(&[MODEL, &folder.join("all")], &["a.parquet", "b.parquet", "`x`"]);
}

#[test]
fn no_rows() {
    let folder = Folder::new();
    let empty = vec![numbers("y", []), numbers("x", []), integers("school", [])];
    fit_refused(&[MODEL, &folder.parquet("a.parquet", empty)], &["a.parquet", "no rows"]);
}

#[test]
fn unknown_column() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let told = fit_refused(&["y ~ x + (1 | shcool)", &path], &["`shcool`", "did you mean `school`?", "^"]);
    let caret = told.lines().last().expect("a caret").find('^');
    assert_eq!(caret, told.lines().rev().nth(1).expect("the formula").find("shcool"));
    fit_refused(&[MODEL, &path, "--weights", "wt"], &["`wt`"]);
}

#[test]
fn infinite_value() {
    let folder = Folder::new();
    let infinite = numbers("x", (0..ROWS).map(|i| if i == 41 { f64::INFINITY } else { i as f64 }));
    fit_refused(&[MODEL, &folder.parquet("a.parquet", students_with(infinite))], &["`x`", "infinite", "row 42"]);
}

#[test]
fn weights() {
    let folder = Folder::new();
    let with = |bad: f64| numbers("w", (0..ROWS).map(move |i| if i == 6 { bad } else { 1.0 }));
    let of = |bad: f64| folder.parquet("w.parquet", students_with(with(bad)));
    fit_refused(&[MODEL, &of(-1.0), "--weights", "w"], &["`w`", "-1", "row 7", "positive"]);
    fit_refused(&[MODEL, &of(0.0), "--weights", "w"], &["`w`", " 0 ", "row 7", "positive"]);
    let null = folder.parquet("w.parquet", students_with(without(with(1.0), |i| i == 6)));
    fit_refused(&[MODEL, &null, "--weights", "w"], &["`w`", "missing", "row 7"]);
    fit_refused(&[MODEL, &null, "--weights", "sex"], &["`sex`", "text"]);
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
    fit_refused(&[MODEL, &path], &["no row is left", "96", "school: 96"]);
}

#[test]
fn ids_that_are_fractions() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    fit_refused(&["y ~ x + (1 | z)", &path], &["`z`", "not a whole number", "integer"]);
}

#[test]
fn all_rows_dropped() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students_with(without(numbers("x", vec![0.0; ROWS]), |_| true)));
    fit_refused(&[MODEL, &path], &["no row is left", "x: 96"]);
}
