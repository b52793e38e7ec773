//! Opens a folder of results.

use crate::exit::eprint;
use std::ops::Deref;
use std::path::Path;
use tiers_report::saved::SavedFit;

/// A saved fit.
#[derive(Debug)]
pub(crate) struct Saved(SavedFit);

impl Saved {
    /// Opens a folder of results; the path is the folder or its `fit.json`.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Saved> {
        let saved = SavedFit::open(path)?;
        if saved.unsealed {
            eprint(&format!(
                "tiers: note: {}: written by tiers {} without a fingerprint, so that damage to its files may go \
                 unseen; fit the model again to have one",
                saved.name,
                saved.fit().tiers
            ));
        }
        Ok(Saved(saved))
    }
}

impl Deref for Saved {
    type Target = SavedFit;

    fn deref(&self) -> &SavedFit {
        &self.0
    }
}
