//! The table of all models of a job.

use super::finished::Outline;
use std::collections::BTreeMap;
use tiers_report::layout::{Column, table};
use tiers_report::numbers::fixed_point;
use tiers_report::visible;

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    /// Result of the model.
    pub result: Outline,
    /// Seconds of the model, if it was fitted by this run.
    pub seconds: Option<f64>,
}

/// Returns the table, followed by the models that failed and their errors.
pub(crate) fn text(lines: &[Line], failed: &BTreeMap<String, String>) -> String {
    let column = |cell: &dyn Fn(&Line) -> String| -> Vec<String> { lines.iter().map(cell).collect() };
    let columns = [
        Column::names("model", column(&|line| line.result.name.clone())),
        Column::names("status", column(&|line| status(&line.result))),
        Column::numbers("rows", column(&|line| line.result.n_obs.to_string())),
        Column::numbers(
            "criterion",
            column(&|line| line.result.criterion.map_or_else(|| "-".to_owned(), |value| fixed_point(value, 4))),
        ),
        Column::numbers(
            "seconds",
            column(&|line| line.seconds.map_or_else(|| "kept".to_owned(), |value| fixed_point(value, 2))),
        ),
    ];
    let mut text = if lines.is_empty() { String::new() } else { table(0, &columns) };
    for (name, why) in failed {
        text += &(visible::line(&format!("{name}: not fitted: {why}")).into_owned() + "\n");
    }
    text
}

fn status(result: &Outline) -> String {
    match (&result.partitions, result.status) {
        (Some(counts), _) => {
            let others = [(counts.not_converged, "not converged"), (counts.failed, "failed")];
            let others = others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}"));
            format!("{} of {} fitted{}", counts.fitted, counts.all, others.collect::<String>())
        }
        (None, Some(status)) if status.has_estimates() => status.to_string(),
        (None, Some(status)) => status.to_string().replace('_', " ").to_uppercase(),
        (None, None) => "NOT CONVERGED".to_owned(),
    }
}
