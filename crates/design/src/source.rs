//! Where rows come from: what a reader of tables offers to whoever sums them.

use crate::columns::{BLOCK_ROWS, Block, Field, Request};

/// An error of a source, whatever it is made of.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// What reading takes, in bytes, as far as a source can tell before it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadingCost {
    /// Whatever is read: heads of files.
    pub fixed: u64,
    /// Each portion that is being read.
    pub portion: u64,
    /// A block as it was read, not yet decoded.
    pub block: u64,
    /// Portions that are read at the same time, unless fewer are asked for.
    pub portions: usize,
}

/// A table that can be scanned, any number of times, in blocks of [`crate::BLOCK_ROWS`] rows.
pub trait Source: Sync {
    /// The columns.
    fn fields(&self) -> &[Field];

    /// Starts a scan of the requested columns from the first row.
    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError>;

    /// Starts a scan behind the first `blocks` blocks. A source that can leaves them unread; this one
    /// reads and drops them.
    fn scan_from(&self, requests: &[Request], blocks: u64) -> Result<Scan, SourceError> {
        let behind = move |(i, raw): (usize, Result<_, _>)| (i as u64 >= blocks || raw.is_err()).then_some(raw);
        Ok(Box::new(self.scan(requests)?.enumerate().filter_map(behind)))
    }

    /// What a scan of the requested columns takes.
    fn cost(&self, requests: &[Request]) -> ReadingCost {
        ReadingCost { fixed: 0, portion: 0, block: 8 * (requests.len() * BLOCK_ROWS) as u64, portions: 1 }
    }

    /// [`Source::scan_from`] with at most so many portions read at the same time.
    fn scan_in_portions(&self, requests: &[Request], blocks: u64, portions: usize) -> Result<Scan, SourceError> {
        let _one_at_a_time = portions;
        self.scan_from(requests, blocks)
    }
}

/// The blocks of a table in order, not yet decoded.
pub type Scan = Box<dyn Iterator<Item = Result<Box<dyn RawBlock>, SourceError>> + Send>;

/// A block as it was read; decoding is left to the thread that works on it.
pub trait RawBlock: Send {
    /// Turns the block into plain columns.
    fn decode(&self) -> Result<Block, SourceError>;
}

impl RawBlock for Block {
    fn decode(&self) -> Result<Block, SourceError> {
        Ok(self.clone())
    }
}
