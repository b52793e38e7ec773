//! Crossed designs against formulas that form V.

mod curvature;
mod effects;
mod evaluate;
mod sample;
mod simulate;
