//! Puts more rows than fit in memory in random order.
//!
//! Every row goes to a bucket drawn at random, and every bucket is then shuffled in memory. The
//! concatenated buckets are the rows in uniformly random order. The caller stores the buckets.

use crate::model::Simulation;
use crate::streams::{Stream, shuffle_stream};
use rand::Rng;

/// Approximate number of rows in a bucket.
const BUCKET_ROWS: f64 = (1 << 20) as f64;

/// First stream number for chunks; those for buckets start at 0.
const FIRST_CHUNK: u64 = 1 << 30;

/// A random order of the rows of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct Shuffle {
    seed: u64,
    buckets: u32,
}

impl Shuffle {
    /// Returns the shuffle for a simulation.
    pub fn new(simulation: &Simulation) -> Shuffle {
        let buckets = (simulation.expected().rows / BUCKET_ROWS).ceil();
        Shuffle { seed: simulation.seed, buckets: buckets.clamp(1.0, (FIRST_CHUNK - 1) as f64) as u32 }
    }

    /// Number of buckets.
    pub fn buckets(&self) -> usize {
        self.buckets as usize
    }

    /// Draws the buckets of the rows of a chunk; chunks are numbered over all blocks.
    pub fn assign(&self, chunk: u64, rows: usize) -> Vec<u32> {
        let mut stream = shuffle_stream(self.seed, FIRST_CHUNK + chunk);
        (0..rows).map(|_| below(&mut stream, u64::from(self.buckets)) as u32).collect()
    }

    /// Draws the order in which to take the rows of a bucket.
    pub fn order(&self, bucket: usize, rows: u32) -> Vec<u32> {
        let mut stream = shuffle_stream(self.seed, bucket as u64);
        let mut order: Vec<u32> = (0..rows).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, below(&mut stream, last as u64 + 1) as usize);
        }
        order
    }
}

/// Draws an integer below `end`; the probabilities are equal to within end / 2^64.
fn below(stream: &mut Stream, end: u64) -> u64 {
    ((u128::from(stream.next_u64()) * u128::from(end)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_permutations_and_buckets_are_of_similar_size() {
        let shuffle = Shuffle { seed: 1, buckets: 5 };
        let mut order = shuffle.order(3, 1000);
        assert_ne!(order[..10], shuffle.order(2, 1000)[..10]);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
        let mut counts = [0; 5];
        shuffle.assign(0, 50_000).into_iter().for_each(|bucket| counts[bucket as usize] += 1);
        assert!(counts.iter().all(|&count: &i32| (count - 10_000).abs() < 4 * 90), "{counts:?}");
    }
}
