//! Fits of generalised models against reference values, and what must not change them.

mod cbpp;
mod fit;
mod predict;
mod quadrature;
mod separation;
