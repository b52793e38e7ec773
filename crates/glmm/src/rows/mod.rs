//! The rows of a model in the order of their groups, each column in the narrowest type that loses nothing.

mod narrow;
mod order;
mod read;

pub use read::{ResponseError, RowsError};

use crate::visit::{Shape, VisitRows};
use narrow::Narrow;
pub(crate) use order::ShardOrder;
use std::ops::Range;

/// All rows of a model.
#[derive(Debug)]
pub struct Rows {
    /// The distinct columns of X and Z, unshifted.
    pub(crate) columns: Vec<Narrow>,
    /// Subtracted from each column when it is used.
    pub(crate) shifts: Vec<f64>,
    /// Position in `columns` of each column of X, and of each distinct z column.
    pub(crate) x: Vec<usize>,
    pub(crate) z: Vec<usize>,
    /// Successes, or weighted counts.
    pub(crate) k: Narrow,
    /// Trials or weights; `None` where all are 1.
    pub(crate) m: Option<Narrow>,
    /// Sums of offsets; `None` without offsets.
    pub(crate) offset: Option<Narrow>,
    /// The groups of each shard, in order.
    pub(crate) shards: Vec<ShardOrder>,
    /// Sum of the parts of the log-likelihood that do not depend on parameters.
    pub(crate) constant: f64,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.k.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held by the columns.
    pub fn bytes(&self) -> usize {
        let optional = |column: &Option<Narrow>| column.as_ref().map_or(0, Narrow::bytes);
        self.columns.iter().map(Narrow::bytes).sum::<usize>()
            + self.k.bytes()
            + optional(&self.m)
            + optional(&self.offset)
    }

    /// Copies the rows of some top-level groups of a shard into the memory of a visit.
    pub(crate) fn load(&self, shape: &Shape, shard: &ShardOrder, tops: Range<usize>, into: &mut VisitRows) {
        let groups = shard.finest_of(tops.clone());
        let rows = shard.rows_of(tops);
        let start = rows.start;
        into.ends.clear();
        into.ends.extend(shard.row_ends[groups].iter().map(|end| end - start));
        let n = rows.len();
        self.load_columns(&self.x, rows.clone(), shape.p, &mut into.x);
        self.load_columns(&self.z, rows.clone(), shape.path.distinct(), &mut into.z);
        for (column, values, default) in [
            (Some(&self.k), &mut into.k, 0.0),
            (self.m.as_ref(), &mut into.m, 1.0),
            (self.offset.as_ref(), &mut into.offset, 0.0),
        ] {
            values.clear();
            values.resize(n, default);
            if let Some(column) = column {
                column.spread(rows.clone(), 0.0, values, (0, 1));
            }
        }
    }

    /// Copies columns of some rows, row-major. The rows are written in small parts, which stay in the nearest cache
    /// until their last column is there.
    fn load_columns(&self, columns: &[usize], rows: Range<usize>, width: usize, out: &mut Vec<f64>) {
        const PART: usize = 64;
        if width == 0 {
            return out.clear();
        }
        out.resize(rows.len() * width, 0.0);
        for (part, out) in out.chunks_mut(PART * width).enumerate() {
            let start = rows.start + part * PART;
            let rows = start..start + out.len() / width;
            for (j, &column) in columns.iter().enumerate() {
                self.columns[column].spread(rows.clone(), self.shifts[column], out, (j, width));
            }
        }
    }
}
