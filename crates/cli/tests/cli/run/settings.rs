//! The job file and its errors, `--set`, `--dry-run` and log lines.

use super::*;

#[test]
fn errors_name_the_line_the_key_and_the_nearest_valid_one() {
    let folder = Folder::new();
    let check = |models: &str, words: &[&str]| job_err(&job(&folder, models), &[], words);
    let first = "[[models]]\nname = \"a\"\nformula = \"y ~ x + (1 | school)\"\n";
    check(&format!("{first}metod = \"ML\"\n"), &["job.toml, line 8, column 1", "models[0].metod", "`method`"]);
    check(&format!("{first}method = \"MLE\"\n"), &["line 8", "models[0].method", "unknown value `MLE`", "`ML`"]);
    check(&format!("{first}conf_level = \"high\"\n"), &["line 8", "models[0].conf_level"]);
    check(&format!("{first}conf_level = 95\n"), &["line 8: models[0].conf_level", "between 0 and 1"]);
    check("[[models]]\nname = \"a\"\n", &["missing field `formula`"]);
    check("", &["missing field `models`"]);
    check(&format!("{first}{first}"), &["line 9: models[1].name", "models[0]"]);
    check(&first.replace("\"a\"", "\"../a\""), &["models[0].name", "slashes"]);
    check(&first.replace("\"a\"", "\"\""), &["models[0].name", "needs a name"]);
    check(&first.replace("\"a\"", "\"status.json\""), &["models[0].name", "status.json"]);
    check(&first.replace("~ x", "~ xx"), &["line 7: models[0].formula", "`xx`"]);
    check(&first.replace("(1 | school)", "(1 | school"), &["line 7: models[0].formula", "never closed"]);
    check(&format!("{first}df = \"kenward-roger\"\nmethod = \"ML\""), &["models[0].df", "REML"]);
    check(&format!("{first}by = [\"stat\"]\n"), &["models[0].by", "no column `stat`"]);
    check(&format!("{first}report = true\nby = [\"sex\"]\n"), &["line 8: models[0].report", "`by`"]);
    check(&format!("{first}weights = \"w\"\n"), &["`w`"]);
    check(&format!("{first}[run]\nmemory_limit = \"2 XB\"\n"), &["line 9: run.memory_limit", "XB"]);
    check(&format!("{first}[run]\nthreads = 0\n"), &["run.threads", "at least one"]);
    check(&format!("{first}[data.reference]\nseks = \"M\"\n"), &["`seks`"]);
    check(&format!("{first}[data.types]\nschool = \"text\"\n"), &["data.types.school", "must hold text", "integers"]);
    check("[[models]\n", &["line 5"]);
    // No results were begun.
    assert_eq!(folder.names("."), ["data", "job.toml"]);
    job_err(&folder.join("none.toml"), &[], &["none.toml", "cannot be read"]);
}

#[test]
fn set_changes_keys_and_is_named_in_errors() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    job_ok(&job, &["--set", "models.*.method=ML", "--set", "output.folder=\"other\"", "--set", "run.threads=1"]);
    assert_eq!(json(&folder, "other/null/fit.json")["method"], "ML");
    for (set, words) in [
        ("models.nul.method=ML", ["`nul`", "`null`"]),
        ("models.null.metod=ML", ["--set models.null.metod=ML", "`method`"]),
        ("models.null.conf_level=3", ["--set models.null.conf_level=3", "between 0 and 1"]),
        ("models.null.formula=y ~", ["--set models.null.formula=y ~", "right of `~`"]),
        ("method", ["--set method", "key=value"]),
    ] {
        job_err(&job, &["--set", set], &words);
    }
    // --set can supply a key that the file lacks.
    let lacks = folder.text("lacks.toml", &with_data("data/a.parquet", "[[models]]\nname = \"a\"\n"));
    job_ok(&lacks, &["--set", "models.a.formula=y ~ x + (1 | school)"]);
}

#[test]
fn a_dry_run_reports_and_writes_nothing() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    let printed = job_ok(&job, &["--dry-run"]);
    for word in ["96 rows", "sex", "text", "fitted values take", "y ~ x + sex + (1 | school/class)", "Memory: limit"] {
        assert!(printed.contains(word), "`{word}` is not in: {printed}");
    }
    let plan: serde_json::Value = serde_json::from_str(&job_ok(&job, &["--dry-run", "--json"])).expect("JSON");
    assert_eq!(plan["rows"], 96);
    assert_eq!(folder.names("."), ["data", "job.toml"]);
    job_err(&job, &["--dry-run", "--set", "models.full.formula=y ~ q + (1 | school)"], &["`q`"]);
}

#[test]
fn reference_levels_apply_to_the_models_that_have_the_factor() {
    let folder = Folder::new();
    let job = job(&folder, &format!("{MODELS}[data.reference]\nsex = \"M\"\n"));
    job_ok(&job, &[]);
    assert_eq!(json(&folder, "results/full/fit.json")["fixed_effects"][2]["term"], "sexF");
}

#[test]
fn the_printed_schema_equals_that_of_the_docs() {
    let ran = run(program().args(["run", "--schema"]));
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/job.schema.json");
    assert_eq!(ran.out, fs::read_to_string(docs).expect("docs/job.schema.json"));
}

#[test]
fn log_lines_are_text_or_json() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    let ran = tiers_run(&job, &["--log-format", "json", "--log-level", "debug"]);
    let lines: Vec<serde_json::Value> =
        ran.err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    let fitted = lines.iter().find(|line| line["message"] == "fitted" && line["model"] == "full").expect("a line");
    assert!(fitted["criterion"].is_f64() && fitted["level"] == "info" && fitted["time"].is_string(), "{fitted}");
    assert!(lines.iter().any(|line| line["message"] == "evaluated"), "debug logs evaluations");
    // Errors are JSON lines, too.
    let ran = tiers_run(&job, &["--log-format", "json", "--set", "models.null.formula=y"]);
    let line: serde_json::Value = serde_json::from_str(ran.err.trim_end()).expect("one line");
    assert!(ran.code == 1 && line["error"].as_str().is_some_and(|error| error.contains("formula")), "{line}");
    let ran = tiers_run(&job, &["--fresh"]);
    assert!(ran.err.contains(" INFO fitted criterion="), "{}", ran.err);
    let ran = tiers_run(&job, &["--fresh", "--quiet"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
}

#[test]
fn a_key_of_very_many_parts_is_an_error() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    let set = format!("{}=1", vec!["a"; 50_000].join("."));
    job_err(&job, &["--dry-run", "--set", &set], &["50000 parts"]);
}
