//! Tests of the whole way from rows to fits, one topic per module.

mod anova;
mod bootstrap;
mod boundary;
mod common;
<<<<<<< HEAD
mod components;
=======
mod filtered;
>>>>>>> 0a595e1 (Many models in one pass: bundles of models that lose the same rows, parted where they differ; partitions; room within a limit)
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
mod robust;
mod saturated;
mod scales;
mod sparse;
mod starts;
mod textbook;
mod textbook_fit;
mod z_matrix;
