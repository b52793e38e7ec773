//! The structure of the groupings, read off the cells: which groupings lie within which, and the
//! groups of all levels with their parents and moments.

mod forest;
mod nest;
mod subtree;

pub use forest::{Forest, Level, RowSource, Tree, TreeLevel, levels as forest_levels};
pub use nest::{Found, Nest, NestError, ShardGroups, group_labels, guess_top};
pub use subtree::TopGroups;

use crate::moments::Moments;
use rayon::prelude::*;
use tiers_design::Recipe;

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
    // The first shard's finding, whichever thread was first to find one.
    let findings: Vec<_> = groups.par_iter().enumerate().map(check).collect();
    findings.into_iter().collect::<Result<(), _>>()?;
    nest.check_whole(recipe, moments, &groups)?;
    Ok((nest, groups))
}
