//! SQL that computes the moments (sufficient statistics) of a linear mixed model where the data are.
//!
//! A fit needs the rows only through sums of products, which `GROUP BY` computes. [`moments_script`] writes
//! the script for a formula that was frozen against a schema and its factors' levels (a
//! [`tiers_design::Recipe`]), [`levels_script`] the script that finds the levels. The result is what
//! `docs/moments.md` specifies, with positional names of columns.
//!
//! The crate knows dialects of SQL and nothing else: it opens no connection and reads no file.
//!
//! ```text
//! dialect      names, texts, numbers and functions of each engine
//! expression   arithmetic of a formula
//! rows         common table expressions: the rows that are used, and the columns of C
//! script       statements that sum them, and where their results go
//! ```

mod dialect;
mod error;
mod expression;
mod rows;
mod script;

pub use dialect::Dialect;
pub use error::SqlError;
pub use script::{LEVELS, MOMENTS, Query, Script, levels_script, moments_script};
