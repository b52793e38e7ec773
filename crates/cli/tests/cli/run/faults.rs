//! Full disks, files that cannot be read or written, damaged data.

use super::*;
use crate::support::run_within;
use std::process::Stdio;

/// Runs a job with a limit on the size of files, in blocks of 512 or 1024 bytes.
#[cfg(unix)]
fn limited(job: &str, blocks: usize, further: &[&str]) -> Ran {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_tiers"), "run", job]);
    shell.args(further).env_remove("POLARS_MAX_THREADS").stdin(Stdio::null());
    run(&mut shell)
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_former_results() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    job_ok(&job, &[]);
    let former = results(&folder.path().join("results"));
    let change = ["--set", "models.*.conf_level=0.9"];
    job_ok(&job, &[&change[..], &["--set", "output.folder=other"]].concat());
    let new = results(&folder.path().join("other"));
    let mut failures = 0;
    for blocks in [0, 1, 2, 4, 8, 64] {
        fs::remove_dir_all(folder.path().join("results")).expect("removed");
        job_ok(&job, &[]);
        let ran = limited(&job, blocks, &change);
        assert!(matches!(ran.code, 0 | 1) && !ran.err.contains("internal"), "{blocks}: {ran:?}");
        failures += ran.code;
        // Every model's folder is the former one or the new one, as a whole.
        let now = results(&folder.path().join("results"));
        for model in ["null/", "full/"] {
            let of = |files: &BTreeMap<String, Vec<u8>>| -> Vec<(String, Vec<u8>)> {
                let own = files.iter().filter(|(name, _)| name.starts_with(model));
                own.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
            };
            assert!(of(&now) == of(&former) || of(&now) == of(&new), "{blocks}: {model}");
        }
        if ran.code == 1 {
            assert!(ran.err.contains("tiers: error: ") && ran.err.contains("cannot be written"), "{ran:?}");
            job_ok(&job, &change);
            assert_same(&new, &results(&folder.path().join("results")), "with room again");
        }
    }
    assert!(failures > 0, "none of the limits was low enough");
}

#[test]
fn unreadable_data_are_errors() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    let data = folder.path().join("data/a.parquet");
    let whole = fs::read(&data).expect("data");
    job_ok(&job, &["--dry-run"]);
    // The file is truncated between the plan and the run.
    fs::write(&data, &whole[..whole.len() / 2]).expect("data");
    job_err(&job, &[], &["data.paths", "a.parquet"]);
    fs::write(&data, "no parquet at all").expect("data");
    job_err(&job, &[], &["a.parquet"]);
    fs::remove_file(&data).expect("removed");
    job_err(&job, &[], &["a.parquet"]);
    assert_eq!(folder.names("."), ["data", "job.toml"]);
}

#[test]
fn former_results_survive_unreadable_data() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    job_ok(&job, &[]);
    let without_manifest = || {
        let mut files = results(&folder.path().join("results"));
        files.remove("manifest.json");
        files
    };
    let (former, complete) = (without_manifest(), json(&folder, "results/manifest.json"));
    let data = folder.path().join("data/a.parquet");
    let whole = fs::read(&data).expect("data");
    // The footer is intact, so only the read itself fails.
    let mut damaged = whole.clone();
    damaged[4..whole.len() / 2].fill(0xff);
    fs::write(&data, &damaged).expect("data");
    let ran = tiers_run(&job, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_same(&former, &without_manifest(), "after the failure");
    // The manifest lists no new results, and still lists the former ones.
    let manifest = json(&folder, "results/manifest.json");
    assert_eq!((&manifest["state"], &manifest["models"]), (&"failed".into(), &serde_json::json!([])));
    assert_eq!(manifest["former"], complete["models"]);
}

#[test]
fn folders_that_cannot_be_written_are_errors() {
    let folder = Folder::new();
    let job = job(&folder, MODELS);
    job_err(&job, &["--set", "output.folder=job.toml"], &["output.folder", "is a file"]);
    job_err(&job, &["--set", "output.folder=job.toml/results"], &["output.folder", "name another"]);
    #[cfg(target_os = "linux")]
    job_err(
        &job,
        &["--set", "output.folder=/proc/results"],
        &["output.folder /proc/results", "cannot be written", "name another"],
    );
    // A file in the place of a model's folder.
    folder.text("results/full", "mine");
    job_err(&job, &[], &["results/full", "this is a file"]);
    assert_eq!(fs::read_to_string(folder.join("results/full")).expect("it"), "mine");
}

#[test]
fn damaged_parquet_is_an_error_or_a_fit() {
    let folder = Folder::new();
    let whole = fs::read(folder.parquet("whole.parquet", students())).expect("data");
    let variants: u64 = std::env::var("TIERS_FAULT_VARIANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let mut state = 5_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for variant in 0..variants {
        let mut bytes = whole.clone();
        match variant % 4 {
            0 => bytes.truncate(1 + random(whole.len() - 1)),
            1 => _ = bytes.drain(random(whole.len() / 2)..whole.len() / 2 + random(whole.len() / 2)),
            _ => (0..1 + random(16)).for_each(|_| {
                let place = random(whole.len());
                bytes[place] ^= 1 + random(255) as u8;
            }),
        }
        let path = folder.path().join("damaged.parquet");
        fs::write(&path, &bytes).expect("a file");
        let mut fit = program();
        fit.args(["fit", "y ~ x + sex + (1 | school/class)"]).arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ran = run_within(fit.spawn().expect("the program starts"));
        assert!(matches!(ran.code, 0..=2), "variant {variant}: {ran:?}");
    }
}
