//! The error of a read for which the limit on memory is too tight.

use crate::memory_limit::in_words;
use tiers_design::ReadingCost;

/// Reading and summing a block of rows needs more memory than the limit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "not enough memory: to read {columns} columns{} takes at least about {}, and the limit is {}; {}. Use a machine with \
     more memory or raise the limit",
    if *m > 0 { format!(" and to sum {m} columns of the model") } else { String::new() },
    in_words(*needed),
    in_words(*limit),
    remedy(*cost, *m)
)]
pub struct RoomError {
    /// Bytes needed.
    pub needed: u64,
    /// The limit in bytes.
    pub limit: u64,
    /// Columns read.
    pub columns: usize,
    /// Columns of the model, where they are known.
    pub m: usize,
    /// Memory that the source takes.
    pub cost: ReadingCost,
}

/// Says what takes most memory while reading, and how to reduce it.
fn remedy(cost: ReadingCost, m: usize) -> &'static str {
    let ReadingCost { fixed, portion, block, .. } = cost;
    if 2 * fixed > portion {
        "the files consist of very many row groups, all of which are described in memory: write them with row groups of \
         100,000 rows or more"
    } else if m == 0 && portion > 8 * block {
        "the texts of a column are very long: use short labels"
    } else {
        "rows are read and summed in blocks of 32,768, so fewer predictors need less"
    }
}
