//! Models that are summed together, while the rows are read once for all of them.
//!
//! A [`Bundle`] is made of recipes that lose the same rows, weigh them alike and have the same keys: its
//! columns are the distinct columns of all. [`Projection`] is the way back from its moments to those of
//! one model: columns are picked. Each sum has the bits that a read for that model alone would give it.
//! [`sort_into_bundles`] decides which models are worth summing together. With `by` columns
//! the rows are cut into partitions, each with sums of its own ([`PartitionTotals`]), from which
//! [`Partitioned`] makes the moments of a model in every partition.

mod cost;
mod encode;
mod members;
mod partition;
mod partitioned;
mod project;

pub use cost::{Candidate, sort_into_bundles};
pub use encode::Encoded;
pub use members::{Bundle, Member};
pub(crate) use partition::BlockPartitionSums;
pub use partition::{BlockPartitions, PartitionSum, PartitionTotals};
pub use partitioned::Partitioned;
pub use project::Projection;
