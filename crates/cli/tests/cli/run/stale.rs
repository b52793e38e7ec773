//! What a former run left: used if it is of the same job, refused if it is not, and never a wrong
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

/// With this the job comes to its end, with the failure told.
const GO_ON: [&str; 2] = ["--set", "run.on_error=continue"];

/// A job that stopped half-way.
fn unfinished(folder: &Folder) -> String {
    let job = job(folder, UNFINISHED);
    run_refused(&job, &[], &["bad: "]);
    assert_eq!(folder.names("results"), [".tiers", "first", "manifest.json", "status.json"]);
    job
}

/// The files of the job that nothing disturbs.
fn undisturbed(folder: &Folder, job: &str) -> BTreeMap<String, Vec<u8>> {
    let further = [&GO_ON[..], &["--set", "output.folder=whole"]].concat();
    assert_eq!(tiers_run(job, &further).code, 1);
    results(&folder.path().join("whole"))
}

#[test]
fn the_same_job_goes_on() {
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
fn another_job_is_refused_until_it_starts_anew() {
    let folder = Folder::new();
    let job = unfinished(&folder);
    let kept = results(&folder.path().join("results"));
    let formula = "models.last.formula=y ~ x + (1 | school)";
    run_refused(&job, &["--set", formula], &["unfinished", "`formula` of model `last`", "--fresh"]);
    run_refused(&job, &["--set", "data.reference.sex=M"], &["data.reference"]);
    let origin = folder.join("results/.tiers/job.json");
    let text = fs::read_to_string(&origin).expect("it is there");
    fs::write(&origin, text.replace(r#""tiers":""#, r#""tiers":"0."#)).expect("a file");
    run_refused(&job, &[], &["begun by tiers 0.", "--fresh"]);
    fs::write(&origin, &text).expect("a file");
    // Data that were written to, though not changed in size.
    let data = fs::read(folder.join("data/a.parquet")).expect("data");
    fs::write(folder.join("data/a.parquet"), &data).expect("data");
    run_refused(&job, &[], &["a.parquet was written to", "--fresh"]);
    folder.parquet("data/a.parquet", states(false));
    run_refused(&job, &[], &["a.parquet had", "bytes"]);
    let now = results(&folder.path().join("results"));
    assert_same(&kept, &now, "refused");
    assert_eq!(tiers_run(&job, &[&GO_ON[..], &["--fresh"]].concat()).code, 1);
    assert_same(&undisturbed(&folder, &job), &results(&folder.path().join("results")), "anew");
}

#[test]
fn damaged_checkpoints_are_never_a_wrong_number() {
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

/// Results of a job that was complete are not those of a run that was to forget them.
#[test]
fn a_fresh_start_is_remembered() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    run_well(&job, &[]);
    let before = json(&folder, "results/manifest.json");
    assert_eq!((&before["state"], &before["run"]), (&"complete".into(), &serde_json::Value::Null));
    // The run ends before it has fitted anything: there is no room for its moments.
    let refused = ["--fresh", "--set", "run.memory_limit=1MB"];
    run_refused(&job, &refused, &["memory"]);
    assert_eq!(json(&folder, "results/manifest.json")["state"], "failed");
    run_well(&job, &[]);
    let account = json(&folder, "results/job.json");
    let by_this_run: Vec<_> = (0..2).map(|i| account["models"][i]["by_this_run"].clone()).collect();
    assert_eq!(by_this_run, ["fitted", "fitted"]);
    assert_eq!(json(&folder, "results/manifest.json"), before);
    // Nor where it is killed before it has forgotten all.
    fs::create_dir(folder.path().join("results/.tiers")).expect("a folder");
    folder.text("results/.tiers/fresh", "");
    run_well(&job, &[]);
    assert_eq!(json(&folder, "results/job.json")["models"][0]["by_this_run"], "fitted");
    // Without it, what a run that failed has not replaced is kept.
    run_refused(&job, &["--set", "run.memory_limit=1MB", "--set", "models.full.method=REML"], &["memory"]);
    let manifest = json(&folder, "results/manifest.json");
    assert_eq!((&manifest["state"], manifest["models"].as_array().map(Vec::len)), (&"failed".into(), Some(0)));
    assert!(manifest["run"]["pid"].is_u64() && manifest["run"]["since"].is_string(), "{manifest}");
    fs::remove_dir_all(folder.path().join("results/.tiers")).ok();
    run_well(&job, &[]);
    assert_eq!(json(&folder, "results/job.json")["models"][1]["by_this_run"], "kept");
}

fn files(folder: &Folder, below: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = BTreeMap::new();
    collect(&folder.path().join(below), "", &mut files);
    files.into_iter().collect()
}

#[test]
fn a_lock_is_held_by_the_living() {
    let folder = Folder::new();
    let job = unfinished(&folder);
    let path = folder.join("results/.tiers/lock");
    // What is left of a process that is gone holds nobody up.
    fs::write(&path, r#"{"pid":1,"since":"2126-01-01T00:00:00Z"}"#).expect("a file");
    let lock = fs::File::options().write(true).open(&path).expect("a file");
    lock.try_lock().expect("free");
    let told = run_refused(&job, &GO_ON, &["another run is at work", "process 1, since 2126"]);
    assert!(told.contains("results"), "{told}");
    drop(lock);
    assert_eq!(tiers_run(&job, &GO_ON).code, 1);
    assert!(!folder.names("results").contains(&".tiers".to_owned()));
}

#[cfg(unix)]
#[test]
fn a_lock_that_leads_nowhere_is_told() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    fs::create_dir_all(folder.path().join("results/.tiers")).expect("a folder");
    std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("results/.tiers/lock")).expect("a link");
    run_refused(&job, &[], &["output.folder", "cannot be written"]);
}
