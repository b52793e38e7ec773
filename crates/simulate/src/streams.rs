//! Streams of random numbers.
//!
//! The generator is ChaCha with 8 rounds: its numbers are defined by its specification and do not change
//! with the library, and every seed has 2^64 independent streams. Streams are numbered so that no
//! stream serves two purposes: a block uses 2^24 of them, the first for values drawn per group and the
//! others for its chunks of rows; shuffling uses the streams from the highest number downwards.

use chacha20::ChaCha8Rng;
use rand::SeedableRng;

/// A stream of random numbers.
pub(crate) type Stream = ChaCha8Rng;

/// Binary logarithm of the number of streams of a block. A chunk has 2^15 rows, so a block may have 2^39.
const STREAMS_PER_BLOCK: u32 = 24;

/// Largest number of chunks of a block.
pub(crate) const MOST_CHUNKS: u64 = (1 << STREAMS_PER_BLOCK) - 1;

/// Returns the stream for the values drawn per group of a block.
pub(crate) fn block_stream(seed: u64, block: u64) -> Stream {
    stream(seed, block << STREAMS_PER_BLOCK)
}

/// Returns the stream for the rows of a chunk of a block.
pub(crate) fn chunk_stream(seed: u64, block: u64, chunk: u64) -> Stream {
    debug_assert!(chunk < MOST_CHUNKS);
    stream(seed, (block << STREAMS_PER_BLOCK) + 1 + chunk)
}

/// Returns a stream for shuffling, distinct from all streams from which data are drawn.
pub(crate) fn shuffle_stream(seed: u64, number: u64) -> Stream {
    stream(seed, u64::MAX - number)
}

fn stream(seed: u64, number: u64) -> Stream {
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    stream.set_stream(number);
    stream
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    /// These numbers must never change, because the files of a given seed would change.
    #[test]
    fn streams_differ_and_never_change() {
        let first = |mut stream: Stream| stream.random::<u64>();
        let all = [
            first(block_stream(1, 0)),
            first(block_stream(1, 1)),
            first(chunk_stream(1, 0, 0)),
            first(block_stream(2, 0)),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(!all[..i].contains(a));
        }
        assert_eq!(all[0], 7_424_550_030_962_593_201);
    }
}
