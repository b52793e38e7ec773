//! Generalised linear mixed models.
mod family;
mod visit;
pub use family::*;
