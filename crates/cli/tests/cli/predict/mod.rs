//! `tiers predict`: figures against R, the output files, and input that cannot be used.

mod figures;
mod unusable;

use crate::support::{Folder, fit_ok, run_err, run_ok, students};

const MODEL: &str = "y ~ x + sex + (1 + z | school) + (1 | school:class)";

/// Runs `tiers predict`, which must succeed without output on standard error.
fn predict(arguments: &[&str]) -> String {
    run_ok(&[&["predict"], arguments].concat())
}

/// Runs `tiers predict`, which must fail with code 1 and a message that holds all these words, and
/// write no file of predictions.
fn predict_err(folder: &Folder, arguments: &[&str], words: &[&str]) {
    let before = folder.names(".");
    run_err(&[&["predict"], arguments].concat(), words);
    assert_eq!(folder.names("."), before, "{arguments:?}");
}

/// Creates a folder with `fit`, the fit of [`students`] with its fitted values.
fn fitted() -> Folder {
    let folder = Folder::new();
    let path = folder.parquet("data/students.parquet", students());
    fit_ok(&[MODEL, &path, "--out", &folder.join("fit"), "--fitted", "--quiet"]);
    folder
}
