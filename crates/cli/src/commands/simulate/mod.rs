//! `tiers simulate`: nested data of any size from a specification.
//!
//! ```text
//! job      reads and checks the specification, and the names of the files
//! draw     draws all chunks of rows on all cores, and passes them on in order
//! sink     writes rows as parquet columns on a separate thread
//! shuffle  puts rows in random order by way of a temporary file          (spill, record)
//! preview  expected numbers of rows, groups and bytes, for --dry-run
//! ```

mod draw;
mod job;
mod preview;
mod record;
mod shuffle;
mod sink;
mod spill;

use crate::args::SimulateArgs;
use crate::exit::{Outcome, print};
use crate::progress::Progress;
use crate::threads;
use anyhow::anyhow;
use job::{Job, Output};
use std::fmt::Write as _;
use std::io::Write as _;
use tiers_outputs::Aside;
use tiers_report::json;
use tiers_simulate::{EXAMPLE, FamilySpec, LinkSpec, Place, Truth};

/// Simulates data.
pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<Outcome> {
    if args.example {
        print(EXAMPLE)?;
        return Ok(Outcome::Done);
    }
    let job = Job::new(args)?;
    let Some(output) = &job.output else {
        print(&preview::text(&job.simulation))?;
        return Ok(Outcome::Done);
    };
    threads::with(args.threads, || {
        let truth = write(&job, output, Progress::new(args.quiet))?;
        if !args.quiet {
            print(&summary(output, &truth))?;
        }
        Ok(Outcome::Done)
    })
}

/// Writes the data, and the parameters beside it; either both files appear or neither.
fn write(job: &Job, output: &Output, progress: Progress) -> anyhow::Result<Truth> {
    let simulation = &job.simulation;
    let watch = progress.simulating(simulation.expected().rows as u64);
    let mut end = Place::start(simulation);
    let sink = sink::write(&output.data, &simulation.fields(), |sink| {
        end = if simulation.shuffle() {
            shuffle::rows(simulation, &output.data, &watch, sink)?
        } else {
            let draw = |task: &draw::Task<'_>| sink.prepare(task.draw(simulation));
            draw::each_chunk(simulation, draw, |columns| sink.send(columns, &watch))?
        };
        Ok(())
    })?;
    let truth = simulation.truth(&end);
    let beside = Aside::create(&output.truth)?;
    beside.handle()?.write_all(json(&truth).as_bytes()).map_err(|error| {
        anyhow!(
            "{}: cannot be written: {error}; check the free space and the rights of the folder",
            output.truth.display()
        )
    })?;
    sink.finish()?;
    beside.commit()?;
    Ok(truth)
}

fn summary(output: &Output, truth: &Truth) -> String {
    let mut text = format!("{}: {} rows", output.data.display(), truth.rows);
    for level in &truth.levels {
        let _ = write!(text, ", {} groups of {}", level.groups, level.name);
    }
    let _ = writeln!(text, "\n{}: the parameters that they were drawn with", output.truth.display());
    let family = truth.family.map_or("", |family| match family {
        FamilySpec::Poisson => " --family poisson",
        _ => " --family binomial",
    });
    let link = truth.link.map_or("", |link| match link {
        LinkSpec::Logit => "",
        LinkSpec::Probit => " --link probit",
        LinkSpec::Cloglog => " --link cloglog",
    });
    let (formula, data) = (shell(&truth.formula), output.data.display());
    let _ = writeln!(text, "\nTo fit the model:\n  tiers fit \"{formula}\" {data}{family}{link}");
    text
}

/// Escapes a formula for double quotes, where the shell would run names in backticks as commands.
fn shell(formula: &str) -> String {
    formula.replace('`', "\\`")
}
