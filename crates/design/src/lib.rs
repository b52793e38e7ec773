//! From a formula and plain columns to encoded rows, levels, nesting and the sparse nested Z.
//!
//! [`Formula`] (text) → [`Plan`] (resolved against a schema) → [`Recipe`] (frozen against the first
//! rows) → [`Encoder`], which turns each [`Block`] of columns into a [`RowBlock`] of numbers.

mod block_sums;
mod bundle;
mod coding;
mod columns;
mod cross;
mod encode;
mod error;
mod evaluate;
mod forest;
mod formula;
mod freeze;
mod gather;
mod group_index;
mod labels;
mod levels;
mod moments;
mod nearest;
mod nest;
mod new_rows;
mod part;
mod plan;
mod recipe;
mod select;
mod source;
mod subtree;
mod z_matrix;

pub use block_sums::BlockSums;
pub use bundle::{
    BlockPartitions, Bundle, Candidate, Encoded, Member, PartitionSum, PartitionTotals, Partitioned, Projection,
    sort_into_bundles,
};
pub use columns::{
    BLOCK_ROWS, Block, Column, Dictionary, Doubt, Field, Kind, Labels, MISSING, PackedText, Request, Role,
};
pub use cross::{CHUNK, Cross, padded};
pub use encode::{Encoder, RowBlock};
pub use error::{DesignError, EncodeError};
pub use forest::{Forest, Level, RowSource, Tree, TreeLevel, levels as forest_levels};
pub use formula::{
    Arithmetic, Caret, Expr, Formula, FormulaError, FormulaProblem, Function, RandomTerm, TermList, Variable,
    VariableKind,
};
pub use group_index::GroupIndex;
pub use labels::LabelTable;
pub use levels::{LevelOrder, LevelSet};
pub use moments::{CellShard, LabelTask, Moments, SHARDS, Summands};
pub use nearest::nearest;
pub use nest::{Found, Nest, NestError, ShardGroups, group_labels, guess_top};
pub use part::{
    Alignment, CellColumns, Cells, DefinedColumn, Definition, MergeError, PartError, Totals, column_names,
    merged_definition,
};
pub use plan::{Plan, Settings};
pub use recipe::{Atom, Coefficient, ColumnSpec, Factor, Grouping, RandomSpec, Recipe};
pub use source::{RawBlock, ReadingCost, Scan, Source, SourceError};
pub use subtree::TopGroups;
pub use z_matrix::{ZColumn, ZMatrix, z_matrix};
