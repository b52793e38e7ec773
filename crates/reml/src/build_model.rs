//! Builds a model from moments.

use crate::model::{Model, ModelError};
use tiers_design::Recipe;
use tiers_moments::{Dropped, IngestError, Ingested, NestError, Structure, in_words};

/// Why a model cannot be built from rows or moments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The rows could not be read and summed.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The groupings are not the levels of a model.
    #[error(transparent)]
    Nest(#[from] NestError),
    /// The core of a crossed design takes too much memory.
    #[error(
        "not enough memory: the groupings cross, so that all but {leaf} form one matrix with a row for each of their \
         {effects} random effects, {}; it needs about {}, and the limit is {}. Use a machine with more memory or raise \
         the limit; or leave out random slopes or one of these terms, or fit parts of the data one by one",
        core.join(", "), in_words(*needed), in_words(*limit)
    )]
    Core {
        /// The grouping that is eliminated group by group.
        leaf: String,
        /// The other groupings, with their numbers of effects.
        core: Vec<String>,
        /// Effects of the core.
        effects: usize,
        /// Bytes needed.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The model cannot be fitted.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Finds the structure of the groupings, and builds the model.
///
/// # Errors
/// If no row is left, if two groupings have the same groups, or as [`Model::new`].
pub fn build_model(ingested: Ingested) -> Result<(Model, Dropped), BuildError> {
    build(ingested, Model::new)
}

/// The same for a generalised model, whose response is not checked here.
///
/// # Errors
/// If no row is left, if two groupings have the same groups, or as [`Model::of_generalised`].
pub fn build_generalised(ingested: Ingested) -> Result<(Model, Dropped), BuildError> {
    build(ingested, Model::of_generalised)
}

fn build(
    ingested: Ingested,
    check: fn(Recipe, Structure) -> Result<Model, ModelError>,
) -> Result<(Model, Dropped), BuildError> {
    let Ingested { recipe, moments, dropped } = ingested;
    if moments.rows == 0 {
        let mut worst = dropped.missing.clone();
        worst.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let worst = worst.iter().map(|(column, n)| format!("{column}: {n}")).collect();
        return Err(ModelError::NoRows { dropped: dropped.rows, worst }.into());
    }
    let structure = Structure::of(&recipe, moments)?;
    let model = check(recipe, structure)?;
    Ok((model, dropped))
}
