//! Fits of generalised models against reference values, and what must not change them.

#[path = "../../../reml/tests/reml/memory.rs"]
#[allow(dead_code)]
mod memory;

mod cbpp;
mod fit;
mod separation;
