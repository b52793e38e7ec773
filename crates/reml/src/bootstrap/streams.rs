//! Streams of random numbers: one per seed, replicate and shard.

use chacha20::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{ChiSquared, Distribution, StandardNormal};
use tiers_equations::Draws;

/// Base-2 logarithm of the number of streams of a replicate: one for each of 64 shards, and a shared one.
const STREAMS_PER_REPLICATE: u32 = 8;

/// ChaCha with 8 rounds: its specification fixes the numbers, and every seed has 2^64 streams.
#[derive(Debug)]
pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a shard of a replicate.
    pub(super) fn new(seed: u64, replicate: u64, shard: usize) -> Self {
        debug_assert!(shard < 1 << STREAMS_PER_REPLICATE);
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream((replicate << STREAMS_PER_REPLICATE) | shard as u64);
        Stream(generator)
    }
}

impl Draws for Stream {
    fn normal(&mut self) -> f64 {
        self.0.sample(StandardNormal)
    }

    fn chi_squared(&mut self, degrees: f64) -> f64 {
        ChiSquared::new(degrees).map_or(0.0, |distribution| distribution.sample(&mut self.0))
    }
}
