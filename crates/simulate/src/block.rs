//! A block: some groups of the coarsest level with everything in them.

use crate::columns::Column;
use crate::group_draws::GroupDraws;
use crate::model::Simulation;
use crate::place::Place;
use crate::rows::{self, CHUNK_ROWS};
use crate::streams::{block_stream, chunk_stream};
use crate::structure::Structure;

/// A block of groups. Holds the values drawn per group; rows are drawn on demand, chunk by chunk.
#[derive(Clone, Debug)]
pub struct Block {
    pub(crate) number: u64,
    pub(crate) structure: Structure,
    pub(crate) draws: GroupDraws,
}

impl Block {
    /// Draws the groups of block `number`, counted from 0. The block depends only on the arguments.
    pub fn draw(simulation: &Simulation, number: u64) -> Block {
        let mut stream = block_stream(simulation.seed, number);
        let structure = Structure::draw(simulation, &mut stream);
        let draws = GroupDraws::draw(simulation, &structure, &mut stream);
        Block { number, structure, draws }
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.structure.rows()
    }

    /// Draws chunk `chunk`, counted from 0: [`CHUNK_ROWS`] rows, or the rest of the block. Keeps only the
    /// rows before row `end` of the block. `place` is the position at which the block begins.
    ///
    /// The columns are those of [`Simulation::fields`].
    pub fn chunk(&self, simulation: &Simulation, place: &Place, chunk: u64, end: u64) -> Vec<Column> {
        let first = chunk * CHUNK_ROWS;
        let all = first..self.rows().min(first + CHUNK_ROWS);
        let keep = end.min(all.end).saturating_sub(first) as usize;
        let stream = chunk_stream(simulation.seed, self.number, chunk);
        // Draw all rows, even if fewer are kept: the random numbers of a column follow those of the
        // preceding columns, so drawing fewer rows would change the values.
        let mut columns = rows::draw(simulation, self, place, all, stream);
        columns.iter_mut().for_each(|column| column.truncate(keep));
        columns
    }
}
