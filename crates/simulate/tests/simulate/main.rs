//! Simulated data match their specification and do not depend on the order in which they are drawn.

mod errors;
mod extent;
mod repeatable;
mod statistics;
mod support;
