//! `tiers bench`: growth of time and memory of a fit with the number of rows, on this machine.
//!
//! ```text
//! cases    models × tables × threads; simulates tables if none are given
//! run      one run: a process of this program that fits a model
//! stats    from runs to medians, spreads and exponents
//! tables   the results as text and CSV
//! plot     the results as SVG
//! machine  the machine that a benchmark runs on
//! plan     estimates of time and memory from a sample                     (grow)
//! ```
//!
//! Every run is a separate process, so that peak memory and the number of threads are its own. The
//! cases take turns, so that a machine that is slow for a while slows down all of them.

mod cases;
mod grow;
mod machine;
mod plan;
mod plot;
mod run;
mod stats;
mod tables;

use crate::args::BenchArgs;
use crate::exit::{Outcome, eprint, print};
use cases::Cases;
use machine::Machine;
use run::Run;
use serde::Serialize;
use stats::{Cell, Growth, Identical};
use std::io::IsTerminal;
use tiers_outputs::write_file;

/// Contents of `bench.json`.
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
const FILES: [&str; 4] = ["bench.json", "bench.csv", "bench.txt", "scaling.svg"];

/// Runs the benchmark.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<Outcome> {
    if args.plan {
        return plan::run(args);
    }
    let machine = Machine::this();
    let shown = !args.quiet && std::io::stderr().is_terminal();
    let log = |line: &str| {
        if shown {
            eprint(line);
        }
    };
    let folder = &args.out;
    tiers_outputs::check_files("--out", folder, &FILES)?;
    tiers_outputs::make_folder("--out", folder)?;
    let cases = Cases::new(args, &log)?;
    let runs = all_runs(&cases, args.repeats.get(), folder, &log)?;

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
    let written: [Vec<u8>; 4] = [
        tiers_report::json(&document).into_bytes(),
        tables::csv(&runs).into_bytes(),
        text.clone().into_bytes(),
        plot::svg(&cells)?.into_bytes(),
    ];
    for (name, bytes) in FILES.iter().zip(written) {
        write_file(&folder.join(name), &bytes)?;
    }
    print(&text)?;
    log(&format!("written to {}: {}", folder.display(), FILES.join(", ")));
    Ok(Outcome::Done)
}

/// Runs each case once to warm up, then `repeats` times in turns.
fn all_runs(cases: &Cases, repeats: usize, folder: &std::path::Path, log: &dyn Fn(&str)) -> anyhow::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for repeat in 0..=repeats {
        for case in cases.all() {
            let run = run::run(&case, repeat, folder)?;
            let what = if repeat == 0 { "warm-up".to_owned() } else { format!("{repeat} of {repeats}") };
            log(&format!(
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
