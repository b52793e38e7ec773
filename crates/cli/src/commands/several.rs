//! `tiers fit` with several models: one read of the data, then each model is fitted from its moments.

use crate::commands::fit::{outcome, say_not_converged};
use crate::exit::{Outcome, print, tell};
use crate::input::Input;
use crate::job::{Input as Named, Job, Show};
use crate::memory::{Limit, check_heads};
use crate::progress::Progress;
use crate::steps::{Made, Read, make};
use std::path::PathBuf;
use std::time::Instant;
use tiers_design::{Formula, Plan, Settings};
use tiers_moments::{MemoryLimit, ReadTimes, Reading, Shared, Until, Wanted, accumulate_many};
use tiers_outputs::Folder;
use tiers_report::saved::RESULTS;
use tiers_tables::Source;

/// Fits all models.
pub(crate) fn run(job: &Job) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let Named::Rows { formula, design, data, csv } = &job.input else { unreachable!("several models are of rows") };
    check_heads(job.memory, data)?;
    let formulas: Vec<&Formula> = std::iter::once(&**formula).chain(&job.also).collect();
    let table = Table { paths: data, source: crate::csv::open(data, csv)?, settings: design, formulas: &formulas };
    let plans: Vec<Plan> = formulas.iter().map(|f| table.plan(f)).collect::<Result<_, _>>()?;
    let folders = folders(job, &table)?;
    let progress = Progress::new(job.quiet);

    let mut made: Vec<Option<Made<'_>>> = formulas.iter().map(|_| None).collect();
    let mut left: Vec<usize> = (0..formulas.len()).collect();
    while !left.is_empty() {
        let (mut shared, times) = table.read(&left, &plans, job, progress)?;
        let deferred: Vec<usize> = shared.deferred().iter().map(|&k| left[k]).collect();
        for (k, &model) in left.iter().enumerate().filter(|(_, model)| !deferred.contains(model)) {
            let name = &job.names[model];
            let named = |error: anyhow::Error| anyhow::anyhow!("{name}: {error}");
            let ingested = shared.take(k).map_err(|error| named(error.into()))?;
            let read = Read { ingested, began, times };
            let folder = folders.get(model);
            let done = make(&table.input(model), read, &job.how, folder, &mut progress.fitting()).map_err(named)?;
            made[model] = Some(done);
        }
        left = deferred;
    }
    let mut made: Vec<Made<'_>> = made.into_iter().flatten().collect();
    for staged in made.iter_mut().filter_map(|made| made.staged.take()) {
        staged.put_in_place()?;
    }
    show(job, &made)?;
    if progress.is_shown() {
        made.last().iter().for_each(|last| tell(&crate::process::timing_line(&last.report)));
    }
    let outcomes = made.iter().map(|made| outcome(made.report.fit.status));
    Ok(outcomes.fold(Outcome::Done, |all, one| if all == Outcome::Done { one } else { all }))
}

/// The table, and the models to fit to it.
struct Table<'a> {
    paths: &'a [PathBuf],
    source: Source,
    settings: &'a Settings,
    formulas: &'a [&'a Formula],
}

impl Table<'_> {
    fn plan(&self, formula: &Formula) -> anyhow::Result<Plan> {
        Ok(Plan::new(formula, self.source.fields(), self.settings)?)
    }

    fn input(&self, model: usize) -> Input<'_> {
        let Table { paths, source, settings, formulas } = self;
        Input::Rows { paths, source: source.clone(), formula: formulas[model], settings }
    }

    /// Reads the moments of these models.
    fn read(
        &self,
        models: &[usize],
        plans: &[Plan],
        job: &Job,
        progress: Progress,
    ) -> anyhow::Result<(Shared, ReadTimes)> {
        let until = if job.out.is_some() { Until::Effects } else { Until::Estimates };
        let limit = Limit::of_rows(job.memory, self.source.rows(), until);
        let limit = limit.map(|limit| MemoryLimit { inference: job.how.further(), ..limit });
        let wanted: Vec<Wanted> = models.iter().map(|&model| Wanted::new(plans[model].clone())).collect();
        let mut watch = progress.reading(self.source.rows());
        let reading = Reading { limit, ..Reading::default() };
        let shared = accumulate_many(&self.source, &wanted, &reading, None, &mut watch)?;
        Ok((shared, watch.times))
    }
}

fn folders(job: &Job, table: &Table<'_>) -> anyhow::Result<Vec<Folder>> {
    let files: Vec<PathBuf> = table.source.files().iter().map(|file| file.path.clone()).collect();
    let Some(out) = &job.out else { return Ok(Vec::new()) };
    let folder = |name| Folder::open("--out", &out.join(name), &files, &RESULTS);
    Ok(job.names.iter().map(folder).collect::<Result<_, _>>()?)
}

fn show(job: &Job, made: &[Made<'_>]) -> anyhow::Result<()> {
    match job.show {
        Show::Nothing => {
            made.iter().for_each(|made| say_not_converged(&made.report.fit));
            Ok(())
        }
        Show::Summary => {
            let named = made.iter().zip(&job.names).map(|(made, name)| format!("Model: {name}\n{}", made.text));
            print(&named.collect::<Vec<_>>().join("\n"))
        }
        Show::Json => {
            let named = made.iter().zip(&job.names).map(|(made, name)| {
                let name = serde_json::to_string(name).expect("a text");
                format!("{name}: {}", made.json.trim_end())
            });
            print(&format!("{{\n{}\n}}\n", named.collect::<Vec<_>>().join(",\n")))
        }
    }
}
