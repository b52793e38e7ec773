//! `tiers fit --family`: generalised linear mixed models.

use crate::exit::{Outcome, eprint, print, print_report};
use crate::input::{Input, InputSpec};
use crate::job::{Job, Show};
use crate::memory::check_heads;
use crate::process::peak_memory;
use crate::progress::{Optimising, Progress, Reading};
use std::time::Instant;
use tiers_glmm::{GlmmObserver, GlmmSettings, fit_glmm};
use tiers_moments::{Further, ReadObserver, Until};
use tiers_outputs::{Folder, Staged};
use tiers_reml::Step;
use tiers_report::saved::{FIT, RESULTS, write_effects};
use tiers_report::{GlmmReport, visible};
use tiers_tables::Parquet;

/// Bars of a fit: the second pass over the rows, then the search.
struct Bars {
    progress: Progress,
    second_pass: Option<Reading>,
    search: Option<Optimising>,
}

impl GlmmObserver for Bars {
    fn second_pass(&mut self, rows: u64) -> &mut dyn ReadObserver {
        self.second_pass.insert(self.progress.second_pass(rows))
    }

    fn evaluated(&mut self, _: f64, step: &Step) -> bool {
        self.second_pass = None;
        self.search.get_or_insert_with(|| self.progress.optimising()).evaluated(step);
        true
    }
}

/// Fits a generalised model, and prints and writes it.
pub(crate) fn run(job: &Job, settings: &GlmmSettings) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let progress = Progress::new(job.quiet);
    if let InputSpec::Rows { data, .. } = &job.input {
        check_heads(job.memory, data)?;
    }
    let inputs = Input::open(&job.input)?;
    let input = &inputs[0];
    let open = |out| Folder::open("--out", out, &input.files(), &RESULTS);
    let folder = job.out.as_deref().map(open).transpose()?;
    let mut watch = progress.reading(input.count());
    let inference = Further { kenward_roger: false, robust: false };
    let ingested = input.read(job.memory, (Until::Effects, inference), &mut watch);
    drop(watch);
    let ingested = ingested?;
    let data = input.data(&ingested.recipe);
    let source = input.source().expect("a family is only allowed with rows");
    let mut bars = Bars { progress, second_pass: None, search: None };
    let fitted = fit_glmm(ingested, source, settings, &mut bars)?;
    drop(bars);
    let mut report = GlmmReport {
        fit: fitted.fit,
        data,
        confidence_level: settings.confidence,
        seconds: None,
        peak_memory_bytes: None,
    };
    let text = visible::lines(&report.text()).into_owned();
    report.seconds = Some(began.elapsed().as_secs_f64());
    report.peak_memory_bytes = peak_memory();
    if let Some(folder) = &folder {
        let staged = Staged::new(folder)?;
        staged.write("summary.txt", &text)?;
        write_effects(&staged, &Parquet, &fitted.effects, &report.fit.variance_components)?;
        staged.write(FIT, &report.json())?;
        staged.put_in_place()?;
    }
    let converged = report.fit.status.has_estimates();
    match job.show {
        Show::Summary => print_report(&text)?,
        Show::Json => print(&report.json())?,
        Show::Nothing if converged => {}
        Show::Nothing => eprint(&format!(
            "tiers: {}: there are no estimates, or not of all parameters; the results are written all the same, see summary.txt",
            visible::line(&report.fit.formula)
        )),
    }
    if progress.is_shown() {
        eprint(&format!("total {:.2} s", began.elapsed().as_secs_f64()));
    }
    Ok(if converged { Outcome::Done } else { Outcome::NotConverged })
}
