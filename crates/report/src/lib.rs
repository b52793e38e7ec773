//! Results as data: the parts of a report, its text in the layout of lme4's summary, its HTML page, and
//! the files `fit.json` and `model.json` of a saved fit.
//!
//! A [`Report`] is a fit with the data that it was made from. [`summary::text`] is what the program
//! prints, [`page::page`] the page of `--report`; both are made from the same [`section::Section`]s, so
//! that they cannot say different things. [`saved::Texts`] reads a saved fit and checks that its files
//! belong together. Nothing is computed here, and no files are written.

pub mod anova;
mod approximation;
mod error;
pub mod extremes;
pub mod figure;
mod generalised;
pub mod layout;
pub mod numbers;
pub mod page;
mod ratios;
mod report;
pub mod saved;
pub mod section;
pub mod summary;

pub use error::ReportError;
pub use generalised::GlmmReport;
pub use ratios::{Ratio, RatioKind, Ratios};
pub use report::{Data, Phases, Report, Timing};
pub use tiers_outputs::visible::{self, json_of as json};
