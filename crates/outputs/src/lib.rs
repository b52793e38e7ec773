//! Files, tables and folders of results: they appear whole or not at all, and a fingerprint shows
//! whether they were changed.
//!
//! ```text
//! aside      writes one file under a temporary name and renames it
//! contents   names of the files of one kind of folder, to distinguish them from others
//! folder     a folder that is to receive results: what is there, and how it may be replaced
//! staged     the results while they are written, until they are put in place
//! place      exchanges two folders, renames in two steps, or moves files one by one
//! leftovers  cleans up after killed runs
//! seal       the hashes of all files of a folder
//! table      tables of results, and the trait that file formats implement
//! read       text files, with a bound on their size
//! visible    escapes control characters in texts that come from data
//! ```
//!
//! Everything is first written into a *staging* folder with a hidden temporary name, synced to
//! disk, and then put in place by renaming. So a reader never sees partial results, and a run that
//! fails leaves the former ones. What happens at the end depends on what exists *then*:
//!
//! - Nothing: the staging folder, a sibling, is renamed to its final name.
//! - An empty folder, or one with nothing but results of a former run: the two exchange their names,
//!   in one step if the file system supports that, and the former one is removed.
//! - A folder that holds files with our names that tiers did not write: an error.
//! - A folder that holds other files, or one that cannot be renamed (a mount point, the current
//!   folder): it stays, and the files are renamed into it one by one. The old `fit.json` is removed
//!   first and the new one is moved last: if there is a `fit.json`, all files beside it are of the
//!   same fit. Files of a former fit that the new one does not have are removed.
//!
//! Before the data are read, all this is tried out, and what killed runs left is cleaned up.

mod aside;
mod contents;
mod error;
mod folder;
mod leftovers;
mod paths;
mod place;
mod read;
mod seal;
mod staged;
mod table;
pub mod visible;

pub use aside::{Aside, destination, is_abandoned, write_file};
pub use contents::{Contents, Use, parse_hidden};
pub use error::OutputError;
pub use folder::Folder;
pub use leftovers::{repair, tidy};
pub use paths::{check_files, make_folder};
pub use read::{WRITTEN_BY_HAND, read_text};
pub use seal::{Seal, hash, hash_file};
pub use staged::Staged;
pub use table::{
    OutColumn, OutField, OutKind, OutValues, TableFormat, TableReader, TableWriter, check_columns, check_fields,
    own_name, write_table,
};
