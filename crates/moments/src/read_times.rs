//! Where the time of a pass over the rows goes.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tiers_design::Scan;

/// Seconds of a pass over the rows, by phase.
///
/// Reading ahead, decoding, encoding and summing go on side by side, so that their times are those of
/// threads, added up; they can be more than the time by the clock. Merging and waiting are by the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadTimes {
    /// The reader: from the file to raw blocks, as far as the pass waits for it.
    pub scan: f64,
    /// From raw blocks to plain columns, threads added up.
    pub decode: f64,
    /// From plain columns to rows of the design, threads added up.
    pub encode: f64,
    /// From rows to the sums of a block, threads added up.
    pub sum: f64,
    /// From the sums of blocks to those of cells, by the clock.
    pub merge: f64,
    /// Waiting for the reader, by the clock.
    pub wait: f64,
}

/// Times of one block in the hands of a thread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BlockTimes {
    pub decode: f64,
    pub encode: f64,
    pub sum: f64,
}

impl ReadTimes {
    pub(crate) fn add(&mut self, block: &BlockTimes) {
        self.decode += block.decode;
        self.encode += block.encode;
        self.sum += block.sum;
    }
}

/// Seconds since the last call.
pub(crate) struct Laps(Instant);

impl Laps {
    pub(crate) fn start() -> Self {
        Laps(Instant::now())
    }

    pub(crate) fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = (now - self.0).as_secs_f64();
        self.0 = now;
        seconds
    }
}

/// A scan that notes the time its reader takes.
pub(crate) fn timed(mut scan: Scan) -> (Scan, ScanTime) {
    let time = ScanTime::default();
    let clock = time.clone();
    let next = move || {
        let start = Instant::now();
        let raw = scan.next();
        clock.add(start.elapsed());
        raw
    };
    (Box::new(std::iter::from_fn(next)), time)
}

/// The time that a [`timed`] scan has taken so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScanTime(Arc<AtomicU64>);

impl ScanTime {
    fn add(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 * 1e-9
    }
}
