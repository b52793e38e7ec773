//! The light pass: only the categorical columns, to know all levels of the factors.

use crate::accumulate::{Levels, Wanted};
use crate::error::IngestError;
use std::collections::BTreeMap;
use tiers_design::{BLOCK_ROWS, Column, LevelSet, Plan, Request, Source};

/// The levels of all factors of all models, but for those that are given.
pub(crate) fn levels(
    source: &dyn Source,
    wanted: &[Wanted],
    given: &BTreeMap<String, Vec<String>>,
) -> Result<Levels, IngestError> {
    let mut levels = Levels::new();
    let mut requests: Vec<Request> = Vec::new();
    for request in wanted.iter().flat_map(|wanted| wanted.plan.factor_requests()) {
        match given.get(&request.column) {
            Some(own) => _ = levels.insert(request.column, own.clone()),
            None if !requests.contains(&request) => requests.push(request),
            None => {}
        }
    }
    if requests.is_empty() {
        return Ok(levels);
    }
    let mut sets: Vec<LevelSet> = requests.iter().map(|_| LevelSet::new()).collect();
    for raw in source.scan(&requests).map_err(IngestError::Source)? {
        let block = raw.and_then(|raw| raw.decode()).map_err(IngestError::Source)?;
        debug_assert!(block.rows <= BLOCK_ROWS);
        for (set, column) in sets.iter_mut().zip(&block.columns) {
            if let Column::Labels(labels) = column {
                set.absorb(labels);
            }
        }
    }
    levels.extend(requests.into_iter().zip(&sets).map(|(request, set)| (request.column, set.levels())));
    Ok(levels)
}

/// Those of one model's factors, in the order in which freezing wants them.
pub(crate) fn of_plan(levels: &Levels, plan: &Plan) -> Vec<Vec<String>> {
    plan.factor_requests().iter().map(|request| levels[&request.column].clone()).collect()
}
