//! Saved fits: opens a folder of results for further commands.
//!
//! ```text
//! refit  reads the data again and finds the optimum again, if moments are needed
//! ```

mod refit;

pub(crate) use refit::{Again, RefitArgs};

use crate::exit::tell;
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
            tell(&format!(
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
