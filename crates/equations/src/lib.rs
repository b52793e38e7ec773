//! Henderson's mixed-model equations from moments.
//!
//! Two routes to the same numbers:
//!
//! - [`tree`]: elimination along the trees of the nest, group by group, with first and second
//!   derivatives; what the theta loop runs on;
//! - the sparse route: `A = Λ'Z'WZΛ + I` as a sparse matrix, factored by `sprs-ldl` on a pattern that
//!   is analysed once, solved and inverted on its pattern; general, and the check of the other.
//!
//! Criteria, optimisers and formulas are none of this crate's business.

mod tree;

pub use tree::{Curvature, CurvatureAt, Derivatives, Direction, TreePlan, TreeScratch, TreeSums};
