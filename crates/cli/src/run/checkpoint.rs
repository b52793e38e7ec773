//! The sums of a read in a file, from time to time and when the job is asked to stop.
//!
//! The file begins with a line that names the models; the rest is the library's, which checks every
//! byte of it against its hash and what it was made of against the fingerprint.

use super::store::Store;
use anyhow::anyhow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};
use tiers_reml::{Checkpoint, PassState};
use tracing::{info, warn};

/// Its name in the hidden folder.
const FILE: &str = "read.checkpoint";

/// Most bytes of the first line: models have names of bounded length, and are not so many.
const LONGEST_LINE: u64 = 1 << 24;

/// A checkpoint need not be more than this long ago when all rows have been read.
const AT_THE_END: Duration = Duration::from_secs(5);

/// Writes checkpoints when it is time.
#[derive(Debug)]
pub(crate) struct Keeper {
    models: Vec<String>,
    fingerprint: String,
    every: Duration,
    last: Instant,
    /// Checkpoints written.
    pub written: usize,
    /// Seconds that they took.
    pub seconds: f64,
}

impl Keeper {
    /// For a read for these models.
    pub(crate) fn new(models: &[String], fingerprint: &str, every: Duration) -> Keeper {
        let (models, fingerprint) = (models.to_vec(), fingerprint.to_owned());
        Keeper { models, fingerprint, every, last: Instant::now(), written: 0, seconds: 0.0 }
    }

    /// Keeps the state if it is time, or `now`.
    pub(crate) fn offer(&mut self, store: &Store, state: &PassState<'_>, now: bool) {
        let every = if state.is_complete() { self.every.min(AT_THE_END) } else { self.every };
        if !now && self.last.elapsed() < every {
            return;
        }
        let clock = Instant::now();
        let head = serde_json::to_string(&self.models).expect("texts");
        let written = store.write(&store.hidden(FILE), |to| {
            writeln!(to, "{head}")?;
            state.write(&self.fingerprint, to)
        });
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

/// A checkpoint that was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// For which models it was written.
    pub models: Vec<String>,
    /// What has been read.
    pub checkpoint: Checkpoint,
}

/// The checkpoint that stands there, if any; `fingerprint` gives that of a read for some models. One
/// that cannot be used is an error.
pub(crate) fn find(store: &Store, fingerprint: impl Fn(&[String]) -> String) -> anyhow::Result<Option<Found>> {
    let Ok(file) = File::open(store.hidden(FILE)) else { return Ok(None) };
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    (&mut file).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    let models: Vec<String> = serde_json::from_slice(&line).map_err(|_| anyhow!("the checkpoint is damaged"))?;
    let checkpoint = Checkpoint::read(&mut file, &fingerprint(&models))?;
    Ok(Some(Found { models, checkpoint }))
}

/// Removes it, when it is of no more use.
pub(crate) fn remove(store: &Store) {
    std::fs::remove_file(store.hidden(FILE)).ok();
}
