//! What is drawn is what was asked for, and the same however it is drawn.

mod errors;
mod extent;
mod repeatable;
mod statistics;
mod support;
