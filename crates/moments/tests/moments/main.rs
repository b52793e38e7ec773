//! Tests from rows to moments, one topic per module.

mod checkpoint;
mod crossed;
mod merge;
mod several_models;
mod support;
