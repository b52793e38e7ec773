//! `tiers bench`: how time and memory of a fit grow with the rows, on this machine.
//!
//! ```text
//! args     what the command line may say
//! cases    models × tables × threads; simulates tables where none are given
//! run      one run: a process of this program that fits a model
//! stats    from runs to medians, spreads and exponents
//! tables   the results as text and CSV
//! plot     the results as SVG and PNG                                     (png)
//! machine  what they were taken on
//! plan     what a fit would take, from a sample                           (grow)
//! ```
//!
//! Every run is a process, so that its peak memory is its own and its threads are as many as asked
//! for. Runs take turns: a machine that slows down for a while slows all of them down.

mod args;
mod cases;
mod grow;
mod machine;
mod plan;
mod plot;
mod png;
mod run;
mod stats;
mod tables;

pub(crate) use args::BenchArgs;

use crate::exit::{Outcome, print, tell};
use crate::outputs;
use cases::Cases;
use machine::Machine;
use run::Run;
use serde::Serialize;
use stats::{Cell, Growth, Identical};
use std::io::IsTerminal;
use tiers_tables::write_file;

/// What is written as `bench.json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    tiers: &'a str,
    machine: Machine,
    repeats: usize,
    formulas: Vec<(&'a str, &'a str)>,
    cells: &'a [Cell],
    growth: &'a [Growth],
    identical: &'a [Identical],
    runs: &'a [Run],
}

/// The files that are written.
const FILES: [&str; 5] = ["bench.json", "bench.csv", "bench.txt", "scaling.svg", "scaling.png"];

/// Runs the benchmark.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<Outcome> {
    if args.plan {
        return plan::run(args);
    }
    let machine = Machine::this();
    let shown = !args.quiet && std::io::stderr().is_terminal();
    let told = |line: &str| {
        if shown {
            tell(line);
        }
    };
    let folder = &args.out;
    outputs::check_files(folder, &FILES)?;
    outputs::make_folder(folder)?;
    let cases = Cases::new(args, &told)?;
    let runs = all_runs(&cases, args.repeats.get(), folder, &told)?;

    let cells = stats::cells(&runs);
    let (growth, identical) = (stats::growths(&cells), stats::identical(&runs));
    let text = format!("tiers {} on {}\n\n", env!("CARGO_PKG_VERSION"), machine.in_words())
        + &tables::text(&cells, &growth, &identical);
    let document = Document {
        tiers: env!("CARGO_PKG_VERSION"),
        machine,
        repeats: args.repeats.get(),
        formulas: cases.models.iter().map(|model| (model.name.as_str(), model.formula.as_str())).collect(),
        cells: &cells,
        growth: &growth,
        identical: &identical,
        runs: &runs,
    };
    let written: [Vec<u8>; 5] = [
        tiers_report::json(&document).into_bytes(),
        tables::csv(&runs).into_bytes(),
        text.clone().into_bytes(),
        plot::svg(&cells)?.into_bytes(),
        plot::png(&cells)?,
    ];
    for (name, bytes) in FILES.iter().zip(written) {
        write_file(&folder.join(name), &bytes)?;
    }
    print(&text)?;
    told(&format!("written to {}: {}", folder.display(), FILES.join(", ")));
    Ok(Outcome::Done)
}

/// One of each to warm up, then one of each as often as asked for.
fn all_runs(cases: &Cases, repeats: usize, folder: &std::path::Path, told: &dyn Fn(&str)) -> anyhow::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for repeat in 0..=repeats {
        for case in cases.all() {
            let run = run::run(&case, repeat, folder)?;
            let what = if repeat == 0 { "warm-up".to_owned() } else { format!("{repeat} of {repeats}") };
            told(&format!(
                "{what:>9}: model {}, {} rows, {} threads: {:.3} s",
                run.model, run.rows, run.threads, run.wall
            ));
            if repeat > 0 {
                runs.push(run);
            }
        }
    }
    Ok(runs)
}
