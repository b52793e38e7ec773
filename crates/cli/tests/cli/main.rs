//! Tests of the command-line program.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test that is skipped says so")]

mod bad_data;
mod bad_formula;
mod bad_model;
mod bench;
#[cfg(unix)]
mod changing;
mod confint;
mod csv;
mod diagnostics;
mod documented;
mod generalised;
mod kinds;
mod later;
mod library;
mod moments;
mod outputs;
mod page;
mod predict;
mod reference;
mod results;
mod robust;
mod run;
mod saved;
mod several;
mod simulate;
#[cfg(unix)]
mod special;
mod sql;
mod streams;
mod summary;
mod support;
mod unattended;
