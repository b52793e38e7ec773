//! The modules of `tiers` that read saved fits, without those that read tables.

#[path = "../../../crates/cli/src/saved/check.rs"]
mod check;
#[path = "../../../crates/cli/src/saved/fingerprint.rs"]
mod fingerprint;
#[path = "../../../crates/cli/src/saved/model.rs"]
mod model;
#[path = "../../../crates/cli/src/saved/seal.rs"]
mod seal;
#[path = "../../../crates/cli/src/saved/text.rs"]
mod text;

pub(crate) use seal::Seal;
pub(crate) use text::Texts;
