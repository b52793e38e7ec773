//! `tiers run`: jobs of many models, also under kills, faults and stale files.

mod faults;
mod intervals;
mod jobs;
mod killed;
mod settings;
mod stale;

use crate::support::{Folder, Ran, assert_error, program, run, students, students_with, texts};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Two models of the same data.
const MODELS: &str = r#"
[[models]]
name = "null"
formula = "y ~ 1 + (1 | school)"
[[models]]
name = "full"
formula = "y ~ x + sex + (1 | school/class)"
method = "ML"
fitted = true
"#;

/// Writes data and a job that fits some models to them; returns the job's path.
fn job(folder: &Folder, models: &str) -> String {
    folder.parquet("data/a.parquet", students());
    folder.text("job.toml", &with_data("data/a.parquet", models))
}

fn with_data(data: &str, models: &str) -> String {
    format!("[data]\npaths = [\"{data}\"]\n[output]\nfolder = \"results\"\n{models}")
}

fn command(job: &str, further: &[&str]) -> Command {
    let mut command = program();
    command.arg("run").arg(job).args(further);
    command
}

fn tiers_run(job: &str, further: &[&str]) -> Ran {
    run(&mut command(job, further))
}

/// Runs a job, which must succeed; returns what it printed.
fn job_ok(job: &str, further: &[&str]) -> String {
    let ran = tiers_run(job, further);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.out
}

/// Runs a job, which must fail with code 1 and a message that holds all these words; returns the message.
fn job_err(job: &str, further: &[&str], words: &[&str]) -> String {
    let ran = tiers_run(job, further);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    let error = ran.err.lines().find(|line| line.starts_with("tiers: error: ")).unwrap_or_default().to_owned();
    assert_error(&ran.err, words);
    error
}

/// Returns all files below a folder with their bytes, including hidden ones, except those that describe
/// the run and not the results.
fn results(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    collect(folder, "", &mut files);
    files.retain(|name, _| !["job.json", "status.json", ".tiers/lock"].contains(&name.as_str()));
    files
}

fn collect(folder: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{below}{}", path.file_name().expect("a name").to_string_lossy());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(&path).expect("a file"));
        }
    }
}

/// Checks that two runs have the same files, bit for bit.
fn assert_same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>, what: &str) {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other), "{what}");
    for (name, bytes) in one {
        assert!(*bytes == other[name], "{what}: {name} is not the same");
    }
}

fn json(folder: &Folder, name: &str) -> serde_json::Value {
    let text = fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the students with their schools in two states. If `bad`, the scores of one state do not vary.
fn states(bad: bool) -> Vec<tiers_outputs::OutColumn> {
    let state = |i: usize| if i < 48 { "TX" } else { "NV" };
    let mut columns = students_with(texts("state", (0..crate::support::ROWS).map(state)));
    if bad {
        let y = columns.iter_mut().find(|column| column.name == "y").expect("a response");
        if let tiers_outputs::OutValues::F64(values) = &mut y.values {
            values[48..].fill(1.0);
        }
    }
    columns
}
