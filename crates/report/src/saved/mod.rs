//! The folder of a saved fit.
//!
//! ```text
//! fit          a folder that was opened; finds its optimum again from the same data
//! generalised  a folder of a generalised fit
//! open         opens a folder of either kind
//! effects      writes the random effects, as tables
//! read_effects reads them
//! text         parses fit.json and model.json, and checks that they belong together
//! check        checks that they describe a possible fit
//! folder       names of the files in the folder
//! model        model.json: inference without data, and values that a refit must reproduce
//! fingerprint  fingerprint of the data
//! ```

mod check;
mod effects;
mod fingerprint;
mod fit;
mod folder;
mod generalised;
mod model;
mod open;
mod read_effects;
mod text;

pub use effects::{OF_EFFECTS, group_columns, seal_of, write_effects};
pub use fingerprint::Fingerprint;
pub use fit::{RefitError, SavedFit};
pub use folder::{EFFECTS, RESULTS};
pub use generalised::{SavedGlmm, SavedGlmmModel, write_glmm};
pub use model::SavedModel;
pub use open::{AnySaved, SavedFixed};
pub use read_effects::SavedEffects;
pub use text::{FIT, MODEL, Texts};
pub use tiers_outputs::Seal;
