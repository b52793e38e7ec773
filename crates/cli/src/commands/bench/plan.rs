//! `tiers bench --plan`: estimates the time and memory of a fit from a sample of the first rows.
//!
//! The first half of the sample is summed, then all of it. The time that the second half adds gives
//! the time per row without the start of the reader; the groups that it adds give the number of groups
//! (see [`super::grow`]). Memory is the estimate of [`Size`] for that many rows and groups, or the
//! memory held for the sample if that is more. The search for the optimum and the random effects are
//! computed on the sample, and their time is scaled by the number of groups.

use super::grow::{Sample, Seen};
use crate::args::BenchArgs;
use crate::exit::{Outcome, print};
use crate::memory::available;
use crate::process::peak_memory;
use crate::threads;
use anyhow::{anyhow, bail};
use serde::Serialize;
use std::fmt::Write;
use std::io::Read;
use std::time::Instant;
use tiers_design::{BLOCK_ROWS, Field, Formula, Plan, Request, Scan, Settings, SourceError};
use tiers_moments::{Further, Ingested, Size, accumulate, in_words};
use tiers_reml::{Method, NewtonSettings, Objective, build_model, optimise, random_effects};
use tiers_report::layout::paragraph;
use tiers_tables::Source;

/// Fewest and most blocks of rows in a sample.
const BLOCKS: (u64, u64) = (4, 32);

/// Estimated time and memory of a fit.
#[derive(Debug, Serialize)]
struct Estimate {
    formula: String,
    files: usize,
    bytes: u64,
    /// Rows; estimated from the size of the files if these do not store the number.
    rows: u64,
    rows_are_known: bool,
    sampled_rows: u64,
    /// Whether the rows of a group are adjacent.
    sorted: bool,
    /// Name and number of groups per level, finest first.
    levels: Vec<(String, u64)>,
    threads: usize,
    seconds: Seconds,
    memory_bytes: u64,
    available_bytes: Option<u64>,
    /// Whether the memory suffices; unknown if the system does not report the available memory.
    fits: Option<bool>,
}

/// Seconds by phase.
#[derive(Debug, Serialize)]
struct Seconds {
    read: f64,
    /// The search for the optimum; `None` if the rows of the sample do not allow a fit.
    search: Option<f64>,
    /// Computing and writing the random effects with their variances.
    effects: Option<f64>,
    total: f64,
}

/// The first blocks of a table.
struct Head<'a> {
    table: &'a Source,
    blocks: u64,
}

impl tiers_design::Source for Head<'_> {
    fn fields(&self) -> &[Field] {
        self.table.fields()
    }

    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError> {
        let scan = tiers_design::Source::scan(self.table, requests)?;
        Ok(Box::new(scan.take(self.blocks as usize)))
    }
}

/// Makes the estimate and prints it.
pub(super) fn run(args: &BenchArgs) -> anyhow::Result<Outcome> {
    threads::with(args.threads.first().copied(), || {
        let formula = args.formula.as_deref().unwrap_or_default();
        let estimate = estimate(formula, &crate::csv::open(&args.data, &args.csv.options()?)?)?;
        print(&if args.json { tiers_report::json(&estimate) } else { estimate.in_words() })?;
        Ok(Outcome::Done)
    })
}

fn estimate(formula: &str, table: &Source) -> anyhow::Result<Estimate> {
    let (rows, rows_are_known) = match table.rows() {
        Some(rows) => (rows, true),
        None => (guess_rows(table)?, false),
    };
    let parsed: Formula = formula.parse()?;
    let plan = Plan::new(&parsed, table.fields(), &Settings::default())?;
    let blocks = (rows / 4 / BLOCK_ROWS as u64).clamp(BLOCKS.0, BLOCKS.1);
    let mut half = Part::read(table, &plan, blocks / 2)?;
    let mut whole = Part::read(table, &plan, blocks)?;
    // Repeat, since other programs may have disturbed the first measurement.
    half.seconds = half.seconds.min(Part::read(table, &plan, blocks / 2)?.seconds);
    whole.seconds = whole.seconds.min(Part::read(table, &plan, blocks)?.seconds);
    let sample = Sample { rows: rows.max(whole.rows) as f64, sampled: whole.rows as f64 };
    let everything = whole.rows >= rows;

    let grown = |of: &dyn Fn(&Part) -> f64| sample.all(Seen { half: of(&half), whole: of(&whole) });
    let level = |k: usize| grown(&|part| part.size.levels[k].0 as f64) as u64;
    let size = Size {
        cells: grown(&|part| part.size.cells as f64) as u64,
        levels: whole.size.levels.iter().enumerate().map(|(k, &(_, r))| (level(k), r)).collect(),
        labels: grown(&|part| part.size.labels as f64) as u64,
        rows,
        ..whole.size.clone()
    };
    let per_row = ((whole.seconds - half.seconds) / (whole.rows - half.rows).max(1) as f64).max(0.0);
    let rest = rows.saturating_sub(whole.rows) as f64;
    // A half that was disturbed takes about as long as the whole and is useless. Time that does not
    // grow with the rows was never found to exceed half of the time of a sample of this size.
    let average = whole.seconds / sample.sampled;
    let per_row = if per_row > 0.0 { per_row.max(0.5 * average) } else { average };
    let read = whole.seconds + per_row * rest;

    let cells = sample.sampled.min(whole.size.cells as f64).max(1.0);
    let times_groups = if everything { 1.0 } else { size.cells as f64 / cells };
    let (levels, sorted) = (whole.names.iter().cloned().zip(size.levels.iter().map(|l| l.0)).collect(), {
        !sample.is_mixed(Seen { half: half.size.cells as f64, whole: whole.size.cells as f64 })
    });
    let sampled_rows = whole.rows;
    let (search, effects) = match fit_sample(whole.ingested) {
        Some((search, effects)) => (Some(search * times_groups), Some(effects * times_groups)),
        None => (None, None),
    };
    let available_bytes = available();
    let memory = memory(&size).max(peak_memory().unwrap_or(0));
    Ok(Estimate {
        formula: formula.to_owned(),
        files: table.files().len(),
        bytes: table.bytes(),
        rows,
        rows_are_known,
        sampled_rows,
        sorted,
        levels,
        threads: tiers_tables::threads(),
        seconds: Seconds { read, search, effects, total: read + search.unwrap_or(0.0) + effects.unwrap_or(0.0) },
        memory_bytes: memory,
        available_bytes,
        fits: available_bytes.map(|bytes| memory < bytes),
    })
}

/// The moments of the first blocks, and the time and memory they took.
struct Part {
    ingested: Ingested,
    rows: u64,
    seconds: f64,
    size: Size,
    names: Vec<String>,
}

impl Part {
    fn read(table: &Source, plan: &Plan, blocks: u64) -> anyhow::Result<Part> {
        let clock = Instant::now();
        let ingested = accumulate(&Head { table, blocks }, plan, &mut ())?;
        let seconds = clock.elapsed().as_secs_f64();
        let size = Size::of(&ingested.recipe, &ingested.moments);
        let rows = ingested.moments.rows + ingested.dropped.rows;
        let names = level_names(&ingested);
        Ok(Part { ingested, rows, seconds, size, names })
    }
}

/// Returns the names of the levels in the order of [`Size::levels`].
fn level_names(ingested: &Ingested) -> Vec<String> {
    let (recipe, moments) = (&ingested.recipe, &ingested.moments);
    let mut levels: Vec<(u64, &str)> = Vec::new();
    for grouping in &recipe.groupings {
        let labels = grouping.keys.iter().map(|&key| moments.labels[key].len()).max().unwrap_or(0);
        let groups =
            if grouping.keys.len() == recipe.keys.len() { moments.cells() } else { labels.min(moments.cells()) };
        levels.push((groups as u64, &grouping.name));
    }
    levels.sort_by_key(|level| std::cmp::Reverse(level.0));
    levels.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Returns the estimated peak. The memory for reading counts until the end, since allocators keep much
/// of the freed memory, which the system still attributes to the process.
fn memory(size: &Size) -> u64 {
    let empty = |rows| {
        Size { rows, cells: 0, labels: 0, levels: Vec::new(), ..size.clone() }.needed(&Further::default()).reading
    };
    let needed = size.needed(&Further::default());
    needed.reading.max(needed.fitting.max(needed.effects) + empty(size.rows) - empty(0))
}

/// Measures the seconds of the search for the optimum and of the random effects; writing the latter is
/// assumed to take as long as computing them. `None` if the rows of the sample do not allow a fit.
fn fit_sample(ingested: Ingested) -> Option<(f64, f64)> {
    let (model, _) = build_model(ingested).ok()?;
    let clock = Instant::now();
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    let search = clock.elapsed().as_secs_f64();
    random_effects(&objective, &optimum).ok()?;
    Some((search, 2.0 * (clock.elapsed().as_secs_f64() - search)))
}

/// Estimates the number of rows of text files from the length of the first lines.
fn guess_rows(table: &Source) -> anyhow::Result<u64> {
    let first = &table.files()[0].path;
    let unknown =
        |why: &str| anyhow!("{}: {why}; write the table as parquet, which stores the number of rows", first.display());
    let mut head = Vec::new();
    let file = std::fs::File::open(first).map_err(|error| unknown(&error.to_string()))?;
    file.take(1 << 20).read_to_end(&mut head).map_err(|error| unknown(&error.to_string()))?;
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    if lines < 2 || std::str::from_utf8(&head).is_err_and(|error| error.error_len().is_some()) {
        bail!(unknown("the number of rows is not known before they are read"));
    }
    Ok((table.bytes() as f64 / head.len() as f64 * lines as f64) as u64)
}

impl Estimate {
    /// Formats the estimate as text.
    fn in_words(&self) -> String {
        let about = if self.rows_are_known { "" } else { "about " };
        let files = if self.files == 1 { "1 file".to_owned() } else { format!("{} files", self.files) };
        let order = if self.sorted { "lie together" } else { "are spread over the table" };
        let mut out = format!("{}\n\n", self.formula);
        let _ = writeln!(out, "table    {about}{} rows in {files}, {}", self.rows, in_words(self.bytes));
        let _ = writeln!(out, "sample   the first {} rows; rows of a group {order}", self.sampled_rows);
        for (name, groups) in &self.levels {
            let _ = writeln!(out, "groups   about {groups} of {name}");
        }
        let Seconds { read, search, effects, total } = self.seconds;
        let part = |what: &str, seconds: Option<f64>| match seconds {
            Some(seconds) => format!("{what} {}", seconds_in_words(seconds)),
            None => format!("{what} not known: the sample alone cannot be fitted"),
        };
        let _ = writeln!(
            out,
            "time     about {} on {} thread(s): reading {}, {}, {}",
            seconds_in_words(total),
            self.threads,
            seconds_in_words(read),
            part("search", search),
            part("random effects", effects)
        );
        let _ = writeln!(out, "memory   about {}\n", in_words(self.memory_bytes));
        out + &paragraph(&self.verdict(), 0)
    }

    fn verdict(&self) -> String {
        let needed = in_words(self.memory_bytes);
        match (self.fits, self.available_bytes) {
            (Some(true), Some(bytes)) if self.memory_bytes as f64 > 0.8 * bytes as f64 => format!(
                "It is close: {needed} of the {} that are available. By default a fit stops at 80%; close other \
                 programs, or raise --memory-limit.",
                in_words(bytes)
            ),
            (Some(true), Some(bytes)) => format!(
                "It fits this machine: {needed} of the {} that are available. A table that is not yet in the system's \
                 memory takes as long as the disk needs to deliver it.",
                in_words(bytes)
            ),
            (Some(false), Some(bytes)) => format!(
                "It does not fit this machine: {needed} are needed and {} available. Use a machine with more memory; \
                 or make the model smaller, with fewer predictors, fewer random slopes or a coarser grouping.",
                in_words(bytes)
            ),
            _ => format!("It needs {needed}; this system does not report how much is available."),
        }
    }
}

fn seconds_in_words(seconds: f64) -> String {
    match seconds {
        s if s < 0.095 => format!("{:.2} s", s.max(0.01)),
        s if s < 9.5 => format!("{s:.1} s"),
        s if s < 600.0 => format!("{s:.0} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}
