//! Intervals that a job computes with its fits.

use super::*;
use crate::support::run_ok;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Models with intervals of each kind.
const KINDS: &str = r#"
[[models]]
name = "profile"
formula = "y ~ x + sex + (1 + x | school)"
conf_level = 0.9
intervals = "profile"
[[models]]
name = "wald"
formula = "y ~ x + sex + (1 | school/class)"
df = "kenward-roger"
intervals = "wald"
[[models]]
name = "bootstrap"
formula = "y ~ x + (1 | school/class)"
method = "ML"
conf_level = 0.9
intervals = "bootstrap"
replicates = 60
seed = 5
"#;

/// Returns the files that `tiers confint --out` writes for a finished fit, by name.
fn confint(folder: &Folder, fit: &str, arguments: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let out = folder.join(&format!("of_{fit}"));
    let fit = folder.join(&format!("results/{fit}"));
    run_ok(&[&["confint", &fit, "--out", &out, "--quiet"], arguments].concat());
    results(Path::new(&out))
}

#[test]
fn intervals_of_a_job_are_those_of_the_finished_fit() {
    let folder = Folder::new();
    let job = job(&folder, KINDS);
    job_ok(&job, &[]);
    let manifest = json(&folder, "results/manifest.json");
    let bootstrap = ["--method", "bootstrap", "--level", "0.9", "--replicates", "60", "--seed", "5"];
    for (model, arguments, files) in [
        ("profile", &["--level", "0.9"][..], &["confint.json", "profile.parquet"][..]),
        ("wald", &["--method", "wald"], &["confint.json"]),
        ("bootstrap", &bootstrap, &["confint.json", "replicates.parquet"]),
    ] {
        let alone = confint(&folder, model, arguments);
        assert_eq!(alone.keys().map(String::as_str).collect::<Vec<_>>(), files, "{model}");
        let mut of_job = results(&folder.path().join("results").join(model));
        let plain = ["fit.json", "model.json", "summary.txt"];
        of_job.retain(|name, _| !name.starts_with("random_effects") && !plain.contains(&name.as_str()));
        assert_same(&alone, &of_job, model);
        let models = manifest["models"].as_array().expect("models");
        let hashed = models.iter().find(|kept| kept["name"] == model).expect("the model")["files"].clone();
        for name in files {
            assert!(hashed[format!("{model}/{name}")]["sha256"].is_string(), "{name} is in the manifest");
        }
    }
    let phases = &json(&folder, "results/job.json")["models"][0]["phases"];
    assert!(phases["intervals"].is_f64(), "{phases}");
    // The number of threads does not change the results.
    job_ok(&job, &["--set", "output.folder=\"other\"", "--set", "run.threads=1"]);
    let [one, two] = ["results", "other"].map(|out| results(&folder.path().join(out)));
    assert_same(&one, &two, "on one thread");
}

#[test]
fn a_page_shows_the_intervals_as_they_are_printed() {
    let folder = Folder::new();
    let job = job(&folder, KINDS);
    job_ok(&job, &["--set", "models.*.report=true"]);
    let printed = run_ok(&["confint", &folder.join("results/profile"), "--level", "0.9", "--quiet"]);
    let page = fs::read_to_string(folder.join("results/profile/report.html")).expect("a page");
    let elements = crate::page::elements(&page);
    assert!(elements.iter().any(|(name, text)| name == "h2" && text == "Intervals of all parameters"), "{page}");
    let rows: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    let rows: Vec<Vec<&str>> = rows.into_iter().filter(|row| row.len() == 3 && row[1].parse::<f64>().is_ok()).collect();
    assert!(rows.len() >= 6, "{printed}");
    for cell in rows.iter().flatten() {
        assert!(elements.iter().any(|(name, text)| name == "td" && text == cell), "{cell} is not in {page}");
    }
}

#[test]
fn a_model_with_other_intervals_is_fitted_again_and_former_files_are_removed() {
    let folder = Folder::new();
    let job = job(&folder, KINDS);
    job_ok(&job, &[]);
    let printed = job_ok(&job, &["--set", "models.bootstrap.seed=6"]);
    assert_eq!(printed.matches("kept").count(), 2, "{printed}");
    let set = ["--set", "models.bootstrap.intervals=wald", "--set", "models.bootstrap.replicates=60"];
    job_err(&job, &set, &["models.bootstrap.replicates", "applies to the bootstrap only"]);
    let plain = folder.text("plain.toml", &with_data("data/a.parquet", &KINDS.replace("intervals = \"profile\"", "")));
    let printed = job_ok(&plain, &["--fresh"]);
    assert_eq!(printed.matches("kept").count(), 0, "{printed}");
    assert_eq!(folder.names("results/profile"), ["fit.json", "model.json", "random_effects", "summary.txt"]);
}

#[test]
fn invalid_keys_are_errors() {
    let folder = Folder::new();
    let first = "[[models]]\nname = \"a\"\nformula = \"y ~ x + (1 | school)\"\n";
    let check = |keys: &str, words: &[&str]| {
        job_err(&job(&folder, &format!("{first}{keys}")), &["--dry-run"], words);
    };
    check("seed = 3\n", &["line 8: models[0].seed", "intervals = \"bootstrap\""]);
    check("intervals = \"profile\"\nreplicates = 100\n", &["line 9: models[0].replicates", "bootstrap"]);
    check("intervals = \"bootstrap\"\nreplicates = 20\n", &["line 9: models[0].replicates: 20", "0.95 need 39"]);
    check("intervals = \"bootstrap\"\nconf_level = 0.999\n", &["models[0].replicates: 1000", "1999"]);
    check("intervals = \"bootstrp\"\n", &["line 8", "models[0].intervals", "`bootstrp`", "`bootstrap`"]);
    check("intervals = \"wald\"\nby = [\"sex\"]\n", &["line 8: models[0].intervals", "by partition"]);
    let printed = job_ok(&job(&folder, KINDS), &["--dry-run"]);
    assert!(printed.contains("(1 + x | school)  with profile intervals"), "{printed}");
}

#[test]
fn a_model_that_did_not_converge_has_no_intervals() {
    let folder = Folder::new();
    let job = job(&folder, KINDS);
    let ran = tiers_run(&job, &["--set", "models.bootstrap.max_evaluations=2"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let line = ran.err.lines().find(|line| line.contains("there are no intervals")).unwrap_or_default();
    assert!(line.contains("WARN") && line.contains("bootstrap") && line.contains("did not converge"), "{ran:?}");
    assert_eq!(folder.names("results/bootstrap"), ["fit.json", "model.json", "random_effects", "summary.txt"]);
    assert!(folder.names("results/profile").contains(&"confint.json".to_owned()));
}

/// Waits until the job computes its intervals, according to `status.json`.
fn wait_for_intervals(folder: &Folder, child: &mut Child) {
    let clock = Instant::now();
    loop {
        let text = fs::read_to_string(folder.join("results/status.json")).unwrap_or_default();
        let status: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        // The file of a former run has another state or process.
        if status["pid"] == child.id() && status["phase"] == "intervals" && status["model"] == "bootstrap" {
            return;
        }
        let ended = child.try_wait().expect("it can be asked");
        assert!(ended.is_none() && clock.elapsed() < Duration::from_secs(300), "{ended:?} {text}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(unix)]
#[test]
fn a_job_that_is_interrupted_at_its_intervals_resumes() {
    let folder = Folder::new();
    // There are enough replicates that the signal comes before the last.
    let job = job(&folder, &KINDS.replace("replicates = 60", "replicates = 4000"));
    let start = || command(&job, &["--quiet"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut child = start();
    wait_for_intervals(&folder, &mut child);
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|sent| sent.success()), "a signal");
    assert_eq!(child.wait().expect("it ends").code(), Some(4));
    assert_eq!(json(&folder, "results/status.json")["state"], "interrupted");
    assert!(!folder.names("results").contains(&"bootstrap".to_owned()), "none of its files are in place");
    // A kill at the same place loses nothing either.
    let mut child = start();
    wait_for_intervals(&folder, &mut child);
    child.kill().expect("killed");
    child.wait().expect("it ends");
    let printed = job_ok(&job, &[]);
    assert_eq!(printed.matches("kept").count(), 2, "{printed}");
    job_ok(&job, &["--set", "output.folder=\"whole\"", "--quiet"]);
    let [resumed, whole] = ["results", "whole"].map(|out| results(&folder.path().join(out)));
    assert_same(&whole, &resumed, "the resumed job");
}
