//! The position in the file at which a block begins, and the end of the file.

use crate::block::Block;
use crate::model::{Limit, Simulation};

/// A position in the file between two blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of rows before it.
    pub rows: u64,
    /// Number of groups of every level before it.
    pub groups: Vec<u64>,
}

impl Place {
    /// Returns the beginning of the file.
    pub fn start(simulation: &Simulation) -> Place {
        Place { rows: 0, groups: vec![0; simulation.levels.len()] }
    }

    /// Whether this is the end: all requested rows or groups are before it.
    pub fn is_end(&self, simulation: &Simulation) -> bool {
        match simulation.limit {
            Limit::Rows(rows) => self.rows >= rows,
            Limit::Groups(groups) => self.groups[0] >= groups,
        }
    }

    /// Returns the number of rows needed from the block that begins here, and the position after them.
    pub fn after(&self, simulation: &Simulation, block: &Block) -> (u64, Place) {
        let structure = &block.structure;
        let rows = match simulation.limit {
            Limit::Rows(rows) => structure.rows().min(rows - self.rows),
            Limit::Groups(groups) => {
                let wanted = (groups - self.groups[0]).min(simulation.groups_per_block);
                let of_finest = &structure.levels[0].of_finest;
                structure.row_starts[of_finest.partition_point(|&top| u64::from(top) < wanted)]
            }
        };
        // Every group has at least one row, so the last row belongs to the last group that has begun.
        let last = structure.finest_of_row(rows - 1);
        let begun = structure.levels.iter().map(|level| u64::from(level.of_finest[last]) + 1);
        let groups = self.groups.iter().zip(begun).map(|(before, begun)| before + begun).collect();
        (rows, Place { rows: self.rows + rows, groups })
    }
}
