//! The interface between readers of tables and the code that sums their rows.

use crate::columns::{BLOCK_ROWS, Block, Field, Request};

/// An error of a source.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Memory needed for reading, in bytes, as estimated before reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadingCost {
    /// Bytes independent of the columns read, such as file headers.
    pub fixed: u64,
    /// Bytes of each portion that is being read.
    pub portion: u64,
    /// Bytes of a block that is not yet decoded.
    pub block: u64,
    /// Number of portions that are read at the same time, unless a scan requests fewer.
    pub portions: usize,
}

/// A table that can be scanned repeatedly, in blocks of [`crate::BLOCK_ROWS`] rows.
pub trait Source: Sync {
    /// Returns the columns of the table.
    fn fields(&self) -> &[Field];

    /// Starts a scan of the requested columns from the first row.
    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError>;

    /// Starts a scan after the first `blocks` blocks. The default reads and drops them; a source that can
    /// skip them should.
    fn scan_from(&self, requests: &[Request], blocks: u64) -> Result<Scan, SourceError> {
        let behind = move |(i, raw): (usize, Result<_, _>)| (i as u64 >= blocks || raw.is_err()).then_some(raw);
        Ok(Box::new(self.scan(requests)?.enumerate().filter_map(behind)))
    }

    /// Estimates the memory that a scan of the requested columns needs.
    fn cost(&self, requests: &[Request]) -> ReadingCost {
        ReadingCost { fixed: 0, portion: 0, block: 8 * (requests.len() * BLOCK_ROWS) as u64, portions: 1 }
    }

    /// Does the same as [`Source::scan_from`], with at most `portions` portions read at the same time.
    fn scan_in_portions(&self, requests: &[Request], blocks: u64, portions: usize) -> Result<Scan, SourceError> {
        let _one_at_a_time = portions;
        self.scan_from(requests, blocks)
    }
}

/// The blocks of a table in order, not yet decoded.
pub type Scan = Box<dyn Iterator<Item = Result<Box<dyn RawBlock>, SourceError>> + Send>;

/// An undecoded block; the thread that processes it decodes it.
pub trait RawBlock: Send {
    /// Turns the block into plain columns.
    fn decode(&self) -> Result<Block, SourceError>;
}

impl RawBlock for Block {
    fn decode(&self) -> Result<Block, SourceError> {
        Ok(self.clone())
    }
}
