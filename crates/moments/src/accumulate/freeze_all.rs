//! The beginning of a pass: recipes frozen against the first rows, and models bundled.

use crate::accumulate::factor_levels;
use crate::accumulate::pass::{Outcome, Pass, Summing};
use crate::accumulate::{Levels, Wanted};
use crate::bundle::{Bundle, Candidate, sort_into_bundles};
use crate::error::IngestError;
use crate::labels::LabelTable;
use crate::moments::Moments;
use crate::reading::Reading;
use crate::structure::guess_top;
use std::collections::{HashMap, HashSet};
use tiers_design::{Block, Column, Dictionary, Plan, Recipe, Request, Role, Source};

/// What is read for all models.
pub(crate) fn requests(wanted: &[Wanted]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let by = |wanted: &Wanted| -> Vec<Request> {
        wanted.by.iter().map(|column| Request { column: column.clone(), role: Role::Label }).collect()
    };
    for request in wanted.iter().flat_map(|w| w.plan.requests().iter().cloned().chain(by(w))) {
        if !requests.contains(&request) {
            requests.push(request);
        }
    }
    requests
}

/// A model with its recipe.
struct Frozen {
    model: usize,
    recipe: Recipe,
    class: usize,
    cells_per_row: f64,
    shard_keys: Vec<usize>,
}

/// What freezing needs.
pub(crate) struct Start<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) wanted: &'a [Wanted],
    pub(crate) reading: &'a Reading<'a>,
    pub(crate) levels: Option<&'a Levels>,
}

/// Why a pass cannot begin.
pub(crate) enum NoStart {
    /// The reference level of a factor is not among those of the first rows.
    NeedsLevels,
    /// Nothing can be read.
    Error(IngestError),
}

impl From<IngestError> for NoStart {
    fn from(error: IngestError) -> Self {
        NoStart::Error(error)
    }
}

impl Start<'_> {
    /// Freezes all models against the first block and bundles them.
    pub(crate) fn pass(&self, first: &Block) -> Result<Pass, NoStart> {
        let requests = requests(self.wanted);
        let mut outcomes: Vec<Outcome> = self.wanted.iter().map(|_| Outcome::Summed).collect();
        let mut frozen: Vec<Frozen> = Vec::new();
        let mut classes: Vec<Option<Vec<u32>>> = Vec::new();
        let mut cells = HashMap::new();
        for (model, Wanted { plan, by }) in self.wanted.iter().enumerate() {
            let own = view(first, &requests, plan.requests());
            match self.freeze(plan, &own, model, &mut classes) {
                Ok((recipe, class)) => {
                    let distinct: Vec<usize> = recipe.keys.iter().map(|&key| dictionary_len(&own, key)).collect();
                    let shard_keys = guess_top(&recipe, &distinct);
                    let mut keys: Vec<&str> =
                        recipe.keys.iter().map(|&key| recipe.requests[key].column.as_str()).collect();
                    keys.extend(by.iter().map(String::as_str));
                    keys.sort_unstable();
                    let of_keys = || cells_per_row(first, &requests, &keys);
                    let cells_per_row = *cells.entry(keys.join("\u{0}")).or_insert_with(of_keys);
                    frozen.push(Frozen { model, recipe, class, cells_per_row, shard_keys });
                }
                Err(IngestError::Design(error)) if self.levels.is_none() && error.needs_all_levels() => {
                    return Err(NoStart::NeedsLevels);
                }
                Err(error @ IngestError::Source(_)) => return Err(error.into()),
                Err(error) => outcomes[model] = Outcome::Failed(error),
            }
        }
        let sums = self.bundle(frozen, &requests).into_iter().map(|(by, bundle)| Summing::new(bundle, by, first));
        Ok(Pass::new(sums.collect(), outcomes, self.levels.is_some()))
    }

    /// The recipe of a model, and its class: models of different classes lose different first rows.
    fn freeze(
        &self,
        plan: &Plan,
        first: &Block,
        model: usize,
        classes: &mut Vec<Option<Vec<u32>>>,
    ) -> Result<(Recipe, usize), IngestError> {
        let kept = plan.complete_rows(first)?;
        let usable = plan.can_freeze(first)?;
        let class = match classes.iter().position(|known| *known == kept) {
            // Without a complete row the shifts come from another block, for each model its own.
            _ if !usable => self.wanted.len() + model,
            Some(class) => class,
            None => {
                classes.push(kept);
                classes.len() - 1
            }
        };
        let levels = self.levels.map(|levels| factor_levels::of_plan(levels, plan));
        let recipe = match self.reading.recipe {
            Some(recipe) => recipe.clone(),
            None if usable => plan.freeze(first, levels.as_deref())?,
            None => match self.later_block(plan)? {
                Some(complete) => plan.freeze(&complete, levels.as_deref())?,
                None => plan.freeze(first, levels.as_deref())?,
            },
        };
        match recipe.random.is_empty() {
            true => Err(IngestError::NoRandomEffects),
            false => Ok((recipe, class)),
        }
    }

    /// The first block with a complete row, where that is not the first of all: without one there
    /// would be no means to shift by, and columns far from zero would lose their digits.
    fn later_block(&self, plan: &Plan) -> Result<Option<Block>, IngestError> {
        for raw in self.source.scan_from(plan.requests(), 1).map_err(IngestError::Source)? {
            let block = raw.and_then(|raw| raw.decode()).map_err(IngestError::Source)?;
            if plan.can_freeze(&block)? {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    fn bundle(&self, frozen: Vec<Frozen>, requests: &[Request]) -> Vec<(Vec<String>, Bundle)> {
        let candidate = |frozen: &Frozen| (frozen.model, frozen.class, frozen.cells_per_row);
        let about: Vec<_> = frozen.iter().map(candidate).collect();
        let candidates: Vec<Candidate<'_>> = frozen
            .iter()
            .zip(&about)
            .map(|(frozen, &(model, class, cells_per_row))| {
                let by = self.wanted[model].by.as_slice();
                Candidate { recipe: &frozen.recipe, by, class, cells_per_row }
            })
            .collect();
        let bundles = sort_into_bundles(&candidates);
        let mut frozen: Vec<Option<Frozen>> = frozen.into_iter().map(Some).collect();
        let mut out = Vec::with_capacity(bundles.len());
        for models in bundles {
            let members: Vec<(usize, Recipe, Vec<usize>)> = models
                .iter()
                .filter_map(|&i| frozen[i].take())
                .map(|Frozen { model, recipe, shard_keys, .. }| (model, recipe, shard_keys))
                .collect();
            let by = self.wanted[members[0].0].by.clone();
            out.push((by.clone(), Bundle::new(requests, &by, members)));
        }
        out
    }
}

/// A pass for one recipe that is there already.
pub(crate) fn of_recipe(recipe: &Recipe, first: &Block) -> Pass {
    let distinct: Vec<usize> = recipe.keys.iter().map(|&key| dictionary_len(first, key)).collect();
    let shard_keys = guess_top(recipe, &distinct);
    let bundle = Bundle::new(&recipe.requests, &[], vec![(0, recipe.clone(), shard_keys)]);
    Pass::new(vec![Summing::new(bundle, Vec::new(), first)], vec![Outcome::Summed], true)
}

/// The columns of a block that a plan asks for.
fn view(block: &Block, all: &[Request], own: &[Request]) -> Block {
    if block.columns.is_empty() {
        return block.clone();
    }
    let column = |request: &Request| {
        let at = all.iter().position(|r| r == request).expect("all requests are read");
        block.columns[at].clone()
    };
    Block { first_row: block.first_row, rows: block.rows, columns: own.iter().map(column).collect() }
}

fn dictionary_len(block: &Block, request: usize) -> usize {
    match block.columns.get(request) {
        Some(Column::Labels(labels)) => labels.dictionary.len(),
        _ => 0,
    }
}

/// Distinct combinations of some columns' labels per row of a block.
fn cells_per_row(block: &Block, requests: &[Request], keys: &[&str]) -> f64 {
    let is_key = |request: &Request| request.role == Role::Label && keys.contains(&request.column.as_str());
    let places = (0..requests.len()).filter(|&at| is_key(&requests[at]));
    let codes: Vec<&[u32]> = places
        .filter_map(|at| match block.columns.get(at) {
            Some(Column::Labels(labels)) => Some(labels.codes.as_slice()),
            _ => None,
        })
        .collect();
    let distinct: HashSet<Vec<u32>> = (0..block.rows).map(|row| codes.iter().map(|c| c[row]).collect()).collect();
    distinct.len() as f64 / block.rows.max(1) as f64
}

impl Summing {
    /// Nothing summed yet; the first block tells the kind of the labels.
    pub(crate) fn new(bundle: Bundle, by: Vec<String>, first: &Block) -> Summing {
        let none = Dictionary::Text(tiers_design::PackedText::new());
        let like = |key: &usize| match first.columns.get(*key) {
            Some(Column::Labels(labels)) => LabelTable::new(&labels.dictionary),
            _ => LabelTable::new(&none),
        };
        let labels = bundle.keys().iter().map(like).collect();
        let moments = Moments::empty(bundle.summands.clone(), labels);
        Summing::of(bundle, by, moments)
    }
}
