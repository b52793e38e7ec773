//! Opens a folder of results.

use crate::exit::eprint;
use std::ops::Deref;
use std::path::Path;
use tiers_report::saved::{AnySaved, SavedFit};

/// A saved fit.
#[derive(Debug)]
pub(crate) struct Saved(SavedFit);

/// Opens a folder of results of either kind of fit; the path is the folder or its `fit.json`.
pub(crate) fn open_any(path: &Path) -> anyhow::Result<AnySaved> {
    let saved = AnySaved::open(path)?;
    if let AnySaved::Linear(saved) = &saved {
        note_on_seal(saved);
    }
    Ok(saved)
}

/// Prints a note if damage to a fit may go unseen.
fn note_on_seal(saved: &SavedFit) {
    if saved.unsealed {
        eprint(&format!(
            "tiers: note: {}: written by tiers {} without a fingerprint, so that damage to its files may go unseen; fit \
             the model again to have one",
            saved.name,
            saved.fit().tiers
        ));
    }
}

impl Saved {
    /// Opens a folder of results of a linear fit; the path is the folder or its `fit.json`.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Saved> {
        let saved = SavedFit::open(path)?;
        note_on_seal(&saved);
        Ok(Saved(saved))
    }

    /// Takes a fit that [`open_any`] opened.
    pub(crate) fn of(saved: SavedFit) -> Saved {
        Saved(saved)
    }
}

impl Deref for Saved {
    type Target = SavedFit;

    fn deref(&self) -> &SavedFit {
        &self.0
    }
}
