//! The files of a saved fit that hold text.
//!
//! ```text
//! text         parses fit.json and model.json, and checks that they belong together
//! check        checks that they describe a possible fit
//! seal         fingerprint of all files of a folder
//! model        model.json: inference without data, and values that a refit must reproduce
//! fingerprint  fingerprint of the data
//! ```

mod check;
mod fingerprint;
mod model;
mod seal;
mod text;

pub use fingerprint::Fingerprint;
pub use model::SavedModel;
pub use seal::{Seal, hash, hash_file};
pub use text::{FIT, MODEL, Texts};
