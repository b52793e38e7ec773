//! From rows to sums, on all cores: everything that a fit needs to know of the data.
//!
//! The moments are the sufficient statistics of a linear mixed model at any covariance matrices of its
//! random effects: `C'WC` over all rows and `z'WC` over the rows of every combination of group labels
//! ([`Moments`]).
//!
//! The way of a row: [`accumulate`] reads blocks from a [`tiers_design::Source`] in waves, encodes each
//! by a recipe that is frozen against the first rows, sums it ([`BlockSums`]) and adds it to the cells
//! ([`Moments::absorb`]); [`Structure::of`] finds out how the groupings relate and gathers the cells by group.
//! [`merge`] adds up moments that were computed from parts of the data. [`ClusterMoments`] and
//! [`RowPass`] read the rows again for what moments do not contain; [`GroupIds`] assigns rows to the groups of a fit.

mod accumulate;
mod block_sums;
mod bundle;
mod cross;
mod error;
mod files;
pub mod in_order;
mod labels;
mod memory_limit;
mod merge;
mod moments;
mod pace;
mod read_times;
mod reading;
mod room_error;
mod rows;
mod structure;
mod vectorised;
mod waves;

pub use accumulate::checkpoint_format::CheckpointError;
pub use accumulate::{
    Checkpoint, Code, Partitions, PassState, Shared, Wanted, accumulate, accumulate_many, accumulate_with,
};
pub use block_sums::BlockSums;
pub use bundle::{
    BlockPartitions, Bundle, Candidate, Encoded, Member, PartitionSum, PartitionTotals, Partitioned, Projection,
    sort_into_bundles,
};
pub use cross::{CHUNK, Cross, padded};
pub use error::IngestError;
pub use files::{
    HEADER, LEVELS_TABLE, MOMENTS, MomentsFileError, MomentsFolder, MomentsHeader, cell_tables, read_levels,
    write_moments,
};
pub use labels::LabelTable;
pub use memory_limit::{Further, MemoryError, MemoryLimit, Needed, Size, Until, in_words};
pub use merge::{
    Alignment, CellColumns, Cells, DefinedColumn, Definition, MergeError, Part, PartError, TotalColumns, Totals,
    column_names, merge, merged_definition,
};
pub use moments::{CellShard, LabelTask, Moments, SHARDS, Summands};
pub use read_times::ReadTimes;
pub use reading::{Dropped, Ingested, ReadObserver, Reading};
pub use room_error::RoomError;
pub use rows::{ClusterError, ClusterMoments, GroupIds, GroupIndex, PassError, RowPass, cluster_level};
pub use structure::{
    CoreFactor, CorePairs, Crossed, Forest, Found, GroupPlace, LeafShard, Level, Nest, NestError, Reused, RowSource,
    RowTotals, ShardGroups, Structure, TopGroups, Tree, TreeLevel, forest_levels, group_labels, guess_top,
};
pub use vectorised::vectorised;
