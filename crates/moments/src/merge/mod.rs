//! Moments of parts of a data set, computed separately and merged.
//!
//! A part was summed by a recipe of its own: its first rows gave other provisional shifts, and its
//! factors may not show all levels. [`Definition`] describes the columns that a part's moments were
//! computed from; [`merged_definition`] those of all parts together; [`Alignment`] is the linear map
//! from the columns of the one to those of the other, and [`Cells`] are a part's cells, absorbed
//! like the runs of a block by [`merge`].

mod align;
mod cell_columns;
mod cells;
mod definition;
mod error;
mod parts;
mod products;
mod union;

pub use align::Alignment;
pub(crate) use cell_columns::upper;
pub use cell_columns::{CellColumns, TotalColumns};
pub use cells::{Cells, Totals};
pub use definition::{DefinedColumn, Definition, column_names};
pub use error::PartError;
pub use parts::{Part, merge};
pub use union::{MergeError, merged_definition};
