//! One run of a benchmark: a process of this program that fits a model and writes its results.

use super::cases::Case;
use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Time, memory and result of one run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// Name of the model.
    pub model: String,
    /// Name of the table.
    pub table: String,
    /// Rows of the table.
    pub rows: u64,
    /// Number of threads.
    pub threads: usize,
    /// Number of the repeat, from 1.
    pub repeat: usize,
    /// Seconds from the start of the process to its end.
    pub wall: f64,
    /// `timing_seconds` of its fit.json.
    pub timing_seconds: BTreeMap<String, f64>,
    /// Peak memory of the process, where the system reports it.
    pub peak_memory_bytes: Option<u64>,
    /// Groups of all levels together.
    pub groups: u64,
    /// Evaluations of the likelihood.
    pub evaluations: u64,
    /// Status of the fit.
    pub status: String,
    /// −2 log-likelihood.
    pub criterion: f64,
    /// The contents of fit.json that do not depend on time.
    #[serde(skip)]
    pub result: Value,
}

impl Run {
    /// Returns the seconds of a phase.
    pub(super) fn phase(&self, name: &str) -> f64 {
        self.timing_seconds.get(name).copied().unwrap_or(f64::NAN)
    }
}

/// Runs a case; its results go to a temporary folder that is removed afterwards.
pub(super) fn run(case: &Case<'_>, repeat: usize, scratch: &Path) -> anyhow::Result<Run> {
    let out = tempfile::TempDir::with_prefix_in("results-", scratch).context("no folder for the results of a run")?;
    let mut command = Command::new(std::env::current_exe().context("the program does not know where it is")?);
    command.args(["fit", &case.model.formula]).arg(&case.table.path).args(&case.table.options);
    command.args(["--json", "--quiet", "--threads", &case.threads.to_string(), "--out"]).arg(out.path().join("fit"));
    let start = Instant::now();
    let done = command.output().context("tiers fit could not be started")?;
    let wall = start.elapsed().as_secs_f64();
    // A fit that did not converge has results too; its status is part of them.
    if !matches!(done.status.code(), Some(0 | 2)) {
        bail!("{}: {}", case.table.name, String::from_utf8_lossy(&done.stderr).trim());
    }
    let fit: Value = serde_json::from_slice(&done.stdout).context("tiers fit --json printed no JSON")?;
    Ok(Run::of(case, repeat, wall, fit))
}

impl Run {
    fn of(case: &Case<'_>, repeat: usize, wall: f64, mut fit: Value) -> Run {
        let timing = fit["timing_seconds"].as_object().into_iter().flatten();
        let timing_seconds = timing.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
        let levels = fit["levels"].as_array().into_iter().flatten();
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let run = Run {
            model: case.model.name.clone(),
            table: case.table.name.clone(),
            rows: number(&fit["n_obs"]) + number(&fit["n_dropped"]),
            threads: case.threads,
            repeat,
            wall,
            timing_seconds,
            peak_memory_bytes: fit["peak_memory_bytes"].as_u64(),
            groups: levels.map(|level| number(&level["groups"])).sum(),
            evaluations: number(&fit["optimizer"]["evaluations"]),
            status: fit["status"].as_str().unwrap_or_default().to_owned(),
            criterion: fit["criterion"].as_f64().unwrap_or(f64::NAN),
            result: Value::Null,
        };
        if let Some(fit) = fit.as_object_mut() {
            fit.remove("timing_seconds");
            fit.remove("peak_memory_bytes");
            // The fingerprint covers the two keys above.
            fit.remove("fingerprint");
        }
        Run { result: fit, ..run }
    }
}
