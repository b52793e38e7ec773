//! Henderson's mixed-model equations, solved from moments.
//!
//! Several routes lead to the same numbers:
//!
//! - the tree route ([`TreePlan`]): eliminates the random effects group by group along the trees of the
//!   nest, which leaves a Schur complement, and takes first and second derivatives; the optimiser uses it;
//! - the sparse route ([`SparseEquations`]): forms `A = Λ'Z'WZΛ + I` as a sparse matrix, factors it with
//!   `sprs-ldl` on a pattern that is analysed once, solves, and inverts on the pattern. It is general, an
//!   independent check of the tree route, and the source of the conditional modes (BLUPs) of the random
//!   effects and their variances;
//! - [`Cluster`]: the rows of one top-level group in a basis in which V is diagonal, for sandwich estimators;
//! - [`reweighted`]: the tree route within one top-level group for weights that change from step to step, as those
//!   of generalised models do;
//! - [`Henderson`]: the textbook form with `G⁻¹`, for small problems and as a further check.
//!
//! Criteria, optimisers and formulas are outside the scope of this crate.

mod cluster;
mod error;
mod fixed;
mod henderson;
mod log_sum;
pub mod reweighted;
mod sparse;
mod tree;

pub use cluster::{Cluster, ClusterSpan};
pub use error::{EquationsError, Place};
pub use fixed::FixedEffects;
pub use henderson::{Henderson, HendersonSolution};
pub use sparse::{SparseEquations, SparseScratch, SparseShard};
pub use tree::{Curvature, CurvatureAt, Derivatives, Direction, Eliminated, TreePlan, TreeScratch, TreeSums};
