//! Simulates nested data from a specification, in parts of bounded size. The result does not depend
//! on the order in which the parts are drawn or on the number of threads.
//!
//! ```text
//! spec     the specification, as written
//! check    Spec → Simulation, or an error that names the key               (error)
//! model    the simulation: levels, covariates, effects, the response       (sizes, id)
//! streams  one stream of random numbers per block and per chunk of rows
//! block    some top-level groups with everything drawn per group           (structure, group_draws)
//! place    where a block begins in the file, and where the file ends
//! rows     a chunk of rows of a block as plain columns                     (columns)
//! shuffle  a random order of more rows than fit in memory
//! expect   the expected numbers of rows, groups and bytes
//! truth    the parameters from which the data were drawn
//! ```
//!
//! A block is a fixed number of top-level groups. It depends only on the specification, the seed and
//! its own number, and not on the number of rows requested: a longer file begins with the rows of a
//! shorter one. Rows are drawn in chunks of [`CHUNK_ROWS`], each from its own stream of random numbers,
//! so that one group may have more rows than fit in memory. The crate does no input or output and
//! starts no threads.

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
pub use spec::{CovariateSpec, FamilySpec, KindSpec, LevelSpec, LinkSpec, ResponseSpec, SizeSpec, Spec};
pub use truth::{Component, FixedEffect, LevelCount, Truth};

/// An example specification with comments: students in classes in schools.
pub const EXAMPLE: &str = include_str!("example.toml");
