//! Henderson's mixed-model equations from moments.
//!
//! Routes to the same numbers:
//!
//! - the tree route: elimination along the trees of the nest, group by group, with first and second
//!   derivatives; what the theta loop runs on;
//! - the sparse route: `A = Λ'Z'WZΛ + I` as a sparse matrix, factored by `sprs-ldl` on a pattern that is
//!   analysed once, solved and inverted on its pattern; general, the check of the other, and where
//!   random effects and their variances come from;
//! - [`Cluster`]: the rows of one top-level group in a basis in which V is diagonal, for sandwiches;
//! - [`Henderson`]: the textbook form with `G⁻¹`, for small problems and as a further check.
//!
//! Criteria, optimisers and formulas are none of this crate's business.

mod cluster;
mod error;
mod fixed;
mod henderson;
mod sparse;
mod tree;

pub use cluster::{Cluster, ClusterSpan};
pub use error::{EquationsError, Place};
pub use fixed::FixedEffects;
pub use henderson::{Henderson, HendersonSolution};
pub use sparse::{SparseEquations, SparseScratch, SparseShard};
pub use tree::{Curvature, CurvatureAt, Derivatives, Direction, Eliminated, TreePlan, TreeScratch, TreeSums};
