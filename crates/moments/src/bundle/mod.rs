//! Bundles: models whose moments are accumulated together in one read of the rows.
//!
//! A [`Bundle`] holds recipes that drop the same rows and have the same weights and keys; its columns are
//! the distinct columns of all of them. A [`Projection`] picks the moments of one model out of those of
//! the bundle; they are bit-identical to the moments from a read for that model alone.
//! [`sort_into_bundles`] decides which models to bundle. `by` columns cut the rows into partitions with
//! their own sums ([`PartitionTotals`]), from which [`Partitioned`] derives the moments of a model in
//! every partition.

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
