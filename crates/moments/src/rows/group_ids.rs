//! Which groups of a fit the rows of a block belong to, found by their labels.

use crate::rows::GroupIndex;
use crate::structure::Structure;
use tiers_design::{Block, Column, Dictionary, Labels, Recipe};

/// The groups of one or more levels by their labels, numbered per level in the order of the labels that it
/// was built from.
#[derive(Debug)]
pub struct GroupIds {
    levels: Vec<LevelIds>,
}

/// The groups of one level.
#[derive(Debug)]
struct LevelIds {
    /// The key columns, by their position in a block.
    keys: Vec<usize>,
    index: GroupIndex,
}

impl GroupIds {
    /// Indexes the groups of all levels of a fit, for blocks with the columns of [`Recipe::requests`]. Groups
    /// are numbered in the order of [`Structure::sorted_groups`].
    pub fn of_fit(recipe: &Recipe, structure: &Structure) -> GroupIds {
        let level = |k: usize| {
            let keys = structure.levels()[k].keys.iter().map(|&key| recipe.keys[key]).collect();
            (keys, structure.group_labels(k, &structure.sorted_groups(k)))
        };
        GroupIds::new((0..structure.levels().len()).map(level)).expect("groups differ in their labels")
    }

    /// Indexes the groups of levels, each given by the positions of its key columns in a block and by the
    /// labels of its groups, a dictionary per key with one entry per group.
    ///
    /// # Errors
    /// The number of the first level in which a group occurs twice.
    pub fn new(levels: impl IntoIterator<Item = (Vec<usize>, Vec<Dictionary>)>) -> Result<GroupIds, usize> {
        let level = |(k, (keys, labels)): (usize, (Vec<usize>, Vec<Dictionary>))| {
            GroupIndex::new(labels).map(|index| LevelIds { keys, index }).map_err(|_| k)
        };
        Ok(GroupIds { levels: levels.into_iter().enumerate().map(level).collect::<Result<_, _>>()? })
    }

    /// Returns the number of groups of a level.
    pub fn groups(&self, level: usize) -> usize {
        self.levels[level].index.len()
    }

    /// Returns the group of every row of a block, level by level; [`tiers_design::MISSING`] where the fit has
    /// no such group or a label is missing. A block without columns has no rows.
    pub fn of_block(&self, block: &Block) -> Vec<Vec<u32>> {
        let labels = |&key: &usize| match block.columns.get(key) {
            Some(Column::Labels(labels)) => Some(labels),
            _ => None,
        };
        let of_level = |level: &LevelIds| {
            let keys: Option<Vec<&Labels>> = level.keys.iter().map(labels).collect();
            keys.map_or_else(Vec::new, |keys| level.index.groups_of(&keys))
        };
        self.levels.iter().map(of_level).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiers_design::MISSING;

    fn labels(codes: &[u32], dictionary: Vec<i64>) -> Labels {
        Labels { codes: codes.to_vec(), dictionary: Dictionary::Integer(dictionary) }
    }

    #[test]
    fn rows_are_assigned_to_the_groups_of_every_level() {
        let class = (vec![2, 0], vec![Dictionary::Integer(vec![7, 7, 8]), Dictionary::Integer(vec![1, 2, 1])]);
        let ids = GroupIds::new([class, (vec![2], vec![Dictionary::Integer(vec![7, 8])])]).unwrap();
        assert_eq!((ids.groups(0), ids.groups(1)), (3, 2));
        let columns = vec![
            Column::Labels(labels(&[0, 1, 0, 1, MISSING], vec![1, 2])),
            Column::Numbers(vec![0.0; 5]),
            Column::Labels(labels(&[0, 0, 1, 1, 0], vec![7, 8])),
        ];
        let block = Block { first_row: 0, rows: 5, columns };
        assert_eq!(ids.of_block(&block), [vec![0, 1, 2, MISSING, MISSING], vec![0, 0, 1, 1, 0]]);
        let empty = Block { first_row: 0, rows: 0, columns: Vec::new() };
        assert_eq!(ids.of_block(&empty), [Vec::<u32>::new(), Vec::new()]);
    }

    #[test]
    fn a_group_that_occurs_twice_is_an_error_with_its_level() {
        let level = |labels: Vec<i64>| (vec![0], vec![Dictionary::Integer(labels)]);
        assert_eq!(GroupIds::new([level(vec![1, 2]), level(vec![3, 3])]).unwrap_err(), 1);
    }
}
