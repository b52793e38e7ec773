//! `tiers run`: many models from one job file, unattended.
//!
//! ```text
//! args        what the command line may say
//! file        the job file's keys, from which its schema is generated
//! parse       from text to keys; --set; errors with line and nearest key
//! job         the job, checked without the data
//! inputs      its data opened, its models resolved against their columns
//! dry         what it would do, told without reading a row
//! mod, flow   the flow: lock, resume, read, fit, complete
//! fitting     one model: fitted, put in place, noted as done
//! lock        one run at a time on a folder
//! origin      what a job is of, by which a run knows its own
//! checkpoint  the sums of a read, kept from time to time
//! kept        models that are done, with the hashes of their files
//! by          the same model in every partition
//! board       what the outside sees: bars or log lines, status.json, requests to stop
//! log, status, stop, manifest, table, store   the parts of that, and files written whole
//! ```

mod args;
mod board;
mod by;
mod checkpoint;
mod dry;
mod file;
mod fitting;
mod flow;
mod inputs;
mod job;
mod kept;
mod lock;
mod log;
mod manifest;
mod origin;
mod parse;
mod status;
mod stop;
mod store;
mod table;

pub(crate) use args::RunArgs;

use crate::exit::{Outcome, print, tell};
use crate::progress::Progress;
use crate::threads;
use inputs::Inputs;
use job::Job;
use lock::Lock;
use log::{Format, Level};
use manifest::Manifest;
use status::State;
use std::fs;
use std::path::Path;
use store::Store;
use tiers_tables::destination;
use tracing::{error, info, warn};

/// Runs a job.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Outcome> {
    if args.schema {
        print(&file::schema())?;
        return Ok(Outcome::Done);
    }
    let progress = start_telling(args);
    match prepare(args, progress) {
        // Whoever reads lines of JSON gets nothing else.
        Err(failure) if args.log_format == Some(Format::Json) => {
            error!(error = %failure, "the job failed");
            Ok(Outcome::Failed)
        }
        done => done,
    }
}

fn prepare(args: &RunArgs, progress: Progress) -> anyhow::Result<Outcome> {
    // Absolute, so that what is written is the same from whichever folder the job is started.
    let path = std::path::absolute(args.job.as_deref().unwrap_or(Path::new("")))?;
    let job = Job::new(parse::read(&path, &args.set)?, &path)?;
    threads::with_notes(job.threads, &|note| warn!("{note}"), || go(args, &job, &path, progress))
}

fn go(args: &RunArgs, job: &Job, path: &Path, progress: Progress) -> anyhow::Result<Outcome> {
    let inputs = Inputs::open(job)?;
    if args.dry_run {
        dry::run(job, &inputs, args.json)?;
        return Ok(Outcome::Done);
    }
    let stop = stop::Stop::listen()?;
    let store = Store::new(&job.folder);
    // A file that stands in the place of the folder is told better than by the lock.
    if job.folder.exists() && !job.folder.is_dir() {
        return Err(job.document.error("output.folder", format!("{} is a file", job.folder.display())));
    }
    for name in [status::STATUS, manifest::MANIFEST, manifest::JOB] {
        destination(&job.folder.join(name)).map_err(|error| job.document.error("output.folder", error.to_string()))?;
    }
    let lock = Lock::take(&job.folder)?;
    if let Some(before) = &lock.before {
        info!(pid = before.pid, since = before.since, "a former run did not come to its end");
    }
    let names = job.models.iter().map(|model| model.keys.name.clone());
    let mut board = board::Board::new(store.clone(), stop, progress, names);
    let done = flow::Flow::begin(job, &inputs, path, args.fresh, &lock, &mut board).and_then(flow::Flow::finish);
    // Whatever failed, it did so because the folder is gone, if it is.
    let done = done.map_err(|error| lock.check().err().unwrap_or(error));
    let outcome = end(done, &mut board, job, &lock);
    if let Ok((_, Some(summary))) = &outcome
        && !args.quiet
    {
        print(if args.json { &summary.json } else { &summary.text })?;
    }
    outcome.map(|(outcome, _)| outcome)
}

/// Log lines, unless a person is watching, who gets bars.
fn start_telling(args: &RunArgs) -> Progress {
    let progress = Progress::new(args.quiet || args.log_format.is_some());
    let level = match (args.quiet, progress.is_shown()) {
        (true, _) => Level::Error,
        (false, true) => args.log_level.min(Level::Warn),
        (false, false) => args.log_level,
    };
    log::start(args.log_format.unwrap_or(Format::Text), level);
    progress
}

/// Tells how the job ended, where programs look for it; what is of no further use is removed.
fn end(
    done: anyhow::Result<flow::Summary>,
    board: &mut board::Board,
    job: &Job,
    lock: &Lock,
) -> anyhow::Result<(Outcome, Option<flow::Summary>)> {
    let store = board.store.clone();
    match done {
        Ok(summary) => {
            (board.status.state, board.status.phase, board.status.model) = (State::Done, None, None);
            board.status.write(&store);
            // The lock goes with it, as the last thing.
            store.remove_hidden()?;
            info!("the job is complete");
            Ok((summary.outcome, Some(summary)))
        }
        Err(_) if board.stop.asked() => {
            let message = "interrupted; run the job again to go on";
            (board.status.state, board.status.message) = (State::Interrupted, Some(message.to_owned()));
            board.status.write(&store);
            Manifest::stop(&lock.own, manifest::State::Interrupted, &store);
            if board.progress.is_shown() {
                tell(&format!("tiers: {message}"));
            }
            info!("{message}");
            Ok((Outcome::Interrupted, None))
        }
        Err(failure) => {
            (board.status.state, board.status.message) = (State::Failed, Some(failure.to_string()));
            board.status.write(&store);
            Manifest::stop(&lock.own, manifest::State::Failed, &store);
            if !flow::is_worth_keeping(&store) {
                store.remove_hidden().ok();
            }
            // Gone if it is empty, that is, if it was made by this run and nothing was written.
            fs::remove_dir(&job.folder).ok();
            Err(failure)
        }
    }
}
