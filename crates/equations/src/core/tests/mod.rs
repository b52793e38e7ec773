//! Crossed designs against formulas that form V.

mod curvature;
mod effects;
mod evaluate;
pub(super) mod sample;
mod simulate;
