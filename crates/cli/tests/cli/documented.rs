//! The commands of README.md and docs/usage.md work.

use crate::support::{Folder, program, run};
use std::collections::BTreeMap;
use std::path::Path;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Lines of fenced blocks that start the program, with or without a prompt.
fn fenced(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if let (true, line) = (inside, line.strip_prefix("$ ").unwrap_or(line))
            && line.starts_with("tiers ")
        {
            commands.push(line);
        }
    }
    commands
}

/// Code spans that start the program, outside of fenced blocks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.starts_with("```"));
    lines.flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|span| span.starts_with("tiers "))
}

/// Every option that the documentation gives a command is one of it.
#[test]
fn documented_options_exist() {
    let mut help: BTreeMap<String, String> = BTreeMap::new();
    let mut checked = 0;
    for page in
        ["README.md", "docs/usage.md", "docs/batch.md", "docs/moments.md", "docs/engines.md", "docs/inference.md"]
    {
        let text = text(page);
        for command in fenced(&text).into_iter().chain(spans(&text)) {
            // A comment in a shell, and other commands on the same line.
            let command = command.split(" # ").next().unwrap_or(command);
            for command in command.split("&&") {
                let mut words = command.split_whitespace().skip(1);
                let Some(name) = words.next().filter(|name| name.chars().all(|c| c.is_ascii_lowercase())) else {
                    continue;
                };
                let options = help.entry(name.to_owned()).or_insert_with(|| {
                    let ran = run(program().args([name, "--help"]));
                    assert_eq!(ran.code, 0, "{page}: `{command}`: {}", ran.err);
                    ran.out
                });
                let is_option = |word: &&str| word.starts_with("--") && word.len() > 2;
                let words = command.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(is_option);
                for option in words {
                    let known = options.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|o| o == option);
                    assert!(known, "{page}: `{command}`: {name} has no option {option}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 40, "only {checked} options were found");
}

/// The commands of README.md run, one after the other, in one folder.
#[cfg(unix)]
#[test]
#[ignore = "slow"]
fn commands_of_the_readme_run() {
    let folder = Folder::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    std::os::unix::fs::symlink(root.join("datasets"), folder.join("datasets")).expect("a link");
    // What the commands take for granted: another fit, and new data.
    let chem97 = "datasets/chem97/chem97.parquet";
    let formula = "score ~ gcsescore + gender + age + (1 | lea)";
    let mut script = format!("tiers fit \"{formula}\" {chem97} --out other_results --quiet\n");
    script += &format!("cp {chem97} new.parquet\ncp {chem97} data.parquet\n");
    let readme = text("README.md");
    let commands = fenced(&readme);
    assert!(commands.len() > 12, "{commands:?}");
    for command in commands {
        script += &format!("{}\n", command.replace("\"…\"", &format!("\"{formula}\"")));
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_tiers")).parent().expect("a folder");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = std::process::Command::new("sh");
    let ran = run(shell.args(["-e", "-x", "-c", &script]).current_dir(folder.join(".")).env("PATH", path));
    assert_eq!(ran.code, 0, "{}", ran.err);
}
