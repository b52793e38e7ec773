//! `--dry-run`: reports what a job would do, without reading a row.

use super::inputs::Inputs;
use super::job::{Job, ModelJob};
use crate::args::{Df, IntervalMethod};
use crate::exit::print;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;
use tiers_design::{Kind, Role, TermList};
use tiers_moments::{Size, Until, in_words};
use tiers_report::layout::{Column, table};

/// Number of groups from which the memory per group is computed.
const MANY: u64 = 1_000_000;

/// Plan of a job.
#[derive(Debug, Serialize)]
struct Planned {
    files: usize,
    bytes: u64,
    rows: Option<u64>,
    columns: Vec<Used>,
    folder: String,
    /// Free space on the file system of the folder.
    free_bytes: Option<u64>,
    /// Approximate size of the results that have a row per row of the data.
    by_row_bytes: Option<u64>,
    memory_limit_bytes: Option<u64>,
    models: Vec<PlannedModel>,
}

/// A column that is read.
#[derive(Debug, Serialize)]
struct Used {
    name: String,
    kind: String,
    used_as: String,
}

/// A model that would be fitted.
#[derive(Debug, Serialize)]
struct PlannedModel {
    name: String,
    formula: String,
    method: String,
    df: Df,
    by: Vec<String>,
    intervals: Option<IntervalMethod>,
    /// Memory without any groups.
    memory_bytes: u64,
    /// Memory of a group of the finest level, each factor counted as one column.
    bytes_per_group: u64,
    /// Number of groups that the memory limit allows.
    groups_within_limit: Option<u64>,
}

/// Prints the plan of the job.
pub(crate) fn run(job: &Job, inputs: &Inputs, json: bool) -> anyhow::Result<()> {
    let planned = plan(job, inputs);
    print(&if json { tiers_report::json(&planned) } else { planned.in_words(job, inputs) })
}

fn plan(job: &Job, inputs: &Inputs) -> Planned {
    let source = &inputs.source;
    let limit = job.memory.of_rows(source.rows(), Until::Effects).map(|limit| limit.bytes);
    let by_row = job.models.iter().filter(|model| model.keys.fitted).count() as u64;
    Planned {
        files: source.files().len(),
        bytes: source.bytes(),
        rows: source.rows(),
        columns: columns(job, inputs),
        folder: job.folder.display().to_string(),
        free_bytes: free(&job.folder),
        // Six columns of numbers.
        by_row_bytes: source.rows().map(|rows| by_row * rows * 48),
        memory_limit_bytes: limit,
        models: job.models.iter().map(|model| planned_model(model, source.rows(), limit)).collect(),
    }
}

/// Returns every column that any model reads, with its uses.
fn columns(job: &Job, inputs: &Inputs) -> Vec<Used> {
    let all = |name: &str| -> Vec<&str> {
        let requests = inputs.wanted.iter().flat_map(|wanted| wanted.plan.requests());
        let mut roles: Vec<&str> = Vec::new();
        for request in requests.filter(|request| request.column == name) {
            let role = match request.role {
                Role::Number => "number",
                Role::Label => "groups or factor",
                Role::Level => "factor",
            };
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        if job.models.iter().any(|model| model.keys.by.iter().any(|by| by == name)) {
            roles.push("partitions");
        }
        roles
    };
    let fields = inputs.source.fields().iter();
    let used = fields.map(|field| (field, all(&field.name))).filter(|(_, roles)| !roles.is_empty());
    used.map(|(field, roles)| Used {
        name: field.name.clone(),
        kind: match &field.kind {
            Kind::Float => "numbers".to_owned(),
            Kind::Integer => "integers".to_owned(),
            Kind::Date => "dates".to_owned(),
            Kind::DateTime => "points in time".to_owned(),
            Kind::Boolean => "booleans".to_owned(),
            Kind::Text => "text".to_owned(),
            Kind::Digits => "numbers, text as ids".to_owned(),
            Kind::Mixed(_) => "numbers and text".to_owned(),
            Kind::Other(kind) | Kind::Unequal(kind) => kind.clone(),
        },
        used_as: roles.join(", "),
    })
    .collect()
}

fn planned_model(model: &ModelJob, rows: Option<u64>, limit: Option<u64>) -> PlannedModel {
    let needed = |groups: u64| size(model, rows, groups).needed(&model.how.further()).peak(Until::Effects);
    let (empty, many) = (needed(0), needed(MANY));
    let per_group = (many - empty) / MANY;
    PlannedModel {
        name: model.keys.name.clone(),
        formula: model.keys.formula.clone(),
        method: format!("{:?}", model.keys.method).to_uppercase(),
        df: model.keys.df,
        by: model.keys.by.clone(),
        intervals: model.keys.intervals,
        memory_bytes: empty,
        bytes_per_group: per_group,
        groups_within_limit: limit.map(|limit| limit.saturating_sub(empty) / per_group.max(1)),
    }
}

/// Returns the size of a model with `groups` groups at its finest level, a tenth of them at the next
/// one, and so on. The number of levels of a factor is not known without reading, so a factor counts
/// as one column.
fn size(model: &ModelJob, rows: Option<u64>, groups: u64) -> Size {
    let count = |terms: &TermList| (terms.terms.len() + usize::from(terms.intercept)) as u64;
    let formula = &model.formula;
    let mut keys: Vec<&String> = formula.random.iter().flat_map(|term| &term.grouping).collect();
    keys.sort();
    keys.dedup();
    let mut levels: Vec<(&[String], u64)> = Vec::new();
    for term in &formula.random {
        match levels.iter_mut().find(|(grouping, _)| *grouping == term.grouping) {
            Some((_, r)) => *r += count(&term.coefficients),
            None => levels.push((&term.grouping, count(&term.coefficients))),
        }
    }
    levels.sort_by_key(|(grouping, _)| std::cmp::Reverse(grouping.len()));
    let sizes = levels.iter().enumerate().map(|(k, &(_, r))| (groups / 10_u64.pow(k.min(18) as u32), r));
    Size {
        rows: rows.unwrap_or(0),
        cells: groups,
        m: count(&formula.fixed) + 1,
        r: levels.iter().map(|(_, r)| r).sum(),
        keys: keys.len() as u64,
        texts: 0,
        levels: sizes.collect(),
        labels: 16 * groups,
        directions: levels.iter().map(|(_, r)| r * (r + 1) / 2).sum(),
        core: 0,
        in_hand: None,
    }
}

/// Returns the free space on the file system of a folder that may not exist yet.
fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    fs4::available_space(if there.as_os_str().is_empty() { Path::new(".") } else { there }).ok()
}

impl Planned {
    fn in_words(&self, job: &Job, inputs: &Inputs) -> String {
        let rows = self.rows.map_or_else(|| "number of rows not known".to_owned(), |rows| format!("{rows} rows"));
        let mut out = format!("Data: {} file(s), {}, {rows}\n", self.files, in_words(self.bytes));
        for file in inputs.source.files().iter().take(10) {
            let rows = file.rows.map_or(String::new(), |rows| format!(", {rows} rows"));
            let _ = writeln!(out, "  {} ({}{rows})", file.path.display(), in_words(file.bytes));
        }
        if self.files > 10 {
            let _ = writeln!(out, "  … and {} more", self.files - 10);
        }
        let names = |of: fn(&Used) -> &String| self.columns.iter().map(|used| of(used).clone()).collect();
        out += "\nColumns:\n";
        out += &table(
            2,
            &[
                Column::names("column", names(|used| &used.name)),
                Column::names("holds", names(|used| &used.kind)),
                Column::names("used as", names(|used| &used.used_as)),
            ],
        );
        out += "\nModels:\n";
        let cells = |of: &dyn Fn(&PlannedModel) -> String| self.models.iter().map(of).collect();
        out += &table(
            2,
            &[
                Column::names("model", cells(&|model| model.name.clone())),
                Column::names("method", cells(&|model| model.method.clone())),
                Column::names("df", cells(&|model| model.df.name().to_owned())),
                Column::numbers("memory", cells(&|model| in_words(model.memory_bytes))),
                Column::numbers("per group", cells(&|model| format!("{} B", model.bytes_per_group))),
                Column::names("formula", cells(&|model| model.formula.clone() + &further(model))),
            ],
        );
        let limit = self.memory_limit_bytes.map_or_else(|| "not known".to_owned(), in_words);
        let fewest = self.models.iter().filter_map(|model| model.groups_within_limit).min();
        let fewest = fewest.map_or(String::new(), |n| format!(", enough for about {n} groups of the finest level"));
        let _ = writeln!(out, "\nMemory: limit {limit}{fewest} (factors counted as one column)");
        let free = self.free_bytes.map_or_else(|| "not known".to_owned(), in_words);
        let by_row = self.by_row_bytes.filter(|bytes| *bytes > 0);
        let by_row = by_row.map_or(String::new(), |bytes| format!(", fitted values take up to {}", in_words(bytes)));
        let _ = writeln!(out, "Output: {}, free space {free}{by_row}", job.folder.display());
        if let (Some(free), Some(needed)) = (self.free_bytes, self.by_row_bytes)
            && free < needed
        {
            out += "The free space may not suffice.\n";
        }
        out
    }
}

/// Describes partitions and intervals of a model.
fn further(model: &PlannedModel) -> String {
    let by = if model.by.is_empty() { String::new() } else { format!("  by {}", model.by.join(", ")) };
    by + match model.intervals {
        None => "",
        Some(IntervalMethod::Profile) => "  with profile intervals",
        Some(IntervalMethod::Wald) => "  with Wald intervals",
        Some(IntervalMethod::Bootstrap) => "  with bootstrap intervals",
    }
}
