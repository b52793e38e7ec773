//! Opens the data of a job and resolves its models against the columns, without reading rows.

use super::file::DataKeys;
use super::job::{Job, ModelJob};
use crate::csv;
use crate::memory::check_heads;
use std::path::PathBuf;
use tiers_design::{DesignError, Doubt, Kind, Plan, Settings};
use tiers_moments::Wanted;
use tiers_tables::Source;

/// The table of a job, and the models to accumulate.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The table.
    pub source: Source,
    /// Weights and reference levels of each model.
    pub settings: Vec<Settings>,
    /// Each model, to be accumulated.
    pub wanted: Vec<Wanted>,
}

impl Inputs {
    /// Opens the files and resolves all models.
    pub(crate) fn open(job: &Job) -> anyhow::Result<Inputs> {
        check_heads(job.memory, &job.paths)?;
        let source =
            Source::open_with(&job.paths, &job.csv).map_err(|error| job.document.error("data.paths", error))?;
        csv::check(&source, &job.csv)
            .map_err(|misfit| job.document.error(&format!("data.{}", misfit.option), misfit.why))?;
        let (mut settings, mut wanted) = (Vec::new(), Vec::new());
        for (i, model) in job.models.iter().enumerate() {
            let (own, plan) = resolve(job.data(), model, &source).map_err(|error| {
                let key = match &error {
                    DesignError::ReferenceWithoutFactor { .. } => "data.reference".to_owned(),
                    DesignError::LevelsWithoutFactor { .. } => "data.levels".to_owned(),
                    _ => format!("models[{i}].formula"),
                };
                job.document.error(&key, error)
            })?;
            check_by(job, i, &source)?;
            wanted.push(Wanted { plan, by: model.keys.by.clone() });
            settings.push(own);
        }
        let has_reference = |factor: &String| settings.iter().any(|own| own.reference.iter().any(|(f, _)| f == factor));
        let has_levels = |factor: &String| settings.iter().any(|own| own.levels.iter().any(|(f, _)| f == factor));
        let of_reference = job.data().reference.keys().find(|factor| !has_reference(factor));
        let of_levels = job.data().levels.keys().find(|factor| !has_levels(factor));
        for (key, factor) in [("reference", of_reference), ("levels", of_levels)] {
            if let Some(factor) = factor {
                let key = format!("data.{key}.{factor}");
                return Err(job.document.error(&key, format!("`{factor}` is not a factor of any model")));
            }
        }
        Ok(Inputs { source, settings, wanted })
    }

    /// Returns the paths of all files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.source.files().iter().map(|file| file.path.clone()).collect()
    }
}

/// Resolves a model against the columns, with the levels and reference levels of its factors.
fn resolve(data: &DataKeys, model: &ModelJob, source: &Source) -> Result<(Settings, Plan), DesignError> {
    let reference = data.reference.iter().map(|(factor, level)| (factor.clone(), level.clone())).collect();
    let levels = data.levels.iter().map(|(factor, levels)| (factor.clone(), levels.clone())).collect();
    let mut settings =
        Settings { weights: model.keys.weights.clone(), reference, levels, generalised: model.generalised.is_some() };
    loop {
        match Plan::new(&model.formula, source.fields(), &settings) {
            Ok(plan) => return Ok((settings, plan)),
            Err(DesignError::ReferenceWithoutFactor { column, .. })
                if settings.reference.iter().any(|(factor, _)| *factor == column) =>
            {
                settings.reference.retain(|(factor, _)| *factor != column);
            }
            Err(DesignError::LevelsWithoutFactor { column, .. })
                if settings.levels.iter().any(|(factor, _)| *factor == column) =>
            {
                settings.levels.retain(|(factor, _)| *factor != column);
            }
            Err(error) => return Err(error),
        }
    }
}

fn check_by(job: &Job, i: usize, source: &Source) -> anyhow::Result<()> {
    for column in &job.models[i].keys.by {
        let fail = |why: &dyn std::fmt::Display| Err(job.document.error(&format!("models[{i}].by"), why));
        match source.fields().iter().find(|field| field.name == *column).map(|field| &field.kind) {
            Some(Kind::Mixed(Doubt { odd, remedy, like_ids: false })) => {
                return fail(&format!("`{column}` holds numbers or dates for the most part, but also {odd}; {remedy}"));
            }
            Some(Kind::Unequal(why)) => return fail(why),
            Some(Kind::Other(kind)) => return fail(&format!("`{column}` is of type {kind}; name integers or texts")),
            Some(_) => {}
            None => return fail(&csv::no_column(column, source)),
        }
    }
    Ok(())
}
