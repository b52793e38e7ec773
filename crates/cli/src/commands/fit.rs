//! `tiers fit`: open, read, fit, report, write. Several models share one read of the rows.

use crate::exit::{Outcome, eprint, print, print_report};
use crate::fit_and_write::{ModelOutput, Read, fit_and_write};
use crate::input::{Input, InputSpec};
use crate::job::{Job, Show};
use crate::memory::check_heads;
use crate::progress::Progress;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tiers_moments::{Ingested, MemoryLimit, ReadTimes, Reading, Shared, Until, Wanted, accumulate_many};
use tiers_outputs::Folder;
use tiers_reml::{Fit, Status};
use tiers_report::saved::RESULTS;
use tiers_report::visible;

/// Fits all models of the command line.
pub(crate) fn run(job: &Job) -> anyhow::Result<Outcome> {
    if let Some(settings) = &job.generalised {
        return crate::commands::generalised::run(job, settings);
    }
    let began = Instant::now();
    let progress = Progress::new(job.quiet);
    if let InputSpec::Rows { data, .. } = &job.input {
        check_heads(job.memory, data)?;
    }
    let inputs = Input::open(&job.input)?;
    let folders = folders(job, &inputs[0].files())?;
    let fit_one = |model: usize, (ingested, times): (Ingested, ReadTimes)| {
        let read = Read { ingested, began, times };
        fit_and_write(&inputs[model], read, &job.how, folders.get(model), &mut progress.fitting())
    };
    let mut done = match &inputs[..] {
        [input] => vec![fit_one(0, read_one(job, input, progress)?)?],
        inputs => fit_all(job, inputs, progress, fit_one)?,
    };
    for staged in done.iter_mut().filter_map(|output| output.staged.take()) {
        staged.put_in_place()?;
    }
    show(job, &done)?;
    if let Some(last) = done.last().filter(|_| progress.is_shown()) {
        eprint(&crate::process::timing_line(&last.report));
    }
    let all_converged = done.iter().all(|output| output.report.fit.status != Status::NotConverged);
    Ok(if all_converged { Outcome::Done } else { Outcome::NotConverged })
}

/// Opens a folder of results per model, if results are written.
fn folders(job: &Job, files: &[PathBuf]) -> anyhow::Result<Vec<Folder>> {
    let open = |path: &Path| Folder::open("--out", path, files, &RESULTS);
    Ok(match &job.out {
        None => Vec::new(),
        Some(out) if job.names.is_empty() => vec![open(out)?],
        Some(out) => job.names.iter().map(|name| open(&out.join(name))).collect::<Result<_, _>>()?,
    })
}

/// Stage up to which memory is estimated.
fn until(job: &Job) -> Until {
    if job.out.is_some() { Until::Effects } else { Until::Estimates }
}

/// Reads the moments of a single model.
fn read_one(job: &Job, input: &Input<'_>, progress: Progress) -> anyhow::Result<(Ingested, ReadTimes)> {
    let mut watch = progress.reading(input.count());
    let ingested = input.read(job.memory, (until(job), job.how.further()), &mut watch)?;
    Ok((ingested, watch.times))
}

/// Fits several models of the same rows. Models that were deferred for lack of memory are read again.
fn fit_all<'a>(
    job: &Job,
    inputs: &[Input<'_>],
    progress: Progress,
    fit_one: impl Fn(usize, (Ingested, ReadTimes)) -> anyhow::Result<ModelOutput<'a>>,
) -> anyhow::Result<Vec<ModelOutput<'a>>> {
    let wanted: Vec<Wanted> = inputs.iter().map(Input::wanted).collect::<anyhow::Result<_>>()?;
    let mut done: Vec<Option<ModelOutput<'_>>> = inputs.iter().map(|_| None).collect();
    let mut left: Vec<usize> = (0..inputs.len()).collect();
    while !left.is_empty() {
        let wanted: Vec<Wanted> = left.iter().map(|&model| wanted[model].clone()).collect();
        let (mut shared, times) = read_all(job, &inputs[0], &wanted, progress)?;
        let deferred: Vec<usize> = shared.deferred().iter().map(|&k| left[k]).collect();
        for (k, &model) in left.iter().enumerate().filter(|(_, model)| !deferred.contains(model)) {
            let named = |error: anyhow::Error| anyhow::anyhow!("{}: {error}", job.names[model]);
            let ingested = shared.take(k).map_err(|error| named(error.into()))?;
            done[model] = Some(fit_one(model, (ingested, times)).map_err(named)?);
        }
        left = deferred;
    }
    Ok(done.into_iter().flatten().collect())
}

/// Reads the moments of several models.
fn read_all(
    job: &Job,
    input: &Input<'_>,
    wanted: &[Wanted],
    progress: Progress,
) -> anyhow::Result<(Shared, ReadTimes)> {
    let source = input.source().expect("only rows have several models");
    let limit = job.memory.of_rows(input.count(), until(job));
    let limit = limit.map(|limit| MemoryLimit { inference: job.how.further(), ..limit });
    let mut watch = progress.reading(input.count());
    let reading = Reading { limit, ..Reading::default() };
    let shared = accumulate_many(source, wanted, &reading, None, &mut watch)?;
    Ok((shared, watch.times))
}

/// Prints the results. Several models have their names above the summaries, or as keys in JSON.
fn show(job: &Job, done: &[ModelOutput<'_>]) -> anyhow::Result<()> {
    match (job.show, done) {
        (Show::Nothing, _) => done.iter().for_each(|output| report_not_converged(&output.report.fit)),
        (Show::Summary, [only]) if job.names.is_empty() => print_report(&only.text)?,
        (Show::Json, [only]) if job.names.is_empty() => print(&only.json)?,
        (Show::Summary, _) => {
            let named = done.iter().zip(&job.names).map(|(output, name)| format!("Model: {name}\n{}", output.text));
            print_report(&named.collect::<Vec<_>>().join("\n"))?;
        }
        (Show::Json, _) => {
            let named = done.iter().zip(&job.names).map(|(output, name)| {
                let name = serde_json::to_string(name).expect("a text");
                format!("{name}: {}", output.json.trim_end())
            });
            print(&format!("{{\n{}\n}}\n", named.collect::<Vec<_>>().join(",\n")))?;
        }
    }
    Ok(())
}

/// Prints why the exit code is 2 when nothing else is printed.
fn report_not_converged(fit: &Fit) {
    if fit.status == Status::NotConverged {
        eprint(&format!(
            "tiers: {}: the search did not converge; the results are written all the same, see summary.txt",
            visible::line(&fit.formula)
        ));
    }
}
