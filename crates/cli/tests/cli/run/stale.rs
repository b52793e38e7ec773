//! Work of a former run: it is used if it is of the same job, an error if not, and never gives a wrong
//! number.

use super::*;
use std::time::{Duration, SystemTime};

/// The first model fails, so the job stops when all rows have been read and one model is done.
const UNFINISHED: &str = r#"
[run]
checkpoint_seconds = 0
[[models]]
name = "first"
formula = "y ~ 1 + (1 | school)"
[[models]]
name = "bad"
formula = "y ~ x + (1 | student)"
[[models]]
name = "last"
formula = "y ~ x + sex + (1 | school/class)"
"#;

/// With this option the job completes in spite of the failure.
const GO_ON: [&str; 2] = ["--set", "run.on_error=continue"];

/// Creates a job that stopped half-way; returns its path.
fn unfinished(folder: &Folder) -> String {
    let job = job(folder, UNFINISHED);
    job_err(&job, &[], &["bad: "]);
    assert_eq!(folder.names("results"), [".tiers", "first", "manifest.json", "status.json"]);
    job
}

/// Returns the files of an undisturbed run.
fn undisturbed(folder: &Folder, job: &str) -> BTreeMap<String, Vec<u8>> {
    let further = [&GO_ON[..], &["--set", "output.folder=whole"]].concat();
    assert_eq!(tiers_run(job, &further).code, 1);
    results(&folder.path().join("whole"))
}

#[test]
fn the_same_job_resumes() {
    let folder = Folder::new();
    let job = unfinished(&folder);
    let whole = undisturbed(&folder, &job);
    // Clocks may be wrong, and go backwards.
    let later = SystemTime::now() + Duration::from_secs(86_400 * 365);
    for name in folder.names("results/.tiers") {
        let path = folder.path().join("results/.tiers").join(name);
        if path.is_file() {
            fs::File::options().append(true).open(path).and_then(|file| file.set_modified(later)).expect("a time");
        }
    }
    assert_eq!(tiers_run(&job, &GO_ON).code, 1);
    let account = json(&folder, "results/job.json");
    assert_eq!(account["models"][0]["by_this_run"], "kept");
    assert_eq!(account["reads"][0]["rows_resumed"], 96);
    assert_same(&whole, &results(&folder.path().join("results")), "resumed");
}

#[test]
fn another_job_is_an_error_without_fresh() {
    let folder = Folder::new();
    let job = unfinished(&folder);
    let kept = results(&folder.path().join("results"));
    let formula = "models.last.formula=y ~ x + (1 | school)";
    job_err(&job, &["--set", formula], &["unfinished", "`formula` of model `last`", "--fresh"]);
    job_err(&job, &["--set", "data.reference.sex=M"], &["data.reference"]);
    let origin = folder.join("results/.tiers/job.json");
    let text = fs::read_to_string(&origin).expect("it is there");
    fs::write(&origin, text.replace(r#""tiers":""#, r#""tiers":"0."#)).expect("a file");
    job_err(&job, &[], &["begun by tiers 0.", "--fresh"]);
    fs::write(&origin, &text).expect("a file");
    // Data that were written to without a change in size.
    let data = fs::read(folder.join("data/a.parquet")).expect("data");
    fs::write(folder.join("data/a.parquet"), &data).expect("data");
    job_err(&job, &[], &["a.parquet was written to", "--fresh"]);
    folder.parquet("data/a.parquet", states(false));
    job_err(&job, &[], &["a.parquet had", "bytes"]);
    let now = results(&folder.path().join("results"));
    assert_same(&kept, &now, "after the errors");
    assert_eq!(tiers_run(&job, &[&GO_ON[..], &["--fresh"]].concat()).code, 1);
    assert_same(&undisturbed(&folder, &job), &results(&folder.path().join("results")), "fresh");
}

#[test]
fn damaged_checkpoints_never_give_wrong_numbers() {
    let folder = Folder::new();
    let job = unfinished(&folder);
    let whole = undisturbed(&folder, &job);
    let variants: usize = std::env::var("TIERS_FAULT_VARIANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let kept: Vec<(String, Vec<u8>)> = files(&folder, "results/.tiers");
    let targets = ["read.checkpoint", "done/first.json", "job.json"];
    let mut state = 11_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for variant in 0..variants {
        fs::remove_dir_all(folder.path().join("results/.tiers")).ok();
        for (name, bytes) in &kept {
            let mut bytes = bytes.clone();
            if name.ends_with(targets[[0, 0, 0, 1, 2][variant % 5]]) {
                match variant % 3 {
                    0 => bytes.truncate(random(bytes.len())),
                    _ => (0..1 + random(8)).for_each(|_| {
                        let place = random(bytes.len());
                        bytes[place] ^= 1 + random(255) as u8;
                    }),
                }
            }
            let path = folder.path().join("results/.tiers").join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
        let ran = tiers_run(&job, &GO_ON);
        assert_eq!(ran.code, 1, "{ran:?}");
        let manifest = fs::read_to_string(folder.join("results/manifest.json")).unwrap_or_default();
        if manifest.contains("\"state\": \"complete\"") {
            assert_same(&whole, &results(&folder.path().join("results")), &format!("variant {variant}"));
            fs::remove_file(folder.join("results/manifest.json")).expect("removed");
            fs::remove_dir_all(folder.join("results/last")).expect("removed");
        } else {
            assert!(ran.err.contains("--fresh"), "variant {variant}: {ran:?}");
        }
    }
}

/// A `--fresh` run that failed does not reuse the results of the former complete job.
#[test]
fn a_fresh_start_is_remembered() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    job_ok(&job, &[]);
    let before = json(&folder, "results/manifest.json");
    assert_eq!((&before["state"], &before["run"]), (&"complete".into(), &serde_json::Value::Null));
    // The run ends before it has fitted anything, since its moments exceed the limit on memory.
    let fresh = ["--fresh", "--set", "run.memory_limit=1MB"];
    job_err(&job, &fresh, &["memory"]);
    assert_eq!(json(&folder, "results/manifest.json")["state"], "failed");
    job_ok(&job, &[]);
    let account = json(&folder, "results/job.json");
    let by_this_run: Vec<_> = (0..2).map(|i| account["models"][i]["by_this_run"].clone()).collect();
    assert_eq!(by_this_run, ["fitted", "fitted"]);
    assert_eq!(json(&folder, "results/manifest.json"), before);
    // Nor does a fresh run that was killed before it had discarded everything.
    fs::create_dir(folder.path().join("results/.tiers")).expect("a folder");
    folder.text("results/.tiers/fresh", "");
    job_ok(&job, &[]);
    assert_eq!(json(&folder, "results/job.json")["models"][0]["by_this_run"], "fitted");
    // Without --fresh, results that a failed run has not replaced are kept.
    job_err(&job, &["--set", "run.memory_limit=1MB", "--set", "models.full.method=REML"], &["memory"]);
    let manifest = json(&folder, "results/manifest.json");
    assert_eq!((&manifest["state"], manifest["models"].as_array().map(Vec::len)), (&"failed".into(), Some(0)));
    assert!(manifest["run"]["pid"].is_u64() && manifest["run"]["since"].is_string(), "{manifest}");
    fs::remove_dir_all(folder.path().join("results/.tiers")).ok();
    job_ok(&job, &[]);
    assert_eq!(json(&folder, "results/job.json")["models"][1]["by_this_run"], "kept");
}

fn files(folder: &Folder, below: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = BTreeMap::new();
    collect(&folder.path().join(below), "", &mut files);
    files.into_iter().collect()
}

#[test]
fn only_a_living_process_holds_the_lock() {
    let folder = Folder::new();
    let job = unfinished(&folder);
    let path = folder.join("results/.tiers/lock");
    // The lock file of a dead process does not block others.
    fs::write(&path, r#"{"pid":1,"since":"2126-01-01T00:00:00Z"}"#).expect("a file");
    let lock = fs::File::options().write(true).open(&path).expect("a file");
    lock.try_lock().expect("free");
    let error = job_err(&job, &GO_ON, &["another run is at work", "process 1, since 2126"]);
    assert!(error.contains("results"), "{error}");
    drop(lock);
    assert_eq!(tiers_run(&job, &GO_ON).code, 1);
    assert!(!folder.names("results").contains(&".tiers".to_owned()));
}

#[cfg(unix)]
#[test]
fn a_dangling_lock_link_is_an_error() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    fs::create_dir_all(folder.path().join("results/.tiers")).expect("a folder");
    std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("results/.tiers/lock")).expect("a link");
    job_err(&job, &[], &["output.folder", "cannot be written"]);
}
