//! The files of a saved fit that hold text.
//!
//! ```text
//! text         parses fit.json and model.json, and checks that they belong together
//! check        checks that they describe a possible fit
//! folder       names of the files in the folder
//! model        model.json: inference without data, and values that a refit must reproduce
//! fingerprint  fingerprint of the data
//! ```

mod check;
mod fingerprint;
mod folder;
mod model;
mod text;

pub use fingerprint::Fingerprint;
pub use folder::{EFFECTS, RESULTS};
pub use model::SavedModel;
pub use text::{FIT, MODEL, Texts};
pub use tiers_outputs::Seal;
