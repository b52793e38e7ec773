//! Builds a model from moments: finds the nest from the cells, and builds the forest.

use crate::ingest::{Dropped, IngestError, Ingested};
use crate::model::{Model, ModelError};
use rayon::prelude::*;
use tiers_design::{Forest, Found, Moments, Nest, NestError, Recipe, ShardGroups, Tree, forest_levels};

/// Finds the nest of the groupings from the cells, and builds the model.
pub fn settle(ingested: Ingested) -> Result<(Model, Dropped), IngestError> {
    let Ingested { recipe, mut moments, dropped } = ingested;
    if moments.rows == 0 {
        let mut worst = dropped.missing.clone();
        worst.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let worst = worst.iter().map(|(column, n)| format!("{column}: {n}")).collect();
        return Err(ModelError::NoRows { dropped: dropped.rows, worst }.into());
    }
    let (nest, groups) = find_nest(&recipe, &mut moments)?;
    let levels = forest_levels(&recipe, &nest)?;
    let Moments { summands, cross, rows, sum_log_weights, labels, shards } = moments;
    let trees = shards
        .into_par_iter()
        .zip(&groups)
        .map(|(cells, groups)| Tree::build(&levels, &summands.z, summands.m, cells, groups))
        .collect();
    let cross = cross.to_dense();
    let forest = Forest { m: summands.m, levels, trees, labels, cross, rows, sum_log_weights };
    let model = Model::new(recipe, forest)?;
    Ok((model, dropped))
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
