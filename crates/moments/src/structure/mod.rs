//! The structure of the groupings, found from the cells: which groupings lie within which, and the
//! groups of all levels with their parents and moments.

mod crossed;
mod factors;
mod forest;
mod gather;
mod groups;
mod nest;
mod relations;
mod subtree;
mod totals;

pub use crossed::{CoreFactor, CorePairs, Crossed, LeafShard};
pub use forest::{Forest, Level, RowSource, Tree, TreeLevel, levels as forest_levels};
pub use groups::GroupPlace;
pub use nest::{Found, Nest, NestError, ShardGroups, group_labels, guess_top};
pub use relations::Reused;
pub use subtree::TopGroups;
pub use totals::RowTotals;

use crate::moments::{CellShard, Moments};
use rayon::prelude::*;
use tiers_design::{Grouping, Recipe};

/// The groupings of a model, with the moments of their groups.
#[derive(Debug)]
pub enum Structure {
    /// Every grouping lies within the next coarser one.
    Nested(Forest),
    /// Some grouping lies within no coarser one.
    Crossed(Crossed),
}

impl Structure {
    /// Finds the structure of the groupings, and gathers the cells' moments by group.
    ///
    /// # Errors
    /// If two groupings have the same groups, or a random effect occurs twice for one grouping.
    pub fn of(recipe: &Recipe, mut moments: Moments) -> Result<Structure, NestError> {
        match find_nest(recipe, &mut moments)? {
            Some((nest, groups)) => {
                let levels = forest_levels(recipe, &nest)?;
                Ok(Structure::Nested(Forest::assemble(moments, levels, &groups)))
            }
            None => Ok(Structure::Crossed(Crossed::of(recipe, moments)?)),
        }
    }

    /// Returns the levels of random effects: in a nest the finest first, in a crossed design the leaf first.
    pub fn levels(&self) -> &[Level] {
        match self {
            Structure::Nested(forest) => &forest.levels,
            Structure::Crossed(crossed) => &crossed.levels,
        }
    }

    /// Returns the crossed design, unless the groupings are a nest.
    pub fn crossed(&self) -> Option<&Crossed> {
        match self {
            Structure::Nested(_) => None,
            Structure::Crossed(crossed) => Some(crossed),
        }
    }

    /// Whether every group of one level lies within one group of another.
    pub fn is_within(&self, level: usize, other: usize) -> bool {
        match self {
            Structure::Nested(_) => level < other,
            Structure::Crossed(crossed) => crossed.is_within(level, other),
        }
    }

    /// Returns the level within whose groups those of all other levels lie, if there is one: in a nest the last.
    pub fn top(&self) -> Option<usize> {
        match self {
            Structure::Nested(forest) => forest.levels.len().checked_sub(1),
            Structure::Crossed(crossed) => crossed.top(),
        }
    }

    /// Returns the sums over all rows.
    pub fn totals(&self) -> RowTotals<'_> {
        match self {
            Structure::Nested(forest) => forest.totals(),
            Structure::Crossed(crossed) => crossed.totals(),
        }
    }
}

/// Whether every grouping has a single key and fewer groups than there are cells, which no nest has.
fn has_more_cells_than_groups(recipe: &Recipe, moments: &Moments) -> bool {
    let cells = moments.cells();
    let has_fewer = |grouping: &Grouping| matches!(grouping.keys[..], [key] if moments.labels[key].len() < cells);
    !recipe.groupings.is_empty() && recipe.groupings.iter().all(has_fewer)
}

/// Orders the groupings, finest first; `None` if they are not a nest.
fn find_nest(recipe: &Recipe, moments: &mut Moments) -> Result<Option<(Nest, Vec<ShardGroups>)>, NestError> {
    if has_more_cells_than_groups(recipe, moments) {
        return Ok(None);
    }
    let mut groups = ShardGroups::of_all(recipe, moments);
    let nest = match Nest::of(recipe, moments, &groups) {
        Found::Nest(nest) => nest,
        Found::Reshard(top) => {
            moments.reshard(recipe.groupings[top].keys.clone());
            groups = ShardGroups::of_all(recipe, moments);
            Nest::ordered(recipe, &groups)
        }
    };
    let holds = |(cells, groups): (&CellShard, &ShardGroups)| nest.holds_in(cells.len(), groups);
    if !moments.shards.par_iter().zip(&groups).all(holds) || !nest.is_whole(recipe, moments) {
        return Ok(None);
    }
    nest.check_distinct(recipe)?;
    Ok(Some((nest, groups)))
}
