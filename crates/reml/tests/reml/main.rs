//! Tests from rows to fits, one topic per module.

mod anova;
mod bootstrap;
mod boundary;
mod common;
mod components;
mod crossed;
mod evidence;
mod explained;
mod inference;
mod influence;
mod invariance;
mod nests;
mod notes;
mod observers;
mod prediction;
mod profile;
mod refused;
mod robust;
mod saturated;
mod scales;
mod shared_reads;
mod sparse;
mod starts;
mod textbook;
mod textbook_fit;
mod z_matrix;
