//! Moments of parts of a data set, made apart and merged.
//!
//! A part was summed by a recipe of its own: its first rows gave other provisional shifts, and its
//! factors may not show all levels. [`Definition`] says what a part's moments are moments of;
//! [`merged_definition`] what those of all parts together are moments of; [`Alignment`] is the
//! linear map from the columns of the one to those of the other, and [`Cells`] are a part's cells,
//! to be absorbed like the runs of a block.

mod align;
mod cells;
mod definition;
mod error;
mod products;
mod union;

pub use align::Alignment;
pub use cells::{Cells, Totals};
pub use definition::{CellColumns, DefinedColumn, Definition, column_names};
pub use error::PartError;
pub use union::{MergeError, merged_definition};
