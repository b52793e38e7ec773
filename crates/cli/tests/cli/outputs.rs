//! The folder of results: it appears whole or not at all, and other files are kept.

use crate::support::{Folder, fit, fit_err, fit_ok, program, run, run_ok, students};
use std::fs;

const MODEL: &str = "y ~ x + (1 | school)";

/// Fits into `out` and returns what the fit printed.
fn fit_into(folder: &Folder, out: &str, further: &[&str]) -> String {
    let path = folder.parquet("data/a.parquet", students());
    let out = folder.join(out);
    fit_ok(&[&[MODEL, &path, "--out", &out], further].concat())
}

#[test]
fn a_new_folder_and_its_parents_are_created() {
    let folder = Folder::new();
    let printed = fit_into(&folder, "deep/below/results", &[]);
    assert_eq!(folder.names("deep/below"), ["results"]);
    assert_eq!(folder.names("deep/below/results"), ["fit.json", "model.json", "random_effects", "summary.txt"]);
    assert_eq!(printed, fs::read_to_string(folder.join("deep/below/results/summary.txt")).expect("summary"));
}

#[test]
fn a_former_result_is_replaced_as_a_whole() {
    let folder = Folder::new();
    fit_into(&folder, "results", &["--fitted"]);
    folder.text("results/random_effects/gone.parquet", "");
    fit_into(&folder, "results/", &["--ml"]);
    assert_eq!(folder.names("."), ["data", "results"]);
    assert_eq!(folder.names("results"), ["fit.json", "model.json", "random_effects", "summary.txt"]);
    assert_eq!(folder.names("results/random_effects"), ["school.parquet"]);
    assert!(fs::read_to_string(folder.join("results/fit.json")).expect("fit.json").contains("\"ML\""));
}

#[test]
fn an_empty_folder_is_used() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("results")).expect("a folder");
    fit_into(&folder, "results", &[]);
    assert_eq!(folder.names("."), ["data", "results"]);
    assert_eq!(folder.names("results"), ["fit.json", "model.json", "random_effects", "summary.txt"]);
}

#[test]
fn other_files_stay() {
    let folder = Folder::new();
    folder.text("results/notes.txt", "mine");
    folder.text("results/random_effects_plot/a.png", "mine");
    fit_into(&folder, "results", &["--fitted"]);
    fit_into(&folder, "results", &[]);
    let names = ["fit.json", "model.json", "notes.txt", "random_effects", "random_effects_plot", "summary.txt"];
    assert_eq!(folder.names("results"), names);
    assert_eq!(fs::read_to_string(folder.join("results/notes.txt")).expect("notes"), "mine");
}

/// Simulates enough rows that reading them takes a while.
fn many_rows(folder: &Folder) -> String {
    let spec = folder.text("spec.toml", &run(program().args(["simulate", "--example"])).out);
    let data = folder.join("large.parquet");
    run_ok(&["simulate", &spec, "--rows", "400000", "--out", &data, "--quiet"]);
    data
}

/// Waits until a process has opened a file, for at most ten seconds.
fn wait_until_it_reads(pid: u32, name: &str) {
    let opened = || {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        links.any(|path| path.ends_with(name)) || maps.contains(name)
    };
    let clock = std::time::Instant::now();
    while !opened() && clock.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Returns the formula of the data of [`many_rows`].
fn formula_of(folder: &Folder) -> String {
    let truth = fs::read_to_string(folder.join("large.truth.json")).expect("the truth");
    let truth: serde_json::Value = serde_json::from_str(&truth).expect("JSON");
    truth["formula"].as_str().expect("a formula").to_owned()
}

/// A file that is put into the folder while the program runs is kept.
#[test]
fn files_added_meanwhile_are_kept() {
    let folder = Folder::new();
    let data = many_rows(&folder);
    let model = formula_of(&folder);
    let out = folder.join("out");
    for (command, former) in [("fit", false), ("fit", true), ("moments", false), ("moments", true)] {
        fs::remove_dir_all(&out).ok();
        fs::create_dir(&out).expect("a folder");
        if former {
            run_ok(&[command, &model, &data, "--out", &out, "--quiet"]);
        }
        let mut running = program();
        running.args([command, &model, &data, "--out", &out, "--quiet"]);
        let mut child = running.spawn().expect("the program starts");
        // Moments are not written into a folder that holds other files at the start.
        wait_until_it_reads(child.id(), "large.parquet");
        folder.text("out/notes.txt", "my only copy");
        assert!(child.wait().expect("it ends").success());
        assert_eq!(fs::read_to_string(folder.join("out/notes.txt")).expect("notes"), "my only copy", "{command}");
        let last = if command == "fit" { "fit.json" } else { "moments.json" };
        assert!(folder.names("out").contains(&last.to_owned()), "{command}: {:?}", folder.names("out"));
        assert!(folder.names(".").iter().all(|name| !name.starts_with('.')), "{:?}", folder.names("."));
    }
}

#[test]
fn leftovers_of_killed_runs_are_cleaned_up_by_the_next() {
    let folder = Folder::new();
    fit_into(&folder, "results", &[]);
    // This exceeds the largest possible process id.
    for hidden in [".results.tiers-4194305.tmp", ".other.tiers-4194305.tmp", "results/.results.tiers-4194305.tmp"] {
        folder.text(&format!("{hidden}/summary.txt"), "half");
    }
    fit_into(&folder, "results", &[]);
    assert_eq!(folder.names("."), [".other.tiers-4194305.tmp", "data", "results"]);
    assert_eq!(folder.names("results"), ["fit.json", "model.json", "random_effects", "summary.txt"]);
    // After a kill between two renames (if names cannot be exchanged), the next command finds the results.
    fs::rename(folder.join("results"), folder.join(".results.tiers-4194305.old")).expect("renamed");
    run_ok(&["anova", &folder.join("results")]);
    assert_eq!(folder.names("."), [".other.tiers-4194305.tmp", "data", "results"]);
}

/// Files that `tiers confint` and `tiers influence` wrote into the folder of a fit belong to that fit.
#[test]
fn files_of_later_commands_are_removed_with_the_fit() {
    let folder = Folder::new();
    for others in [&[][..], &["notes.txt"]] {
        others.iter().for_each(|name| drop(folder.text(&format!("results/{name}"), "mine")));
        fit_into(&folder, "results", &[]);
        let (results, plain) = (folder.join("results"), folder.names("results"));
        let bootstrap = ["--method", "bootstrap", "--replicates", "40"];
        for (command, further) in [("confint", &[][..]), ("confint", &bootstrap), ("influence", &[])] {
            run_ok(&[&[command, &results, "--out", &results, "--quiet"], further].concat());
        }
        for name in ["confint.json", "profile.parquet", "replicates.parquet", "influence.parquet"] {
            assert!(folder.names("results").contains(&name.to_owned()), "{name} is written");
        }
        fit_into(&folder, "results", &["--ml"]);
        assert_eq!(folder.names("results"), plain);
        assert_eq!(folder.names("."), ["data", "results"]);
    }
}

#[test]
fn other_files_with_our_names_are_kept() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    folder.text("results/summary.txt", "mine");
    fit_err(&[MODEL, &path, "--out", &folder.join("results")], &["summary.txt", "not replaced"]);
    assert_eq!(fs::read_to_string(folder.join("results/summary.txt")).expect("summary"), "mine");
}

#[test]
fn the_current_folder_is_kept() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    fs::create_dir(folder.path().join("results")).expect("a folder");
    for _ in 0..2 {
        let mut command = program();
        command.current_dir(folder.join("results")).args(["fit", MODEL, &path, "--out", "."]);
        assert_eq!(run(&mut command).code, 0);
        assert_eq!(folder.names("results"), ["fit.json", "model.json", "random_effects", "summary.txt"]);
    }
}

#[test]
fn the_data_themselves_are_not_replaced() {
    let folder = Folder::new();
    let path = folder.parquet("results/fitted.parquet", students());
    fit_err(&[MODEL, &path, "--out", &folder.join("results")], &["fitted.parquet", "read as data"]);
    // Data beside the results are other files, which stay.
    let path = folder.parquet("study/a.parquet", students());
    fit_ok(&[MODEL, &path, "--out", &folder.join("study")]);
    assert_eq!(folder.names("study"), ["a.parquet", "fit.json", "model.json", "random_effects", "summary.txt"]);
}

#[test]
fn unusable_folders_are_errors_before_the_data_are_read() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    folder.text("file", "mine");
    // The response would be an error too, but only once the columns are checked.
    let model = "nothing ~ x + (1 | school)";
    fit_err(&[model, &path, "--out", &folder.join("file")], &["--out", "file"]);
    fit_err(&[model, &path, "--out", &folder.join("file/results")], &["--out", "file/results", "cannot be written"]);
    #[cfg(target_os = "linux")]
    fit_err(&[model, &path, "--out", "/proc/results"], &["--out /proc/results", "cannot be written"]);
    assert_eq!(folder.names("."), ["a.parquet", "file"]);
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).expect("rights");
    if fs::create_dir(closed.join("trial")).is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    for out in ["closed", "closed/results"] {
        fit_err(&[MODEL, &path, "--out", &folder.join(out)], &["--out", "cannot be written", "rights"]);
    }
    assert!(folder.names("closed").is_empty());
}

#[test]
fn a_failed_fit_writes_nothing_and_keeps_former_results() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", students());
    fit_ok(&[MODEL, &path, "--out", &folder.join("results")]);
    let before = fs::read_to_string(folder.join("results/fit.json")).expect("fit.json");
    assert_eq!(fit(&["y ~ x + (1 | student)", &path, "--out", &folder.join("results")]).code, 1);
    assert_eq!(before, fs::read_to_string(folder.join("results/fit.json")).expect("fit.json"));
    assert_eq!(fit(&["y ~ x + (1 | student)", &path, "--out", &folder.join("new/results")]).code, 1);
    assert_eq!(folder.names("."), ["a.parquet", "results"]);
}
