//! Fits the same model in every partition of the rows, with the results in one table.

use super::finished::Counts;
use super::job::ModelJob;
use super::stop::Stop;
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;
use tiers_design::{Kind, PackedText};
use tiers_moments::Partitions;
use tiers_outputs::{OutColumn, OutValues, OutputError, Staged};
use tiers_reml::{Fit, FitError, FixedEffect, SearchError, Status, Step, Trial, VarianceComponent, fit_moments};
use tiers_report::visible;
use tiers_tables::{Source, write_parquet};

/// Name of the table in the folder of the model.
pub(crate) const TABLE: &str = "by.parquet";

/// Result of a partition: its fit, or the error.
type Outcome = Result<Box<Fit>, String>;

/// The fits of all partitions of a model.
#[derive(Debug)]
pub(crate) struct Fitted {
    by: Vec<String>,
    /// Number of rows that belong to no partition.
    pub unlabelled_rows: u64,
    labels: Vec<Vec<String>>,
    outcomes: Vec<Outcome>,
}

/// Contents of `fit.json` of a model by partitions.
#[derive(Debug, Serialize)]
struct Report<'a> {
    tiers: &'static str,
    formula: &'a str,
    method: tiers_reml::Method,
    by: &'a [String],
    partitions: Counts,
    n_obs: u64,
    unlabelled_rows: u64,
}

/// Fits all partitions in parallel; `None` if the job was asked to stop.
pub(crate) fn fit(
    partitions: &Partitions,
    model: &ModelJob,
    stop: &Stop,
    one_more: &(dyn Fn() + Sync),
) -> Option<Fitted> {
    let one = |index: usize| -> Option<Outcome> {
        let outcome = match fit_one(partitions, index, model, stop) {
            Ok(Some(fit)) if !fit.criterion.is_finite() => Err("the likelihood is not a finite number".to_owned()),
            Ok(fit) => Ok(Box::new(fit?)),
            Err(error) => Err(error.to_string()),
        };
        one_more();
        Some(outcome)
    };
    let outcomes: Option<Vec<Outcome>> = (0..partitions.len()).into_par_iter().map(one).collect();
    Some(Fitted {
        by: partitions.by.clone(),
        unlabelled_rows: partitions.unlabelled_rows,
        labels: (0..partitions.len()).map(|index| partitions.labels(index).to_vec()).collect(),
        outcomes: outcomes?,
    })
}

fn fit_one(partitions: &Partitions, index: usize, model: &ModelJob, stop: &Stop) -> anyhow::Result<Option<Fit>> {
    if stop.asked() {
        return Ok(None);
    }
    let mut go_on = |_: &Trial<'_>, _: &Step| !stop.asked();
    match fit_moments(partitions.ingested(index)?, &model.how.fitting, &mut go_on) {
        Err(FitError::Search(SearchError::Cancelled)) => Ok(None),
        fitted => Ok(Some(fitted?.fit)),
    }
}

impl Fitted {
    /// Counts the partitions by status.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts { all: self.outcomes.len() as u64, ..Counts::default() };
        for outcome in &self.outcomes {
            match outcome {
                Ok(fit) if fit.status == Status::NotConverged => counts.not_converged += 1,
                Ok(_) => counts.fitted += 1,
                Err(_) => counts.failed += 1,
            }
        }
        counts
    }

    /// Returns the number of rows used by all fits together.
    pub(crate) fn n_obs(&self) -> u64 {
        self.fits().map(|fit| fit.n_obs).sum()
    }

    /// Returns the number of evaluations of all searches together.
    pub(crate) fn evaluations(&self) -> u64 {
        self.fits().map(|fit| fit.optimizer.evaluations as u64).sum()
    }

    /// Returns the partitions that could not be fitted, as `state=TX`, and the errors.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (String, &str)> {
        let named = self.labels.iter().zip(&self.outcomes);
        named.filter_map(|(labels, outcome)| {
            let pairs = self.by.iter().zip(labels).map(|(column, label)| format!("{column}={label}"));
            Some((pairs.collect::<Vec<_>>().join(", "), outcome.as_ref().err()?.as_str()))
        })
    }

    fn fits(&self) -> impl Iterator<Item = &Fit> {
        self.outcomes.iter().flatten().map(|fit| &**fit)
    }

    /// Writes the table, and a short summary as text and JSON.
    pub(crate) fn write(&self, model: &ModelJob, source: &Source, staged: &Staged<'_>) -> anyhow::Result<()> {
        self.write_table(source, &staged.path(TABLE)).map_err(|error| staged.renamed(error))?;
        let counts = self.counts();
        let (by, formula) = (&self.by, &model.keys.formula);
        let mut text = format!(
            "Linear mixed models by {}\nFormula: {formula}\n{} partitions: {} fitted, {} not converged, {} failed; see \
             {TABLE}\n",
            by.join(", "),
            counts.all,
            counts.fitted,
            counts.not_converged,
            counts.failed
        );
        for (partition, why) in self.failures() {
            text += &(visible::line(&format!("{partition}: {why}")).into_owned() + "\n");
        }
        staged.write("summary.txt", &text)?;
        let (unlabelled_rows, n_obs) = (self.unlabelled_rows, self.n_obs());
        let (tiers, method) = (env!("CARGO_PKG_VERSION"), model.how.fitting.method);
        let report = Report { tiers, formula, method, by, partitions: counts, n_obs, unlabelled_rows };
        Ok(staged.write("fit.json", &tiers_report::json(&report))?)
    }

    fn write_table(&self, source: &Source, path: &Path) -> Result<(), OutputError> {
        let mut columns: Vec<OutColumn> = (0..self.by.len()).map(|k| self.label_column(k, source)).collect();
        let status = |outcome: &Outcome| match outcome {
            Ok(fit) => match fit.status {
                Status::Converged => "converged",
                Status::Boundary => "boundary",
                Status::NotConverged => "not_converged",
            },
            Err(_) => "failed",
        };
        columns
            .push(OutColumn::new("status", OutValues::Text(self.outcomes.iter().map(status).collect::<PackedText>())));
        columns.push(self.counts_of("n_obs", |fit| fit.n_obs));
        columns.push(self.counts_of("n_dropped", |fit| fit.n_dropped));
        for term in self.names(|fit| fit.fixed_effects.iter().map(|effect| effect.term.clone()).collect()) {
            let of = |value: fn(&FixedEffect) -> Option<f64>| {
                let term = term.clone();
                move |fit: &Fit| value(fit.fixed_effects.iter().find(|effect| effect.term == term)?)
            };
            columns.push(self.numbers(&format!("estimate {term}"), of(|effect| Some(effect.estimate))));
            columns.push(self.numbers(&format!("std_error {term}"), of(|effect| Some(effect.std_error))));
            columns.push(self.numbers(&format!("df {term}"), of(|effect| effect.df)));
            columns.push(self.numbers(&format!("p_value {term}"), of(|effect| Some(effect.p_value))));
        }
        columns.extend(self.components());
        columns.push(self.numbers("sigma", |fit| Some(fit.sigma)));
        columns.push(self.numbers("criterion", |fit| Some(fit.criterion)));
        columns.push(self.counts_of("evaluations", |fit| fit.optimizer.evaluations as u64));
        let message = |outcome: &Outcome| outcome.as_ref().err().cloned().unwrap_or_default();
        let mut messages =
            OutColumn::new("message", OutValues::Text(self.outcomes.iter().map(message).collect::<PackedText>()));
        messages.missing = Some(self.outcomes.iter().map(Result::is_ok).collect());
        columns.push(messages);
        // If two columns have the same name, the later one is renamed.
        for i in 1..columns.len() {
            while columns[..i].iter().any(|before| before.name == columns[i].name) {
                columns[i].name += "_2";
            }
        }
        write_parquet(path, columns)
    }

    /// Returns the columns of standard deviations and correlations of the random effects.
    fn components(&self) -> Vec<OutColumn> {
        let name = |component: &VarianceComponent, term: &str| format!("{} {term}", component.level);
        let mut columns = Vec::new();
        let all = |component: &VarianceComponent| -> Vec<String> {
            component.terms.iter().map(|term| name(component, term)).collect()
        };
        for wanted in self.names(|fit| fit.variance_components.iter().flat_map(all).collect()) {
            columns.push(self.numbers(&format!("sd {wanted}"), |fit| {
                fit.variance_components.iter().find_map(|component| {
                    let at = all(component).iter().position(|name| *name == wanted)?;
                    Some(component.sd[at])
                })
            }));
        }
        let pairs = |component: &VarianceComponent| -> Vec<(String, Option<f64>)> {
            let pair = |i: usize, j: usize| {
                let name = format!("{} {} {}", component.level, component.terms[j], component.terms[i]);
                (name, component.correlation[i][j])
            };
            (0..component.terms.len()).flat_map(|i| (0..i).map(move |j| pair(i, j))).collect()
        };
        let all =
            |fit: &Fit| -> Vec<(String, Option<f64>)> { fit.variance_components.iter().flat_map(pairs).collect() };
        for wanted in self.names(|fit| all(fit).into_iter().map(|(name, _)| name).collect()) {
            columns.push(self.numbers(&format!("correlation {wanted}"), |fit| {
                all(fit).into_iter().find(|(name, _)| *name == wanted)?.1
            }));
        }
        columns
    }

    /// Returns the names that occur in any of the fits, in the order of first occurrence.
    fn names(&self, of: impl Fn(&Fit) -> Vec<String>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.fits().flat_map(of) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn label_column(&self, k: usize, source: &Source) -> OutColumn {
        let name = &self.by[k];
        let is_integer = source
            .fields()
            .iter()
            .any(|field| field.name == *name && matches!(field.kind, Kind::Integer | Kind::Float));
        let integers: Option<Vec<i64>> = self.labels.iter().map(|labels| labels[k].parse().ok()).collect();
        match integers.filter(|_| is_integer) {
            Some(integers) => OutColumn::new(name, OutValues::I64(integers)),
            None => OutColumn::new(name, OutValues::Text(self.labels.iter().map(|labels| &labels[k]).collect())),
        }
    }

    fn numbers(&self, name: &str, of: impl Fn(&Fit) -> Option<f64>) -> OutColumn {
        let values: Vec<Option<f64>> = self.outcomes.iter().map(|outcome| of(outcome.as_ref().ok()?)).collect();
        let mut column = OutColumn::new(name, OutValues::F64(values.iter().map(|v| v.unwrap_or(f64::NAN)).collect()));
        column.missing = Some(values.iter().map(Option::is_none).collect());
        column
    }

    fn counts_of(&self, name: &str, of: impl Fn(&Fit) -> u64) -> OutColumn {
        let count = |outcome: &Outcome| outcome.as_ref().map_or(0, |fit| of(fit) as i64);
        let mut column = OutColumn::new(name, OutValues::I64(self.outcomes.iter().map(count).collect()));
        column.missing = Some(self.outcomes.iter().map(Result::is_err).collect());
        column
    }
}
