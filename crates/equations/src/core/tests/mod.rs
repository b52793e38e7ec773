//! Crossed designs against formulas that form V.

mod curvature;
mod evaluate;
mod sample;
