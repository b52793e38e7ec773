//! Nested data drawn from a specification, in parts of bounded size, the same in whatever order
//! and on however many threads the parts are drawn.
//!
//! ```text
//! spec     what a specification may say, as it is written
//! check    Spec → Simulation, with an error that names the key            (error)
//! model    what is simulated: levels, covariates, effects, the response   (sizes, id)
//! streams  one stream of random numbers per block and per chunk of rows
//! block    some top-level groups with all that is drawn per group         (structure, group_draws)
//! place    where a block begins in the file, and where the file ends
//! rows     a chunk of rows of a block as plain columns                    (columns)
//! shuffle  random order of more rows than fit in memory
//! expect   how many rows, groups and bytes to expect
//! truth    the parameters that the data were drawn with
//! ```
//!
//! A block is a fixed number of top-level groups, so that it depends on the specification, the
//! seed and its own number, and not on how many rows are wanted: a longer file begins with the
//! rows of a shorter one. Rows are drawn in chunks of [`CHUNK_ROWS`], each from a stream of its
//! own, so that one group may have more rows than fit in memory. There is no input or output here,
//! and no thread.

#![forbid(unsafe_code)]

mod block;
mod check;
mod columns;
mod error;
mod expect;
mod group_draws;
mod id;
mod model;
mod place;
mod rows;
mod shuffle;
mod sizes;
mod spec;
mod streams;
mod structure;
mod truth;

pub use block::Block;
pub use columns::{Column, Field, FieldKind, Values};
pub use error::SpecError;
pub use expect::Expected;
pub use id::{IdPattern, IdStyle};
pub use model::{Limit, Simulation};
pub use place::Place;
pub use rows::CHUNK_ROWS;
pub use shuffle::Shuffle;
pub use spec::{CovariateSpec, KindSpec, LevelSpec, ResponseSpec, SizeSpec, Spec};
pub use truth::{Component, FixedEffect, LevelCount, Truth};

/// A specification with comments: students in classes in schools.
pub const EXAMPLE: &str = include_str!("example.toml");
