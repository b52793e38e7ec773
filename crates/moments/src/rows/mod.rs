//! Passes over the rows of a source after a fit, with the groups of the fit.

mod clusters;
mod group_ids;
mod group_index;
mod row_pass;

pub use clusters::{ClusterError, ClusterMoments, cluster_level};
pub use group_ids::GroupIds;
pub use group_index::GroupIndex;
pub use row_pass::{PassError, RowPass};
