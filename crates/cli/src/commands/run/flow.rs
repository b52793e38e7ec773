//! The flow of a job: take over the work of a former run, read, fit model by model, complete.

use super::board::{Board, ReadWatch};
use super::checkpoint::{self, Keeper};
use super::fitting::log_shortfall;
use super::inputs::Inputs;
use super::job::Job;
use super::kept::{Counts, Kept, Outline};
use super::lock::Lock;
use super::manifest::{Account, DataAccount, Manifest, ModelAccount, ReadAccount};
use super::origin::Origin;
use super::status::ModelState;
use super::store::Store;
use super::table::{Line, text};
use crate::exit::Outcome;
use crate::process::peak_memory;
use anyhow::bail;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;
use tiers_moments::{Checkpoint, Further, MemoryLimit, ReadTimes, Reading, Shared, Until, accumulate_many};
use tiers_reml::Status;
use tiers_report::json;
use tracing::info;

/// File in the hidden folder with the [`Origin`] of an unfinished job.
const ORIGIN: &str = "job.json";

/// File in the hidden folder with the names of the models that are read together.
const TOGETHER: &str = "read.json";

/// File in the hidden folder that exists until a `--fresh` run has discarded former work.
const FRESH: &str = "fresh";

/// A running job.
pub(crate) struct Flow<'a> {
    pub(super) job: &'a Job,
    pub(super) inputs: &'a Inputs,
    pub(super) lock: &'a Lock,
    pub(super) board: &'a mut Board,
    pub(super) store: Store,
    pub(super) origin: Origin,
    account: Account,
    began: Instant,
    pub(super) kept: BTreeMap<String, Kept>,
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
pub(crate) fn is_worth_keeping(store: &Store) -> bool {
    checkpoint::is_there(store) || store.hidden("done").exists()
}

impl<'a> Flow<'a> {
    /// Begins a job and takes over the work of a former run.
    pub(crate) fn begin(
        job: &'a Job,
        inputs: &'a Inputs,
        path: &Path,
        fresh: bool,
        lock: &'a Lock,
        board: &'a mut Board,
    ) -> anyhow::Result<Flow<'a>> {
        let source = &inputs.source;
        let (paths, store) = (job.paths.clone(), board.store.clone());
        let data = DataAccount { paths, files: source.files().len(), bytes: source.bytes(), rows: source.rows() };
        let mut flow = Flow {
            origin: Origin::of(job, source),
            account: Account::begin(path.display().to_string(), data),
            began: Instant::now(),
            kept: BTreeMap::new(),
            failed: BTreeMap::new(),
            fitted: Vec::new(),
            together: Vec::new(),
            job,
            inputs,
            lock,
            board,
            store,
        };
        flow.resume(fresh)?;
        Ok(flow)
    }

    /// Takes over the work of a former run of the same job.
    fn resume(&mut self, fresh: bool) -> anyhow::Result<()> {
        let store = self.store.clone();
        store.tidy()?;
        // A `--fresh` run that was killed before it had discarded everything is still a fresh one.
        let fresh = fresh || store.hidden(FRESH).exists();
        if fresh {
            store.write_text(&store.hidden(FRESH), "")?;
            checkpoint::remove(&store);
            fs::remove_dir_all(store.hidden("done")).ok();
            fs::remove_file(store.hidden(ORIGIN)).ok();
            fs::remove_file(store.hidden(TOGETHER)).ok();
        } else if is_worth_keeping(&store) {
            self.check_origin()?;
        }
        let former = if fresh { Vec::new() } else { Manifest::former_models(&store) };
        for model in &self.job.models {
            let (name, fingerprint) = (&model.keys.name, self.origin.fingerprint_of(&model.keys));
            let of_complete = former.iter().filter(|kept| kept.result.name == *name);
            let unfinished = Kept::of_unfinished(&store, name).filter(|_| !fresh);
            let candidates = unfinished.into_iter().chain(of_complete.cloned());
            if let Some(kept) = candidates.into_iter().find(|kept| kept.holds(&store, &fingerprint)) {
                info!(model = name, "kept from a former run");
                log_shortfall(&kept.result);
                self.board.status.of_model(name, ModelState::Done, Some("kept from a former run"));
                kept.keep(&store)?;
                self.kept.insert(name.clone(), kept);
            }
        }
        let names = fs::read_to_string(store.hidden(TOGETHER)).ok();
        let names: Vec<String> = names.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        self.together = names.iter().filter_map(|name| self.index(name)).collect();
        Manifest::begin(&self.lock.own, former, &store)?;
        fs::remove_file(store.hidden(FRESH)).ok();
        store.write_text(&store.hidden(ORIGIN), &self.origin.json())
    }

    /// Returns an error if the unfinished work is that of another job.
    fn check_origin(&self) -> anyhow::Result<()> {
        let path = self.store.hidden(ORIGIN);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let why = match serde_json::from_str::<Origin>(&text) {
            Ok(origin) => match origin.difference(&self.origin) {
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
            !self.kept.contains_key(name) && !self.failed.contains_key(name)
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
            checkpoint::remove(&self.store);
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
        let fingerprint = self.origin.fingerprint_of_read(&self.names(&self.together));
        checkpoint::find_sums(&self.store, &fingerprint)
    }

    /// Reads the moments of all remaining models, or of those of the checkpoint.
    fn read(&mut self) -> anyhow::Result<(Shared, ReadTimes)> {
        let (clock, store) = (Instant::now(), self.store.clone());
        let checkpoint = self.checkpoint();
        if checkpoint.is_none() {
            self.together = self.left();
        }
        let models = self.together.clone();
        let names = self.names(&models);
        store.write_text(&store.hidden(TOGETHER), &serde_json::to_string(&names)?)?;
        let fingerprint = self.origin.fingerprint_of_read(&names);
        let resumed = checkpoint.as_ref().map_or(0, Checkpoint::rows_read);
        let rows = self.inputs.source.rows();
        info!(models = names.join(", "), rows = rows.unwrap_or(0), resumed, "reading");
        self.board.phase(super::status::Phase::Reading, None);
        let wanted: Vec<_> = models.iter().map(|&i| self.inputs.wanted[i].clone()).collect();
        let limit = self.job.memory.of_rows(rows, Until::Effects);
        let all = models.iter().map(|&i| self.job.models[i].how.further());
        let inference = all.fold(Further::default(), Further::or);
        let limit = limit.map(|limit| MemoryLimit { inference, ..limit });
        let keeper = Keeper::new(&fingerprint, self.job.checkpoints);
        let mut watch = ReadWatch::new(self.board, rows, Some(keeper));
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
        let done: Vec<Kept> = names.iter().filter_map(|name| self.kept.get(*name)).cloned().collect();
        for name in names {
            let (kept, message) = (self.kept.get(name), self.failed.get(name).cloned());
            let by_this_run = match (kept, self.fitted.contains(name)) {
                (None, _) => "failed",
                (_, true) => "fitted",
                (_, false) => "kept",
            };
            let took = kept.and_then(|kept| kept.took.clone());
            self.account.models.push(ModelAccount { name: name.clone(), by_this_run, took, message });
        }
        self.account.seconds = self.began.elapsed().as_secs_f64();
        self.account.write(&self.store)?;
        Manifest::complete(&done, &self.failed, &self.store)?;
        let seconds = |kept: &Kept| {
            let took = kept.took.as_ref().filter(|_| self.fitted.contains(&kept.result.name));
            took.map(|took| took.seconds)
        };
        let line = |kept: &Kept| Line { result: kept.result.clone(), seconds: seconds(kept) };
        let lines: Vec<Line> = done.iter().map(line).collect();
        let results: Vec<&Outline> = done.iter().map(|kept| &kept.result).collect();
        let json = json(&serde_json::json!({ "models": results, "failed": self.failed }));
        Ok(Summary { outcome: outcome(&results, &self.failed), text: text(&lines, &self.failed), json })
    }
}

/// Returns the outcome of all models. Failures of single partitions are in their table and do not
/// count, unless all partitions of a model failed.
fn outcome(results: &[&Outline], failed: &BTreeMap<String, String>) -> Outcome {
    let stopped = |result: &&Outline| result.status == Some(Status::NotConverged);
    let no_fit = |counts: Counts| counts.all > 0 && counts.failed == counts.all;
    match (failed.is_empty(), results.iter().any(stopped)) {
        (false, _) => Outcome::Failed,
        (true, _) if results.iter().any(|result| result.partitions.is_some_and(no_fit)) => Outcome::Failed,
        (true, true) => Outcome::NotConverged,
        (true, false) => Outcome::Done,
    }
}
