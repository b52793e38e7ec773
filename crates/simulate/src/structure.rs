//! The groups of a block and their numbers of rows.

use crate::model::Simulation;
use crate::streams::Stream;

/// The nest of a block. Groups are numbered within the block, level by level.
#[derive(Clone, Debug)]
pub(crate) struct Structure {
    /// By level, coarsest first.
    pub levels: Vec<LevelGroups>,
    /// First row of every group of the finest level within the block, and the end of the last group.
    pub row_starts: Vec<u64>,
}

/// The groups of a level.
#[derive(Clone, Debug)]
pub(crate) struct LevelGroups {
    /// The group of the next coarser level that contains each group; empty for the coarsest level.
    pub parent: Vec<u32>,
    /// Number of preceding siblings of each group; for the coarsest level, its number in the block.
    pub sibling: Vec<u32>,
    /// The group of this level that contains each group of the finest level.
    pub of_finest: Vec<u32>,
}

impl Structure {
    pub(crate) fn draw(simulation: &Simulation, stream: &mut Stream) -> Structure {
        let tops = simulation.groups_per_block as u32;
        let mut levels = vec![LevelGroups { parent: Vec::new(), sibling: (0..tops).collect(), of_finest: Vec::new() }];
        let (finest, above) = simulation.levels.split_last().expect("a simulation has a level");
        for level in above {
            let parents = levels.last().expect("the coarsest level is there").sibling.len() as u32;
            let (mut parent, mut sibling) = (Vec::new(), Vec::new());
            for group in 0..parents {
                let children = level.sizes.draw(stream) as u32;
                parent.extend((0..children).map(|_| group));
                sibling.extend(0..children);
            }
            levels.push(LevelGroups { parent, sibling, of_finest: Vec::new() });
        }
        let groups = levels.last().expect("the coarsest level is there").sibling.len();
        let mut row_starts = Vec::with_capacity(groups + 1);
        row_starts.push(0);
        let mut row = 0;
        for _ in 0..groups {
            row += finest.sizes.draw(stream);
            row_starts.push(row);
        }
        let mut structure = Structure { levels, row_starts };
        structure.find_ancestors();
        structure
    }

    fn find_ancestors(&mut self) {
        let mut of_finest: Vec<u32> = (0..self.groups(self.levels.len() - 1) as u32).collect();
        for level in self.levels.iter_mut().rev() {
            let above = of_finest.iter().filter_map(|&group| level.parent.get(group as usize).copied()).collect();
            level.of_finest = std::mem::replace(&mut of_finest, above);
        }
    }

    /// Returns the number of groups of a level.
    pub(crate) fn groups(&self, level: usize) -> usize {
        self.levels[level].sibling.len()
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.row_starts.last().copied().unwrap_or(0)
    }

    /// Returns the group of the finest level to which a row belongs.
    pub(crate) fn finest_of_row(&self, row: u64) -> usize {
        self.row_starts.partition_point(|&start| start <= row) - 1
    }

    /// Maps values of the groups of a level to the groups of a finer level within them.
    pub(crate) fn hand_down(&self, mut values: Vec<f64>, from: usize, to: usize) -> Vec<f64> {
        for level in &self.levels[from + 1..=to] {
            values = level.parent.iter().map(|&parent| values[parent as usize]).collect();
        }
        values
    }

    /// Returns the number of rows of every group of a level.
    pub(crate) fn rows_by_group(&self, level: usize) -> Vec<f64> {
        let mut rows = vec![0.0; self.groups(level)];
        for (&group, ends) in self.levels[level].of_finest.iter().zip(self.row_starts.windows(2)) {
            rows[group as usize] += (ends[1] - ends[0]) as f64;
        }
        rows
    }
}
