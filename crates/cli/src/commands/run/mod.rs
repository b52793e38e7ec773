//! `tiers run`: many models from one job file, unattended.
//!
//! ```text
//! args        arguments of the command line
//! file        keys of the job file, from which its schema is generated
//! parse       parses the job file and --set; errors with line and nearest key
//! job         settings of the job, checked without the data
//! inputs      opens the data and resolves the models against the columns
//! dry         --dry-run: reports what the job would do
//! mod, flow   the flow: lock, resume, read, fit, complete
//! fitting     fits one model and records it as done
//! lock        allows one run at a time on a folder
//! origin      inputs of a job, to detect changes between runs
//! checkpoint  sums of an interrupted read, saved at intervals
//! kept        records of finished models, with the hashes of their files
//! by          fits the same model in every partition
//! board       progress bars or log lines, status.json, requests to stop
//! log         log lines
//! status      status.json
//! stop        signals that ask the job to stop
//! manifest    manifest.json and job.json
//! table       the table of all models
//! store       writes files atomically
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
use tiers_outputs::destination;
use tracing::{error, info, warn};

/// Runs a job.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Outcome> {
    if args.schema {
        print(&file::schema())?;
        return Ok(Outcome::Done);
    }
    let progress = start_telling(args);
    match prepare(args, progress) {
        // With a JSON log, standard error must hold nothing but JSON lines.
        Err(failure) if args.log_format == Some(Format::Json) => {
            error!(error = %failure, "the job failed");
            Ok(Outcome::Failed)
        }
        done => done,
    }
}

fn prepare(args: &RunArgs, progress: Progress) -> anyhow::Result<Outcome> {
    // The path is made absolute, so that results do not depend on the current folder.
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
    // This error message is clearer than that of the lock.
    if job.folder.exists() && !job.folder.is_dir() {
        return Err(job.document.error("output.folder", format!("{} is a file", job.folder.display())));
    }
    for name in [status::STATUS, manifest::MANIFEST, manifest::JOB] {
        destination(&job.folder.join(name)).map_err(|error| job.document.error("output.folder", error.to_string()))?;
    }
    let lock = Lock::take(&job.folder)?;
    if let Some(before) = &lock.before {
        info!(pid = before.pid, since = before.since, "a former run did not complete");
    }
    let names = job.models.iter().map(|model| model.keys.name.clone());
    let mut board = board::Board::new(store.clone(), stop, progress, names);
    let done = flow::Flow::begin(job, &inputs, path, args.fresh, &lock, &mut board).and_then(flow::Flow::finish);
    // If the folder was removed meanwhile, that is the cause of the error.
    let done = done.map_err(|error| lock.check().err().unwrap_or(error));
    let outcome = end(done, &mut board, job, &lock);
    if let Ok((_, Some(summary))) = &outcome
        && !args.quiet
    {
        print(if args.json { &summary.json } else { &summary.text })?;
    }
    outcome.map(|(outcome, _)| outcome)
}

/// Starts the log, or progress bars if standard error is a terminal.
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

/// Records how the job ended in `status.json` and the manifest, and removes files that are no longer
/// needed.
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
            // This also removes the lock file, as the last step.
            store.remove_hidden()?;
            info!("the job is complete");
            Ok((summary.outcome, Some(summary)))
        }
        Err(_) if board.stop.asked() => {
            let message = "interrupted; run the job again to resume";
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
            // This succeeds only if the folder is empty: this run created it and wrote nothing.
            fs::remove_dir(&job.folder).ok();
            Err(failure)
        }
    }
}
