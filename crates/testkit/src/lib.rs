//! Support for the tests of `tiers`: a dense textbook oracle, simulators, reference values, and
//! comparisons of numbers with tolerances.
//!
//! This crate depends on no other crate of the workspace, so that its results are independent of them.
//! It is not published.

pub mod check;
mod components;
mod crossed;
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
pub use crossed::{simulate_crossed, simulate_regions};
pub use golden::{Golden, GoldenFit, datasets_dir, reference_dir, shared_dir};
pub use inference::{KenwardRoger, Sandwich, ScaledF};
pub use oracle::{Method, Problem, Solution, Term};
pub use oracle_derivatives::difference;
pub use prediction::{NewRow, Predicted};
pub use simulate::{NestedSample, Shape, simulate_nested};
pub use smoking::{SmokingStudy, smoking_prevention};
pub use table::Table;
