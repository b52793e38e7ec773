//! Reads and checks the specification, and the names of the files to write.

use crate::args::SimulateArgs;
use anyhow::{anyhow, bail, ensure};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tiers_outputs::{WRITTEN_BY_HAND, destination, read_text};
use tiers_simulate::{Simulation, Spec};

/// A simulation to run.
#[derive(Debug)]
pub(super) struct Job {
    /// The simulation.
    pub simulation: Simulation,
    /// Output files; `None` for a dry run.
    pub output: Option<Output>,
}

/// Files to write.
#[derive(Debug)]
pub(super) struct Output {
    /// The rows.
    pub data: PathBuf,
    /// The parameters.
    pub truth: PathBuf,
}

impl Job {
    /// Checks the command line and the specification.
    pub(super) fn new(args: &SimulateArgs) -> anyhow::Result<Job> {
        let path = args.spec.as_deref().ok_or_else(|| anyhow!("no specification is named"))?;
        let text = read_text(path, WRITTEN_BY_HAND).map_err(|error| unreadable(path, &error))?;
        let mut spec = parse(path, &text)?;
        if args.rows.is_some() {
            (spec.rows, spec.groups) = (args.rows, None);
        }
        spec.seed = args.seed.unwrap_or(spec.seed);
        spec.shuffle |= args.shuffle;
        let simulation = Simulation::new(&spec).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        let output = match (&args.out, args.dry_run) {
            (Some(out), false) => Some(Output::new(out)?),
            _ => None,
        };
        Ok(Job { simulation, output })
    }
}

impl Output {
    fn new(data: &Path) -> anyhow::Result<Output> {
        let is_parquet = data.extension().is_some_and(|extension| extension == "parquet");
        ensure!(is_parquet, "--out {}: parquet is written; let the name end in .parquet", data.display());
        ensure!(!data.is_dir(), "--out {}: this is a folder; name a file in it", data.display());
        let truth = data.with_extension("truth.json");
        ensure!(!truth.is_dir(), "--out {}: {} is a folder; move it away", data.display(), truth.display());
        for path in [data, &truth] {
            destination(path).map_err(|error| anyhow!("--out {error}"))?;
        }
        Ok(Output { data: data.to_owned(), truth })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        ErrorKind::NotFound => "check the path, or get one to begin with: tiers simulate --example > spec.toml",
        ErrorKind::InvalidData => "a specification is a text file in TOML; `tiers simulate --example` prints one",
        _ => "check the path and the rights of the file",
    };
    anyhow!("{}: the specification cannot be read: {error}; {remedy}", path.display())
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Spec> {
    let error = match toml::from_str(text) {
        Ok(spec) => return Ok(spec),
        Err(error) => error,
    };
    let place = error.span().map_or_else(String::new, |span| {
        let (line, column) = place(text, span.start);
        format!(", line {line}, column {column}")
    });
    let message = error.message().replace('\n', ", ");
    bail!("{}{place}: {message}; `tiers simulate --example` prints a specification to compare with", path.display())
}

/// Returns the line and column of a byte, counted from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_specification_have_their_position() {
        let check = |text: &str, words: &[&str]| {
            let error = parse(Path::new("a.toml"), text).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{words:?} are not all in {error:?}");
        };
        check("rows = ", &["a.toml, line 1"]);
        let response = "[response]\nname = \"y\"\n";
        check(&format!("{response}sd = 1"), &["line 3, column 1", "`sd`", "`residual_sd`"]);
        check(&format!("{response}level = []"), &["unknown field `level`"]);
        let level = "[[level]]\nname = \"g\"\nid = \"integer\"\n";
        let full = format!("{response}residual_sd = 1\n{level}");
        check(&full, &["missing field `size`"]);
        check(&format!("{full}size = \"many\""), &["line 7", "{ min = 10, max = 35 }"]);
        check(&format!("{full}size = {{ min = 1, mx = 3 }}"), &["`mx`", "`max`"]);
        check(&format!("{full}size = 2\n[[covariate]]\nname = \"x\"\nkind = \"norml\""), &["`norml`", "`group-size`"]);
    }
}
