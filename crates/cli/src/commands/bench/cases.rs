//! The cases of a benchmark: models × tables × threads, run in turns.

use crate::args::{BenchArgs, BuiltIn};
use anyhow::{Context, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Specification of the simulated tables.
const NESTED: &str = include_str!("nested.toml");

const FIXED: &str = "score ~ pretest + ses + female + minority + treat + class_size";

/// A model and its name.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Name in tables and plots.
    pub name: String,
    /// Formula.
    pub formula: String,
}

/// A table to fit models to.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Name in results.
    pub name: String,
    /// File, folder or glob.
    pub path: PathBuf,
    /// Command-line options for reading text files.
    pub options: Vec<String>,
}

/// A combination of model, table and number of threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    /// Model.
    pub model: &'a Model,
    /// Table that it is fitted to.
    pub table: &'a Table,
    /// Number of threads.
    pub threads: usize,
}

/// All cases of a benchmark.
#[derive(Debug)]
pub(super) struct Cases {
    /// Models.
    pub models: Vec<Model>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Numbers of threads.
    pub threads: Vec<usize>,
    /// Folder of the simulated tables, removed when this is dropped.
    _simulated: Option<TempDir>,
}

impl Cases {
    /// Returns the cases of the user's model and tables, or of the built-in models; simulates their tables.
    pub(super) fn new(args: &BenchArgs, log: &dyn Fn(&str)) -> anyhow::Result<Cases> {
        let all = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut threads: Vec<usize> = args.threads.iter().map(|n| n.get()).collect();
        if threads.is_empty() {
            threads.push(all);
        }
        if let Some(formula) = &args.formula {
            let name = |path: &PathBuf| {
                path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into())
            };
            args.csv.options()?;
            let options = args.csv.words();
            let table = |path: &PathBuf| Table { name: name(path), path: path.clone(), options: options.clone() };
            let tables = args.data.iter().map(table).collect();
            let models = vec![Model { name: "model".to_owned(), formula: formula.clone() }];
            return Ok(Cases { models, tables, threads, _simulated: None });
        }
        let folder = TempDir::with_prefix_in("data-", &args.out)
            .with_context(|| format!("{}: no folder for the simulated tables", args.out.display()))?;
        let simulate = |&rows: &u64| {
            log(&format!("simulating {rows} rows"));
            simulate(folder.path(), rows, args.shuffle)
        };
        let tables = args.sizes.iter().map(simulate).collect::<anyhow::Result<_>>()?;
        Ok(Cases { models: args.models.iter().map(|m| m.model()).collect(), tables, threads, _simulated: Some(folder) })
    }

    /// Returns all cases, grouped by table.
    pub(super) fn all(&self) -> impl Iterator<Item = Case<'_>> {
        let of_table = move |table| {
            let of_model = move |model| self.threads.iter().map(move |&threads| Case { model, table, threads });
            self.models.iter().flat_map(of_model)
        };
        self.tables.iter().flat_map(of_table)
    }
}

impl BuiltIn {
    fn model(self) -> Model {
        let (name, random) = match self {
            BuiltIn::A => ("a", "(1 | school/class)"),
            BuiltIn::B => ("b", "(1 + pretest | school) + (1 | school:class)"),
            BuiltIn::C => ("c", "(1 | district/school/class)"),
        };
        Model { name: name.to_owned(), formula: format!("{FIXED} + {random}") }
    }
}

/// Simulates a table with `tiers simulate`.
fn simulate(folder: &Path, rows: u64, shuffle: bool) -> anyhow::Result<Table> {
    let (spec, path) = (folder.join("nested.toml"), folder.join(format!("nested_{rows}.parquet")));
    fs::write(&spec, NESTED).with_context(|| format!("{}: cannot be written", spec.display()))?;
    let mut command = Command::new(std::env::current_exe().context("the program does not know where it is")?);
    command.arg("simulate").arg(&spec).args(["--rows", &rows.to_string(), "--quiet", "--out"]).arg(&path);
    if shuffle {
        command.arg("--shuffle");
    }
    let done = command.output().context("tiers simulate could not be started")?;
    if !done.status.success() {
        bail!("simulating {rows} rows failed: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(Table { name: format!("simulated, {rows} rows"), path, options: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_specification_is_valid() {
        let spec: tiers_simulate::Spec = toml::from_str(NESTED).unwrap();
        tiers_simulate::Simulation::new(&spec).unwrap();
    }
}
