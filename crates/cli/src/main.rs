//! The program `tiers`: multilevel (linear mixed) models fitted to parquet from the command line.
//!
//! ```text
//! args      what the command line may say (clap)
//! job       what is to be done, checked as far as can be without touching the data
//! fit       the flow: open, read, fit, report, write
//! several   the same for several models of one read
//! steps     one model from its moments to its files, for both and for run
//! input     what a fit is made from: rows, or moments in parts
//! outputs   the folder of results, put in place as a whole
//! influence what each top-level group does to a saved fit
//! ranef     the largest and smallest groups of a saved fit
//! diagnose  how well a saved fit is determined
//! saved     a folder of results, opened to be asked further questions
//! tables    random effects and fitted values as parquet
//! anova     F tests of the terms of a saved fit
//! confint   intervals of all parameters of a saved fit
//! bench     how time and memory grow with the rows, by a flow of its own
//! compare   saved fits side by side
//! means     marginal means and linear hypotheses of a saved fit
//! moments   moments of parts of data, by a flow of their own
//! memory    how much memory may be used
//! run       jobs of many models that survive interruptions, by a flow of their own
//! simulate  data to try out models on, by a flow of its own
//! predict   predictions for other rows, by a flow of its own
//! pages     completions and manual pages
//! robust    which cluster-robust covariances there are
//! process   time and memory of a run
//! progress  what a person sees while waiting
//! threads   as many threads as were asked for
//! files     small text files that the user names
//! exit      exit codes, and what becomes of errors and panics
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
        Err(told) => return exit::usage(&told),
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

/// Notes go to standard error, unless the command is quiet.
fn note_unless(quiet: bool) -> impl Fn(&str) {
    move |note| {
        if !quiet {
            exit::tell(&format!("tiers: note: {note}"));
        }
    }
}
