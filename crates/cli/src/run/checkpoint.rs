//! The sums of a read in a file, from time to time and when the job is asked to stop.
//!
//! The file is the library's, which checks every byte of it against checksums, and what it was made of
//! against the fingerprint.

use super::store::Store;
use std::fs::File;
use std::io::BufReader;
use std::time::{Duration, Instant};
use tiers_reml::{Checkpoint, CheckpointError, PassState};
use tracing::{info, warn};

/// Its name in the hidden folder.
const FILE: &str = "read.checkpoint";

/// A checkpoint need not be more than this long ago when all rows have been read.
const AT_THE_END: Duration = Duration::from_secs(5);

/// Writes checkpoints when it is time.
#[derive(Debug)]
pub(crate) struct Keeper {
    fingerprint: String,
    every: Duration,
    last: Instant,
    /// Checkpoints written.
    pub written: usize,
    /// Seconds that they took.
    pub seconds: f64,
}

impl Keeper {
    /// For a read of this fingerprint.
    pub(crate) fn new(fingerprint: &str, every: Duration) -> Keeper {
        Keeper { fingerprint: fingerprint.to_owned(), every, last: Instant::now(), written: 0, seconds: 0.0 }
    }

    /// Keeps the state if it is time, or `now`.
    pub(crate) fn offer(&mut self, store: &Store, state: &PassState<'_>, now: bool) {
        let every = if state.is_complete() { self.every.min(AT_THE_END) } else { self.every };
        if !now && self.last.elapsed() < every {
            return;
        }
        let clock = Instant::now();
        let written = store.write(&store.hidden(FILE), |to| state.write(&self.fingerprint, to));
        let rows = state.rows_read();
        match written {
            Ok(()) => {
                self.written += 1;
                info!(rows, seconds = clock.elapsed().as_secs_f64(), "checkpoint written");
            }
            // The job goes on: it may come to its end yet, and the last checkpoint still stands.
            Err(error) => warn!(rows, %error, "no checkpoint could be written"),
        }
        self.seconds += clock.elapsed().as_secs_f64();
        self.last = Instant::now();
    }
}

/// The checkpoint that stands there, if any. One that cannot be used is an error.
pub(crate) fn find(store: &Store, fingerprint: &str) -> Result<Option<Checkpoint>, CheckpointError> {
    let Ok(file) = File::open(store.hidden(FILE)) else { return Ok(None) };
    Checkpoint::read(&mut BufReader::with_capacity(1 << 20, file), fingerprint).map(Some)
}

/// Removes it, when it is of no more use.
pub(crate) fn remove(store: &Store) {
    std::fs::remove_file(store.hidden(FILE)).ok();
}
