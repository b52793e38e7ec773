//! Generalised linear mixed models `g(μ) = Xβ + Zb` of nested data, by Laplace's approximation.
//!
//! The rows are read twice: first to moments, from which come the groups, the columns and their ranks; then into
//! memory in the order of their groups, each column in the narrowest type that loses nothing ([`Rows`]). An
//! evaluation visits each top-level group once: conditional modes by Newton's method, the criterion with a fresh
//! determinant and observed information, its exact gradient and its exact Hessian in β and θ. A joint Newton search
//! needs some ten evaluations.
//!
//! [`fit_glmm`] does all of it; [`Family`] and [`Link`] name the distributions.

mod components;
mod criterion;
mod descent;
mod effects;
mod family;
mod fit;
mod inference;
mod joint;
mod laplace_error;
mod marginal;
mod predict;
mod quadrature;
mod rows;
mod search;
mod separation;
mod visit;

pub use components::{LatentIcc, LatentRSquared};
pub use family::{Distribution, Family, FamilyError, Link, RowDerivatives};
pub use fit::{FittedGlmm, GlmmEffect, GlmmError, GlmmFit, GlmmObserver, GlmmSettings, SeparatedTerm, fit_glmm};
pub use joint::JointInference;
pub use laplace_error::{LaplaceError, LaplaceErrorMethod, LaplaceErrorStatus};
pub use marginal::{MarginalMean, marginal_mean};
pub use predict::{GlmmPredictor, PredictScale};
pub use quadrature::{MAX_NODES, QuadratureError};
pub use rows::{ResponseError, Rows, RowsError};
pub use search::GlmmStatus;
