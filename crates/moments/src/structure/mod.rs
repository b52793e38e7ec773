//! The structure of the groupings, found from the cells: which groupings lie within which, and the
//! groups of all levels with their parents and moments.

mod crossed;
mod forest;
mod groups;
mod nest;
mod subtree;
mod totals;

pub use crossed::{CoreFactor, CorePairs, Crossed, LeafShard};
pub use forest::{Forest, Level, RowSource, Tree, TreeLevel, levels as forest_levels};
pub use groups::GroupPlace;
pub use nest::{Found, Nest, NestError, ShardGroups, group_labels, guess_top};
pub use subtree::TopGroups;
pub use totals::RowTotals;

use crate::moments::Moments;
use rayon::prelude::*;
use tiers_design::Recipe;

/// The groupings of a model, with the moments of their groups.
#[derive(Debug)]
pub enum Structure {
    /// Every grouping lies within the next coarser one.
    Nested(Forest),
}

impl Structure {
    /// Finds the structure of the groupings, and gathers the cells' moments by group.
    ///
    /// # Errors
    /// If two groupings cross or have the same groups.
    pub fn of(recipe: &Recipe, moments: Moments) -> Result<Structure, NestError> {
        Ok(Structure::Nested(Forest::of(recipe, moments)?))
    }

    /// Returns the levels of random effects; in a nest the finest first.
    pub fn levels(&self) -> &[Level] {
        match self {
            Structure::Nested(forest) => &forest.levels,
        }
    }

    /// Returns the sums over all rows.
    pub fn totals(&self) -> RowTotals<'_> {
        match self {
            Structure::Nested(forest) => forest.totals(),
        }
    }
}

impl Forest {
    /// Orders the groupings into a nest, and gathers the cells' moments by the groups of each level.
    ///
    /// # Errors
    /// If two groupings cross or have the same groups.
    pub fn of(recipe: &Recipe, mut moments: Moments) -> Result<Forest, NestError> {
        let (nest, groups) = find_nest(recipe, &mut moments)?;
        let levels = forest_levels(recipe, &nest)?;
        Ok(Forest::assemble(moments, levels, &groups))
    }
}

/// Orders the groupings and checks that they nest.
fn find_nest(recipe: &Recipe, moments: &mut Moments) -> Result<(Nest, Vec<ShardGroups>), NestError> {
    let number = |moments: &Moments| -> Vec<ShardGroups> {
        let keys = moments.summands.keys;
        moments.shards.par_iter().map(|cells| ShardGroups::of(recipe, keys, cells)).collect()
    };
    let mut groups = number(moments);
    let nest = match Nest::of(recipe, moments, &groups) {
        Found::Nest(nest) => nest,
        Found::Reshard(top) => {
            moments.reshard(recipe.groupings[top].keys.clone());
            groups = number(moments);
            Nest::ordered(recipe, &groups)
        }
    };
    let moments = &*moments;
    let check = |(shard, groups): (usize, &ShardGroups)| nest.check(recipe, moments, shard, groups);
    // Report the error of the first shard, whichever thread was first to find one.
    let findings: Vec<_> = groups.par_iter().enumerate().map(check).collect();
    findings.into_iter().collect::<Result<(), _>>()?;
    nest.check_whole(recipe, moments, &groups)?;
    Ok((nest, groups))
}
