//! Implements the source trait of `tiers_design` for [`Source`], so that code that sums rows need not
//! know about files.

use crate::scan::RawBlock;
use crate::source::Source;
use tiers_design::{Block, Field, ReadingCost, Request, Scan, SourceError};

impl tiers_design::Source for Source {
    fn fields(&self) -> &[Field] {
        Source::fields(self)
    }

    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError> {
        tiers_design::Source::scan_from(self, requests, 0)
    }

    fn scan_from(&self, requests: &[Request], blocks: u64) -> Result<Scan, SourceError> {
        tiers_design::Source::scan_in_portions(self, requests, blocks, usize::MAX)
    }

    fn cost(&self, requests: &[Request]) -> ReadingCost {
        Source::cost(self, requests)
    }

    fn scan_in_portions(&self, requests: &[Request], blocks: u64, portions: usize) -> Result<Scan, SourceError> {
        let scan = Source::scan_in_portions(self, requests, blocks, portions)?;
        Ok(Box::new(scan.map(|raw| match raw {
            Ok(raw) => Ok(Box::new(raw) as Box<dyn tiers_design::RawBlock>),
            Err(error) => Err(error.into()),
        })))
    }
}

impl tiers_design::RawBlock for RawBlock {
    fn decode(&self) -> Result<Block, SourceError> {
        Ok(RawBlock::decode(self)?)
    }
}
