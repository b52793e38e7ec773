//! Arguments of `tiers bench`.

use super::csv::CsvArgs;
use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  How time and memory grow with the rows, on simulated data:
    tiers bench --sizes 1e5,1e6,1e7 --threads 1,2 --out scaling

  A model of your own on tables of several sizes:
    tiers bench \"score ~ pretest + (1 | school/class)\" small.parquet large.parquet

  Estimates of the time and memory of a fit, without fitting:
    tiers bench --plan \"score ~ pretest + (1 | school/class)\" students.parquet

Every run is a separate process that reads the table, fits the model and writes all results; the
cases that are compared take turns. Results are written to bench.json and bench.csv (all runs),
bench.txt (the printed tables), and scaling.svg.";

/// Arguments of `tiers bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Model formula, instead of the built-in models that are fitted to simulated data
    #[arg(requires = "data")]
    pub formula: Option<String>,

    /// Tables to fit the model to: each file, folder or glob is a table; with --plan all are one table
    pub data: Vec<PathBuf>,

    /// Only estimate the time and memory of a fit, from a sample of the rows
    #[arg(long, requires = "formula", help_heading = "Run")]
    pub plan: bool,

    /// Numbers of rows of the simulated tables
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = rows, default_value = "1e5,1e6", conflicts_with = "formula", help_heading = "Data")]
    pub sizes: Vec<u64>,

    /// Built-in models: a has two levels, b also a random slope, c three levels
    #[arg(
        long,
        value_name = "M,…",
        value_enum,
        value_delimiter = ',',
        default_value = "a,b,c",
        conflicts_with = "formula",
        help_heading = "Model"
    )]
    pub models: Vec<BuiltIn>,

    /// Simulate tables in random order instead of sorted ones
    #[arg(long, conflicts_with = "formula", help_heading = "Data")]
    pub shuffle: bool,

    /// Numbers of threads (default: all cores)
    #[arg(long, value_name = "N,…", value_delimiter = ',', help_heading = "Run")]
    pub threads: Vec<NonZeroUsize>,

    /// Number of runs of each case, after a warm-up run that does not count
    #[arg(long, value_name = "N", default_value = "5", help_heading = "Run")]
    pub repeats: NonZeroUsize,

    #[command(flatten)]
    pub csv: CsvArgs,

    /// Folder for the results; results of an earlier benchmark are replaced
    #[arg(long, value_name = "DIR", default_value = "tiers-bench", help_heading = "Output")]
    pub out: PathBuf,

    /// Print the estimate of --plan as JSON
    #[arg(long, requires = "plan", help_heading = "Output")]
    pub json: bool,

    /// Print no progress, only the results
    #[arg(long, short, help_heading = "Run")]
    pub quiet: bool,
}

/// The built-in models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BuiltIn {
    /// Random intercepts of schools and classes.
    A,
    /// A slope that varies between schools, too.
    B,
    /// Districts above the schools.
    C,
}

/// Parses `100000`, `1e5`, `2.5e6`.
fn rows(text: &str) -> Result<u64, String> {
    let number = text.trim().replace('_', "").parse::<f64>().ok();
    let whole = number.filter(|rows| (100.0..=1e12).contains(rows) && rows.fract() == 0.0);
    whole.map(|rows| rows as u64).ok_or_else(|| "a number of rows is needed, at least 100, such as 1e6".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_rows_are_parsed() {
        assert_eq!(rows("1e5"), Ok(100_000));
        assert_eq!(rows("2.5e6"), Ok(2_500_000));
        assert_eq!(rows("1_000"), Ok(1000));
        assert!(["", "ten", "10", "1.5e2.5", "-1e5", "1e15"].iter().all(|text| rows(text).is_err()));
    }
}
