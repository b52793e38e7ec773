//! A pass over the rows that computes a result for every block and passes the results on in row order,
//! in bounded memory: fitted values, predictions.

use crate::pace::Pace;
use crate::reading::ReadObserver;
use crate::waves::{Raw, in_waves};
use rayon::prelude::*;
use tiers_design::{Block, Request, Source, SourceError};

/// Why a pass over the rows did not reach their end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// The table could not be read.
    #[error("{0}")]
    Source(SourceError),
    /// The results could not be written.
    #[error("{0}")]
    Sink(SourceError),
    /// The observer cancelled the pass.
    #[error("interrupted")]
    Interrupted,
    /// The source has another number of rows than in an earlier run.
    #[error("the data changed between two passes: they had {then} rows and now have {now}")]
    Changed {
        /// Rows of the earlier run.
        then: u64,
        /// Rows of this run.
        now: u64,
    },
}

/// A pass over the rows of a source, which can be run again over the same rows.
pub struct RowPass<'a> {
    source: &'a dyn Source,
    requests: Vec<Request>,
    /// Rows of the first run that reached the end.
    rows: Option<u64>,
}

impl<'a> RowPass<'a> {
    /// Prepares a pass over these columns of a source.
    pub fn new(source: &'a dyn Source, requests: Vec<Request>) -> Self {
        RowPass { source, requests, rows: None }
    }

    /// Reads the rows, calls `of_block` on the blocks in parallel, and passes the results to `sink` in row
    /// order.
    ///
    /// # Errors
    /// Of several errors the first in row order; [`PassError::Changed`] if an earlier run read another number
    /// of rows.
    pub fn run<T: Send, E: From<PassError> + Send>(
        &mut self,
        observer: &mut dyn ReadObserver,
        of_block: impl Fn(Block) -> Result<T, E> + Sync,
        sink: &mut dyn FnMut(T) -> Result<(), SourceError>,
    ) -> Result<(), E> {
        let now = read(self.source, &self.requests, observer, of_block, sink)?;
        match *self.rows.get_or_insert(now) {
            then if then == now => Ok(()),
            then => Err(PassError::Changed { then, now }.into()),
        }
    }
}

/// Reads all rows once; returns their number.
fn read<T: Send, E: From<PassError> + Send>(
    source: &dyn Source,
    requests: &[Request],
    observer: &mut dyn ReadObserver,
    of_block: impl Fn(Block) -> Result<T, E> + Sync,
    sink: &mut dyn FnMut(T) -> Result<(), SourceError>,
) -> Result<u64, E> {
    let pace = Pace::of_pass(source.cost(requests), requests.len());
    let scan = source.scan_in_portions(requests, 0, pace.portions).map_err(PassError::Source)?;
    let work = |raw: Raw| -> Result<(u64, T), E> {
        let block = raw.and_then(|raw| raw.decode()).map_err(PassError::Source)?;
        Ok((block.rows as u64, of_block(block)?))
    };
    let mut rows_read = 0;
    in_waves(
        scan,
        || pace.wave,
        |wave| -> Result<(), E> {
            let at_once = pace.side_by_side(wave.len());
            let mut wave = wave.into_iter();
            while wave.len() > 0 {
                let some: Vec<Raw> = wave.by_ref().take(at_once).collect();
                let done: Vec<Result<_, E>> = some.into_par_iter().with_max_len(1).map(work).collect();
                for done in done {
                    let (rows, made) = done?;
                    rows_read += rows;
                    sink(made).map_err(PassError::Sink)?;
                }
            }
            match observer.rows_read(rows_read) {
                true => Ok(()),
                false => Err(PassError::Interrupted.into()),
            }
        },
    )?;
    Ok(rows_read)
}
