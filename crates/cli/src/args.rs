//! The command line, as clap reads it. What it says is checked in [`crate::job`].

use crate::anova::AnovaArgs;
use crate::bench::BenchArgs;
use crate::compare::CompareArgs;
use crate::confint::ConfintArgs;
use crate::csv::CsvArgs;
use crate::diagnose::DiagnoseArgs;
use crate::influence::InfluenceArgs;
use crate::means::MeansArgs;
use crate::moments::MomentsArgs;
use crate::predict::PredictArgs;
use crate::ranef::RanefArgs;
use crate::robust::Robust;
use crate::run::RunArgs;
use crate::simulate::SimulateArgs;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Fit multilevel (linear mixed) models to parquet, exactly, by REML or ML.
#[derive(Debug, Parser)]
#[command(name = "tiers", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fit a model and print a summary
    #[command(after_help = EXAMPLES)]
    Fit(FitArgs),
    /// F tests of the terms of a saved fit
    #[command(after_help = crate::anova::EXAMPLES)]
    Anova(AnovaArgs),
    /// Fit all models of a job file, unattended; the same command goes on after an interruption
    Run(RunArgs),
    /// Saved fits side by side, with likelihood ratio tests
    #[command(after_help = crate::compare::EXAMPLES)]
    Compare(CompareArgs),
    /// Marginal means of a saved fit, their differences, and tests of linear hypotheses
    #[command(after_help = crate::means::EXAMPLES)]
    Means(MeansArgs),
    /// Show which top-level groups change a saved fit most: Cook's distance, DFBETAS, variances without them
    Influence(InfluenceArgs),
    /// Show the groups of a saved fit with the largest and smallest random effects
    Ranef(RanefArgs),
    /// Tell in plain words how well the parameters of a saved fit are determined
    Diagnose(DiagnoseArgs),
    /// Confidence intervals of all parameters of a saved fit
    #[command(after_help = crate::confint::EXAMPLES)]
    Confint(ConfintArgs),
    /// Write the moments of data or of a part of it, to be merged and fitted by `tiers fit --moments`
    #[command(after_help = crate::moments::EXAMPLES)]
    Moments(MomentsArgs),
    /// Predict for rows of another table, with standard errors and intervals
    #[command(after_help = crate::predict::EXAMPLES)]
    Predict(PredictArgs),
    /// Write nested data of any size, drawn from a specification, to try out models on
    Simulate(SimulateArgs),
    /// Measure how time and memory of a fit grow with the rows, or estimate them for a file
    Bench(BenchArgs),
    /// Print what a shell needs to complete commands and options
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands
    Man {
        /// Folder for the pages of all commands
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// The definition of the command line.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

const EXAMPLES: &str = "\
Examples:
  Classes within schools, results written to a folder:
    tiers fit \"score ~ pretest + treat + (1 | school/class)\" students.parquet --out results

  A growth curve with random slopes, by maximum likelihood, all files of a folder:
    tiers fit \"math ~ year + (1 + year | child) + (1 | school)\" data/ --ml

  Another reference level, prior weights, and the fit as JSON:
    tiers fit \"y ~ arm + (1 | site)\" trial.csv --reference arm=placebo --weights w --json

  Two models from one read of the data, with results in results/null and results/full:
    tiers fit \"null = y ~ 1 + (1 | site)\" trial.csv --also \"full = y ~ arm + (1 | site)\" --ml --out results

In a formula, (1 | school/class) means (1 | school) + (1 | school:class); (x || g) leaves out the
correlations; I(x^2), log(x), exp(x), sqrt(x), factor(x) and offset(x) can be used; names with
other characters than letters, digits, dots and underscores stand in `backticks`.

Exit codes: 0 fitted (also where a variance is estimated as zero), 1 bad input or usage,
2 the optimiser did not converge (results are written all the same), 3 internal error.";

const EXIT_CODES: &str = "\
Example:
  tiers fit \"score ~ pretest + (1 | school/class)\" students.parquet --out results

See `tiers fit --help` for the options, more examples and the exit codes.";

/// `tiers fit`.
#[derive(Debug, Args)]
pub(crate) struct FitArgs {
    /// The model in lme4's language, as in "y ~ x + (1 + x | school/class)"
    #[arg(required_unless_present = "moments")]
    pub formula: Option<String>,

    /// Files, folders or globs: parquet, csv or arrow; all of one table
    #[arg(required_unless_present = "moments")]
    pub data: Vec<PathBuf>,

    /// A further model, fitted in the same read of the data; may be repeated. Its results go to
    /// DIR/NAME; without names these are model1 (the first formula), model2 and so on
    #[arg(long, value_name = "[NAME=]FORMULA")]
    pub also: Vec<String>,

    /// Fit to moments of all parts of the data, by `tiers moments`, instead of to rows
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["formula", "data", "also", "weights", "reference", "levels", "fitted", "sep", "decimal", "encoding", "na", "types"])]
    pub moments: Vec<PathBuf>,

    /// Fit by restricted maximum likelihood (the default)
    #[arg(long, conflicts_with = "ml")]
    pub reml: bool,

    /// Fit by maximum likelihood
    #[arg(long)]
    pub ml: bool,

    /// Column of prior weights: a row of weight w has residual variance sigma^2 / w
    #[arg(long, value_name = "COL")]
    pub weights: Option<String>,

    /// Reference level of a factor (default: the first in order); may be repeated
    #[arg(long, value_name = "FACTOR=LEVEL")]
    pub reference: Vec<String>,

    /// Levels of a factor in order, the first being the reference; may be repeated
    #[arg(long, value_name = "FACTOR=A,B,C")]
    pub levels: Vec<String>,

    #[command(flatten)]
    pub csv: CsvArgs,

    /// Confidence level of the intervals
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    pub conf_level: f64,

    /// Degrees of freedom of the tests of fixed effects
    #[arg(long, value_name = "METHOD", value_enum, default_value_t = Df::Satterthwaite)]
    pub df: Df,

    /// Cluster-robust standard errors of the fixed effects, from a second pass over the rows
    #[arg(long, value_name = "TYPE", value_enum, ignore_case = true, conflicts_with = "moments")]
    pub robust: Option<Robust>,

    /// Level whose groups are the clusters of --robust: the top level, which is the default
    #[arg(long, value_name = "LEVEL", requires = "robust")]
    pub cluster: Option<String>,

    /// Folder for summary.txt, fit.json and random_effects/*.parquet; replaced when all is done
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Write fitted.parquet too: fitted values and residuals by row, from a second pass
    #[arg(long, requires = "out")]
    pub fitted: bool,

    /// Write report.html too: the results as a page to read and to pass on, with figures
    #[arg(long, requires = "out")]
    pub report: bool,

    /// Print the fit as JSON instead of the summary
    #[arg(long)]
    pub json: bool,

    /// No progress and no timing; with --out no summary either, only errors
    #[arg(long, short)]
    pub quiet: bool,

    /// Threads to use (default: all cores); the results do not depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Most memory to use: bytes, 2GB, or a share of what is available
    #[arg(long, value_name = "SIZE", default_value = crate::memory::DEFAULT)]
    pub memory_limit: String,

    /// Most evaluations of the likelihood before giving up
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub max_evaluations: usize,
}

/// How degrees of freedom are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Df {
    /// Satterthwaite's approximation, as lmerTest's
    Satterthwaite,
    /// Kenward and Roger's, with their adjusted covariance, as pbkrtest's; for REML
    KenwardRoger,
    /// None: the normal approximation
    None,
}

/// Reads the command line; what clap has to say (errors, help, the version) is the error.
pub(crate) fn parse() -> Result<Command, clap::Error> {
    parse_from(std::env::args_os())
}

/// Reads a command line, the program's name first.
pub(crate) fn parse_from<T: Into<OsString> + Clone>(line: impl IntoIterator<Item = T>) -> Result<Command, clap::Error> {
    Cli::try_parse_from(line).map(|cli| cli.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
