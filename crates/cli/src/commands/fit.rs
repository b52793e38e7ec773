//! `tiers fit`: open, read, fit, report, write.

use crate::exit::{Outcome, print, tell};
use crate::input::Input;
use crate::job::{Job, Show};
use crate::memory::check_heads;
use crate::progress::Progress;
use crate::steps::{Read, make};
use std::time::Instant;
use tiers_moments::Until;
use tiers_outputs::Folder;
use tiers_reml::{Fit, Status};
use tiers_report::saved::RESULTS;
use tiers_report::visible;

/// Fits a model, or several models in one read.
pub(crate) fn run(job: &Job) -> anyhow::Result<Outcome> {
    if let Some(family) = job.family {
        return crate::commands::generalised::run(job, family);
    }
    if !job.also.is_empty() {
        return crate::commands::several::run(job);
    }
    let began = Instant::now();
    let progress = Progress::new(job.quiet);
    if let crate::job::Input::Rows { data, .. } = &job.input {
        check_heads(job.memory, data)?;
    }
    let input = Input::open(&job.input)?;
    let folder = job.out.as_deref().map(|out| Folder::open("--out", out, &input.files(), &RESULTS)).transpose()?;

    let mut watch = progress.reading(input.count());
    let until = if job.out.is_some() { Until::Effects } else { Until::Estimates };
    let ingested = input.read(job.memory, (until, job.how.further()), &mut watch);
    let times = watch.times;
    drop(watch);
    let read = Read { ingested: ingested?, began, times };

    let mut made = make(&input, read, &job.how, folder.as_ref(), &mut progress.fitting())?;
    if let Some(staged) = made.staged.take() {
        staged.put_in_place()?;
    }
    match job.show {
        Show::Summary => print(&made.text)?,
        Show::Json => print(&made.json)?,
        Show::Nothing => say_not_converged(&made.report.fit),
    }
    if progress.is_shown() {
        tell(&crate::process::timing_line(&made.report));
    }
    Ok(outcome(made.report.fit.status))
}

/// Prints why the exit code is 2 when nothing else is printed.
pub(crate) fn say_not_converged(fit: &Fit) {
    if fit.status == Status::NotConverged {
        tell(&format!(
            "tiers: {}: the search did not converge; the results are written all the same, see summary.txt",
            visible::line(&fit.formula)
        ));
    }
}

/// Returns the outcome of the program for the status of a fit.
pub(crate) fn outcome(status: Status) -> Outcome {
    outcome_of(status != Status::NotConverged)
}

/// Returns the outcome of the program for a search that converged or did not.
pub(crate) fn outcome_of(converged: bool) -> Outcome {
    if converged { Outcome::Done } else { Outcome::NotConverged }
}
