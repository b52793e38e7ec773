//! Crossed designs against formulas that form V.

mod curvature;
mod effects;
mod evaluate;
mod plain;
pub(super) mod sample;
mod simulate;
