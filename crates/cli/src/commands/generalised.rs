//! `tiers fit --family`: generalised linear mixed models.

use crate::exit::{Outcome, eprint, print, print_report};
use crate::input::{Input, InputSpec};
use crate::job::{Job, Show};
use crate::memory::check_heads;
use crate::process::peak_memory;
use crate::progress::{Optimising, Progress, Reading};
use std::time::Instant;
use tiers_glmm::{FittedGlmm, GlmmObserver, GlmmSettings, fit_glmm};
use tiers_moments::{Further, Ingested, ReadObserver, Until};
use tiers_outputs::{Folder, Seal, Staged};
use tiers_reml::Step;
use tiers_report::saved::{RESULTS, SavedGlmmModel, write_glmm};
use tiers_report::{GlmmReport, RatioKind, Ratios, visible};
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

/// How a generalised model is fitted and reported.
#[derive(Clone, Debug)]
pub(crate) struct GlmmHow {
    /// Family, link, approximation and stopping rules.
    pub settings: GlmmSettings,
    /// Whether to report exponentiated coefficients.
    pub exponentiate: bool,
    /// Whether to omit from the files what differs between runs: times, memory and the working folder.
    pub reproducible: bool,
}

impl GlmmHow {
    /// Creates it; the error says why coefficients of the link are not exponentiated.
    pub(crate) fn new(settings: GlmmSettings, exponentiate: bool, reproducible: bool) -> Result<GlmmHow, String> {
        let link = settings.distribution.link();
        match exponentiate && RatioKind::of(link).is_none() {
            true => Err(format!(
                "exponentiated coefficients of the {link} link mean nothing; use another link, or leave it out"
            )),
            false => Ok(GlmmHow { settings, exponentiate, reproducible }),
        }
    }
}

/// A fitted generalised model with its report and files.
pub(crate) struct GlmmOutput<'a> {
    /// Its files, not yet put in place.
    pub staged: Option<Staged<'a>>,
    /// The report.
    pub report: GlmmReport,
    /// The report as text.
    pub text: String,
}

/// Fits a generalised model to moments and rows that began to be read at `began`, and writes its files if there is a
/// folder for them. The caller puts the files in place.
pub(crate) fn fit_and_write_glmm<'a>(
    input: &Input<'_>,
    (ingested, began): (Ingested, Instant),
    how: &GlmmHow,
    folder: Option<&'a Folder>,
    observer: &mut dyn GlmmObserver,
) -> anyhow::Result<GlmmOutput<'a>> {
    let data = input.data(&ingested.recipe);
    let source = input.source().expect("a family is only allowed with rows");
    let FittedGlmm { model, inference, fit, effects } = fit_glmm(ingested, source, &how.settings, observer)?;
    let (seconds, peak_memory_bytes, seal) = (None, None, Seal::default());
    let confidence_level = how.settings.confidence;
    let ratios = if how.exponentiate { Ratios::of(&fit) } else { None };
    let mut report = GlmmReport { ratios, fit, data, confidence_level, seconds, peak_memory_bytes, seal };
    let text = visible::lines(&report.text()).into_owned();
    if !how.reproducible {
        report.seconds = Some(began.elapsed().as_secs_f64());
        report.peak_memory_bytes = peak_memory();
    }
    let staged = folder.map(Staged::new).transpose()?;
    if let Some(staged) = &staged {
        staged.write("summary.txt", &text)?;
        let definition = input.definition(&model.recipe)?;
        let mut saved = inference.map(|inference| SavedGlmmModel::new(&model, definition, inference));
        if let Some(saved) = saved.as_mut().filter(|_| how.reproducible) {
            saved.working_folder = None;
        }
        write_glmm(staged, &Parquet, &mut report, &effects, saved.as_ref())?;
    }
    Ok(GlmmOutput { staged, report, text })
}

/// Fits a generalised model, and prints and writes it.
pub(crate) fn run(job: &Job, how: &GlmmHow) -> anyhow::Result<Outcome> {
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
    let ingested = input.read(job.memory, (Until::Effects, Further::default()), &mut watch);
    drop(watch);
    let mut bars = Bars { progress, second_pass: None, search: None };
    let made = fit_and_write_glmm(input, (ingested?, began), how, folder.as_ref(), &mut bars)?;
    drop(bars);
    let GlmmOutput { staged, report, text } = made;
    staged.map(Staged::put_in_place).transpose()?;
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
