//! Formulas and options that say nothing, or too much.

use crate::support::{Folder, fit, fit_refused, program, run, students};

/// Refused before any file is opened: there is none.
fn refused_formula(formula: &str, words: &[&str]) {
    fit_refused(&[formula, "there-is-no-such-file.parquet"], words);
}

#[test]
fn empty_formula() {
    refused_formula("", &["the formula is empty", "y ~ x + (1 | school)"]);
    refused_formula("  ", &["the formula is empty"]);
    refused_formula("y", &["`~`"]);
    refused_formula("~ x", &["response"]);
}

#[test]
fn unbalanced_parenthesis() {
    refused_formula("y ~ x + (1 | school", &["never closed", "\n            ^"]);
    refused_formula("y ~ x + 1 | school)", &["closes no parenthesis", "^"]);
}

#[test]
fn random_term_without_grouping() {
    refused_formula("y ~ x + (1 | )", &["no grouping", "(1 | school)"]);
    refused_formula("y ~ x + (1 |)", &["no grouping"]);
    refused_formula("y ~ x + 1 | school", &["outside parentheses"]);
}

#[test]
fn no_random_term() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    fit_refused(&["y ~ x", &path], &["no random effect", "(1 | school)"]);
}

#[test]
fn options() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let model = "y ~ sex + (1 | school)";
    fit_refused(&[model, &path, "--conf-level", "95"], &["--conf-level 95", "0.95"]);
    fit_refused(&[model, &path, "--max-evaluations", "0"], &["--max-evaluations 0"]);
    fit_refused(&[model, &path, "--df", "exact"], &["exact", "satterthwaite", "kenward-roger", "none"]);
    fit_refused(&[model, &path, "--df", "kenward-roger", "--ml"], &["REML", "--ml"]);
    fit_refused(&[model, &path, "--reference", "sex"], &["--reference sex", "gender=F"]);
    fit_refused(&[model, &path, "--reference", "sex=X"], &["`sex`", "`X`", "F, M"]);
    fit_refused(&[model, &path, "--reference", "school=1"], &["`school`", "sex"]);
    fit_refused(&[model, &path, "--threads", "0"], &["--threads"]);
    fit_refused(&[model, &path, "--fitted"], &["--out"]);
    fit_refused(&[model, &path, "--ml", "--reml"], &["--ml", "--reml"]);
    fit_refused(&[model, &path, "--maxevaluations", "3"], &["--max-evaluations"]);
    fit_refused(&[model], &["<DATA>"]);
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
