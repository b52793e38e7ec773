//! `tiers fit`: open, read, fit, report, write.

use crate::exit::{Outcome, print, tell};
use crate::input::Input;
use crate::job::{Job, Show};
use crate::outputs::Folder;
use crate::progress::Progress;
use crate::report::{Phases, Report, Timing, peak_memory};
use crate::saved::{MODEL, SavedModel};
use crate::{summary, tables};
use std::time::Instant;
use tiers_reml::{
    Fit, FittedValues, FixedInference, FixedModel, Objective, Status, Until, optimise, random_effects, settle,
};

/// Fits a model.
pub(crate) fn run(job: &Job) -> anyhow::Result<Outcome> {
    let clock = Instant::now();
    let progress = Progress::new(job.quiet);
    let input = Input::open(&job.input)?;
    let folder = job.out.as_deref().map(|out| Folder::open(out, &input.files())).transpose()?;

    let mut watch = progress.reading(input.count());
    let until = if job.out.is_some() { Until::Effects } else { Until::Estimates };
    let ingested = input.read(job.memory, until, &mut watch);
    let mut phases = Phases::default();
    phases.have_read(&watch.times);
    drop(watch);
    let summed = clock.elapsed();
    let (model, dropped) = settle(ingested?)?;
    let read = clock.elapsed();

    let objective = Objective::new(&model, job.method);
    let watch = progress.optimising();
    let optimum = optimise(&objective, &job.newton, &mut |_, step| watch.evaluated(step));
    drop(watch);
    let found = clock.elapsed();
    let inference = FixedInference::new(&objective, &optimum, job.inference);
    let fixed = FixedModel::new(&model, inference);
    let fit = Fit::with(&objective, &optimum, &dropped, &fixed);
    let fitted = clock.elapsed();

    let seconds = |time: std::time::Duration| time.as_secs_f64();
    phases.settle = seconds(read - summed);
    phases.search = seconds(found - read);
    phases.inference = seconds(fitted - found);
    let mut report = Report {
        fit,
        data: input.data(&model.recipe),
        confidence_level: job.inference.confidence,
        timing_seconds: Timing { read: seconds(read), fit: seconds(fitted - read), total: 0.0, phases },
        peak_memory_bytes: None,
    };
    let text = summary::text(&report);
    let staged = folder.as_ref().map(Folder::stage).transpose()?;
    if let Some(staged) = &staged {
        staged.write("summary.txt", &text)?;
        let definition = input.definition(&model.recipe)?;
        let (criterion, evaluations) = (report.fit.criterion, job.newton.max_evaluations);
        staged.write(MODEL, &SavedModel::new(&model, definition, fixed, criterion, evaluations).json())?;
        let effects = random_effects(&objective, &optimum).unwrap_or_else(|error| panic!("random effects: {error}"));
        report.timing_seconds.phases.effects = seconds(clock.elapsed() - fitted);
        tables::write_effects(staged, &effects)?;
        if let (true, Some(source)) = (job.fitted, input.source()) {
            let fitted = FittedValues::new(&objective, &optimum, &effects);
            tables::write_fitted(staged, &fitted, source, &mut progress.fitting_values(report.rows()))?;
        }
    }
    let Timing { read, fit, .. } = report.timing_seconds;
    report.timing_seconds.total = seconds(clock.elapsed());
    report.timing_seconds.phases.write =
        report.timing_seconds.total - read - fit - report.timing_seconds.phases.effects;
    report.peak_memory_bytes = peak_memory();
    let json = report.json();
    if let Some(staged) = staged {
        staged.write("fit.json", &json)?;
        staged.put_in_place()?;
    }
    match job.show {
        Show::Summary => print(&text)?,
        Show::Json => print(&json)?,
        Show::Nothing => {}
    }
    if progress.is_shown() {
        tell(&report.timing_line());
    }
    Ok(match report.fit.status {
        Status::NotConverged => Outcome::NotConverged,
        Status::Converged | Status::Boundary => Outcome::Done,
    })
}
