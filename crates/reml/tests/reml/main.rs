//! Tests of the whole way from rows to fits, one topic per module.

mod anova;
mod bootstrap;
mod boundary;
mod common;
mod components;
mod explained;
mod filtered;
mod inference;
mod influence;
mod invariance;
mod many;
mod memory;
mod nests;
mod parts;
mod prediction;
mod profile;
mod refused;
mod resume;
mod robust;
mod saturated;
mod scales;
mod sparse;
mod starts;
mod textbook;
mod textbook_fit;
mod z_matrix;
