//! The command line, as clap parses it: a file per command or group of options.
//!
//! [`crate::job`] and the commands check the values.

mod bench;
mod confint;
mod csv;
mod fit;
mod groups;
mod inference;
mod means;
mod moments;
mod predict;
mod refit;
mod resources;
mod run;
mod saved_fit;
mod simulate;
mod sql;
mod values;

pub(crate) use bench::{BenchArgs, BuiltIn};
pub(crate) use confint::ConfintArgs;
pub(crate) use csv::CsvArgs;
pub(crate) use fit::FitArgs;
pub(crate) use inference::{Df, IntervalMethod, LaplaceError, Robust};
pub(crate) use means::{Adjust, MeansArgs};
pub(crate) use moments::MomentsArgs;
pub(crate) use predict::PredictArgs;
pub(crate) use refit::RefitArgs;
pub(crate) use run::{LogFormat, LogLevel, RunArgs};
pub(crate) use saved_fit::{AnovaArgs, CompareArgs, DiagnoseArgs, InfluenceArgs, RanefArgs};
pub(crate) use simulate::SimulateArgs;
pub(crate) use sql::SqlArgs;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

/// Fit multilevel models to parquet: linear (REML, ML), binomial and Poisson.
#[derive(Debug, Parser)]
#[command(name = "tiers", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// When to use colour and bold type: auto stands for terminals, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, global = true, default_value_t = Color::Auto, help_heading = "Run")]
    color: Color,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fit a model, or several, and print a summary
    #[command(after_help = fit::EXAMPLES)]
    Fit(FitArgs),
    /// Print F tests of the terms of a saved fit
    #[command(after_help = saved_fit::ANOVA_EXAMPLES)]
    Anova(AnovaArgs),
    /// Fit all models of a job file, unattended
    ///
    /// Fit all models of a job file, unattended; repeat the command to resume after an interruption.
    Run(RunArgs),
    /// Compare saved fits side by side, with likelihood ratio tests
    #[command(after_help = saved_fit::COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Compute marginal means, their differences and linear hypotheses
    ///
    /// Compute marginal means of a saved fit, their differences, and tests of linear hypotheses.
    #[command(after_help = means::EXAMPLES)]
    Means(MeansArgs),
    /// Show the most influential top-level groups of a saved fit
    ///
    /// Show the most influential top-level groups of a saved fit: Cook's distance, DFBETAS, variances.
    Influence(InfluenceArgs),
    /// Show the groups with the largest and smallest random effects
    Ranef(RanefArgs),
    /// Report how well the data determine the parameters of a fit
    Diagnose(DiagnoseArgs),
    /// Compute confidence intervals for all parameters of a saved fit
    #[command(after_help = confint::EXAMPLES)]
    Confint(ConfintArgs),
    /// Write the moments (sufficient statistics) of a part of the data
    ///
    /// Write the moments (sufficient statistics) of a data set or a part of it, for `tiers fit --moments`.
    #[command(after_help = moments::EXAMPLES)]
    Moments(MomentsArgs),
    /// Write a script by which a database computes the moments
    ///
    /// Write a script by which a database (DuckDB, Spark, PostgreSQL, BigQuery, Snowflake) computes the
    /// moments of its rows, for `tiers fit --moments`.
    #[command(after_help = sql::EXAMPLES)]
    Sql(SqlArgs),
    /// Predict the response for rows of another table
    ///
    /// Predict the response for rows of another table, with standard errors and intervals.
    #[command(after_help = predict::EXAMPLES)]
    Predict(PredictArgs),
    /// Simulate nested data of any size from a specification
    Simulate(SimulateArgs),
    /// Measure or estimate the time and memory of a fit
    ///
    /// Measure how the time and memory of a fit grow with the number of rows, or estimate them for a file.
    Bench(BenchArgs),
    /// Print a completion script for a shell
    Completions {
        /// Shell to generate the script for
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands to a folder
    Man {
        /// Folder for the manual pages of all commands
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// Returns the definition of the command line.
pub(crate) fn definition() -> clap::Command {
    groups::grouped(Cli::command())
}

const EXIT_CODES: &str = "\
Example:
  tiers fit \"score ~ pretest + (1 | school/class)\" students.parquet --out results

See `tiers fit --help` for the options, more examples and the exit codes.";

/// Parses the command line. Help and version requests are errors, as clap returns them.
pub(crate) fn parse() -> Result<Command, clap::Error> {
    parse_from(std::env::args_os())
}

/// Parses a command line that starts with the program's name.
pub(crate) fn parse_from<T: Into<OsString> + Clone>(line: impl IntoIterator<Item = T>) -> Result<Command, clap::Error> {
    definition().try_get_matches_from(line).and_then(|matches| Cli::from_arg_matches(&matches)).map(|cli| cli.command)
}

/// Returns the value of `--color`, also where the rest of the command line is not valid: errors are
/// printed in colour, too.
pub(crate) fn color(line: impl IntoIterator<Item = OsString>) -> Color {
    let line: Vec<String> = line.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let value = line.iter().enumerate().rev().find_map(|(i, word)| match word.strip_prefix("--color")? {
        "" => line.get(i + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    });
    value.and_then(|value| Color::from_str(value, false).ok()).unwrap_or(Color::Auto)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_passes_claps_checks() {
        definition().debug_assert();
    }

    #[test]
    fn color_is_found_on_invalid_command_lines() {
        let of = |line: &str| color(line.split(' ').map(OsString::from));
        assert_eq!(of("tiers fot --color=never"), Color::Never);
        assert_eq!(of("tiers --color always fit --wrong"), Color::Always);
        assert_eq!(of("tiers fit --colored --color"), Color::Auto);
    }
}
