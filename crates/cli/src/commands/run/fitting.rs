//! Fits one model of a job, puts its files in place, and records it as done.

use super::finished::{Finished, Outline, Took};
use super::flow::Flow;
use super::job::ModelJob;
use super::partitions;
use super::status::ModelState;
use crate::commands::generalised::{GlmmHow, fit_and_write_glmm};
use crate::fit_and_write::{Read, fit_and_write};
use crate::input::Input;
use crate::process::peak_memory;
use anyhow::{anyhow, bail};
use std::time::Instant;
use tiers_moments::{Ingested, ReadTimes, Shared};
use tiers_outputs::{Folder, Staged};
use tiers_report::saved::RESULTS;
use tracing::{error, info, warn};

impl Flow<'_> {
    /// Fits a model unless the job was asked to stop. Its failure need not stop the other models.
    pub(super) fn model(
        &mut self,
        k: usize,
        index: usize,
        shared: &mut Shared,
        times: ReadTimes,
    ) -> anyhow::Result<()> {
        if self.progress.stop.asked() {
            bail!("interrupted");
        }
        let model = &self.job.models[index];
        let name = model.keys.name.clone();
        let clock = Instant::now();
        let done = match model.keys.by.is_empty() {
            true => self.one(k, index, shared, times),
            false => self.partitions(k, index, shared),
        };
        match done {
            Ok((result, mut took)) => {
                took.seconds = clock.elapsed().as_secs_f64();
                let fingerprint = self.identity.fingerprint_of(&model.keys);
                let status = result.status.map_or_else(|| "by partitions".to_owned(), |status| status.to_string());
                info!(model = name, status, criterion = result.criterion, seconds = took.seconds, "fitted");
                result.log_shortfall();
                self.finished.insert(name.clone(), Finished::record(&self.folder, fingerprint, result, took)?);
                self.progress.status.of_model(&name, ModelState::Done, Some(&status));
                self.fitted.push(name);
                Ok(())
            }
            Err(error) if self.job.goes_on() && !self.progress.stop.asked() && self.lock.check().is_ok() => {
                // The job continues with the other models, and ends with code 1 because of this one.
                error!(model = name, %error, "not fitted");
                self.progress.status.of_model(&name, ModelState::Failed, Some(&error.to_string()));
                self.failed.insert(name, error.to_string());
                Ok(())
            }
            Err(error) => {
                self.progress.status.of_model(&name, ModelState::Failed, Some(&error.to_string()));
                Err(anyhow!("{name}: {error}"))
            }
        }
    }

    /// Fits a model of all rows.
    fn one(
        &mut self,
        k: usize,
        index: usize,
        shared: &mut Shared,
        times: ReadTimes,
    ) -> anyhow::Result<(Outline, Took)> {
        let model = &self.job.models[index];
        let (formula, settings) = (&model.formula, &self.inputs.settings[index]);
        let input = Input::Rows { paths: &self.job.paths, source: self.inputs.source.clone(), formula, settings };
        let folder = self.folder(model)?;
        if let Some(how) = &model.generalised {
            return self.generalised(model, &input, how, shared.take(k)?);
        }
        let read = Read { ingested: shared.take(k)?, began: Instant::now(), times };
        let mut watch = self.progress.fitting(&model.keys.name);
        let mut made = fit_and_write(&input, read, &model.how, Some(&folder), &mut watch)?;
        if let Some(why) = made.without_intervals.take() {
            warn!(model = model.keys.name, why, "there are no intervals");
        }
        if let Some(staged) = made.staged.take() {
            self.put_in_place(staged)?;
        }
        let fit = &made.report.fit;
        let (name, n_obs) = (model.keys.name.clone(), fit.n_obs);
        let outline =
            Outline { name, status: Some(fit.status.into()), n_obs, criterion: Some(fit.criterion), partitions: None };
        let evaluations = fit.optimizer.evaluations as u64;
        let (phases, peak_memory_bytes) = (made.report.timing_seconds.take(), peak_memory());
        Ok((outline, Took { seconds: 0.0, phases, evaluations, peak_memory_bytes }))
    }

    /// Fits a generalised model of all rows.
    fn generalised(
        &mut self,
        model: &ModelJob,
        input: &Input<'_>,
        how: &GlmmHow,
        ingested: Ingested,
    ) -> anyhow::Result<(Outline, Took)> {
        let folder = self.folder(model)?;
        let mut watch = self.progress.fitting(&model.keys.name);
        let made = fit_and_write_glmm(input, (ingested, Instant::now()), how, Some(&folder), &mut watch)?;
        drop(watch);
        if let Some(staged) = made.staged {
            self.put_in_place(staged)?;
        }
        let fit = &made.report.fit;
        let (name, n_obs, criterion) = (model.keys.name.clone(), fit.n_obs, Some(fit.criterion));
        let outline = Outline { name, status: Some(fit.status), n_obs, criterion, partitions: None };
        let (evaluations, peak_memory_bytes) = (fit.optimizer.evaluations as u64, peak_memory());
        Ok((outline, Took { seconds: 0.0, phases: None, evaluations, peak_memory_bytes }))
    }

    /// Fits the same model in every partition.
    fn partitions(&mut self, k: usize, index: usize, shared: &mut Shared) -> anyhow::Result<(Outline, Took)> {
        let model = &self.job.models[index];
        let folder = self.folder(model)?;
        let partitions = shared.take_partitions(k)?;
        if partitions.is_empty() {
            bail!("no row has a value in {}", model.keys.by.join(" and "));
        }
        let name = &model.keys.name;
        self.progress.begin_model(name);
        let bar = self.progress.bars.partitions(partitions.len() as u64);
        let stop = self.progress.stop.clone();
        let fitted = partitions::fit(&partitions, model, &stop, &|| bar.inc(1));
        bar.finish_and_clear();
        let fitted = fitted.ok_or_else(|| anyhow!("interrupted"))?;
        let counts = fitted.counts();
        // A table without any fit is a failure of the job.
        if counts.all == counts.failed
            && self.job.goes_on()
            && let Some((partition, why)) = fitted.failures().next()
        {
            error!(model = name, partition, why, "no partition was fitted; this is the error of the first one");
        }
        for (partition, why) in fitted.failures() {
            warn!(model = name, partition, why, "a partition was not fitted");
        }
        if let (Some((partition, why)), false) = (fitted.failures().next(), self.job.goes_on()) {
            let more = if counts.failed > 1 { format!(" (and {} more)", counts.failed - 1) } else { String::new() };
            bail!("{partition}: {why}{more}; to continue after such errors write on_error = \"continue\" in [run]");
        }
        if fitted.unlabelled_rows > 0 {
            warn!(model = name, rows = fitted.unlabelled_rows, "rows belong to no partition");
        }
        let staged = Staged::new(&folder)?;
        fitted.write(model, &self.inputs.source, &staged)?;
        self.put_in_place(staged)?;
        let (name, n_obs) = (name.clone(), fitted.n_obs());
        let outline = Outline { name, status: None, n_obs, criterion: None, partitions: Some(counts) };
        let (evaluations, peak_memory_bytes) = (fitted.evaluations(), peak_memory());
        Ok((outline, Took { seconds: 0.0, phases: None, evaluations, peak_memory_bytes }))
    }

    fn folder(&self, model: &ModelJob) -> anyhow::Result<Folder> {
        self.lock.check()?;
        Ok(Folder::open("", &self.folder.path(&model.keys.name), &self.inputs.files(), &RESULTS)?)
    }

    fn put_in_place(&self, staged: Staged<'_>) -> anyhow::Result<()> {
        self.lock.check()?;
        Ok(staged.put_in_place()?)
    }
}
