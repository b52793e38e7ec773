//! Streams of random numbers.
//!
//! ChaCha with 8 rounds: its numbers are defined by its reference and do not change with the
//! library, and 2^64 independent streams belong to every seed. Streams are numbered such that no
//! two purposes meet: a block takes 2^24 of them, the first for what is drawn per group, the
//! others for its chunks of rows; shuffling takes them from the top down.

use chacha20::ChaCha8Rng;
use rand::SeedableRng;

/// A stream of random numbers.
pub(crate) type Stream = ChaCha8Rng;

/// Streams of a block, as a power of two. A chunk has 2^15 rows, so a block may have 2^39.
const STREAMS_PER_BLOCK: u32 = 24;

/// Most chunks of a block.
pub(crate) const MOST_CHUNKS: u64 = (1 << STREAMS_PER_BLOCK) - 1;

/// The stream of what is drawn per group of a block.
pub(crate) fn block_stream(seed: u64, block: u64) -> Stream {
    stream(seed, block << STREAMS_PER_BLOCK)
}

/// The stream of the rows of a chunk of a block.
pub(crate) fn chunk_stream(seed: u64, block: u64, chunk: u64) -> Stream {
    debug_assert!(chunk < MOST_CHUNKS);
    stream(seed, (block << STREAMS_PER_BLOCK) + 1 + chunk)
}

/// A stream for shuffling, which is none of those that data are drawn from.
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

    /// These numbers must never change: files of a seed would.
    #[test]
    fn streams_are_their_own_and_stay_what_they_are() {
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
