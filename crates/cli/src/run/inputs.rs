//! The data of a job, opened, and its models resolved against their columns; no row is read.

use super::file::{DataKeys, TypeKey};
use super::job::{Job, ModelJob};
use anyhow::anyhow;
use std::path::PathBuf;
use tiers_design::{DesignError, Kind, Plan, Settings, nearest};
use tiers_reml::Wanted;
use tiers_tables::Source;

/// A table, and what is wanted of it.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The table.
    pub source: Source,
    /// Per model weights and reference levels.
    pub settings: Vec<Settings>,
    /// Per model what to sum.
    pub wanted: Vec<Wanted>,
}

impl Inputs {
    /// Opens the files and resolves all models.
    pub(crate) fn open(job: &Job) -> anyhow::Result<Inputs> {
        let source = Source::open(&job.paths).map_err(|error| job.document.error("data.paths", error))?;
        check_types(job, &source)?;
        let (mut settings, mut wanted) = (Vec::new(), Vec::new());
        for (i, model) in job.models.iter().enumerate() {
            let (own, plan) = resolve(job.data(), model, &source).map_err(|error| {
                let key = match &error {
                    DesignError::ReferenceWithoutFactor { .. } => "data.reference".to_owned(),
                    _ => format!("models[{i}].formula"),
                };
                job.document.error(&key, error)
            })?;
            check_by(job, i, &source)?;
            wanted.push(Wanted { plan, by: model.keys.by.clone() });
            settings.push(own);
        }
        let unused = job.data().reference.keys().find(|factor| {
            let names = |settings: &Settings| settings.reference.iter().any(|(name, _)| name == *factor);
            !settings.iter().any(names)
        });
        match unused {
            None => Ok(Inputs { source, settings, wanted }),
            Some(factor) => {
                let key = format!("data.reference.{factor}");
                Err(job.document.error(&key, format!("`{factor}` is no factor of any model")))
            }
        }
    }

    /// Paths of all files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.source.files().iter().map(|file| file.path.clone()).collect()
    }
}

/// The model against the columns, with those reference levels that are of its factors.
fn resolve(data: &DataKeys, model: &ModelJob, source: &Source) -> Result<(Settings, Plan), DesignError> {
    let reference = data.reference.iter().map(|(factor, level)| (factor.clone(), level.clone())).collect();
    let mut settings = Settings { weights: model.keys.weights.clone(), reference };
    loop {
        match Plan::new(&model.formula, source.fields(), &settings) {
            Ok(plan) => return Ok((settings, plan)),
            Err(DesignError::ReferenceWithoutFactor { column, .. })
                if settings.reference.iter().any(|(factor, _)| *factor == column) =>
            {
                settings.reference.retain(|(factor, _)| *factor != column);
            }
            Err(error) => return Err(error),
        }
    }
}

fn no_column(column: &str, source: &Source) -> anyhow::Error {
    let names: Vec<String> = source.fields().iter().map(|field| field.name.clone()).collect();
    match nearest(column, &names) {
        Some(near) => anyhow!("there is no column `{column}`; did you mean `{near}`?"),
        None => anyhow!("there is no column `{column}`; the columns are {}", names.join(", ")),
    }
}

fn check_by(job: &Job, i: usize, source: &Source) -> anyhow::Result<()> {
    for column in &job.models[i].keys.by {
        let told = |why: &dyn std::fmt::Display| Err(job.document.error(&format!("models[{i}].by"), why));
        match source.fields().iter().find(|field| field.name == *column).map(|field| &field.kind) {
            Some(Kind::Other(kind)) => return told(&format!("`{column}` is of type {kind}; name integers or texts")),
            Some(_) => {}
            None => return told(&no_column(column, source)),
        }
    }
    Ok(())
}

/// Whether the columns hold what the job file says they do.
fn check_types(job: &Job, source: &Source) -> anyhow::Result<()> {
    for (column, wanted) in &job.data().types {
        let told = |why: &dyn std::fmt::Display| Err(job.document.error(&format!("data.types.{column}"), why));
        let Some(field) = source.fields().iter().find(|field| field.name == *column) else {
            return told(&no_column(column, source));
        };
        let (found, holds) = match &field.kind {
            Kind::Float => ("numbers that need not be integers", *wanted == TypeKey::Number),
            Kind::Integer => ("integers", matches!(wanted, TypeKey::Number | TypeKey::Integer)),
            Kind::Boolean => ("booleans", *wanted == TypeKey::Boolean),
            Kind::Text => ("text", *wanted == TypeKey::Text),
            Kind::Other(kind) => (kind.as_str(), false),
        };
        if !holds {
            let words = match wanted {
                TypeKey::Number => "numbers",
                TypeKey::Integer => "integers",
                TypeKey::Text => "text",
                TypeKey::Boolean => "booleans",
            };
            return told(&format!("`{column}` must hold {words}, but in the files it holds {found}"));
        }
    }
    Ok(())
}
