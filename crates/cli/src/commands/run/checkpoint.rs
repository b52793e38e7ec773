//! Checkpoints of a job: the sums of an interrupted read, written at intervals and when the job is asked
//! to stop.
//!
//! The library defines the format. It verifies every byte by checksums, and the inputs by the
//! fingerprint. The search that follows is repeated, since it takes a small part of the time.

use super::job_folder::JobFolder;
use std::fs::File;
use std::io::BufReader;
use std::time::{Duration, Instant};
use tiers_moments::{Checkpoint, PassState};
use tracing::{info, warn};

/// Name of the checkpoint in the hidden folder.
const READ: &str = "read.checkpoint";

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

    /// Writes the sums of a read if a checkpoint is due or `now` is set.
    pub(crate) fn offer(&mut self, folder: &JobFolder, state: &PassState<'_>, now: bool) {
        let every = if state.is_complete() { self.every.min(AT_THE_END) } else { self.every };
        if !now && self.last.elapsed() < every {
            return;
        }
        let clock = Instant::now();
        let written = folder.write(&folder.hidden(READ), |to| state.write(&self.fingerprint, to));
        let seconds = clock.elapsed().as_secs_f64();
        match written {
            Ok(()) => {
                self.written += 1;
                info!(file = READ, seconds, "checkpoint written");
            }
            // The job continues: it may still complete, and the last checkpoint is still there.
            Err(error) => warn!(file = READ, %error, "no checkpoint could be written"),
        }
        self.seconds += seconds;
        self.last = Instant::now();
    }
}

/// Returns the sums of an interrupted read, if any. A checkpoint that cannot be used is reported and
/// left in place.
pub(crate) fn find_sums(folder: &JobFolder, fingerprint: &str) -> Option<Checkpoint> {
    let mut from = BufReader::with_capacity(1 << 20, File::open(folder.hidden(READ)).ok()?);
    match Checkpoint::read(&mut from, fingerprint) {
        Ok(found) => Some(found),
        Err(error) => {
            warn!(file = READ, %error, "the checkpoint cannot be used; reading starts from the first row");
            None
        }
    }
}

/// Whether there is anything to resume from.
pub(crate) fn is_there(folder: &JobFolder) -> bool {
    folder.hidden(READ).exists()
}

/// Removes the checkpoint.
pub(crate) fn remove(folder: &JobFolder) {
    std::fs::remove_file(folder.hidden(READ)).ok();
}
