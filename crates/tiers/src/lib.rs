//! Multilevel (linear mixed) models of nested data, exactly, at any size.
//!
//! # The model
//!
//! Students i in classes in schools, patients in wards, measurements of persons over time:
//!
//! ```text
//! y = Xβ + Zu + ε,    u ~ N(0, G),    ε ~ N(0, σ² W⁻¹)
//! ```
//!
//! with fixed effects β, random effects u of the groups of one or more nested levels (intercepts and
//! slopes), and weights W, 1 unless given. [`lmm`] fits it by restricted maximum likelihood (REML) or
//! maximum likelihood; formulas are lme4's.
//!
//! # A first fit
//!
//! ```
//! use tiers::{Table, lmm};
//!
//! let table = Table::from_columns([
//!     ("score", vec![12.1, 13.4, 11.2, 9.8, 10.9, 9.1, 14.2, 15.0, 13.9, 10.0, 11.5, 9.7].into()),
//!     ("pretest", vec![5.0, 6.1, 4.4, 5.2, 6.0, 4.1, 5.5, 6.3, 5.1, 4.6, 6.2, 4.0].into()),
//!     ("school", vec!["a", "a", "a", "b", "b", "b", "c", "c", "c", "d", "d", "d"].into()),
//! ])?;
//! let fit = lmm("score ~ pretest + (1 | school)").fit(&table)?;
//! println!("{fit}"); // the summary, in the layout of lme4's
//!
//! let slope = &fit.fixed_effects()[1];
//! assert_eq!(slope.term, "pretest");
//! assert!(slope.lower < slope.estimate && slope.estimate < slope.upper);
//! # Ok::<(), tiers::Error>(())
//! ```
//!
//! Rows come from a [`Table`] in memory or from any other [`Source`]; with the feature `files` also from
//! parquet, csv and arrow files.
//!
//! # A growth model
//!
//! Children with intercepts and slopes of their own, in schools; that children nest in schools is read
//! off the data. Standard deviations and correlations are in [`Fit::variance_components`].
//!
//! ```
//! # use tiers::{Table, lmm};
//! # let (mut math, mut year, mut child, mut school) = (vec![], vec![], vec![], vec![]);
//! # for c in 0..40_i64 { for t in 0..4_i64 {
//! #     let own = (c * 37 % 17) as f64 / 6.0; let slope = 1.0 + (c * 11 % 7) as f64 / 10.0;
//! #     let e = ((c * c * 3 + t * 7 + c * t * 5) % 23) as f64 / 20.0;
//! #     math.push(own + (c / 10) as f64 + slope * t as f64 + e); year.push(t as f64); child.push(c); school.push(c / 10);
//! # } }
//! # let table = Table::from_columns([("math", math.into()), ("year", year.into()),
//! #     ("child", child.into()), ("school", school.into())])?;
//! let fit = lmm("math ~ year + (1 + year | child) + (1 | school)").fit(&table)?;
//! let child = &fit.variance_components()[0];
//! assert_eq!(child.terms, ["(Intercept)", "year"]);
//! assert!(child.sd[1] > 0.0);
//! # Ok::<(), tiers::Error>(())
//! ```
//!
//! # Prediction
//!
//! Groups that the fit knows are predicted with their random effects, new ones at their expectation; the
//! interval of a new response is wider for those.
//!
//! ```
//! # let table = tiers::doc::schools();
//! use tiers::{Interval, IntervalKind, Table, lmm};
//!
//! let fit = lmm("score ~ pretest + (1 | school)").fit(&table)?;
//! let new = Table::from_columns([
//!     ("pretest", vec![10.0, 10.0].into()),
//!     ("school", vec!["a", "a new school"].into()),
//! ])?;
//! let prediction = fit.predict_interval(&new, Interval { kind: IntervalKind::Prediction, level: 0.95 })?;
//! assert_eq!(prediction.known("school"), Some(&[true, false][..]));
//! let width = |row: usize| prediction.upper[row] - prediction.lower[row];
//! assert!(width(0) < width(1));
//! # Ok::<(), tiers::Error>(())
//! ```
//!
//! # Moments of parts
//!
//! A fit needs of the rows only sums of products, its sufficient statistics. They are additive: parts of a
//! data set can be summed where their rows are, saved or sent (they implement serde's traits), and merged.
//!
//! ```
//! # let (rows_of_north, rows_of_south) = (tiers::doc::schools_of(0..24), tiers::doc::schools_of(24..48));
//! use tiers::{Moments, lmm};
//!
//! let model = lmm("score ~ pretest + (1 | school)");
//! let north = model.moments(&rows_of_north)?;
//! let south = model.moments(&rows_of_south)?;
//! let fit = model.fit_moments(Moments::merge([&north, &south])?)?;
//! assert_eq!(fit.estimates().n_obs, 48);
//! # Ok::<(), tiers::Error>(())
//! ```
//!
//! # Questions to a fit
//!
//! | question | answer |
//! |---|---|
//! | coefficients, standard deviations, σ | [`Fit::fixed_effects`], [`Fit::variance_components`], [`Fit::sigma`] |
//! | intraclass correlations | [`Fit::icc`] |
//! | conditional modes (BLUPs) of the groups | [`Fit::random_effects`] |
//! | intervals: Wald, profile likelihood, bootstrap | [`Fit::confint`] |
//! | F tests of terms; hypotheses; marginal means | [`Fit::anova`], [`Fit::test`], [`Fit::means`] |
//! | predictions with intervals, also of new groups | [`Fit::predict`], [`Fit::predict_interval`] |
//! | fitted values, influence of groups | [`Fit::fitted`], [`Fit::influence`] |
//! | likelihood ratio tests | [`Fit::compare`] |
//! | how well the data determine the estimates | [`Fit::diagnose`] |
//! | folders that this library and the program read | [`Fit::save`], [`Fit::load`], [`Fit::with_rows`] |
//! | results for other programs | [`Fit::json`] |
//!
//! # Features
//!
//! `files` (off by default) brings polars: parquet, csv and arrow files as data, and parquet for the tables
//! of saved fits and moments, which are csv without it.
//!
//! # What is promised
//!
//! Estimates are bit-identical for any number of threads. A search that does not converge is a
//! [`Status`], not an error; bad input is an [`Error`] that says where, why and what to try. Memory does
//! not grow with the number of rows but with the number of groups. A folder of results appears whole or
//! not at all, and damage to it is noticed when it is loaded.

/// The README of this crate, whose example runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The README of the repository, whose example of the library runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct ProgramReadme;

#[cfg(not(feature = "files"))]
mod csv;
#[doc(hidden)]
pub mod doc;
mod error;
mod files;
mod fit;
mod glmm;
mod glmm_fit;
mod interval;
mod lmm;
mod moments;
mod predict;
mod save;
mod table;
mod values;
mod wire;

pub use error::Error;
pub use fit::Fit;
pub use glmm::{Glmm, glmm};
pub use glmm_fit::GlmmFit;
pub use interval::{ConfidenceInterval, IntervalMethod};
pub use lmm::{Lmm, lmm};
pub use moments::Moments;
pub use predict::Prediction;
pub use table::Table;
pub use values::Values;

pub use tiers_design::{
    Block, Column, Dictionary, Field, Kind, Labels, RawBlock, Request, Role, Scan, Source, SourceError,
};
pub use tiers_glmm::{Family, GlmmEffect, GlmmFit as GlmmEstimates, GlmmStatus, Link, PredictScale};
pub use tiers_moments::{PassState, ReadObserver, ReadTimes};
pub use tiers_reml::{
    AnovaType, BootstrapSettings, DfMethod, Diagnosis, Fit as Estimates, FittedRows, FixedEffect, Icc, Influence,
    Interval, IntervalKind, KeyColumn, KeyLabels, LevelEffects, LikelihoodRatio, MarginalMean, Method, Objective,
    Optimum, SearchObserver, Status, Step, TTest, TermTest, Trial, VarianceComponent,
};

/// Parquet, csv and arrow files as a [`Source`], by polars.
#[cfg(feature = "files")]
pub use tiers_tables::Source as Files;
