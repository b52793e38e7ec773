//! `tiers run`: many models from one job file, unattended.
//!
//! ```text
//! file          keys of the job file, from which its schema is generated
//! parse         parses the job file and --set; errors with line and nearest key
//! job           settings of the job, checked without the data
//! inputs        opens the data and resolves the models against the columns
//! dry_run       --dry-run: reports what the job would do
//! mod, flow     the flow: lock, resume, read, fit, complete
//! fitting       fits one model and records it as done
//! lock          allows one run at a time on a folder
//! job_inputs    inputs of a job, to detect changes between runs
//! checkpoint    sums of an interrupted read, saved at intervals
//! finished      records of finished models, with the hashes of their files
//! partitions    fits the same model in every partition
//! job_progress  progress bars or log lines, status.json, requests to stop
//! log           log lines
//! status        status.json
//! stop          signals that ask the job to stop
//! manifest      manifest.json and job.json
//! table         the table of all models
//! job_folder    writes files atomically
//! ```

mod checkpoint;
mod dry_run;
mod file;
mod finished;
mod fitting;
mod flow;
mod inputs;
mod job;
mod job_folder;
mod job_inputs;
mod job_progress;
mod lock;
mod log;
mod manifest;
mod parse;
mod partitions;
mod status;
mod stop;
mod table;

use crate::args::{LogFormat, LogLevel, RunArgs};
use crate::exit::{Outcome, eprint, print};
use crate::progress::Progress;
use crate::threads;
use inputs::Inputs;
use job::Job;
use job_folder::JobFolder;
use lock::Lock;
use manifest::Manifest;
use status::State;
use std::fs;
use std::path::Path;
use tiers_outputs::destination;
use tracing::{error, info, warn};

/// Runs a job.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Outcome> {
    if args.schema {
        print(&file::schema())?;
        return Ok(Outcome::Done);
    }
    let progress = start_log(args);
    match prepare(args, progress) {
        // With a JSON log, standard error must hold nothing but JSON lines.
        Err(failure) if args.log_format == Some(LogFormat::Json) => {
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

fn go(args: &RunArgs, job: &Job, path: &Path, bars: Progress) -> anyhow::Result<Outcome> {
    let inputs = Inputs::open(job)?;
    if args.dry_run {
        dry_run::run(job, &inputs, args.json)?;
        return Ok(Outcome::Done);
    }
    let stop = stop::Stop::listen()?;
    let folder = JobFolder::new(&job.folder);
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
    let mut progress = job_progress::JobProgress::new(folder.clone(), stop, bars, names);
    let done = flow::Flow::begin(job, &inputs, path, args.fresh, &lock, &mut progress).and_then(flow::Flow::finish);
    // If the folder was removed meanwhile, that is the cause of the error.
    let done = done.map_err(|error| lock.check().err().unwrap_or(error));
    let outcome = end(done, &mut progress, job, &lock);
    if let Ok((_, Some(summary))) = &outcome
        && !args.quiet
    {
        print(if args.json { &summary.json } else { &summary.text })?;
    }
    outcome.map(|(outcome, _)| outcome)
}

/// Starts the log, or progress bars if standard error is a terminal.
fn start_log(args: &RunArgs) -> Progress {
    let progress = Progress::new(args.quiet || args.log_format.is_some());
    let level = match (args.quiet, progress.is_shown()) {
        (true, _) => LogLevel::Error,
        (false, true) => args.log_level.min(LogLevel::Warn),
        (false, false) => args.log_level,
    };
    log::start(args.log_format.unwrap_or(LogFormat::Text), level);
    progress
}

/// Records how the job ended in `status.json` and the manifest, and removes files that are no longer
/// needed.
fn end(
    done: anyhow::Result<flow::Summary>,
    progress: &mut job_progress::JobProgress,
    job: &Job,
    lock: &Lock,
) -> anyhow::Result<(Outcome, Option<flow::Summary>)> {
    let folder = progress.folder.clone();
    match done {
        Ok(summary) => {
            (progress.status.state, progress.status.phase, progress.status.model) = (State::Done, None, None);
            progress.status.write(&folder);
            // This also removes the lock file, as the last step.
            folder.remove_hidden()?;
            info!("the job is complete");
            Ok((summary.outcome, Some(summary)))
        }
        Err(_) if progress.stop.asked() => {
            let message = "interrupted; run the job again to resume";
            (progress.status.state, progress.status.message) = (State::Interrupted, Some(message.to_owned()));
            progress.status.write(&folder);
            Manifest::stop(&lock.own, manifest::State::Interrupted, &folder);
            if progress.bars.is_shown() {
                eprint(&format!("tiers: {message}"));
            }
            info!("{message}");
            Ok((Outcome::Interrupted, None))
        }
        Err(failure) => {
            (progress.status.state, progress.status.message) = (State::Failed, Some(failure.to_string()));
            progress.status.write(&folder);
            Manifest::stop(&lock.own, manifest::State::Failed, &folder);
            if !flow::is_worth_keeping(&folder) {
                folder.remove_hidden().ok();
            }
            // This succeeds only if the folder is empty: this run created it and wrote nothing.
            fs::remove_dir(&job.folder).ok();
            Err(failure)
        }
    }
}
