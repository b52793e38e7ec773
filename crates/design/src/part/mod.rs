//! Moments of parts of a data set, computed separately and merged.
//!
//! Each part is summed by a recipe of its own: its provisional shifts come from its own first rows, and
//! its factors may lack some levels. A [`Definition`] describes the columns that a part's moments were
//! computed from; [`merged_definition`] describes the columns of all parts together. [`Alignment`] is the
//! linear map from the first to the second. [`Cells`] are a part's cells, which are absorbed like the
//! runs of a block.

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
