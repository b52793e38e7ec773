//! Errors of this crate.

/// Why a saved fit cannot be used, or a figure not be drawn: place, reason and remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReportError(pub String);
