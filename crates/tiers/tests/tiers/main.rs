//! The front door: fits from tables in memory, against lme4's figures and the edges of the input.

mod edges;
mod fits;
mod moments;
mod saved;
mod sql;
