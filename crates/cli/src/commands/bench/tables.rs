//! The results as text and as CSV.

use super::run::Run;
use super::stats::{Cell, Growth, Identical, PHASES};
use std::fmt::Write;
use tiers_report::layout::{Column, paragraph, table};

/// Returns the printed tables.
pub(super) fn text(cells: &[Cell], growths: &[Growth], identical: &[Identical]) -> String {
    let mut out = String::from("Medians in seconds; spread is (slowest - fastest) / median; whole processes.\n");
    out += &table(0, &totals(cells));
    out += "\nReading in detail. Scan to sum go on side by side, their seconds are those of threads:\n";
    out += &table(0, &phases(cells, &["scan", "decode", "encode", "sum", "merge", "wait", "settle"]));
    if !growths.is_empty() {
        out += "\nGrowth with the rows: time and memory go by rows to the power of\n";
        out += &table(0, &exponents(growths));
    }
    out.push('\n');
    let differing: Vec<&Identical> = identical.iter().filter(|found| !found.identical).collect();
    if differing.is_empty() {
        out += "All runs of a model on a table gave the same results to the last bit.\n";
    }
    for found in differing {
        out += &paragraph(&format!("Runs of model {} on {} differ in their results!", found.model, found.table), 0);
    }
    out
}

fn totals(cells: &[Cell]) -> Vec<Column> {
    let mut columns = keys(cells);
    let numbers = |head: &str, of: &dyn Fn(&Cell) -> String| Column::numbers(head, cells.iter().map(of).collect());
    columns.push(numbers("groups", &|cell| cell.groups.to_string()));
    columns.push(numbers("total", &|cell| seconds(cell.wall)));
    columns.push(numbers("spread", &|cell| format!("{:.0}%", 100.0 * cell.spread)));
    columns.push(numbers("rows/s", &|cell| format!("{:.2e}", cell.rows as f64 / cell.wall)));
    let megabytes =
        |cell: &Cell| cell.peak_memory_bytes.map_or("?".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
    columns.push(numbers("MB", &megabytes));
    columns.push(numbers("evaluations", &|cell| cell.evaluations.to_string()));
    columns.extend(of_phases(cells, &["read", "search", "inference", "effects", "write"]));
    columns
}

fn phases(cells: &[Cell], names: &[&str]) -> Vec<Column> {
    let mut columns = keys(cells);
    columns.extend(of_phases(cells, names));
    columns
}

fn of_phases(cells: &[Cell], names: &[&str]) -> Vec<Column> {
    let column = |name: &&str| Column::numbers(name, cells.iter().map(|cell| seconds(cell.phases[*name])).collect());
    names.iter().map(column).collect()
}

fn keys(cells: &[Cell]) -> Vec<Column> {
    vec![
        Column::names("model", cells.iter().map(|cell| cell.model.clone()).collect()),
        Column::numbers("rows", cells.iter().map(|cell| cell.rows.to_string()).collect()),
        Column::numbers("threads", cells.iter().map(|cell| cell.threads.to_string()).collect()),
    ]
}

fn exponents(growths: &[Growth]) -> Vec<Column> {
    let numbers = |head: &str, of: &dyn Fn(&Growth) -> f64| {
        Column::numbers(head, growths.iter().map(|growth| format!("{:.2}", of(growth))).collect())
    };
    vec![
        Column::names("model", growths.iter().map(|growth| growth.model.clone()).collect()),
        Column::numbers("threads", growths.iter().map(|growth| growth.threads.to_string()).collect()),
        numbers("total", &|growth| growth.wall),
        numbers("read", &|growth| growth.read),
        numbers("fit", &|growth| growth.fit),
        numbers("memory", &|growth| growth.memory.unwrap_or(f64::NAN)),
    ]
}

/// Formats seconds with about three or four significant digits.
fn seconds(value: f64) -> String {
    match value {
        v if v.is_nan() => "?".to_owned(),
        v if v < 10.0 => format!("{v:.3}"),
        v if v < 100.0 => format!("{v:.2}"),
        v => format!("{v:.1}"),
    }
}

/// Returns all runs as CSV, one line each.
pub(super) fn csv(runs: &[Run]) -> String {
    let mut out =
        String::from("model,rows,threads,repeat,groups,evaluations,status,criterion,peak_memory_bytes,wall,total");
    PHASES.iter().for_each(|name| out += &format!(",{name}"));
    out.push('\n');
    for run in runs {
        let Run { model, rows, threads, repeat, groups, evaluations, status, criterion, wall, .. } = run;
        let memory = run.peak_memory_bytes.map_or(String::new(), |bytes| bytes.to_string());
        let _ = write!(
            out,
            "{model},{rows},{threads},{repeat},{groups},{evaluations},{status},{criterion},{memory},{wall}"
        );
        std::iter::once(&"total").chain(&PHASES).for_each(|name| out += &format!(",{}", run.phase(name)));
        out.push('\n');
    }
    out
}
