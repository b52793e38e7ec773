//! Unattended runs: special files, limits of the system, hostile labels.

use crate::support::{Folder, Ran, assert_error, fit_err, fit_ok, integers, numbers, program, run_within, texts};
use std::process::{Command, Stdio};
use std::time::Instant;
use tiers_outputs::OutColumn;

const MODEL: &str = "y ~ x + (1 | g)";

/// Returns 60 rows in 12 groups, one of which has this label.
fn table(label: &str) -> Vec<OutColumn> {
    let wave = |i: usize, k: f64| (i as f64 * k).sin();
    let group = |i: usize| if i % 12 == 5 { label.to_owned() } else { format!("g{}", i % 12) };
    vec![
        numbers("y", (0..60).map(|i| wave(i, 12.9) + 3.0 * wave(i % 12, 7.1))),
        numbers("x", (0..60).map(|i| wave(i, 78.2))),
        texts("g", (0..60).map(group)),
    ]
}

fn within(command: &mut Command) -> Ran {
    run_within(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
}

/// Creates a named pipe that nobody writes to.
#[cfg(unix)]
fn pipe(path: &str) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

#[cfg(unix)]
#[test]
fn pipes_among_data_are_skipped_and_named_ones_are_errors() {
    let folder = Folder::new();
    folder.parquet("data/a.parquet", table("g5"));
    pipe(&folder.join("data/b.parquet"));
    pipe(&folder.join("data/plain"));
    for data in ["data", "data/*", "**/*.parquet"] {
        let ran = within(program().args(["fit", MODEL, &folder.join(data), "-q"]));
        assert_eq!(ran.code, 0, "{data}: {ran:?}");
        assert!(ran.out.contains("Number of obs: 60"), "{data}: {}", ran.out);
    }
    for special in [folder.join("data/b.parquet"), folder.join("data/plain"), "/dev/zero".to_owned()] {
        let ran = within(program().args(["fit", MODEL, &special]));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_error(&ran.err, &["a pipe, a socket or a device", "write the data to a file"]);
    }
}

#[cfg(unix)]
#[test]
fn jobs_and_specifications_must_be_regular_files() {
    let folder = Folder::new();
    pipe(&folder.join("job"));
    for file in [folder.join("job"), "/dev/zero".to_owned(), folder.join("")] {
        let ran = within(program().args(["run", &file, "-q"]));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_error(&ran.err, &["the job file cannot be read", "TOML"]);
        let ran = within(program().args(["simulate", &file, "--out", &folder.join("rows.parquet")]));
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    }
}

#[cfg(unix)]
#[test]
fn rows_behind_several_links_count_once() {
    let folder = Folder::new();
    folder.parquet("data/sub/a.parquet", table("g5"));
    std::os::unix::fs::symlink(folder.join("data"), folder.join("data/sub/up")).expect("a link");
    std::fs::hard_link(folder.join("data/sub/a.parquet"), folder.join("data/sub/again.parquet")).expect("a link");
    for data in ["data", "data/**/*.parquet", "data/sub/*.parquet"] {
        let text = fit_ok(&[MODEL, &folder.join(data)]);
        assert!(text.contains("Number of obs: 60"), "{data}: {text}");
    }
}

#[test]
fn a_pattern_of_many_stars_is_matched_quickly() {
    let folder = Folder::new();
    folder.parquet(&format!("{}.parquet", "ab".repeat(60)), table("g5"));
    let began = Instant::now();
    fit_err(&[MODEL, &folder.join(&format!("{}c", "*ab".repeat(30)))], &["matches no file"]);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn a_thousand_threads_are_capped_without_changing_results() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", table("g5"));
    let ran = within(program().args(["fit", MODEL, &path, "--threads", "1000"]));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.starts_with("tiers: note: ") && ran.err.contains("instead of 1000"), "{ran:?}");
    let quiet = within(program().args(["fit", MODEL, &path, "--threads", "1000", "-q"]));
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""), "{quiet:?}");
    assert_eq!(quiet.out, ran.out);
    let by_variable = within(program().args(["fit", MODEL, &path]).env("POLARS_MAX_THREADS", "3000"));
    assert_eq!((by_variable.code, by_variable.out), (0, ran.out));
}

/// Runs the program under a limit of the shell.
#[cfg(unix)]
fn limited(limit: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_tiers")]);
    within(command.args(arguments).stdin(Stdio::null()).env_remove("RUST_BACKTRACE"))
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_address_space_is_not_an_internal_error() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", table("g5"));
    for kilobytes in [150_000, 200_000, 250_000, 300_000, 400_000] {
        let ran = limited(&format!("-v {kilobytes}"), &["fit", MODEL, &path, "-q"]);
        assert!(matches!(ran.code, 0 | 1), "{kilobytes}: {ran:?}");
        assert!(ran.code == 0 || !ran.err.is_empty(), "{kilobytes}: {ran:?}");
        assert!(!ran.err.contains("internal") && !ran.err.contains("a bug in"), "{kilobytes}: {ran:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn too_few_threads_are_an_error_and_do_not_hang() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", table("g5"));
    // The limit on processes does not apply to root, so run as another user if possible.
    let as_nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut allowed = Command::new("setpriv");
    let readable = "test -r \"$0\" && test -x \"$1\" && command -v prlimit >/dev/null";
    allowed.args(as_nobody).args(["sh", "-c", readable, &path, env!("CARGO_BIN_EXE_tiers")]);
    Command::new("chmod").args(["-R", "a+rX", &folder.join("")]).status().ok();
    if !allowed.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("skipped: the program cannot be run as another user here");
        return;
    }
    for limit in [2, 3, 6] {
        let limit_of_threads = format!("--nproc={limit}");
        let mut command = Command::new("setpriv");
        command.args(as_nobody).args(["prlimit", &limit_of_threads, env!("CARGO_BIN_EXE_tiers"), "fit", MODEL, &path]);
        let ran = within(&mut command);
        assert_eq!(ran.code, 1, "{limit}: {ran:?}");
        assert_error(&ran.err, &["too few threads", "ulimit -u"]);
    }
}

#[test]
fn control_characters_are_escaped() {
    let folder = Folder::new();
    let hostile = "\u{1b}[2J\u{9b}31m\u{7}\nforged\r\u{7f}";
    let shown = "\\u{1b}[2J\\u{9b}31m\\u{7}\\u{a}forged\\u{d}\\u{7f}";
    let path = folder.parquet("a.parquet", table(hostile));
    let is_raw = |text: &str| text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    let out = folder.join("out");
    let text = fit_ok(&[MODEL, &path, "--out", &out, "--report"]);
    let ranked = crate::support::run_ok(&["ranef", &out, "--top", "12"]);
    assert!(ranked.contains(shown), "{ranked}");
    let json = crate::support::run_ok(&["ranef", &out, "--top", "12", "--json"]);
    let page = std::fs::read_to_string(folder.join("out/report.html")).expect("the page");
    assert!(page.contains(shown), "{page}");
    let error = fit_err(&["y ~ `\u{1b}[31m` + (1 | g)", &path], &["\\u{1b}[31m"]);
    let files = ["summary.txt", "fit.json", "model.json"].map(|name| folder.join(&format!("out/{name}")));
    let files = files.map(|file| std::fs::read_to_string(file).expect("a file"));
    for text in [&text, &ranked, &json, &page, &error].into_iter().chain(&files) {
        assert!(!is_raw(text), "{text:?}");
    }
    // The label in the data is unchanged.
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(value.to_string().contains(&serde_json::to_string(hostile).expect("JSON")), "{value}");
}

#[test]
fn levels_of_factors_and_partitions_are_escaped() {
    let folder = Folder::new();
    let mut columns = table("g5");
    columns.push(texts("f", (0..60).map(|i| ["a", "b\u{1b}]0;title\u{7}\nb"][i % 2])));
    columns.push(integers("k", (0..60).map(|i| (i / 30) as i64)));
    let path = folder.parquet("a.parquet", columns);
    let text = fit_ok(&["y ~ x + f + (1 | g)", &path]);
    assert!(text.contains("fb\\u{1b}]0;title\\u{7}\\u{a}b"), "{text}");
    let job = format!(
        "[data]\npaths = [\"{path}\"]\n[output]\nfolder = \"results\"\n[run]\non_error = \"continue\"\n[[models]]\nname = \
         \"m\"\nformula = \"y ~ x + (1 | f)\"\nby = [\"f\"]\n"
    );
    let ran = within(program().args(["run", &folder.text("job.toml", &job)]));
    let summary = std::fs::read_to_string(folder.join("results/m/summary.txt")).expect("a summary");
    for text in [&ran.out, &ran.err, &summary] {
        assert!(!text.contains('\u{1b}') && !text.lines().any(|line| line.starts_with('b')), "{text:?}");
    }
}

#[test]
fn a_memory_limit_is_enforced_and_does_not_change_results() {
    let folder = Folder::new();
    let mut columns = table("g5");
    let rows = 40_000;
    let wave = |i: usize, k: usize| ((i * (k + 3)) as f64 * 0.7).sin();
    columns.clear();
    columns.push(numbers("y", (0..rows).map(|i| wave(i, 0) + wave(i % 500, 1))));
    columns.push(integers("g", (0..rows).map(|i| (i % 500) as i64)));
    columns.extend((2..80).map(|k| numbers(&format!("x{k}"), (0..rows).map(|i| wave(i, k)))));
    let path = folder.parquet("wide.parquet", columns);
    let terms: Vec<String> = (2..80).map(|k| format!("x{k}")).collect();
    let formula = format!("y ~ {} + (1 | g)", terms.join(" + "));
    let of = |limit: &str| within(program().args(["fit", &formula, &path, "-q", "--memory-limit", limit]));
    let refused = of("60MB");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_error(&refused.err, &["not enough memory", "80 columns", "the limit is 60 MB", "fewer predictors"]);
    let (tight, wide) = (of("300MB"), of("4GB"));
    assert_eq!((tight.code, wide.code), (0, 0), "{tight:?} {wide:?}");
    assert_eq!(tight.out, wide.out);
}

#[test]
fn threads_and_memory_limit_can_come_from_the_environment() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", table("g5"));
    let with = |name: &str, value: &str, more: &[&str]| {
        within(program().env(name, value).args(["fit", MODEL, &data, "-q"]).args(more))
    };
    assert_eq!(with("TIERS_THREADS", "2", &[]).code, 0);
    let ran = with("TIERS_THREADS", "many", &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_error(&ran.err, &["--threads", "many"]);
    let ran = with("TIERS_MEMORY_LIMIT", "1MB", &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_error(&ran.err, &["not enough memory"]);
    // An option wins over the environment.
    assert_eq!(with("TIERS_MEMORY_LIMIT", "1MB", &["--memory-limit", "1GB"]).code, 0);
}

#[test]
fn options_of_fit_are_listed_under_headings() {
    let help = within(program().args(["fit", "--help"])).out;
    for heading in ["Model:", "Data:", "Inference:", "Output:", "Run:"] {
        assert!(help.lines().any(|line| line == heading), "{heading}\n{help}");
    }
    assert!(help.contains("TIERS_THREADS") && help.contains("TIERS_MEMORY_LIMIT"), "{help}");
}
