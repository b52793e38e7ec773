//! The program `tiers`: multilevel (linear mixed) models fitted to parquet from the command line.
//!
//! ```text
//! args      arguments of the command line (clap)
//! job       settings of `tiers fit`, checked without reading the data
//!
//! fit       `tiers fit`: open, read, fit, report, write
//! several   `tiers fit` with several models in one read
//! anova     `tiers anova`: F tests of the terms of a saved fit
//! bench     `tiers bench`: growth of time and memory with the number of rows
//! compare   `tiers compare`: saved fits side by side
//! confint   `tiers confint`: intervals of all parameters of a saved fit
//! diagnose  `tiers diagnose`: how well the data determine a saved fit
//! influence `tiers influence`: influence of each top-level group on a saved fit
//! means     `tiers means`: marginal means and linear hypotheses of a saved fit
//! moments   `tiers moments`: moments of parts of a data set
//! pages     `tiers completions` and `tiers man`
//! predict   `tiers predict`: predictions for other rows
//! ranef     `tiers ranef`: groups of a saved fit with the largest and smallest effects
//! run       `tiers run`: jobs of many models that survive interruptions
//! simulate  `tiers simulate`: simulated data to try out models
//!
//! steps     fits one model, from its moments to its files; for fit, several and run
//! input     input of a fit: rows, or moments in parts
//! saved     opens a folder of results for further commands
//! tables    random effects and fitted values as parquet
//! outputs   the folder of results, replaced as a whole
//!
//! memory    limit on memory, and the memory available
//! threads   number of threads
//! robust    names of the cluster-robust covariances
//! csv       options for text files
//! process   time and memory of a run
//! progress  progress bars
//! files     small text files that the user names
//! exit      exit codes, and the reporting of errors and panics

//! ```

mod anova;
mod args;
mod bench;
mod compare;
mod confint;
mod csv;
mod diagnose;
mod exit;
mod files;
mod fit;
mod influence;
mod input;
mod job;
mod means;
mod memory;
mod moments;
mod outputs;
mod pages;
mod predict;
mod process;
mod progress;
mod ranef;
mod robust;
mod run;
mod saved;
mod several;
mod simulate;
mod steps;
mod tables;
mod threads;

use std::process::ExitCode;

fn main() -> ExitCode {
    exit::guarded(run)
}

fn run() -> anyhow::Result<exit::Outcome> {
    let command = match args::parse() {
        Ok(command) => command,
        Err(error) => return exit::usage(&error),
    };
    match command {
        args::Command::Moments(args) => {
            threads::with_notes(args.threads, &note_unless(args.quiet), || moments::run(args))
        }
        args::Command::Fit(args) => {
            threads::with_notes(args.threads, &note_unless(args.quiet), || fit::run(&job::Job::new(args)?))
        }
        args::Command::Confint(args) => threads::with(args.refit.threads, || confint::run(&args)),
        args::Command::Anova(args) => threads::with(args.refit.threads, || anova::run(&args)),
        args::Command::Predict(args) => threads::with(args.refit.threads, || predict::run(&args)),
        args::Command::Run(args) => run::run(&args),
        args::Command::Compare(args) => threads::with(args.refit.threads, || compare::run(&args)),
        args::Command::Means(args) => means::run(&args),
        args::Command::Influence(args) => threads::with(args.refit.threads, || influence::run(&args)),
        args::Command::Diagnose(args) => threads::with(args.refit.threads, || diagnose::run(&args)),
        args::Command::Ranef(args) => threads::with(None, || ranef::run(&args)),
        args::Command::Simulate(args) => simulate::run(&args),
        args::Command::Bench(args) => bench::run(&args),
        args::Command::Completions { shell } => pages::completions(shell, args::definition()),
        args::Command::Man { out } => pages::manual(args::definition(), out.as_deref()),
    }
}

/// Returns a function that prints notes to standard error, unless the command is quiet.
fn note_unless(quiet: bool) -> impl Fn(&str) {
    move |note| {
        if !quiet {
            exit::tell(&format!("tiers: note: {note}"));
        }
    }
}
