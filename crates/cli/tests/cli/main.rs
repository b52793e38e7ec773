//! The real program, run as a person runs it.

mod bad_data;
mod bad_formula;
mod bad_model;
mod outputs;
mod reference;
mod results;
mod streams;
mod summary;
mod support;
