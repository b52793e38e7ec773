//! Computes medians, spreads and exponents from runs.

use super::run::Run;
use serde::Serialize;
use std::collections::BTreeMap;

/// Phases of a fit in the order in which they are printed; see [`tiers_report::Phases`].
pub(super) const PHASES: [&str; 13] = [
    "read",
    "scan",
    "decode",
    "encode",
    "sum",
    "merge",
    "wait",
    "settle",
    "fit",
    "search",
    "inference",
    "effects",
    "write",
];

/// The runs of one model, table and number of threads.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cell {
    /// Name of the model.
    pub model: String,
    /// Rows of the table.
    pub rows: u64,
    /// Threads.
    pub threads: usize,
    /// Median of the seconds of the processes.
    pub wall: f64,
    /// `(slowest − fastest) / median`.
    pub spread: f64,
    /// Peak memory over all runs.
    pub peak_memory_bytes: Option<u64>,
    /// Medians of the phases' seconds.
    pub phases: BTreeMap<String, f64>,
    /// Groups of all levels together.
    pub groups: u64,
    /// Evaluations of the likelihood.
    pub evaluations: u64,
}

/// Exponents by which a model's time and memory grow with the number of rows, by least squares on the
/// logarithms.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Growth {
    /// Name of the model.
    pub model: String,
    /// Threads.
    pub threads: usize,
    /// Fewest and most rows.
    pub rows: (u64, u64),
    /// Exponent of the seconds of the processes.
    pub wall: f64,
    /// Exponent of reading, up to the moments.
    pub read: f64,
    /// Exponent of fitting, from the moments.
    pub fit: f64,
    /// Exponent of the memory.
    pub memory: Option<f64>,
}

/// Whether all runs of a model and table gave bit-identical results.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Identical {
    /// Name of the model.
    pub model: String,
    /// Name of the table.
    pub table: String,
    /// Whether fit.json, except for times and memory, was the same for all runs and numbers of threads.
    pub identical: bool,
}

/// Summarises the runs of each case, in the order in which the cases first occur.
pub(super) fn cells(runs: &[Run]) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut seen: Vec<(&str, &str, usize)> = Vec::new();
    for run in runs {
        let key = (run.model.as_str(), run.table.as_str(), run.threads);
        if !seen.contains(&key) {
            seen.push(key);
            let is_same = |other: &&Run| (other.model.as_str(), other.table.as_str(), other.threads) == key;
            cells.push(cell(&runs.iter().filter(is_same).collect::<Vec<_>>()));
        }
    }
    cells
}

fn cell(runs: &[&Run]) -> Cell {
    let of = |value: &dyn Fn(&Run) -> f64| runs.iter().map(|run| value(run)).collect::<Vec<f64>>();
    let walls = of(&|run| run.wall);
    let wall = median(walls.clone());
    let most = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    Cell {
        model: runs[0].model.clone(),
        rows: runs[0].rows,
        threads: runs[0].threads,
        wall,
        spread: (most(&walls) - least(&walls)) / wall,
        peak_memory_bytes: runs.iter().filter_map(|run| run.peak_memory_bytes).max(),
        phases: PHASES.iter().map(|&name| (name.to_owned(), median(of(&|run| run.phase(name))))).collect(),
        groups: runs[0].groups,
        evaluations: runs[0].evaluations,
    }
}

/// Computes the growth of every model and number of threads that was run at more than one size.
pub(super) fn growths(cells: &[Cell]) -> Vec<Growth> {
    let mut out: Vec<Growth> = Vec::new();
    for first in cells {
        let is_same = |cell: &&Cell| (&cell.model, cell.threads) == (&first.model, first.threads);
        let series: Vec<&Cell> = cells.iter().filter(is_same).collect();
        let rows = || series.iter().map(|cell| cell.rows);
        let (fewest, most) = (rows().min().unwrap_or(0), rows().max().unwrap_or(0));
        if fewest == most || out.iter().any(|g| (&g.model, g.threads) == (&first.model, first.threads)) {
            continue;
        }
        let slope_of = |value: &dyn Fn(&Cell) -> f64| slope(series.iter().map(|cell| (cell.rows as f64, value(cell))));
        let all_memory = series.iter().all(|cell| cell.peak_memory_bytes.is_some());
        out.push(Growth {
            model: first.model.clone(),
            threads: first.threads,
            rows: (fewest, most),
            wall: slope_of(&|cell| cell.wall),
            read: slope_of(&|cell| cell.phases["read"]),
            fit: slope_of(&|cell| cell.phases["fit"]),
            memory: all_memory.then(|| slope_of(&|cell| cell.peak_memory_bytes.unwrap_or(0) as f64)),
        });
    }
    out
}

/// Compares the results of all runs of a model and table.
pub(super) fn identical(runs: &[Run]) -> Vec<Identical> {
    let mut out: Vec<Identical> = Vec::new();
    for first in runs {
        if out.iter().any(|known| (&known.model, &known.table) == (&first.model, &first.table)) {
            continue;
        }
        let mut same = runs.iter().filter(|run| (&run.model, &run.table) == (&first.model, &first.table));
        let identical = same.all(|run| run.result == first.result);
        out.push(Identical { model: first.model.clone(), table: first.table.clone(), identical });
    }
    out
}

/// Returns the median; for an even number of values, the mean of the two in the middle.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}

/// Returns the slope of log y on log x by least squares.
fn slope(points: impl Iterator<Item = (f64, f64)>) -> f64 {
    let points: Vec<(f64, f64)> = points.map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x_mean, y_mean) = (mean(|p| p.0), mean(|p| p.1));
    let cross: f64 = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    cross / points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_slopes() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        let linear = slope([1e3, 1e4, 1e5].into_iter().map(|n| (n, 2e-6 * n)));
        assert!((linear - 1.0).abs() < 1e-12);
        let quadratic = slope([1e3, 1e4].into_iter().map(|n: f64| (n, n * n)));
        assert!((quadratic - 2.0).abs() < 1e-12);
    }
}
