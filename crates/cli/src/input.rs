//! Input of a fit: rows of a table, or moments that were computed before.

use crate::memory::Limit;
use crate::progress::Reading as ReadingBar;
use std::path::PathBuf;
use tiers_design::{Formula, Plan, Recipe, Settings};
use tiers_moments::{
    Definition, Further, IngestError, Ingested, MemoryLimit, MomentsFolder, Part, Reading, Until, Wanted,
    accumulate_with, merge, merged_definition,
};
use tiers_report::Data;
use tiers_tables::{CsvOptions, Parquet, Source};

/// The input of a fit, as the user names it.
#[derive(Debug)]
pub(crate) enum InputSpec {
    /// Rows of a table.
    Rows {
        /// The models.
        formulas: Vec<Formula>,
        /// Weights and reference levels.
        design: Settings,
        /// Files, folders or globs of the rows.
        data: Vec<PathBuf>,
        /// How text files are read.
        csv: CsvOptions,
    },
    /// Folders of moments.
    Moments(Vec<PathBuf>),
}

/// The input of a fit, opened but not yet read.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// Rows, and the model to fit to them.
    Rows { paths: &'a [PathBuf], source: Source, formula: &'a Formula, settings: &'a Settings },
    /// Moments of one data set in parts.
    Moments { paths: &'a [PathBuf], parts: Vec<MomentsFolder> },
}

impl<'a> Input<'a> {
    /// Opens the input of each model; all models share one table.
    pub(crate) fn open(spec: &'a InputSpec) -> anyhow::Result<Vec<Input<'a>>> {
        match spec {
            InputSpec::Rows { formulas, design: settings, data: paths, csv } => {
                let source = crate::csv::open(paths, csv)?;
                let rows = |formula| Input::Rows { paths, source: source.clone(), formula, settings };
                Ok(formulas.iter().map(rows).collect())
            }
            InputSpec::Moments(paths) => {
                let parts = paths.iter().map(|path| MomentsFolder::open(path, &Parquet)).collect::<Result<_, _>>()?;
                Ok(vec![Input::Moments { paths, parts }])
            }
        }
    }

    /// Returns the table if the input is rows.
    pub(crate) fn source(&self) -> Option<&Source> {
        match self {
            Input::Rows { source, .. } => Some(source),
            Input::Moments { .. } => None,
        }
    }

    /// Resolves the formula against the columns of the table, to be accumulated with other models.
    pub(crate) fn wanted(&self) -> anyhow::Result<Wanted> {
        let Input::Rows { source, formula, settings, .. } = self else { unreachable!("moments have a single model") };
        Ok(Wanted::new(Plan::new(formula, source.fields(), settings)?))
    }

    /// Returns all files that are read.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            Input::Rows { source, .. } => source.files().iter().map(|file| file.path.clone()).collect(),
            Input::Moments { parts, .. } => parts.iter().flat_map(MomentsFolder::files).collect(),
        }
    }

    /// Returns the number of rows, or cells of moments, to read, if it is known.
    pub(crate) fn count(&self) -> Option<u64> {
        match self {
            Input::Rows { source, .. } => source.rows(),
            Input::Moments { parts, .. } => parts.iter().map(MomentsFolder::count).sum(),
        }
    }

    /// Reads the input and returns its moments.
    pub(crate) fn read(
        &self,
        limit: Limit,
        (until, inference): (Until, Further),
        watch: &mut ReadingBar,
    ) -> anyhow::Result<Ingested> {
        let limit = limit.of_rows(self.count(), until).map(|limit| MemoryLimit { inference, ..limit });
        match self {
            Input::Rows { source, formula, settings, .. } => {
                let plan = Plan::new(formula, source.fields(), settings)?;
                Ok(accumulate_with(source, &plan, &Reading { limit, ..Reading::default() }, watch)?)
            }
            Input::Moments { parts, .. } => {
                let parts: Vec<Part<'_>> = parts.iter().map(MomentsFolder::part).collect();
                let merged: Result<_, IngestError> = merge(&parts, limit, watch);
                Ok(merged?.0)
            }
        }
    }

    /// Returns the definition of the design's columns, so that later rows can be encoded in the same way.
    pub(crate) fn definition(&self, recipe: &Recipe) -> anyhow::Result<Definition> {
        Ok(match self {
            Input::Rows { source, formula, settings, .. } => Definition::of(recipe, formula, settings, source.fields()),
            Input::Moments { parts, .. } => {
                let parts: Vec<_> = parts.iter().map(|part| (&part.name[..], &part.header.definition)).collect();
                merged_definition(&parts)?
            }
        })
    }

    /// Describes the source of the rows, for the report.
    pub(crate) fn data(&self, recipe: &Recipe) -> Data {
        let weights = recipe.weights.map(|request| recipe.requests[request].column.clone());
        let (paths, files) = match self {
            Input::Rows { paths, source, .. } => (paths, source.files().len()),
            Input::Moments { paths, parts } => (paths, parts.len()),
        };
        let csv = self.source().map_or_else(CsvOptions::default, |source| source.options().clone());
        Data { paths: paths.to_vec(), files, weights, csv }
    }
}
