//! The names of the files in a folder of results.

use crate::page::PAGE;
use tiers_outputs::Contents;

/// Name of the folder of random effects.
pub const EFFECTS: &str = "random_effects";

/// A folder of results. Files that later commands write are included, since they belong to the fit
/// and are removed with it.
pub const RESULTS: Contents = Contents {
    called: "results",
    files: &[
        "summary.txt",
        PAGE,
        "fitted.parquet",
        "by.parquet",
        // Written by a job, or by `tiers confint --out`, which may name the folder of the fit.
        "profile.parquet",
        "replicates.parquet",
        "confint.json",
        // Written by `tiers influence --out`.
        "influence.parquet",
        "model.json",
        "fit.json",
    ],
    folder: Some(EFFECTS),
    key: "tiers",
};
