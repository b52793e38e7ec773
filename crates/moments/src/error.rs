//! Errors of reading, summing and merging.

use crate::accumulate::checkpoint_format::CheckpointError;
use crate::memory_limit::MemoryError;
use crate::merge::MergeError;
use crate::room_error::RoomError;
use tiers_design::{DesignError, EncodeError, SourceError};

/// Why a table could not be turned into a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The table could not be read.
    #[error("{0}")]
    Source(SourceError),
    /// The formula does not fit the table.
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
    /// The fit needs more memory than the limit.
    #[error(transparent)]
    Memory(#[from] Box<MemoryError>),
    /// Reading and summing the rows needs more memory than the limit.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The checkpoint cannot be resumed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Error recorded for this model before the run was resumed.
    #[error("{0}")]
    Earlier(String),
    /// The observer cancelled the work.
    #[error("interrupted")]
    Interrupted,
}
