//! Henderson's mixed-model equations, solved from moments.
//!
//! [`Equations`] is the interface for criteria: levels, evaluation at relative covariances ([`Covariances`])
//! with first and second derivatives, conditional modes of the random effects, and the independent parts of
//! the data. Behind it, several routes lead to the same numbers:
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
//! [`Simulator`] draws responses of a model as sums. Criteria, optimisers and formulas are outside the scope
//! of this crate.

mod cluster;
mod core;
mod covariances;
mod effects;
mod equations;
mod error;
mod fixed;
mod henderson;
mod log_sum;
mod parts;
pub mod reweighted;
mod row_buffers;
mod row_path;
mod simulate;
mod sparse;
mod tree;

pub use cluster::{Cluster, ClusterSpan};
pub use core::{
    CoreRoute, CrossedCost, CrossedModes, CrossedPart, CrossedParts, CrossedPath, CrossedPlan, CrossedScratch,
    CrossedSimulator, EliminatedCrossed,
};
pub use covariances::Covariances;
pub use effects::{GroupEffects, LevelModes};
pub use equations::{CurvaturePoint, CurvatureTerms, Equations, Scratch, Want};
pub use error::{EquationsError, Place};
pub use fixed::FixedEffects;
pub use henderson::{Henderson, HendersonSolution};
pub use parts::{Part, Parts};
pub use row_path::{EliminatedEquations, KnownPath};
pub use simulate::{DrawScratch, Draws, Simulator};
pub use sparse::{SparseEquations, SparseScratch, SparseShard};
pub use tree::{Curvature, CurvatureAt, Derivatives, Direction, Eliminated, Sums, TreePlan, TreeScratch};
