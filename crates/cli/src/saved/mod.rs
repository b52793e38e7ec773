//! Saved fits: opens a folder of results for further commands.
//!
//! ```text
//! open   opens the folder and checks its texts
//! refit  reads the data again and finds the optimum again, if moments are needed
//! ```

mod open;
mod refit;

pub(crate) use open::{Saved, open_any};
pub(crate) use refit::Again;
