//! A fit as a folder of results.

use crate::error::Error;
use crate::files::format;
use crate::fit::Fit;
use std::path::Path;
use tiers_outputs::{Folder, OutputError, Staged};
use tiers_report::saved::{FIT, MODEL, RESULTS, seal_of, write_effects};

/// Writes the folder, which appears as a whole.
pub(crate) fn save(fit: &Fit, folder: &Path) -> Result<(), Error> {
    let effects = fit.all_random_effects()?;
    let write = || -> Result<(), OutputError> {
        let folder = Folder::open("", folder, &[], &RESULTS)?;
        let staged = Staged::new(&folder)?;
        staged.write("summary.txt", &fit.to_string())?;
        staged.write(MODEL, &fit.saved.model.json())?;
        write_effects(&staged, format(), &effects, &fit.estimates().variance_components)?;
        let seal = seal_of(&staged, format(), &fit.estimates().levels)?;
        staged.write(FIT, &fit.saved.report.sealed(seal))?;
        staged.put_in_place()
    };
    write().map_err(|error| Error::Files(error.to_string()))
}
