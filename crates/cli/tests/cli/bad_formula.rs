//! Invalid formulas and options.

use crate::support::{Folder, fit, fit_err, program, run, students};

/// Checks that a formula is an error before any file is opened.
fn formula_err(formula: &str, words: &[&str]) {
    fit_err(&[formula, "there-is-no-such-file.parquet"], words);
}

#[test]
fn an_incomplete_formula_is_an_error() {
    formula_err("", &["the formula is empty", "y ~ x + (1 | school)"]);
    formula_err("  ", &["the formula is empty"]);
    formula_err("y", &["`~`"]);
    formula_err("~ x", &["response"]);
}

#[test]
fn unbalanced_parentheses_are_errors() {
    formula_err("y ~ x + (1 | school", &["never closed", "\n            ^"]);
    formula_err("y ~ x + 1 | school)", &["closes no parenthesis", "^"]);
}

#[test]
fn a_random_term_without_grouping_is_an_error() {
    formula_err("y ~ x + (1 | )", &["no grouping", "(1 | school)"]);
    formula_err("y ~ x + (1 |)", &["no grouping"]);
    formula_err("y ~ x + 1 | school", &["outside parentheses"]);
}

#[test]
fn a_formula_without_random_terms_is_an_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    fit_err(&["y ~ x", &path], &["no random effect", "(1 | school)"]);
}

#[test]
fn invalid_options_are_errors() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let model = "y ~ sex + (1 | school)";
    fit_err(&[model, &path, "--conf-level", "95"], &["--conf-level 95", "0.95"]);
    fit_err(&[model, &path, "--max-evaluations", "0"], &["--max-evaluations 0"]);
    fit_err(&[model, &path, "--df", "exact"], &["exact", "satterthwaite", "kenward-roger", "none"]);
    fit_err(&[model, &path, "--df", "kenward-roger", "--ml"], &["REML", "--ml"]);
    fit_err(&[model, &path, "--reference", "sex"], &["--reference sex", "gender=F"]);
    fit_err(&[model, &path, "--reference", "sex=X"], &["`sex`", "`X`", "F, M"]);
    fit_err(&[model, &path, "--reference", "school=1"], &["`school`", "sex"]);
    fit_err(&[model, &path, "--threads", "0"], &["--threads"]);
    fit_err(&[model, &path, "--fitted"], &["--out"]);
    fit_err(&[model, &path, "--ml", "--reml"], &["--ml", "--reml"]);
    fit_err(&[model, &path, "--maxevaluations", "3"], &["--max-evaluations"]);
    fit_err(&[model], &["<DATA>"]);
}

#[test]
fn usage_errors_are_code_1_and_help_is_code_0() {
    let ran = run(&mut program());
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("Usage: tiers"), "{ran:?}");
    for arguments in [&["--help"][..], &["--version"], &["fit", "--help"]] {
        let ran = run(program().args(arguments));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
    }
    assert_eq!(run(program().arg("--version")).out, format!("tiers {}\n", env!("CARGO_PKG_VERSION")));
    let help = fit(&["--help"]).out;
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
}
