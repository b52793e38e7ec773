//! Fits one model, from its moments to its files: build the model, search, infer, report, write.

use crate::commands::confint::{Fitted, IntervalRequest, OfFit};
use crate::input::Input;
use crate::memory::Limit;
use crate::observer::FitObserver;
use crate::process::peak_memory;
use crate::tables;
use anyhow::anyhow;
use std::time::{Duration, Instant};
use tiers_moments::{ClusterMoments, Further, Ingested, ReadTimes, Until, cluster_level};
use tiers_outputs::{Folder, Seal, Staged};
use tiers_reml::{
    DfMethod, FitSettings, FittedModel, FittedValues, FixedInference, FixedModel, Objective, Optimum, Robust, Sandwich,
    Status, fit_moments, random_effects,
};
use tiers_report::page::{PAGE, page};
use tiers_report::saved::{FIT, MODEL, SavedModel, seal_of, write_effects};
use tiers_report::section::Section;
use tiers_report::{Phases, Report, Timing};
use tiers_report::{summary, visible};
use tiers_tables::Parquet;

/// How a model is fitted.
#[derive(Clone, Debug)]
pub(crate) struct How {
    /// Method, stopping rules and inference on the fixed effects.
    pub fitting: FitSettings,
    /// Cluster-robust inference on the fixed effects.
    pub robust: Option<Clustered>,
    /// Intervals of all parameters to write, if any.
    pub intervals: Option<IntervalRequest>,
    /// Whether to write fitted values.
    pub fitted: bool,
    /// Whether to write the report as an HTML page.
    pub report: bool,
    /// Whether to omit from the files what differs between runs: times, memory and the working folder.
    pub reproducible: bool,
}

impl How {
    /// Returns the inference that needs memory of its own.
    pub(crate) fn further(&self) -> Further {
        Further { kenward_roger: self.fitting.inference.df == DfMethod::KenwardRoger, robust: self.robust.is_some() }
    }
}

/// Settings of cluster-robust inference.
#[derive(Clone, Debug)]
pub(crate) struct Clustered {
    /// Type of the sandwich estimator.
    pub kind: Sandwich,
    /// Level of the clusters, if one was named.
    pub level: Option<String>,
    /// Limit on memory for the moments of the clusters.
    pub memory: Limit,
}

/// Moments that were read, and the time that this took.
#[derive(Debug)]
pub(crate) struct Read {
    /// The moments.
    pub ingested: Ingested,
    /// When the reading began.
    pub began: Instant,
    /// Time by phase of the reading.
    pub times: ReadTimes,
}

/// A fitted model with its report and files.
#[derive(Debug)]
pub(crate) struct ModelOutput<'a> {
    /// Its files, not yet put in place.
    pub staged: Option<Staged<'a>>,
    /// The report.
    pub report: Report,
    /// The report as text.
    pub text: String,
    /// The report as JSON.
    pub json: String,
    /// Reason why requested intervals are missing.
    pub without_intervals: Option<String>,
}

/// Fits a model and writes its files if there is a folder for them. The caller puts the files in place.
pub(crate) fn fit_and_write<'a>(
    input: &Input<'_>,
    read: Read,
    how: &How,
    folder: Option<&'a Folder>,
    watch: &mut dyn FitObserver,
) -> anyhow::Result<ModelOutput<'a>> {
    let Read { ingested, began, times } = read;
    let mut clock = Clock { began, phases: Phases::default() };
    clock.phases.have_read(&times);
    let fitted = fit_moments(ingested, &how.fitting, watch);
    watch.writing();
    let FittedModel { model, optimum, fixed, mut fit, seconds } = fitted?;
    let read = began.elapsed().saturating_sub(Duration::from_secs_f64(seconds.search + seconds.inference));
    (clock.phases.settle, clock.phases.search) = (seconds.build, seconds.search);
    let objective = Objective::new(&model, how.fitting.method);
    if let Some(robust) = robust(input, &objective, &optimum, how, watch)? {
        fit = fit.with_robust(robust);
    }
    let fitted = began.elapsed();
    clock.phases.inference = (fitted - read).as_secs_f64() - clock.phases.search;

    let (data, confidence_level) = (input.data(&model.recipe), how.fitting.inference.confidence);
    let (timing_seconds, peak_memory_bytes, seal) = (None, None, Seal::default());
    let mut report = Report { fit, data, confidence_level, timing_seconds, peak_memory_bytes, seal };
    let text = visible::lines(&summary::text(&report)).into_owned();
    let (text, staged) = (text, folder.map(Staged::new).transpose()?);
    let mut without_intervals = None;
    if let Some(staged) = &staged {
        staged.write("summary.txt", &text)?;
        let files = Files { input, objective: &objective, optimum: &optimum, how, report: &report, staged };
        without_intervals = files.write(fixed, &mut clock.phases, watch)?;
    }
    let timing = clock.timing(read, fitted);
    let mut json = None;
    if !how.reproducible {
        report.timing_seconds = Some(timing.clone());
        report.peak_memory_bytes = peak_memory();
    }
    if let Some(staged) = &staged {
        report.seal = seal_of(staged, &Parquet, &report.fit.levels)?;
        staged.write(FIT, json.insert(report.sealed_json()))?;
    }
    let json = json.unwrap_or_else(|| report.json());
    report.timing_seconds = Some(timing);
    report.peak_memory_bytes = peak_memory();
    Ok(ModelOutput { staged, report, text, json, without_intervals })
}

/// Makes cluster-robust inference from a second pass over the rows, if it was requested.
fn robust(
    input: &Input<'_>,
    objective: &Objective<'_>,
    optimum: &Optimum,
    how: &How,
    watch: &mut dyn FitObserver,
) -> anyhow::Result<Option<Robust>> {
    let (Some(Clustered { kind, level, memory }), Some(source)) = (&how.robust, input.source()) else {
        return Ok(None);
    };
    let model = objective.model();
    cluster_level(model.structure(), level.as_deref()).map_err(|error| anyhow!("--cluster: {error}"))?;
    let limit = memory.of_rows(input.count(), Until::Moments);
    let clusters = ClusterMoments::read(
        (&model.recipe, model.structure()),
        source,
        limit,
        watch.second_pass(model.totals().rows),
    )?;
    let robust = Robust::new(objective, optimum, &clusters, *kind, how.fitting.inference.confidence);
    Ok(Some(robust.map_err(|error| anyhow!("--robust {kind}: {error}"))?))
}

/// A fit whose files are being written.
struct Files<'a> {
    input: &'a Input<'a>,
    objective: &'a Objective<'a>,
    optimum: &'a Optimum,
    how: &'a How,
    report: &'a Report,
    staged: &'a Staged<'a>,
}

impl Files<'_> {
    /// Writes all files but the summary and `fit.json`. Returns the reason if requested intervals are
    /// missing.
    fn write(
        &self,
        fixed: FixedModel,
        phases: &mut Phases,
        watch: &mut dyn FitObserver,
    ) -> anyhow::Result<Option<String>> {
        let Files { input, objective, how, report, staged, .. } = self;
        let definition = input.definition(&objective.model().recipe)?;
        let (criterion, evaluations) = (report.fit.criterion, how.fitting.newton.max_evaluations);
        let mut saved = SavedModel::new(objective.model(), definition, fixed, criterion, evaluations);
        saved.working_folder = saved.working_folder.filter(|_| !how.reproducible);
        staged.write(MODEL, &saved.json())?;
        let clock = Instant::now();
        let made = how.intervals.as_ref().map(|request| self.intervals(request, &saved.fixed.inference, watch));
        let (section, without) = match made.transpose()? {
            None => (None, None),
            Some(Ok(section)) => (Some(section), None),
            Some(Err(why)) => (None, Some(why)),
        };
        if how.intervals.is_some() {
            phases.intervals = Some(clock.elapsed().as_secs_f64());
            watch.writing();
        }
        phases.effects = self.effects(section.as_ref(), watch)?;
        Ok(without)
    }

    /// Writes the random effects, and the page and fitted values if requested. Returns the seconds that
    /// the random effects took.
    fn effects(&self, intervals: Option<&Section>, watch: &mut dyn FitObserver) -> anyhow::Result<f64> {
        let Files { input, objective, optimum, how, report, staged } = self;
        let clock = Instant::now();
        let effects = random_effects(objective, optimum)?;
        let seconds = clock.elapsed().as_secs_f64();
        write_effects(staged, &Parquet, &effects, &report.fit.variance_components)?;
        if how.report {
            staged.write(PAGE, &page(report, effects.first(), intervals)?)?;
        }
        if let (true, Some(source)) = (how.fitted, input.source()) {
            let fitted = FittedValues::new(objective, optimum, &effects);
            tables::write_fitted(staged, &fitted, source, watch.second_pass(report.rows()))?;
        }
        Ok(seconds)
    }

    /// Writes intervals of all parameters and returns them for the page, or the reason if there are none.
    fn intervals(
        &self,
        request: &IntervalRequest,
        inference: &FixedInference,
        watch: &mut dyn FitObserver,
    ) -> anyhow::Result<Result<Section, String>> {
        let Files { objective, optimum, how, report, staged, .. } = self;
        let fit = &report.fit;
        if fit.status == Status::NotConverged {
            return Ok(Err("the search did not converge".to_owned()));
        }
        let fitted = Fitted { fit, inference, objective, optimum, newton: &how.fitting.newton };
        match fitted.intervals(request, &mut |pieces| watch.making_intervals(pieces)) {
            Ok(found) => {
                let found = found.ok_or_else(|| anyhow!("interrupted"))?;
                let of_fit = OfFit::linear(fit);
                found.stage(request, of_fit, staged)?;
                Ok(Ok(found.section(request, of_fit)))
            }
            // The fit is valid without intervals.
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

/// Measures the time by phase.
struct Clock {
    began: Instant,
    phases: Phases,
}

impl Clock {
    fn timing(mut self, read: Duration, fitted: Duration) -> Timing {
        let total = self.began.elapsed();
        let after = self.phases.effects + self.phases.intervals.unwrap_or(0.0);
        self.phases.write = (total - fitted).as_secs_f64() - after;
        let (read, fit) = (read.as_secs_f64(), (fitted - read).as_secs_f64());
        Timing { read, fit, total: total.as_secs_f64(), phases: self.phases }
    }
}
