//! Checkpoints of a job, written at intervals and when it is asked to stop: the sums of a read, and the
//! path of a search.
//!
//! The library defines the files. It verifies every byte by checksums, and the inputs by the
//! fingerprint.

use super::store::Store;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::time::{Duration, Instant};
use tiers_reml::{Checkpoint, CheckpointError, PassState, ThetaPath};
use tracing::{info, warn};

/// Names of the checkpoints in the hidden folder.
const READ: &str = "read.checkpoint";
const SEARCH: &str = "search.checkpoint";

/// Largest age of a checkpoint when all rows have been read.
const AT_THE_END: Duration = Duration::from_secs(5);

/// Writes checkpoints when they are due.
#[derive(Debug)]
pub(crate) struct Keeper {
    fingerprint: String,
    every: Duration,
    last: Instant,
    /// Number of checkpoints written.
    pub written: usize,
    /// Seconds spent on writing checkpoints.
    pub seconds: f64,
}

impl Keeper {
    /// Creates a writer of checkpoints with this fingerprint.
    pub(crate) fn new(fingerprint: &str, every: Duration) -> Keeper {
        Keeper { fingerprint: fingerprint.to_owned(), every, last: Instant::now(), written: 0, seconds: 0.0 }
    }

    /// Saves the sums of a read if a checkpoint is due or `now` is set.
    pub(crate) fn offer_sums(&mut self, store: &Store, state: &PassState<'_>, now: bool) {
        let every = if state.is_complete() { self.every.min(AT_THE_END) } else { self.every };
        if now || self.last.elapsed() >= every {
            self.keep(store, READ, |fingerprint, to| state.write(fingerprint, to));
        }
    }

    /// Saves the path of a search if a checkpoint is due or `now` is set.
    pub(crate) fn offer_path(&mut self, store: &Store, path: &ThetaPath, now: bool) {
        if now || self.last.elapsed() >= self.every {
            self.keep(store, SEARCH, |fingerprint, to| path.write(fingerprint, to));
        }
    }

    fn keep(&mut self, store: &Store, file: &str, write: impl FnOnce(&str, &mut dyn Write) -> io::Result<()>) {
        let clock = Instant::now();
        let written = store.write(&store.hidden(file), |to| write(&self.fingerprint, to));
        let seconds = clock.elapsed().as_secs_f64();
        match written {
            Ok(()) => {
                self.written += 1;
                info!(file, seconds, "checkpoint written");
            }
            // The job continues: it may still complete, and the last checkpoint remains.
            Err(error) => warn!(file, %error, "no checkpoint could be written"),
        }
        self.seconds += seconds;
        self.last = Instant::now();
    }
}

/// Returns the saved sums, if any. Sums that cannot be used are reported and left in place.
pub(crate) fn find_sums(store: &Store, fingerprint: &str) -> Option<Checkpoint> {
    find(store, READ, |from| Checkpoint::read(from, fingerprint), "reading starts from the first row")
}

/// Returns the saved path of a search, if any. A path that cannot be used is reported.
pub(crate) fn find_path(store: &Store, fingerprint: &str) -> Option<ThetaPath> {
    find(store, SEARCH, |from| ThetaPath::read(from, fingerprint), "the search starts from the beginning")
}

fn find<T>(
    store: &Store,
    file: &str,
    read: impl FnOnce(&mut dyn Read) -> Result<T, CheckpointError>,
    instead: &str,
) -> Option<T> {
    let mut from = BufReader::with_capacity(1 << 20, File::open(store.hidden(file)).ok()?);
    match read(&mut from) {
        Ok(found) => Some(found),
        Err(error) => {
            warn!(file, %error, "the checkpoint cannot be used; {instead}");
            None
        }
    }
}

/// Whether there is a checkpoint to resume from.
pub(crate) fn is_there(store: &Store) -> bool {
    [READ, SEARCH].iter().any(|file| store.hidden(file).exists())
}

/// Removes all checkpoints once they are no longer needed.
pub(crate) fn remove(store: &Store) {
    std::fs::remove_file(store.hidden(READ)).ok();
    remove_path(store);
}

/// Removes the path of a search that has ended.
pub(crate) fn remove_path(store: &Store) {
    std::fs::remove_file(store.hidden(SEARCH)).ok();
}
