//! The files of moments: a folder that `tiers moments` writes and other programs may write, specified in
//! `docs/moments.md`.
//!
//! ```text
//! header  moments.json: the columns of the moments, counts, a fingerprint
//! write   writes the folder, which is put in place as a whole
//! read    opens and checks folders of moments, to be merged
//! levels  reads the levels of factors that a query found
//! totals  reads the table of totals: a row per entry, or a column per entry
//! ```

mod header;
mod levels;
mod read;
mod totals;
mod write;

pub use header::{HEADER, MOMENTS, MomentsFileError, MomentsHeader};
pub use levels::{LEVELS_TABLE, read_levels};
pub use read::MomentsFolder;
pub use write::{cell_tables, write_moments};
