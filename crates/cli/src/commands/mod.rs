//! The commands of the program, one module each.
//!
//! ```text
//! fit       `tiers fit`: open, read, fit, report, write; one model or several
//! generalised  `tiers fit --family`: generalised linear mixed models
//! anova     `tiers anova`: F tests of the terms of a saved fit
//! bench     `tiers bench`: growth of time and memory with the number of rows
//! compare   `tiers compare`: saved fits side by side
//! confint   `tiers confint`: intervals of all parameters of a saved fit
//! diagnose  `tiers diagnose`: how well the data determine a saved fit
//! influence `tiers influence`: influence of each top-level group on a saved fit
//! means     `tiers means`: marginal means and linear hypotheses of a saved fit
//! moments   `tiers moments`: moments of parts of a data set
//! pages     `tiers completions` and `tiers man`
//! predict   `tiers predict`: predictions for other rows
//! ranef     `tiers ranef`: groups of a saved fit with the largest and smallest effects
//! run       `tiers run`: jobs of many models that survive interruptions
//! simulate  `tiers simulate`: simulated data to try out models
//! sql       `tiers sql`: scripts by which a database computes moments
//! ```

pub(crate) mod anova;
pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod confint;
pub(crate) mod diagnose;
pub(crate) mod fit;
pub(crate) mod generalised;
pub(crate) mod influence;
pub(crate) mod means;
pub(crate) mod moments;
pub(crate) mod pages;
pub(crate) mod predict;
pub(crate) mod ranef;
pub(crate) mod run;
pub(crate) mod simulate;
pub(crate) mod sql;
