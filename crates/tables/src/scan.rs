//! Reads rows: re-cuts polars' batches to blocks by global row number.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use polars::prelude::DataFrame;
use tiers_design::{BLOCK_ROWS, Block, Request};

use crate::decode;
use crate::error::{TableError, words};
use crate::labels::Failure;
use crate::plan::Plan;
use crate::ranges::RangeReader;
use crate::reader::{Message, ReadFailure, Reader, try_out};
use crate::source::Inner;
use crate::text_reader::TextReader;

/// The rows of a source, block by block, in the order of the files.
///
/// Reading runs ahead a little, on other threads, and then waits until blocks are taken; memory does not
/// grow with the number of rows. Dropping a scan stops the reading and waits for its threads. The
/// iterator ends after an error or the last block.
#[derive(Debug)]
pub struct Scan {
    source: Arc<Inner>,
    plan: Arc<Plan>,
    /// `None` once the scan has ended.
    feed: Option<Feed>,
    /// Batches not yet delivered; part of the first may have been.
    pending: VecDeque<DataFrame>,
    pending_rows: usize,
    /// Number of leading rows still to be dropped.
    to_drop: u64,
    next_row: u64,
}

/// The source of the batches.
#[derive(Debug)]
enum Feed {
    /// Files with known numbers of rows, read by ranges of rows.
    Ranges(RangeReader),
    /// Text files, read by chunks.
    Text(TextReader),
    /// Other files, read from the first row to the last.
    Stream(Reader),
}

/// Why a feed stopped.
enum Trouble {
    /// The reader failed because of one of these files.
    Reader(Range<usize>, ReadFailure),
    /// An error found by this crate.
    Known(TableError),
}

impl Feed {
    /// Starts after the first `skipped` rows if it can skip them without reading them. Also returns the
    /// number of rows that still have to be dropped.
    fn start(source: &Arc<Inner>, plan: &Arc<Plan>, skipped: u64, portions: usize) -> Result<(Feed, u64), TableError> {
        let no_thread = |e: std::io::Error| reader_error(source, e.to_string());
        if source.files.iter().all(|f| f.rows.is_some()) {
            let reader = RangeReader::start(Arc::clone(source), Arc::clone(plan), skipped, portions);
            return reader.map(|reader| (Feed::Ranges(reader), 0)).map_err(no_thread);
        }
        if source.text.is_some() {
            let reader = TextReader::start(source, Arc::clone(plan));
            return reader.map(|reader| (Feed::Text(reader), skipped)).map_err(no_thread);
        }
        let query = plan.query(source, &source.paths(), None);
        let query = query.map_err(|e| reader_error(source, words(&e)))?;
        Reader::start(query).map(|reader| (Feed::Stream(reader), skipped)).map_err(no_thread)
    }

    /// Returns the next batch, or `None` after the last.
    fn next(&self) -> Option<Result<DataFrame, Trouble>> {
        match self {
            Feed::Ranges(reader) => {
                reader.next().map(|outcome| outcome.map_err(|(range, failure)| Trouble::Reader(range.files, failure)))
            }
            Feed::Text(reader) => reader.next().map(|outcome| outcome.map_err(Trouble::Known)),
            Feed::Stream(reader) => match reader.next() {
                Message::Batch(batch) => Some(Ok(batch)),
                Message::End(Ok(())) => None,
                Message::End(Err(failure)) => Some(Err(Trouble::Reader(0..usize::MAX, failure))),
            },
        }
    }
}

/// One block as read: cheap to pass to another thread, which then decodes it.
#[derive(Clone, Debug)]
pub struct RawBlock {
    first_row: u64,
    rows: usize,
    pieces: Vec<DataFrame>,
    source: Arc<Inner>,
    plan: Arc<Plan>,
}

impl RawBlock {
    /// Global number (from 0, over all files) of the first row.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Decodes the block to plain columns, in the order of the requests.
    ///
    /// # Errors
    /// If a value cannot be the label of a group.
    pub fn decode(&self) -> Result<Block, TableError> {
        let columns = self
            .plan
            .columns
            .iter()
            .map(|planned| {
                decode::column(&self.pieces, self.rows, self.first_row, planned).map_err(|failure| match failure {
                    Failure::Table(error) => error,
                    Failure::Polars(error) => reader_error(&self.source, words(&error)),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Block { first_row: self.first_row, rows: self.rows, columns })
    }
}

impl Scan {
    /// Starts after the first `skipped` rows; if these are all rows, the scan is empty.
    pub(crate) fn start(
        source: Arc<Inner>,
        requests: &[Request],
        skipped: u64,
        portions: usize,
    ) -> Result<Scan, TableError> {
        let plan = Arc::new(Plan::new(&source, requests)?);
        let rows: Option<u64> = source.files.iter().map(|f| f.rows).sum();
        let skipped = rows.map_or(skipped, |rows| skipped.min(rows));
        let (feed, to_drop) = Feed::start(&source, &plan, skipped, portions)?;
        let (pending, next_row) = (VecDeque::new(), skipped);
        Ok(Scan { source, plan, feed: Some(feed), pending, pending_rows: 0, to_drop, next_row })
    }

    /// Takes batches until a block is full or no batches are left.
    fn fill(&mut self) -> Result<(), TableError> {
        while self.pending_rows < BLOCK_ROWS {
            let Some(feed) = &self.feed else { break };
            match feed.next() {
                Some(Ok(batch)) if self.to_drop > 0 => {
                    let dropped = self.to_drop.min(batch.height() as u64);
                    self.to_drop -= dropped;
                    self.pending_rows += batch.height() - dropped as usize;
                    self.pending.push_back(batch.slice(dropped as i64, batch.height()));
                }
                Some(Ok(batch)) => {
                    self.pending_rows += batch.height();
                    self.pending.push_back(batch);
                }
                Some(Err(Trouble::Known(error))) => return Err(error),
                Some(Err(Trouble::Reader(files, failure))) => return Err(self.blame(files, &failure)),
                None => {
                    self.feed = None;
                    self.check_end()?;
                }
            }
        }
        Ok(())
    }

    /// Removes and returns the first `rows` pending rows, without copying them.
    fn cut(&mut self, rows: usize) -> Vec<DataFrame> {
        let mut pieces = Vec::with_capacity(2);
        let mut wanted = rows;
        while wanted > 0
            && let Some(batch) = self.pending.pop_front()
        {
            if batch.height() <= wanted {
                wanted -= batch.height();
                if batch.height() > 0 {
                    pieces.push(batch);
                }
            } else {
                let (head, tail) = batch.split_at(wanted as i64);
                pieces.push(head);
                self.pending.push_front(tail);
                wanted = 0;
            }
        }
        self.pending_rows -= rows;
        pieces
    }

    /// Checks that the files have not changed since the start and that every row has been delivered.
    fn check_end(&self) -> Result<(), TableError> {
        for file in &self.source.files {
            file.check_unchanged()?;
        }
        let read = (self.next_row + self.pending_rows as u64).saturating_sub(self.to_drop);
        let files = self.source.files.len();
        if read == 0 {
            return Err(TableError::NoRows { path: self.source.first_path(), files });
        }
        let expected: Option<u64> = self.source.files.iter().map(|f| f.rows).sum();
        match expected {
            Some(expected) if expected != read => {
                let reason = format!("{read} of {expected} rows were delivered");
                Err(reader_error(&self.source, reason))
            }
            _ => Ok(()),
        }
    }

    /// Finds the file that caused a failure of the reader.
    fn blame(&self, files: Range<usize>, failure: &ReadFailure) -> TableError {
        let all = &self.source.files;
        if let Some(changed) = all.iter().find_map(|f| f.check_unchanged().err()) {
            return changed;
        }
        let suspects = &all[files.start..files.end.min(all.len())];
        if let [file] = suspects {
            return failure.of_file(&file.path);
        }
        for file in suspects {
            let alone = || self.plan.query(&self.source, &[&file.path], None);
            if let Err(failure) = try_out(alone) {
                return failure.of_file(&file.path);
            }
        }
        reader_error(&self.source, failure.words())
    }

    fn next_block(&mut self) -> Result<Option<RawBlock>, TableError> {
        self.fill()?;
        let rows = self.pending_rows.min(BLOCK_ROWS);
        if rows == 0 {
            return Ok(None);
        }
        let first_row = self.next_row;
        let pieces = self.cut(rows);
        self.next_row += rows as u64;
        Ok(Some(RawBlock { first_row, rows, pieces, source: Arc::clone(&self.source), plan: Arc::clone(&self.plan) }))
    }
}

impl Iterator for Scan {
    type Item = Result<RawBlock, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_block();
        if next.is_err() {
            self.feed = None;
            self.pending.clear();
            self.pending_rows = 0;
        }
        next.transpose()
    }
}

fn reader_error(source: &Inner, reason: String) -> TableError {
    TableError::Reader { path: source.first_path(), files: source.files.len(), reason }
}
