//! Report of a run: numbers of rows that were predicted, missing, or of unknown groups.

use crate::args::PredictArgs;
use indicatif::HumanCount;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use tiers_reml::{IntervalKind, PredictedRows, Predictor};

/// Report of the predictions.
#[derive(Debug, Serialize)]
pub(crate) struct PredictionReport {
    /// Version of the program.
    tiers: &'static str,
    /// The folder of the fit.
    fit: String,
    formula: String,
    new_data: Vec<PathBuf>,
    out: PathBuf,
    /// The scale of the predictions of a generalised fit: `link` or `response`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scale: Option<&'static str>,
    /// Rows of the new data, and of the file of predictions.
    rows: u64,
    /// Rows that have a prediction.
    predicted: u64,
    /// Pairs of a column or expression and the rows in which it is missing.
    missing: Vec<(String, u64)>,
    /// Rows without a prediction because their combination of predictors is not estimable.
    not_estimable: u64,
    /// The first of these, counted from 1 over all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_not_estimable: Option<u64>,
    /// The levels whose random effects are used, coarsest first.
    levels: Vec<LevelReport>,
    std_error: bool,
    interval: Option<IntervalReport>,
}

#[derive(Debug, Serialize)]
struct LevelReport {
    level: String,
    /// Rows that have a prediction but are in no group that the fit knows.
    unknown: u64,
}

#[derive(Debug, Serialize)]
struct IntervalReport {
    kind: &'static str,
    level: f64,
}

impl PredictionReport {
    /// Creates an empty report.
    pub(crate) fn new(args: &PredictArgs, (fit, formula): (&str, &str), predictor: &Predictor<'_>) -> PredictionReport {
        let kind = |kind| match kind {
            IntervalKind::Confidence => "confidence",
            IntervalKind::Prediction => "prediction",
        };
        PredictionReport {
            tiers: env!("CARGO_PKG_VERSION"),
            fit: fit.to_owned(),
            formula: formula.to_owned(),
            new_data: args.new_data.clone(),
            out: args.out.clone(),
            scale: None,
            rows: 0,
            predicted: 0,
            missing: predictor.predictors().into_iter().map(|name| (name, 0)).collect(),
            not_estimable: 0,
            first_not_estimable: None,
            levels: predictor.levels().map(|level| LevelReport { level: level.to_owned(), unknown: 0 }).collect(),
            std_error: args.se,
            interval: args.interval.map(|of| IntervalReport { kind: kind(of), level: args.conf_level }),
        }
    }

    /// Counts some rows.
    pub(crate) fn count(&mut self, rows: &PredictedRows) {
        let is_missing = |i: usize| rows.missing.as_ref().is_some_and(|missing| missing[i]);
        let n = rows.prediction.len();
        self.rows += n as u64;
        self.predicted += (0..n).filter(|&i| !is_missing(i)).count() as u64;
        self.missing.iter_mut().zip(&rows.missing_by).for_each(|((_, sum), rows)| *sum += rows);
        self.not_estimable += rows.not_estimable.len() as u64;
        if let (None, Some(&first)) = (self.first_not_estimable, rows.not_estimable.first()) {
            self.first_not_estimable = Some(rows.first_row + first as u64 + 1);
        }
        for (level, known) in self.levels.iter_mut().zip(&rows.known) {
            level.unknown += known.iter().enumerate().filter(|(i, known)| !**known && !is_missing(*i)).count() as u64;
        }
    }

    /// Completes the report after the last row.
    pub(crate) fn finish(&mut self) {
        self.missing.retain(|(_, rows)| *rows > 0);
    }

    /// Returns the report as JSON that ends in a line feed.
    pub(crate) fn json(&self) -> String {
        tiers_report::json(self)
    }

    /// Returns the report as text.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("Predictions of {}\n", self.formula);
        let mut line = |name: &str, what: String| writeln!(text, "{name:<9} {what}").expect("writing to a text");
        line("Fit:", self.fit.clone());
        line(
            "Effects:",
            match self.levels.is_empty() {
                true => "fixed effects only (population)".to_owned(),
                false => {
                    let names: Vec<&str> = self.levels.iter().map(|level| &level.level[..]).collect();
                    format!("fixed and random effects of {}", names.join(", "))
                }
            },
        );
        if let Some(scale) = self.scale {
            let what = match (scale, self.levels.is_empty()) {
                ("link", _) => "the linear predictor".to_owned(),
                (_, true) => "means of the response over all groups".to_owned(),
                (_, false) => "means of the response, over all groups where a row's group is not known".to_owned(),
            };
            line("Scale:", format!("{scale}, {what}"));
        }
        if let Some(IntervalReport { kind, level }) = &self.interval {
            line("Interval:", format!("{kind}, {}% (normal)", (1e6 * 100.0 * level).round() / 1e6));
        }
        line("Rows:", format!("{} predicted of {}", HumanCount(self.predicted), HumanCount(self.rows)));
        if self.not_estimable > 0 {
            line(
                "Not est.:",
                format!("{} of combinations that the fit cannot estimate", HumanCount(self.not_estimable)),
            );
        }
        let missing = self.rows - self.predicted - self.not_estimable;
        if missing > 0 {
            let by = self.missing.iter().map(|(name, rows)| format!("{name} {}", HumanCount(*rows)));
            line("Missing:", format!("{}; {}", HumanCount(missing), by.collect::<Vec<_>>().join(", ")));
        }
        let new: Vec<String> = self.levels.iter().filter(|level| level.unknown > 0).map(LevelReport::text).collect();
        if !new.is_empty() {
            line("New:", format!("rows of groups that the fit has not seen: {}", new.join(", ")));
        }
        line("Written:", self.out.display().to_string());
        text
    }

    /// Returns a note if rows have a combination of predictors that is not estimable.
    pub(crate) fn not_estimable(&self) -> Option<String> {
        let first = self.first_not_estimable?;
        let rows = match self.not_estimable {
            1 => format!("row {first} has"),
            n => format!("{} rows (the first is row {first}) have", HumanCount(n)),
        };
        Some(format!(
            "tiers: note: {rows} no prediction (null): the fit dropped columns, and without them the mean of this \
             combination of predictors, such as of levels that never occurred together, is not estimable"
        ))
    }

    /// Returns a note if no row has a known group of some level, most likely because ids are written
    /// differently.
    pub(crate) fn all_unknown(&self) -> Option<String> {
        let all_new = self.levels.iter().find(|level| self.predicted > 0 && level.unknown == self.predicted)?;
        Some(format!(
            "tiers: note: no row is in a group of {} that the fit knows; if that is unexpected, compare its ids with \
             those of the fit",
            all_new.level
        ))
    }
}

impl LevelReport {
    fn text(&self) -> String {
        format!("{} {}", self.level, HumanCount(self.unknown))
    }
}
