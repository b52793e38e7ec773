//! Draws all chunks of rows on all cores, and passes them on in order.

use rayon::prelude::*;
use tiers_simulate::{Block, CHUNK_ROWS, Column, Place, Simulation};

/// Number of chunks per thread that are drawn at once; they take most of the memory.
const CHUNKS_PER_THREAD: usize = 4;

/// Approximate limit on groups of the finest level in the blocks that are drawn at once. A group takes
/// about ten numbers.
const MOST_GROUPS: f64 = 2e6;

/// A chunk to draw.
pub(super) struct Task<'a> {
    /// Number of the chunk, counted over all blocks.
    pub number: u64,
    block: &'a Block,
    place: &'a Place,
    /// Number of the chunk within the block.
    chunk: u64,
    /// Number of rows of the block that are used.
    end: u64,
}

impl Task<'_> {
    /// Draws the chunk.
    pub(super) fn draw(&self, simulation: &Simulation) -> Vec<Column> {
        self.block.chunk(simulation, self.place, self.chunk, self.end)
    }
}

/// Draws all chunks with `draw` and passes the results to `take`, in order. Returns the place where the
/// rows end.
pub(super) fn each_chunk<T: Send>(
    simulation: &Simulation,
    draw: impl Fn(&Task<'_>) -> T + Sync,
    mut take: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<Place> {
    let at_once = blocks_at_once(simulation);
    let mut place = Place::start(simulation);
    let mut first_block = 0;
    let mut number = 0;
    while !place.is_end(simulation) {
        let blocks: Vec<Block> =
            (first_block..first_block + at_once).into_par_iter().map(|block| Block::draw(simulation, block)).collect();
        first_block += at_once;
        let mut parts = Vec::new();
        for block in &blocks {
            if place.is_end(simulation) {
                break;
            }
            let (rows, after) = place.after(simulation, block);
            parts.push((block, std::mem::replace(&mut place, after), rows));
        }
        let mut tasks = Vec::new();
        for (block, place, end) in &parts {
            for chunk in 0..end.div_ceil(CHUNK_ROWS) {
                tasks.push(Task { number, block, place, chunk, end: *end });
                number += 1;
            }
        }
        for tasks in tasks.chunks(CHUNKS_PER_THREAD * rayon::current_num_threads()) {
            let drawn: Vec<T> = tasks.par_iter().map(&draw).collect();
            drawn.into_iter().try_for_each(&mut take)?;
        }
    }
    Ok(place)
}

/// Returns the number of blocks that are drawn at once; the rows do not depend on it.
fn blocks_at_once(simulation: &Simulation) -> u64 {
    let most = (MOST_GROUPS / simulation.expected_groups_per_block()).max(1.0) as u64;
    (rayon::current_num_threads() as u64).clamp(1, most)
}
