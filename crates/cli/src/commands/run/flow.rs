//! The flow of a job: take over the work of a former run, read, fit model by model, complete.

use super::checkpoint::{self, Keeper};
use super::finished::{Counts, Finished, Outline};
use super::inputs::Inputs;
use super::job::Job;
use super::job_folder::JobFolder;
use super::job_inputs::JobInputs;
use super::job_progress::{JobProgress, ReadWatch};
use super::lock::Lock;
use super::manifest::{Account, DataAccount, Manifest, ModelAccount, ReadAccount};
use super::status::ModelState;
use super::table::{Line, text};
use crate::exit::Outcome;
use crate::process::peak_memory;
use anyhow::bail;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;
use tiers_moments::{Checkpoint, Further, MemoryLimit, ReadTimes, Reading, Shared, Until, accumulate_many};
use tiers_report::json;
use tracing::info;

/// File in the hidden folder with the [`JobInputs`] of an unfinished job.
const INPUTS: &str = "job.json";

/// File in the hidden folder with the names of the models that are read together.
const TOGETHER: &str = "read.json";

/// File in the hidden folder that exists until a `--fresh` run has discarded former work.
const FRESH: &str = "fresh";

/// A running job.
pub(crate) struct Flow<'a> {
    pub(super) job: &'a Job,
    pub(super) inputs: &'a Inputs,
    pub(super) lock: &'a Lock,
    pub(super) progress: &'a mut JobProgress,
    pub(super) folder: JobFolder,
    pub(super) identity: JobInputs,
    account: Account,
    began: Instant,
    pub(super) finished: BTreeMap<String, Finished>,
    pub(super) failed: BTreeMap<String, String>,
    /// Models that this run has fitted.
    pub(super) fitted: Vec<String>,
    /// Models that are read together; a checkpoint holds their sums.
    together: Vec<usize>,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Outcome, which sets the exit code.
    pub outcome: Outcome,
    /// Table of all models.
    pub text: String,
    /// The table as JSON.
    pub json: String,
}

/// Whether there is anything that a next run could resume from.
pub(crate) fn is_worth_keeping(folder: &JobFolder) -> bool {
    checkpoint::is_there(folder) || folder.hidden("done").exists()
}

impl<'a> Flow<'a> {
    /// Begins a job and takes over the work of a former run.
    pub(crate) fn begin(
        job: &'a Job,
        inputs: &'a Inputs,
        path: &Path,
        fresh: bool,
        lock: &'a Lock,
        progress: &'a mut JobProgress,
    ) -> anyhow::Result<Flow<'a>> {
        let source = &inputs.source;
        let (paths, folder) = (job.paths.clone(), progress.folder.clone());
        let data = DataAccount { paths, files: source.files().len(), bytes: source.bytes(), rows: source.rows() };
        let mut flow = Flow {
            identity: JobInputs::of(job, source),
            account: Account::begin(path.display().to_string(), data),
            began: Instant::now(),
            finished: BTreeMap::new(),
            failed: BTreeMap::new(),
            fitted: Vec::new(),
            together: Vec::new(),
            job,
            inputs,
            lock,
            progress,
            folder,
        };
        flow.resume(fresh)?;
        Ok(flow)
    }

    /// Takes over the work of a former run of the same job.
    fn resume(&mut self, fresh: bool) -> anyhow::Result<()> {
        let folder = self.folder.clone();
        folder.tidy()?;
        // A `--fresh` run that was killed before it had discarded everything is still a fresh one.
        let fresh = fresh || folder.hidden(FRESH).exists();
        if fresh {
            folder.write_text(&folder.hidden(FRESH), "")?;
            checkpoint::remove(&folder);
            fs::remove_dir_all(folder.hidden("done")).ok();
            fs::remove_file(folder.hidden(INPUTS)).ok();
            fs::remove_file(folder.hidden(TOGETHER)).ok();
        } else if is_worth_keeping(&folder) {
            self.check_identity()?;
        }
        let former = if fresh { Vec::new() } else { Manifest::former_models(&folder) };
        for model in &self.job.models {
            let (name, fingerprint) = (&model.keys.name, self.identity.fingerprint_of(&model.keys));
            let of_complete = former.iter().filter(|finished| finished.result.name == *name);
            let unfinished = Finished::of_unfinished(&folder, name).filter(|_| !fresh);
            let candidates = unfinished.into_iter().chain(of_complete.cloned());
            if let Some(finished) = candidates.into_iter().find(|finished| finished.holds(&folder, &fingerprint)) {
                info!(model = name, "kept from a former run");
                finished.result.log_shortfall();
                self.progress.status.of_model(name, ModelState::Done, Some("kept from a former run"));
                finished.write(&folder)?;
                self.finished.insert(name.clone(), finished);
            }
        }
        let names = fs::read_to_string(folder.hidden(TOGETHER)).ok();
        let names: Vec<String> = names.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        self.together = names.iter().filter_map(|name| self.index(name)).collect();
        Manifest::begin(&self.lock.own, former, &folder)?;
        fs::remove_file(folder.hidden(FRESH)).ok();
        folder.write_text(&folder.hidden(INPUTS), &self.identity.json())
    }

    /// Returns an error if the unfinished work is that of another job.
    fn check_identity(&self) -> anyhow::Result<()> {
        let path = self.folder.hidden(INPUTS);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let why = match serde_json::from_str::<JobInputs>(&text) {
            Ok(former) => match former.difference(&self.identity) {
                None => return Ok(()),
                Some(difference) => difference,
            },
            Err(_) => format!("{} is damaged", path.display()),
        };
        bail!(
            "{}: an unfinished run of another job is kept here: {why}. Start from the beginning with --fresh, or undo \
            the change to resume it",
            self.job.folder.display()
        )
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.job.models.iter().position(|model| model.keys.name == name)
    }

    /// Returns the indices of the models that remain to be fitted.
    fn left(&self) -> Vec<usize> {
        let is_left = |i: &usize| {
            let name = &self.job.models[*i].keys.name;
            !self.finished.contains_key(name) && !self.failed.contains_key(name)
        };
        (0..self.job.models.len()).filter(is_left).collect()
    }

    /// Fits all remaining models and completes the job.
    pub(crate) fn finish(mut self) -> anyhow::Result<Summary> {
        while !self.left().is_empty() {
            let (mut shared, times) = self.read()?;
            let models = self.together.clone();
            let deferred: Vec<usize> = shared.deferred().iter().map(|&k| models[k]).collect();
            let left = self.left();
            for (k, &model) in models.iter().enumerate().filter(|(_, model)| !deferred.contains(model)) {
                match left.contains(&model) {
                    true => self.model(k, model, &mut shared, times)?,
                    false => shared.leave(k),
                }
            }
            if deferred.len() == models.len() {
                bail!("run.memory_limit: it does not suffice for any of the models that are left");
            }
            checkpoint::remove(&self.folder);
        }
        self.complete()
    }

    fn names(&self, models: &[usize]) -> Vec<String> {
        models.iter().map(|&i| self.job.models[i].keys.name.clone()).collect()
    }

    /// Returns the checkpoint of a read, if it is usable and some of its models remain to be fitted.
    fn checkpoint(&self) -> Option<Checkpoint> {
        let left = self.left();
        if !self.together.iter().any(|model| left.contains(model)) {
            return None;
        }
        let fingerprint = self.identity.fingerprint_of_read(&self.names(&self.together));
        checkpoint::find_sums(&self.folder, &fingerprint)
    }

    /// Reads the moments of all remaining models, or of those of the checkpoint.
    fn read(&mut self) -> anyhow::Result<(Shared, ReadTimes)> {
        let (clock, folder) = (Instant::now(), self.folder.clone());
        let checkpoint = self.checkpoint();
        if checkpoint.is_none() {
            self.together = self.left();
        }
        let models = self.together.clone();
        let names = self.names(&models);
        folder.write_text(&folder.hidden(TOGETHER), &serde_json::to_string(&names)?)?;
        let fingerprint = self.identity.fingerprint_of_read(&names);
        let resumed = checkpoint.as_ref().map_or(0, Checkpoint::rows_read);
        let rows = self.inputs.source.rows();
        info!(models = names.join(", "), rows = rows.unwrap_or(0), resumed, "reading");
        self.progress.phase(super::status::Phase::Reading, None);
        let wanted: Vec<_> = models.iter().map(|&i| self.inputs.wanted[i].clone()).collect();
        let limit = self.job.memory.of_rows(rows, Until::Effects);
        let all = models.iter().map(|&i| self.job.models[i].how.further());
        let inference = all.fold(Further::default(), Further::or);
        let limit = limit.map(|limit| MemoryLimit { inference, ..limit });
        let keeper = Keeper::new(&fingerprint, self.job.checkpoints);
        let mut watch = ReadWatch::new(self.progress, rows, Some(keeper));
        let reading = Reading { limit, ..Reading::default() };
        let shared = accumulate_many(&self.inputs.source, &wanted, &reading, checkpoint, &mut watch);
        let (times, keeper) = watch.end();
        let shared = shared?;
        let account = ReadAccount {
            models: names,
            seconds: clock.elapsed().as_secs_f64(),
            rows_resumed: resumed,
            passes: shared.passes(),
            checkpoints: keeper.as_ref().map_or(0, |keeper| keeper.written),
            checkpoint_seconds: keeper.as_ref().map_or(0.0, |keeper| keeper.seconds),
            times,
            peak_memory_bytes: peak_memory(),
        };
        info!(seconds = account.seconds, passes = account.passes, "read");
        self.account.reads.push(account);
        Ok((shared, times))
    }

    /// Completes the job: writes the manifest and the account of the run.
    fn complete(mut self) -> anyhow::Result<Summary> {
        self.lock.check()?;
        let names: Vec<&String> = self.job.models.iter().map(|model| &model.keys.name).collect();
        let done: Vec<Finished> = names.iter().filter_map(|name| self.finished.get(*name)).cloned().collect();
        for name in names {
            let (finished, message) = (self.finished.get(name), self.failed.get(name).cloned());
            let by_this_run = match (finished, self.fitted.contains(name)) {
                (None, _) => "failed",
                (_, true) => "fitted",
                (_, false) => "kept",
            };
            let took = finished.and_then(|finished| finished.took.clone());
            self.account.models.push(ModelAccount { name: name.clone(), by_this_run, took, message });
        }
        self.account.seconds = self.began.elapsed().as_secs_f64();
        self.account.write(&self.folder)?;
        Manifest::complete(&done, &self.failed, &self.folder)?;
        let seconds = |finished: &Finished| {
            let took = finished.took.as_ref().filter(|_| self.fitted.contains(&finished.result.name));
            took.map(|took| took.seconds)
        };
        let line = |finished: &Finished| Line { result: finished.result.clone(), seconds: seconds(finished) };
        let lines: Vec<Line> = done.iter().map(line).collect();
        let results: Vec<&Outline> = done.iter().map(|finished| &finished.result).collect();
        let json = json(&serde_json::json!({ "models": results, "failed": self.failed }));
        Ok(Summary { outcome: outcome(&results, &self.failed), text: text(&lines, &self.failed), json })
    }
}

/// Returns the outcome of all models. Failures of single partitions are in their table and do not
/// count, unless all partitions of a model failed.
fn outcome(results: &[&Outline], failed: &BTreeMap<String, String>) -> Outcome {
    let stopped = |result: &&Outline| result.status.is_some_and(|status| !status.has_estimates());
    let no_fit = |counts: Counts| counts.all > 0 && counts.failed == counts.all;
    match (failed.is_empty(), results.iter().any(stopped)) {
        (false, _) => Outcome::Failed,
        (true, _) if results.iter().any(|result| result.partitions.is_some_and(no_fit)) => Outcome::Failed,
        (true, true) => Outcome::NotConverged,
        (true, false) => Outcome::Done,
    }
}
