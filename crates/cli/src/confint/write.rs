//! `confint.json`, and profiles and replicates as parquet.

use super::found::{Found, Kept};
use super::wanted::Wanted;
use crate::outputs::{self, Staged};
use std::path::Path;
use tiers_design::PackedText;
use tiers_reml::{Bootstrap, Fit, Profile, Status};
use tiers_tables::{OutColumn, OutValues, TableError, write_file, write_parquet};

/// Name of the intervals in their folder.
const FILE: &str = "confint.json";
/// Names of the tables beside them.
const PROFILE: &str = "profile.parquet";
const REPLICATES: &str = "replicates.parquet";

/// Finds out whether files can be written into a folder, before anything long begins.
pub(super) fn check(folder: &Path) -> anyhow::Result<()> {
    outputs::check_files(folder, &[FILE, PROFILE, REPLICATES])
}

/// Writes the files into a folder, which may exist; each file appears whole.
pub(super) fn write(folder: &Path, found: &Found, json: &str) -> anyhow::Result<()> {
    outputs::make_folder(folder)?;
    found.write_table(folder)?;
    Ok(write_file(&folder.join(FILE), json.as_bytes())?)
}

impl Found {
    /// Writes them beside the other files of their fit.
    pub(crate) fn stage(&self, wanted: &Wanted, fit: &Fit, staged: &Staged<'_>) -> anyhow::Result<()> {
        self.write_table(&staged.path("")).map_err(|error| staged.told(error))?;
        staged.write(FILE, &self.json(wanted, fit))
    }

    /// What the intervals are made of, as a table.
    fn write_table(&self, folder: &Path) -> Result<(), TableError> {
        match &self.kept {
            Kept::Nothing => {}
            Kept::Profile(profile, names) => {
                write_parquet(&folder.join(PROFILE), of_profile(profile, names))?;
            }
            Kept::Replicates(bootstrap) => {
                write_parquet(&folder.join(REPLICATES), of_replicates(bootstrap))?;
            }
        }
        Ok(())
    }
}

/// A row per point of each profile: the parameter held, its value, ζ and the deviance, then all
/// parameters.
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
        columns.push(number(&own_name(name, &columns), &|point| point.parameters[i]));
    }
    columns
}

/// A row per replicate: how it ended, then all quantities.
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
        columns.push(numbers(&own_name(name, &columns), values));
    }
    columns
}

/// A column of numbers, missing where there is none.
fn numbers(name: &str, values: Vec<f64>) -> OutColumn {
    let missing: Vec<bool> = values.iter().map(|value| value.is_nan()).collect();
    let mut column = OutColumn::new(name, OutValues::F64(values));
    column.missing = missing.iter().any(|missing| *missing).then_some(missing);
    column
}

/// A coefficient that is called `value` is `value_2` here.
fn own_name(name: &str, taken: &[OutColumn]) -> String {
    let is_free = |name: &String| taken.iter().all(|other| other.name != *name);
    let further = (2..).map(|n| format!("{name}_{n}"));
    std::iter::once(name.to_owned()).chain(further).find(is_free).expect("a name that is free")
}
