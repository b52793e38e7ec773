//! Writes `confint.json`, and profiles and replicates as parquet.

use super::request::IntervalRequest;
use super::result::{Details, IntervalResult, OfFit};
use std::path::Path;
use tiers_design::PackedText;
use tiers_outputs::{OutColumn, OutValues, OutputError, Staged, own_name, write_file};
use tiers_reml::{Bootstrap, Profile, Status};
use tiers_tables::write_parquet;

/// Name of the file of intervals.
const FILE: &str = "confint.json";
/// Names of the tables beside them.
const PROFILE: &str = "profile.parquet";
const REPLICATES: &str = "replicates.parquet";

/// Checks that files can be written into a folder, before any long computation.
pub(super) fn check(folder: &Path) -> anyhow::Result<()> {
    Ok(tiers_outputs::check_files("--out", folder, &[FILE, PROFILE, REPLICATES])?)
}

/// Writes the files into a folder, which may exist; each file appears whole.
pub(super) fn write(folder: &Path, result: &IntervalResult, json: &str) -> anyhow::Result<()> {
    tiers_outputs::make_folder("--out", folder)?;
    result.write_table(folder)?;
    Ok(write_file(&folder.join(FILE), json.as_bytes())?)
}

impl IntervalResult {
    /// Writes the intervals beside the other files of their fit.
    pub(crate) fn stage(&self, request: &IntervalRequest, fit: OfFit<'_>, staged: &Staged<'_>) -> anyhow::Result<()> {
        self.write_table(&staged.path("")).map_err(|error| staged.renamed(error))?;
        Ok(staged.write(FILE, &self.json(request, fit))?)
    }

    /// Writes the profiles or replicates as a table.
    fn write_table(&self, folder: &Path) -> Result<(), OutputError> {
        match &self.details {
            Details::Nothing => {}
            Details::Profile(profile, names) => {
                write_parquet(&folder.join(PROFILE), of_profile(profile, names))?;
            }
            Details::Replicates(bootstrap) => {
                write_parquet(&folder.join(REPLICATES), of_replicates(bootstrap))?;
            }
        }
        Ok(())
    }
}

/// Returns a row per point of each profile: the parameter held fixed, its value, ζ and the deviance,
/// then all parameters.
fn of_profile(profile: &Profile, names: &[String]) -> Vec<OutColumn> {
    let points = || profile.curves.iter().flat_map(|curve| curve.points.iter().map(move |point| (curve, point)));
    let number = |name: &str, value: &dyn Fn(&tiers_reml::ProfilePoint) -> f64| {
        numbers(name, points().map(|(_, point)| value(point)).collect())
    };
    let held = points().map(|(curve, _)| curve.name.as_str()).collect::<PackedText>();
    let mut columns = vec![
        OutColumn::new("parameter", OutValues::Text(held)),
        number("value", &|point| point.value),
        number("zeta", &|point| point.zeta),
        number("deviance", &|point| point.deviance),
    ];
    for (i, name) in names.iter().enumerate() {
        columns.push(number(&free_name(name, &columns), &|point| point.parameters[i]));
    }
    columns
}

/// Returns a row per replicate: its status and number of evaluations, then all quantities.
fn of_replicates(bootstrap: &Bootstrap) -> Vec<OutColumn> {
    let replicates = &bootstrap.replicates;
    let word = |status: Status| match status {
        Status::Converged => "converged",
        Status::Boundary => "boundary",
        Status::NotConverged => "not_converged",
    };
    let status = replicates.iter().map(|replicate| word(replicate.status)).collect::<PackedText>();
    let mut columns = vec![
        OutColumn::new("replicate", OutValues::I64((1..=replicates.len() as i64).collect())),
        OutColumn::new("status", OutValues::Text(status)),
        OutColumn::new("evaluations", OutValues::I64(replicates.iter().map(|r| r.evaluations as i64).collect())),
    ];
    for (i, name) in bootstrap.names.iter().enumerate() {
        let values = replicates.iter().map(|replicate| replicate.values[i]).collect();
        columns.push(numbers(&free_name(name, &columns), values));
    }
    columns
}

/// Returns a column of numbers; NaN becomes a missing value.
fn numbers(name: &str, values: Vec<f64>) -> OutColumn {
    let missing: Vec<bool> = values.iter().map(|value| value.is_nan()).collect();
    let mut column = OutColumn::new(name, OutValues::F64(values));
    column.missing = missing.iter().any(|missing| *missing).then_some(missing);
    column
}

/// Returns a name that is not taken: a coefficient called `value` becomes `value_2`.
fn free_name(name: &str, taken: &[OutColumn]) -> String {
    own_name(name, &taken.iter().map(|column| &column.name[..]).collect::<Vec<_>>())
}
