//! `fit.json` and `model.json` read from text: whether they are as they were written, belong together
//! and hold what a fit can be. Nothing here knows of folders.

use super::check;
use super::model::SavedModel;
use crate::report::Report;
use anyhow::{anyhow, bail, ensure};
use serde::de::DeserializeOwned;
use tiers_design::Recipe;

/// Name of the fit in its folder.
pub(crate) const FIT: &str = "fit.json";
/// Name of what it was made of.
pub(crate) const MODEL: &str = "model.json";

/// What the two files say.
#[derive(Debug)]
pub(crate) struct Texts {
    /// `fit.json`.
    pub report: Report,
    /// `model.json`.
    pub model: SavedModel,
    /// How the columns came about: the definition, frozen again.
    pub recipe: Recipe,
    /// Whether there is no fingerprint, as in what tiers 0.1.0 wrote, so that damage may go unseen.
    pub unsealed: bool,
}

impl Texts {
    /// Reads both; `name` is that of the folder.
    pub(crate) fn read(name: &str, fit: &str, model: &str) -> anyhow::Result<Texts> {
        let report: Report = parse(name, FIT, fit)?;
        let saved: SavedModel = parse(name, MODEL, model)?;
        saved.check_version(name)?;
        let unsealed = report.seal.fingerprint.is_none() && saved.is_before_seals();
        if !unsealed {
            ensure!(
                report.seal.is_intact(fit),
                "{name}: {FIT} was changed since tiers wrote it: its fingerprint is not that of what it holds. Fit the \
                 model again with `--out`"
            );
            ensure!(
                report.seal.files.get(MODEL) == Some(&super::seal::hash(model)),
                "{name}: {MODEL} was changed, or belongs to another fit: the fingerprint in {FIT} is that of another \
                 file. Fit the model again with `--out`"
            );
        }
        let recipe = saved.definition.recipe().map_err(|error| anyhow!("{name}: {MODEL}: {error}"))?;
        if let Err(why) = check::check(&report, &saved, &recipe, unsealed) {
            bail!(
                "{name}: {FIT} and {MODEL} are damaged or not of the same fit: {why}; fit the model again with `--out`"
            );
        }
        Ok(Texts { report, model: saved, recipe, unsealed })
    }
}

fn parse<T: DeserializeOwned>(name: &str, file: &str, text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        anyhow!(
            "{name}: {file} is not what this version of tiers ({}) writes: {error}; fit the model again with `--out`",
            env!("CARGO_PKG_VERSION")
        )
    })
}
