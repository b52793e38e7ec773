//! How much of the rows is in hand at a time, within a limit of memory.
//!
//! Blocks are always of the same rows and are merged in the same order; only how many of them are
//! read ahead, decoded side by side and kept until they are merged depends on the limit. So a tight
//! limit makes a fit slower, and no bit of it different.

use tiers_design::{BLOCK_ROWS, Block, Column, Dictionary, ReadingCost};

/// Blocks that are merged together, where memory allows.
pub(crate) const WAVE: usize = 16;

/// Bytes in hand per thread in a pass without a limit.
const PER_THREAD: u64 = 256 << 20;

/// What is in hand while rows are read, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// What the source takes.
    pub(crate) source: ReadingCost,
    /// All raw blocks there are, where the number of rows is known.
    pub(crate) all_raw: Option<u64>,
    /// A block as plain columns.
    pub(crate) decoded: u64,
    /// A block as rows of the design.
    pub(crate) encoded: u64,
    /// The sums of a block, until it is merged.
    pub(crate) summed: u64,
}

impl Load {
    /// The same for blocks of fewer rows.
    pub(crate) fn of_rows(&self, rows: u64) -> Load {
        let share = |bytes: u64| (bytes as f64 * rows as f64 / BLOCK_ROWS as f64) as u64;
        let (decoded, encoded, summed) = (share(self.decoded), share(self.encoded), share(self.summed));
        Load { decoded, encoded, summed, ..*self }
    }
}

/// How many of them are in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Portions that the source reads at a time.
    pub(crate) portions: usize,
    /// Blocks that are merged together.
    pub(crate) wave: usize,
    /// Blocks that are decoded side by side.
    pub(crate) at_once: usize,
}

impl Pace {
    /// As fast as the machine allows.
    pub(crate) fn full(source: &ReadingCost) -> Pace {
        Pace { portions: source.portions, wave: WAVE, at_once: rayon::current_num_threads() }
    }

    /// The fastest pace at which a load takes no more than so many bytes, or the bytes that even the
    /// slowest takes.
    pub(crate) fn within(load: &Load, bytes: u64) -> Result<Pace, u64> {
        let mut pace = Pace::full(&load.source);
        while pace.bytes(load) > bytes {
            // Half as many of what takes most, among those of which there are several.
            let [reading, side_by_side, waiting] = pace.parts(load);
            let mut counts =
                [(reading, &mut pace.portions), (side_by_side, &mut pace.at_once), (waiting, &mut pace.wave)];
            match counts.iter_mut().filter(|(_, count)| **count > 1).max_by_key(|(part, _)| *part) {
                Some((_, count)) => **count /= 2,
                None => return Err(pace.bytes(load)),
            }
        }
        Ok(pace)
    }

    /// The pace of a pass that keeps nothing of its blocks and has no limit of its own: bounded by what
    /// the threads need.
    pub(crate) fn of_pass(source: ReadingCost, columns: usize) -> Pace {
        let block = 8 * (columns * BLOCK_ROWS) as u64;
        let load = Load { source, all_raw: None, decoded: block, encoded: block, summed: 0 };
        let bytes = PER_THREAD * (rayon::current_num_threads() as u64 + 1);
        Pace::within(&load, bytes).unwrap_or(Pace { portions: 1, wave: 1, at_once: 1 })
    }

    /// How many of so many blocks to work on side by side: all of them, which leaves it to the pool,
    /// unless memory is short.
    pub(crate) fn side_by_side(&self, blocks: usize) -> usize {
        if self.at_once < rayon::current_num_threads() { self.at_once } else { blocks.max(1) }
    }

    /// Bytes of what is being read, of what is worked on, and of what waits.
    fn parts(&self, load: &Load) -> [u64; 3] {
        let Load { source, all_raw, decoded, encoded, summed } = load;
        let reading = (self.portions as u64) * source.portion;
        let at_once = self.at_once.min(self.wave) as u64;
        // As many wait in the channel as are in hand; all of them may be parts of portions.
        let raw = (2 * self.wave as u64 * source.block).min(all_raw.unwrap_or(u64::MAX));
        [reading, at_once * (decoded + encoded), raw + self.wave as u64 * summed]
    }

    /// Bytes in hand.
    pub(crate) fn bytes(&self, load: &Load) -> u64 {
        load.source.fixed + self.parts(load).iter().sum::<u64>()
    }
}

/// Bytes of a decoded block of so many rows, of which this one is an example.
pub(crate) fn decoded(example: &Block) -> u64 {
    let scale = |bytes: usize| bytes as u64;
    let column = |column: &Column| match column {
        Column::Numbers(values) => scale(8 * values.len()),
        Column::Labels(labels) => {
            let dictionary = match &labels.dictionary {
                Dictionary::Integer(values) => 8 * values.len(),
                Dictionary::Text(texts) => texts.iter().map(|text| text.len() + 8).sum(),
            };
            // Interning holds the texts and a table of them.
            scale(4 * labels.codes.len() + 2 * dictionary)
        }
    };
    example.columns.iter().map(column).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One thing after the other.
    const LEAST: Pace = Pace { portions: 1, wave: 1, at_once: 1 };

    fn load() -> Load {
        let source = ReadingCost { fixed: 10, portion: 100, block: 50, portions: 3 };
        Load { source, all_raw: None, decoded: 80, encoded: 80, summed: 20 }
    }

    #[test]
    fn plenty_of_memory_changes_nothing() {
        let pace = Pace::within(&load(), u64::MAX).unwrap();
        assert_eq!(pace, Pace { portions: 3, wave: 16, at_once: rayon::current_num_threads() });
    }

    #[test]
    fn a_tight_limit_slows_down_and_one_that_is_too_tight_says_what_is_needed() {
        let least = LEAST.bytes(&load());
        assert_eq!(least, 10 + 100 + 160 + 100 + 20);
        assert_eq!(Pace::within(&load(), least), Ok(LEAST));
        assert_eq!(Pace::within(&load(), least - 1), Err(least));
        for bytes in (least..5000).step_by(37) {
            assert!(Pace::within(&load(), bytes).unwrap().bytes(&load()) <= bytes);
        }
    }

    #[test]
    fn few_rows_have_few_raw_blocks() {
        let load = Load { all_raw: Some(60), ..load() };
        assert_eq!(LEAST.bytes(&load), 10 + 100 + 160 + 60 + 20);
    }
}
