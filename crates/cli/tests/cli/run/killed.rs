//! Jobs that are killed or asked to stop at any moment and then run again: the files are bit-identical
//! to those of an undisturbed run, and nothing else is left.
//!
//! `TIERS_FAULT_ROWS` and `TIERS_FAULT_KILLS` make the tests longer; see benches/faults.

use super::*;
use crate::support::run_within;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const SPEC: &str = r#"
[response]
name = "y"
residual_sd = 1.0
[[level]]
name = "school"
id = "integer"
size = { min = 2, max = 6 }
random = { "(Intercept)" = 0.5, x = 0.2 }
[[level]]
name = "class"
id = "C{:02}"
reuse_ids = true
size = { min = 10, max = 30 }
random = { "(Intercept)" = 0.4 }
[[covariate]]
name = "x"
kind = "normal"
[fixed]
"(Intercept)" = 2.0
x = 0.5
"#;

const MODELS: &str = r#"
[run]
checkpoint_seconds = 0
[[models]]
name = "null"
formula = "y ~ 1 + (1 | school/class)"
method = "ML"
[[models]]
name = "slopes"
formula = "y ~ x + (1 + x | school) + (1 | school:class)"
fitted = true
"#;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Writes a job on simulated rows; returns its path.
fn simulated(folder: &Folder) -> String {
    let rows = from_environment("TIERS_FAULT_ROWS", 1_200_000).to_string();
    let spec = folder.text("spec.toml", SPEC);
    let ran = run(program().args(["simulate", &spec, "--quiet", "--rows", &rows, "--out", &folder.join("a.parquet")]));
    assert_eq!(ran.code, 0, "{ran:?}");
    folder.text("job.toml", &with_data("a.parquet", MODELS))
}

/// Returns the files and the duration of an undisturbed run.
fn undisturbed(folder: &Folder, job: &str) -> (BTreeMap<String, Vec<u8>>, Duration) {
    let clock = Instant::now();
    job_ok(job, &["--set", "output.folder=whole"]);
    (results(&folder.path().join("whole")), clock.elapsed())
}

fn start(job: &str) -> Child {
    command(job, &["--quiet"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// Returns pseudo-random numbers between 0 and 1.
fn moments(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
}

/// Repeatedly runs the job and stops it with `stop`; compares the files whenever it has completed.
fn survive(seed: u64, stop: impl Fn(&mut Child)) {
    let folder = Folder::new();
    let job = simulated(&folder);
    let (whole, time) = undisturbed(&folder, &job);
    let stops = from_environment("TIERS_FAULT_KILLS", 6) as usize;
    let mut ends = 0;
    for moment in moments(seed).take(stops) {
        let mut child = start(&job);
        std::thread::sleep(time.mul_f64(moment));
        stop(&mut child);
        if child.wait().expect("it ends").success() {
            ends += 1;
            assert_same(&whole, &results(&folder.path().join("results")), &format!("end {ends}"));
            fs::remove_dir_all(folder.path().join("results")).expect("removed");
        }
    }
    job_ok(&job, &["--quiet"]);
    assert_same(&whole, &results(&folder.path().join("results")), "the last run");
    let names = ["job.json", "manifest.json", "null", "slopes", "status.json"];
    assert_eq!(folder.names("results"), names, "nothing temporary is left");
}

#[test]
fn a_job_killed_at_any_moment_resumes() {
    survive(7, |child| child.kill().expect("killed"));
}

#[cfg(unix)]
#[test]
fn a_job_asked_to_stop_at_any_moment_resumes() {
    use std::os::unix::process::ExitStatusExt;
    survive(8, |child| {
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(sent.is_ok(), "a signal");
        let status = child.wait().expect("it ends");
        // Before the program handles signals, the signal itself ends it.
        assert!(matches!(status.code(), Some(0 | 4)) || status.signal() == Some(15), "{status:?}");
    });
}

#[test]
fn a_folder_that_is_removed_meanwhile_is_an_error() {
    let folder = Folder::new();
    let job = simulated(&folder);
    let out = folder.path().join("results");
    let mut running = command(&job, &[]);
    running.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = running.spawn().expect("the program starts");
    let clock = Instant::now();
    // Repeat, since the program may write into the folder at the same time.
    let mut was_there = false;
    while (!was_there || out.exists()) && clock.elapsed() < Duration::from_secs(60) {
        was_there |= out.join(".tiers/lock").exists();
        if was_there {
            fs::remove_dir_all(&out).ok();
        }
    }
    let ran = run_within(child);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("removed") && ran.err.contains("run it again"), "{ran:?}");
    job_ok(&job, &[]);
}
