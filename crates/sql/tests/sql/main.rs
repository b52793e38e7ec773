//! Tests of the scripts: what they say, and that a grammar of each dialect accepts them.

mod golden;
mod refused;
mod support;
