//! Tables of random effects and fitted values.

use crate::support::{
    Folder, ROWS, fit_ok, integers, labels_of, numbers, numbers_of, students, students_with, texts, without,
};

#[test]
fn random_effects_are_sorted_by_their_ids_in_the_type_of_the_data() {
    let folder = Folder::new();
    // Numbers sort by value (9 before 10), strings by bytes.
    let mut columns = students_with(integers("school", (0..ROWS).map(|i| 12 - (i / 16) as i64)));
    columns.retain(|column| column.name != "class");
    columns.push(texts("class", (0..ROWS).map(|i| if i / 8 % 2 == 0 { "b" } else { "a" })));
    let path = folder.parquet("a.parquet", columns);
    fit_ok(&["y ~ x + (1 + x | school/class)", &path, "--quiet", "--out", &folder.join("out")]);
    assert_eq!(folder.names("out/random_effects"), ["school.class.parquet", "school.parquet"]);
    let file = folder.join("out/random_effects/school.class.parquet");
    let of = |column: &str| labels_of(&file, column);
    assert_eq!(of("school")[..6], ["7", "7", "7", "7", "8", "8"]);
    assert_eq!(of("class")[..6], ["a", "a", "b", "b", "a", "a"]);
    assert_eq!(of("term")[..4], ["(Intercept)", "x", "(Intercept)", "x"]);
    assert_eq!(numbers_of(&folder.join("out/random_effects/school.parquet"), "school").len(), 12);
    for column in ["estimate", "conditional_sd", "prediction_sd"] {
        assert!(numbers_of(&file, column).iter().all(|value| value.is_finite()), "{column}");
    }
}

#[test]
fn id_columns_named_like_ours_are_renamed() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students_with(integers("term", (0..ROWS).map(|i| i as i64 / 16))));
    fit_ok(&["y ~ x + (1 | term)", &path, "--quiet", "--out", &folder.join("out")]);
    assert_eq!(labels_of(&folder.join("out/random_effects/term.parquet"), "term_2").len(), 6);
}

#[test]
fn fitted_values_respect_weights_offset_and_dropped_rows() {
    let folder = Folder::new();
    let mut columns = students();
    columns.push(numbers("w", (0..ROWS).map(|i| 1.0 + (i % 4) as f64)));
    columns.push(without(numbers("e", (0..ROWS).map(|i| (i % 9) as f64)), |i| i % 10 == 3));
    let path = folder.parquet("a.parquet", columns);
    let out = folder.join("out");
    let model = "y ~ x + offset(e) + (1 + z | school/class)";
    let json = fit_ok(&[model, &path, "--weights", "w", "--fitted", "--json", "--out", &out]);
    let sigma = serde_json::from_str::<serde_json::Value>(&json).expect("valid JSON")["sigma"].as_f64().expect("sigma");
    let file = folder.join("out/fitted.parquet");
    let of = |column: &str| numbers_of(&file, column);
    let kept: Vec<usize> = (0..ROWS).filter(|i| i % 10 != 3).collect();
    assert_eq!(of("row"), kept.iter().map(|&i| (i + 1) as f64).collect::<Vec<_>>());
    let (response, fitted, residual) = (of("response"), of("fitted"), of("residual"));
    let (raw, scaled) = (numbers_of(&path, "y"), of("standardised_residual"));
    for (at, &i) in kept.iter().enumerate() {
        assert!((response[at] - raw[i]).abs() < 1e-12, "row {i}: {} not {}", response[at], raw[i]);
        assert!((fitted[at] + residual[at] - raw[i]).abs() < 1e-12);
        let wanted = residual[at] * (1.0 + (i % 4) as f64).sqrt() / sigma;
        assert!((scaled[at] - wanted).abs() < 1e-12 * wanted.abs().max(1.0));
    }
    // The offset is in the fixed part: residuals are small although it goes up to 8.
    assert!(residual.iter().all(|r| r.abs() < 30.0 * sigma));
}
