//! What the tests of `tiers` share: a dense textbook oracle, simulators, reference figures, and
//! one way to compare numbers.
//!
//! This crate depends on none of the others, so that what it says is independent of them, and it
//! is not published.

pub mod check;
mod components;
mod explained;
pub mod golden;
pub mod inference;
pub mod oracle;
mod oracle_derivatives;
mod prediction;
pub mod simulate;
pub mod smoking;
pub mod table;

pub use check::{Checks, Tolerance, check};
pub use golden::{Golden, GoldenFit, datasets_dir, reference_dir, shared_dir};
pub use inference::{KenwardRoger, Sandwich, ScaledF};
pub use oracle::{Method, Problem, Solution, Term};
pub use oracle_derivatives::difference;
pub use prediction::{NewRow, Predicted};
pub use simulate::{NestedSample, Shape, simulate_nested};
pub use smoking::{SmokingStudy, smoking_prevention};
pub use table::Table;
