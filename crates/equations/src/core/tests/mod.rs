//! Crossed designs against formulas that form V.

mod evaluate;
mod sample;
