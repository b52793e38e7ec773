//! Tests of the whole way from rows to fits, one topic per module.

mod common;
mod sparse;
mod textbook;
mod z_matrix;
