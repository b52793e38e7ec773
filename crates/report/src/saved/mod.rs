//! The files of a saved fit that hold text.
//!
//! ```text
//! text         fit.json and model.json: parsed, and whether they belong together
//! check        whether they hold what a fit can be
//! seal         the fingerprint of all files of a folder
//! model        model.json: what tests need without data, and what a refit must find again
//! fingerprint  sums by which the data of a fit are recognised
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
