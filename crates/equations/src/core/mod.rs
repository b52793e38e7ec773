//! Equations of crossed designs: a leaf that is eliminated group by group, and a core.
//!
//! Given the effects of the core, the groups of the leaf are independent. With `B_ga = Z_g'WZ_a` of a leaf group g and
//! the core groups a that share rows with it, and `N_g = Z_g'WC`,
//!
//! ```text
//! T_g = (I + N_g[z]G)⁻¹       K_g = G T_g       Y_g = T_g[N_g B_g]
//! Ñ   = N - Σ_g B_g'K_g[N_g B_g]                                  over the core's rows      (schur)
//! S   = I + Λ_c'Ñ_ccΛ_c       D = Λ_c S⁻¹Λ_c'                                               (factor)
//! log|A|         = Σ_g log|I + N_g[z]G| + log|S|
//! C'WC - C'V⁻¹C  = Σ_g N_g'K_gN_g + Ñ_cC'D Ñ_cC                                             (evaluate)
//! F_c = (I + Ñ_ccG_c)⁻¹Ñ_cC   F_g = T_g(N_g - B_g G_cF_c)
//! H_c = (I + Ñ_ccG_c)⁻¹Ñ_cc   H_g = T_gN_g[z] - T_gB_g D B_g'T_g'
//! ```
//!
//! This is the elimination along a tree ([`crate::tree`]) where "ancestors of g" becomes "core groups that g meets".
//! See `docs/theory.md`, "Crossed designs".

mod basis;
mod check;
mod cost;
mod curvature;
mod dense;
mod effects;
mod evaluate;
mod factor;
mod leaf;
mod parts;
mod plain;
mod plan;
mod predict;
mod schur;
mod simulate;
mod sparse;
mod structure;
mod supernodal;
#[cfg(test)]
mod tests;
mod traces;
mod whole;

pub use cost::CrossedCost;
pub use effects::CrossedModes;
pub use evaluate::CrossedScratch;
pub use parts::{CrossedPart, CrossedParts};
pub use plan::CrossedPlan;
pub use predict::{CrossedPath, EliminatedCrossed};
pub use simulate::CrossedSimulator;
pub use structure::CoreRoute;
