//! Cleans up after killed runs: removes their folders, or completes the step that they left unfinished.

use crate::aside::is_abandoned;
use crate::contents::{Contents, Use, parse_hidden};
use crate::place::{continue_moving, keep_strangers};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Cleans up a folder of results before something is written to it.
///
/// # Errors
/// If the disk fails.
pub fn tidy(target: &Path, contents: &Contents) -> io::Result<()> {
    for (path, what) in within(target) {
        match what {
            Use::Moving => continue_moving(&path, target, contents)?,
            Use::New | Use::Former => fs::remove_dir_all(&path)?,
        }
    }
    let beside = beside(target);
    if !target.exists() {
        complete(target, &beside)?;
    }
    for (path, _) in beside.into_iter().filter(|(path, _)| path.exists()) {
        if target.is_dir() {
            keep_strangers(&path, target, contents)?;
        } else if !contents.strangers(&path)?.is_empty() {
            // Files that tiers did not write, and no folder to move them to.
            continue;
        }
        fs::remove_dir_all(&path)?;
    }
    Ok(())
}

/// Completes the last step of a run that was killed between two steps, before its folder is read:
/// until then, the folder is missing or incomplete. Failures are ignored, since reading reports them.
pub fn repair(target: &Path, contents: &Contents) {
    if !target.exists() {
        complete(target, &beside(target)).ok();
    }
    for (path, _) in within(target).into_iter().filter(|(_, what)| *what == Use::Moving) {
        continue_moving(&path, target, contents).ok();
    }
}

/// If former results were moved aside and nothing has taken their place, puts the new results of the
/// same run there, which are complete, or else puts the former ones back.
fn complete(target: &Path, beside: &[(PathBuf, Use)]) -> io::Result<()> {
    let Some((former, _)) = beside.iter().find(|(_, what)| *what == Use::Former) else { return Ok(()) };
    let new = former.with_extension("tmp");
    fs::rename(if new.is_dir() { &new } else { former }, target)
}

/// Returns abandoned folders of runs within `target`.
fn within(target: &Path) -> Vec<(PathBuf, Use)> {
    abandoned(target, "results")
}

/// Returns abandoned folders of runs beside `target`.
fn beside(target: &Path) -> Vec<(PathBuf, Use)> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.parent().map_or_else(Vec::new, |above| abandoned(above, &name))
}

fn abandoned(folder: &Path, name: &str) -> Vec<(PathBuf, Use)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let hidden = entry.file_name();
        let hidden = hidden.to_string_lossy();
        let Some((_, pid, what)) = parse_hidden(&hidden).filter(|(of, ..)| *of == name) else { continue };
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_abandoned(&entry.path(), pid) {
            found.push((entry.path(), what));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::hidden_name;
    use crate::place::in_two_steps;
    use tempfile::TempDir;

    const RESULTS: Contents = Contents {
        called: "results",
        files: &["summary.txt", "fitted.parquet", "model.json", "fit.json"],
        folder: Some("random_effects"),
        key: "tiers",
    };
    const MOMENTS: Contents =
        Contents { called: "moments", files: &["cells.parquet", "moments.json"], folder: None, key: "tiers_moments" };

    /// Creates a folder with some files.
    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        folder
    }

    /// Returns all files below a folder with their contents.
    fn files(folder: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut left = vec![folder.to_owned()];
        while let Some(next) = left.pop() {
            for entry in fs::read_dir(next).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => left.push(path),
                    false => {
                        let name = path.strip_prefix(folder).expect("below").to_string_lossy().into_owned();
                        found.push((name, fs::read_to_string(&path).expect("text")));
                    }
                }
            }
        }
        found.sort();
        found
    }

    fn check(folder: &TempDir, expected: &[(&str, &str)]) {
        let found = files(folder.path());
        let found: Vec<(&str, &str)> = found.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(found, expected);
    }

    const DEAD: &str = "4194305";

    fn hidden(name: &str, ending: &str, file: &str) -> String {
        format!(".{name}.tiers-{DEAD}.{ending}/{file}")
    }

    #[test]
    fn only_partial_results_of_dead_processes_are_removed() {
        let half = hidden("out", "tmp", "summary.txt");
        let other = hidden("other", "tmp", "summary.txt");
        let living = ".out.tiers-1.tmp/summary.txt";
        let folder = folder(&[(&half, "half"), (&other, "half"), (living, "half"), ("out/fit.json", "former")]);
        tidy(&folder.path().join("out"), &RESULTS).expect("tidy");
        check(&folder, &[(&other, "half"), (living, "half"), ("out/fit.json", "former")]);
    }

    #[test]
    fn a_missing_second_rename_is_completed() {
        let (former, new) = (hidden("out", "old", "fit.json"), hidden("out", "tmp", "fit.json"));
        let notes = hidden("out", "old", "notes.txt");
        for by_reader in [false, true] {
            let folder = folder(&[(&former, "former"), (&new, "new"), (&notes, "mine")]);
            let out = folder.path().join("out");
            if by_reader {
                repair(&out, &RESULTS);
                assert_eq!(fs::read_to_string(out.join("fit.json")).expect("a file"), "new");
            }
            tidy(&out, &RESULTS).expect("tidy");
            check(&folder, &[("out/fit.json", "new"), ("out/notes.txt", "mine")]);
        }
        // Without new results, the former ones are put back.
        let folder = folder(&[(&former, "former")]);
        tidy(&folder.path().join("out"), &RESULTS).expect("tidy");
        check(&folder, &[("out/fit.json", "former")]);
    }

    #[test]
    fn other_files_among_former_results_are_moved() {
        let former = hidden("out", "tmp", "fit.json");
        let within = hidden("out", "tmp", "random_effects/mine.txt");
        let folder = folder(&[(&former, "former"), (&within, "mine"), ("out/fit.json", "new")]);
        tidy(&folder.path().join("out"), &RESULTS).expect("tidy");
        check(&folder, &[("out/fit.json", "new"), ("out/random_effects/mine.txt", "mine")]);
        // Without a folder to move it to, the file stays.
        let moments = hidden("m", "tmp", "notes.txt");
        let folder = super::tests::folder(&[(&moments, "mine")]);
        tidy(&folder.path().join("m"), &MOMENTS).expect("tidy");
        check(&folder, &[(&moments, "mine")]);
    }

    #[test]
    fn an_interrupted_move_of_files_is_completed() {
        let moving = |file: &str| format!("out/{}", hidden("results", "moving", file));
        let all = ["summary.txt", "model.json", "fit.json", "random_effects/g.parquet"];
        let journal = all.join("\n");
        for moved in 0..all.len() {
            let mut stands = vec![(moving(".tiers-names"), journal.as_str()), ("out/notes.txt".to_owned(), "mine")];
            for (i, name) in ["random_effects/g.parquet", "summary.txt", "model.json", "fit.json"].iter().enumerate() {
                stands.push(if i < moved { (format!("out/{name}"), "new") } else { (moving(name), "new") });
            }
            if moved == 0 {
                // Former results that are not removed yet.
                stands.push(("out/fitted.parquet".to_owned(), "former"));
                stands.push(("out/random_effects/h.parquet".to_owned(), "former"));
                stands.push(("out/summary.txt".to_owned(), "former"));
            }
            let stands: Vec<(&str, &str)> = stands.iter().map(|(name, text)| (name.as_str(), *text)).collect();
            let folder = folder(&stands);
            repair(&folder.path().join("out"), &RESULTS);
            let expected = ["fit.json", "model.json", "notes.txt", "random_effects/g.parquet", "summary.txt"];
            let expected: Vec<String> = expected.iter().map(|name| format!("out/{name}")).collect();
            let found = files(folder.path());
            assert!(found.iter().map(|(name, _)| name).eq(&expected), "{moved} moved: {found:?}");
            assert!(found.iter().all(|(name, text)| (text == "new") != name.ends_with("notes.txt")), "{found:?}");
        }
    }

    #[test]
    fn two_renames_replace_a_folder_like_an_exchange() {
        let staging = hidden_name("out".as_ref(), Use::New);
        let folder = folder(&[("out/fit.json", "former"), (&format!("{staging}/fit.json"), "new")]);
        let (out, staging) = (folder.path().join("out"), folder.path().join(staging));
        let former = in_two_steps(&staging, &out).expect("renamed");
        assert_eq!(fs::read_to_string(out.join("fit.json")).expect("a file"), "new");
        assert_eq!(fs::read_to_string(former.join("fit.json")).expect("a file"), "former");
        tidy(&out, &RESULTS).expect("tidy");
        check(&folder, &[("out/fit.json", "new")]);
    }
}
