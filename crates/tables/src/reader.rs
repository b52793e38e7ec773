//! Runs a query of polars' streaming engine on its own thread and receives its batches.
//!
//! Polars offers the same as `LazyFrame::collect_batches`, but there a panic inside the engine looks
//! like the end of the data. Here the end is an explicit message, sent only if the query has completed.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use polars::prelude::{DataFrame, Engine, LazyFrame, PlanCallback, PolarsError, PolarsResult};

use crate::error::{TableError, panic_words, words};

/// Number of batches that may wait in the channel. The engine holds one more, and decodes no further
/// until it is taken.
const WAITING: usize = 2;

/// A message of the reading thread.
pub(crate) enum Message {
    Batch(DataFrame),
    /// The last message: all batches have been sent, or the query failed.
    End(Result<(), ReadFailure>),
}

/// A running query.
#[derive(Debug)]
pub(crate) struct Reader {
    /// `None` only while being dropped.
    messages: Option<Receiver<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts the query.
    pub(crate) fn start(query: LazyFrame) -> io::Result<Reader> {
        let (sender, messages) = sync_channel(WAITING);
        let work = move || {
            let batches = sender.clone();
            let outcome = run(query, move |batch| batches.send(Message::Batch(batch)).is_err());
            // Sending fails if the scan has been dropped.
            sender.send(Message::End(outcome)).ok();
        };
        let thread = thread::Builder::new().name("tiers-read".to_owned()).spawn(work)?;
        Ok(Reader { messages: Some(messages), thread: Some(thread) })
    }

    /// Waits for the next message.
    pub(crate) fn next(&self) -> Message {
        let message = self.messages.as_ref().and_then(|m| m.recv().ok());
        message.unwrap_or_else(|| {
            let reason = "the reading thread ended without a result".to_owned();
            Message::End(Err(ReadFailure::Words(reason)))
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Closing the channel makes the engine stop at its next batch.
        self.messages = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Runs a query to its end, or until `stop`, which receives every batch, returns true.
fn run(query: LazyFrame, stop: impl Fn(DataFrame) -> bool + Send + Sync + 'static) -> Result<(), ReadFailure> {
    guarded(|| {
        let sink = PlanCallback::new(move |batch| Ok(stop(batch)));
        query.sink_batches(sink, true, None)?.collect_with_engine(Engine::Streaming)
    })
    .map(|_| ())
}

/// Collects all rows of a query.
pub(crate) fn collect(query: impl FnOnce() -> PolarsResult<LazyFrame>) -> Result<DataFrame, ReadFailure> {
    guarded(|| Ok(query()?.collect_with_engine(Engine::Streaming)?.unwrap_single()))
}

/// Checks that a query completes, and drops its rows.
pub(crate) fn try_out(query: impl FnOnce() -> PolarsResult<LazyFrame>) -> Result<(), ReadFailure> {
    run(guarded(query)?, |_| false)
}

/// Converts a panic inside the engine, which damaged files may cause, to an ordinary failure.
fn guarded<T>(work: impl FnOnce() -> PolarsResult<T>) -> Result<T, ReadFailure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(ReadFailure::Polars),
        Err(panic) => Err(ReadFailure::Words(panic_words(panic.as_ref()))),
    }
}

/// Why a query did not complete.
#[derive(Debug)]
pub(crate) enum ReadFailure {
    Polars(PolarsError),
    /// A panic, or an error found by this crate.
    Words(String),
}

impl ReadFailure {
    /// The message of the failure.
    pub(crate) fn words(&self) -> String {
        match self {
            ReadFailure::Polars(error) => words(error),
            ReadFailure::Words(words) => words.clone(),
        }
    }

    /// Returns the error for the file that caused the failure.
    pub(crate) fn of_file(&self, path: &Path) -> TableError {
        let path = path.to_owned();
        match self {
            ReadFailure::Polars(PolarsError::IO { error, .. }) if error.kind() == io::ErrorKind::PermissionDenied => {
                TableError::Denied { path }
            }
            _ => TableError::Damaged { path, reason: self.words() },
        }
    }
}
