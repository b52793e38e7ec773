//! Turns a formula and plain columns into encoded rows, factor levels and the sparse matrix Z.
//!
//! [`Formula`] (text) → [`Plan`] (resolved against a schema) → [`Recipe`] (frozen against the first
//! rows) → [`Encoder`], which turns each [`Block`] of columns into a [`RowBlock`] of numbers.

mod coding;
mod columns;
mod encode;
mod error;
mod evaluate;
mod formula;
mod freeze;
mod gather;
mod levels;
mod nearest;
mod new_rows;
mod plan;
mod product;
mod recipe;
mod select;
mod source;
mod span;
mod z_matrix;

pub use columns::{
    BLOCK_ROWS, Block, Column, Dictionary, Doubt, Field, Kind, Labels, MISSING, PackedText, Request, Role,
};
pub use encode::{Encoder, EncoderParts, Response, RowBlock};
pub use error::{DesignError, EncodeError};
pub use formula::{
    Arithmetic, Caret, Expr, Formula, FormulaError, FormulaProblem, Function, RandomTerm, TermList, Variable,
    VariableKind,
};
pub use levels::{LevelOrder, LevelSet, number_as_level};
pub use nearest::nearest;
pub use plan::{Plan, Settings};
pub use product::Product;
pub use recipe::{Atom, Coefficient, ColumnSpec, Factor, Grouping, RandomSpec, Recipe};
pub use select::Selection;
pub use source::{RawBlock, ReadingCost, Scan, Source, SourceError};
pub use span::{Combination, Span};
pub use z_matrix::{ZColumn, ZMatrix, z_matrix};
