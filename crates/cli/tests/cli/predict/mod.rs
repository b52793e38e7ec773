//! `tiers predict`: figures against R, what is written, and input that cannot be used.

mod figures;
mod unusable;

use crate::support::{Folder, fit_well, refused, students, well};

const MODEL: &str = "y ~ x + sex + (1 + z | school) + (1 | school:class)";

/// Runs `tiers predict`, which must succeed without a word on standard error.
fn predict(arguments: &[&str]) -> String {
    well(&[&["predict"], arguments].concat())
}

/// Runs `tiers predict`, which must end with code 1 and a message with all these words, and leave no
/// file of predictions.
fn predict_refused(folder: &Folder, arguments: &[&str], words: &[&str]) {
    let before = folder.names(".");
    refused(&[&["predict"], arguments].concat(), words);
    assert_eq!(folder.names("."), before, "{arguments:?}");
}

/// A folder with `fit`, the fit of [`students`] with its fitted values.
fn fitted() -> Folder {
    let folder = Folder::new();
    let path = folder.parquet("data/students.parquet", students());
    fit_well(&[MODEL, &path, "--out", &folder.join("fit"), "--fitted", "--quiet"]);
    folder
}
