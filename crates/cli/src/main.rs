//! The program `tiers`: multilevel (linear mixed) models fitted to parquet from the command line.
//!
//! ```text
//! args           arguments of the command line (clap), a file per command or group of options
//! job            settings of `tiers fit`, checked without reading the data
//! commands       one file or folder per command
//!
//! fit_and_write  fits one model, from its moments to its files; for fit and run
//! input          input of a fit: rows, or moments in parts
//! saved          opens a folder of results for further commands
//! tables         random effects and fitted values as parquet
//!
//! memory         limit on memory, and the memory available
//! threads        number of threads
//! color          colour and bold type on terminals
//! csv            opens tables with the options for text files
//! process        time and memory of a run
//! observer       progress of long computations, as their observers receive it
//! progress       progress bars
//! exit           exit codes, output, and the reporting of errors and panics
//! ```

mod args;
mod color;
mod commands;
mod csv;
mod exit;
mod fit_and_write;
mod input;
mod job;
mod memory;
mod observer;
mod process;
mod progress;
mod saved;
mod tables;
mod threads;

use std::process::ExitCode;

fn main() -> ExitCode {
    exit::guarded(run)
}

fn run() -> anyhow::Result<exit::Outcome> {
    color::set(args::color(std::env::args_os()));
    let command = match args::parse() {
        Ok(command) => command,
        Err(error) => return exit::usage(&error),
    };
    match command {
        args::Command::Moments(args) => {
            threads::with_notes(args.resources.threads, &note_unless(args.quiet), || commands::moments::run(args))
        }
        args::Command::Sql(args) => {
            threads::with_notes(args.resources.threads, &note_unless(args.quiet), || commands::sql::run(&args))
        }
        args::Command::Fit(args) => threads::with_notes(args.resources.threads, &note_unless(args.quiet), || {
            commands::fit::run(&job::Job::new(args)?)
        }),
        args::Command::Confint(args) => threads::with(args.refit.resources.threads, || commands::confint::run(&args)),
        args::Command::Anova(args) => threads::with(args.refit.resources.threads, || commands::anova::run(&args)),
        args::Command::Predict(args) => threads::with(args.refit.resources.threads, || commands::predict::run(&args)),
        args::Command::Run(args) => commands::run::run(&args),
        args::Command::Compare(args) => threads::with(args.refit.resources.threads, || commands::compare::run(&args)),
        args::Command::Means(args) => commands::means::run(&args),
        args::Command::Influence(args) => {
            threads::with(args.refit.resources.threads, || commands::influence::run(&args))
        }
        args::Command::Diagnose(args) => threads::with(args.refit.resources.threads, || commands::diagnose::run(&args)),
        args::Command::Ranef(args) => threads::with(None, || commands::ranef::run(&args)),
        args::Command::Simulate(args) => commands::simulate::run(&args),
        args::Command::Bench(args) => commands::bench::run(&args),
        args::Command::Completions { shell } => commands::pages::completions(shell, args::definition()),
        args::Command::Man { out } => commands::pages::manual(args::definition(), out.as_deref()),
    }
}

/// Returns a function that prints notes to standard error, unless the command is quiet.
fn note_unless(quiet: bool) -> impl Fn(&str) {
    move |note| {
        if !quiet {
            exit::eprint(&format!("tiers: note: {note}"));
        }
    }
}
