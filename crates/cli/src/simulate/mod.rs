//! `tiers simulate`: nested data of any size from a specification.
//!
//! ```text
//! args     what the command line may say
//! job      the specification read and checked, and the names of the files
//! draw     all chunks of rows, drawn on all cores, handed on in their order
//! sink     rows as parquet columns, written by a thread of its own
//! shuffle  rows in random order by way of a temporary file               (spill, record)
//! preview  what it will come to, for --dry-run
//! ```

mod args;
mod draw;
mod job;
mod preview;
mod record;
mod shuffle;
mod sink;
mod spill;

pub(crate) use args::SimulateArgs;

use crate::exit::{Outcome, print};
use crate::progress::Progress;
use crate::report::json;
use crate::threads;
use anyhow::anyhow;
use job::{Job, Output};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use tiers_simulate::{EXAMPLE, Place, Truth};

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
            print(&told(output, &truth))?;
        }
        Ok(Outcome::Done)
    })
}

/// Writes the data and the truth beside it; either both of them or neither.
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
    let staged = Staged::write(output, &truth)?;
    sink.finish()?;
    staged.put_in_place()?;
    Ok(truth)
}

fn told(output: &Output, truth: &Truth) -> String {
    let mut text = format!("{}: {} rows", output.data.display(), truth.rows);
    for level in &truth.levels {
        let _ = write!(text, ", {} groups of {}", level.groups, level.name);
    }
    let _ = writeln!(text, "\n{}: the parameters that they were drawn with", output.truth.display());
    let _ = writeln!(text, "\nTo fit the model:\n  tiers fit \"{}\" {}", shell(&truth.formula), output.data.display());
    text
}

/// Formula within double quotes: names in backticks would be taken for commands.
fn shell(formula: &str) -> String {
    formula.replace('`', "\\`")
}

/// The truth under a hidden name, removed unless it is put in place.
struct Staged<'a> {
    output: &'a Output,
    hidden: PathBuf,
}

impl<'a> Staged<'a> {
    fn write(output: &'a Output, truth: &Truth) -> anyhow::Result<Self> {
        let name = output.truth.file_name().unwrap_or_default().to_string_lossy();
        let hidden = output.truth.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let staged = Staged { output, hidden };
        fs::write(&staged.hidden, json(truth)).map_err(|error| staged.fail(&error))?;
        Ok(staged)
    }

    fn put_in_place(self) -> anyhow::Result<()> {
        fs::rename(&self.hidden, &self.output.truth).map_err(|error| self.fail(&error))
    }

    fn fail(&self, error: &std::io::Error) -> anyhow::Error {
        let path = self.output.truth.display();
        anyhow!("{path}: cannot be written: {error}; check the free space and the rights of the folder")
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // Gone already if it was put in place.
        let _ = fs::remove_file(&self.hidden);
    }
}
