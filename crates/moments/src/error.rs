//! Errors of reading, summing and merging.

use crate::accumulate::checkpoint_format::CheckpointError;
use crate::memory_limit::{MemoryError, RoomError};
use crate::merge::MergeError;
use tiers_design::{DesignError, EncodeError, SourceError};

/// Why a table could not be turned into a model.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The table could not be read.
    #[error("{0}")]
    Source(SourceError),
    /// Formula and table do not fit.
    #[error(transparent)]
    Design(#[from] DesignError),
    /// A row cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The formula has no random effect.
    #[error("the formula has no random effect: add a term such as (1 | school), or fit it by ordinary regression")]
    NoRandomEffects,
    /// Moments cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// More memory would be needed than may be used.
    #[error(transparent)]
    Memory(#[from] Box<MemoryError>),
    /// More memory would be needed to read and sum the rows than may be used.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// A checkpoint cannot be gone on from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// What became of this model in an earlier run, whose checkpoint was gone on from.
    #[error("{0}")]
    Earlier(String),
    /// The work was called off by the observer.
    #[error("interrupted")]
    Interrupted,
}
