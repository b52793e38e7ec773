//! The moments of whole top-level groups: `C'WC` of each, by a second pass over the rows.
//!
//! A fit keeps only `z'WC` of each group, since the criterion needs no more. What a single top-level
//! group contributes to `X'V⁻¹X` and `X'V⁻¹y` (sandwich estimators, influence) needs the products of
//! all columns, m² numbers per group, which are computed only on request.

use crate::accumulate::accumulate_again;
use crate::error::IngestError;
use crate::labels::LabelTable;
use crate::memory_limit::MemoryLimit;
use crate::moments::CellShard;
use crate::reading::ReadObserver;
use crate::structure::Forest;
use tiers_design::{Dictionary, Grouping, PackedText, RandomSpec, Recipe, Source};

/// Why the moments of clusters could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The rows could not be read.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The rows are not those of the fit.
    #[error(
        "the data are not those that the model was fitted to ({what}): they changed meanwhile. Run again when nothing \
         writes to them"
    )]
    Changed {
        /// What differs.
        what: String,
    },
    /// A level that is not the top one was named.
    #[error(
        "clusters of {level} cannot be used: its groups lie within those of {top}, whose random effects two rows of \
         different {level} share, so that these clusters are not independent. Cluster at the top level ({top}), or fit \
         a model in which {level} is the top level"
    )]
    NotTop {
        /// The requested level.
        level: String,
        /// The top level.
        top: String,
    },
    /// The model does not have the named level.
    #[error("the model has no level {level}: its levels are {}", levels.join(", "))]
    NoLevel {
        /// The requested level.
        level: String,
        /// The levels, coarsest first.
        levels: Vec<String>,
    },
}

/// `C'WC` of every top-level group.
#[derive(Debug)]
pub struct ClusterMoments {
    per_cluster: usize,
    cells: Vec<CellShard>,
    /// For each shard of the forest and top-level group, the shard and number of its cell.
    places: Vec<Vec<(u32, u32)>>,
}

impl ClusterMoments {
    /// Reads the rows of a fitted model again.
    pub fn read(
        (recipe, forest): (&Recipe, &Forest),
        source: &dyn Source,
        limit: Option<MemoryLimit>,
        observer: &mut dyn ReadObserver,
    ) -> Result<Self, ClusterError> {
        let clustered = by_cluster(recipe, forest);
        let moments = accumulate_again(source, &clustered, limit, observer)?.moments;
        if moments.rows != forest.rows {
            let what = format!("{} rows can be used where there were {}", moments.rows, forest.rows);
            return Err(ClusterError::Changed { what });
        }
        let y = forest.m - 1;
        let (now, then) = (moments.cross.get(y, y), forest.cross[y * forest.m + y]);
        if (now - then).abs() > 1e-9 * then {
            let what = format!("the response {} has other values", recipe.response_name);
            return Err(ClusterError::Changed { what });
        }
        let places = places((recipe, forest), &clustered, &moments.labels, &moments.shards)?;
        Ok(ClusterMoments { per_cluster: forest.m * forest.m, cells: moments.shards, places })
    }

    /// Returns `C'WC` of a top-level group of a shard, m×m.
    pub fn of(&self, shard: usize, group: usize) -> &[f64] {
        let (cells, cell) = self.places[shard][group];
        &self.cells[cells as usize].sums[cell as usize * self.per_cluster..][..self.per_cluster]
    }

    /// Returns the number of rows of a top-level group.
    pub fn rows(&self, shard: usize, group: usize) -> u64 {
        let (cells, cell) = self.places[shard][group];
        self.cells[cells as usize].counts[cell as usize]
    }
}

/// Returns the top level, the only one at which rows can be clustered. Naming another level is an error.
pub fn cluster_level<'a>(forest: &'a Forest, named: Option<&str>) -> Result<&'a str, ClusterError> {
    let levels = &forest.levels;
    let top = levels.last().expect("a level").name.as_str();
    match named {
        Some(level) if level != top => Err(match levels.iter().any(|known| known.name == level) {
            true => ClusterError::NotTop { level: level.to_owned(), top: top.to_owned() },
            false => {
                let levels = levels.iter().rev().map(|level| level.name.clone()).collect();
                ClusterError::NoLevel { level: level.to_owned(), levels }
            }
        }),
        _ => Ok(top),
    }
}

/// The model's recipe with its top-level groups as cells, and all columns of C as z columns.
fn by_cluster(of_fit: &Recipe, forest: &Forest) -> Recipe {
    let mut recipe = of_fit.clone();
    let top = forest.levels.last().expect("a level");
    let Grouping { name, keys } = recipe.groupings.swap_remove(top.grouping);
    recipe.keys = keys.iter().map(|&key| of_fit.keys[key]).collect();
    recipe.groupings = vec![Grouping { name, keys: (0..keys.len()).collect() }];
    let columns = (0..forest.m).collect();
    recipe.random = vec![RandomSpec { grouping: 0, text: String::new(), names: Vec::new(), columns }];
    recipe
}

/// Finds the cell of every top-level group by its labels.
fn places(
    (of_fit, forest): (&Recipe, &Forest),
    recipe: &Recipe,
    labels: &[LabelTable],
    shards: &[CellShard],
) -> Result<Vec<Vec<(u32, u32)>>, ClusterError> {
    let keys = recipe.keys.len();
    let (top, level) = (forest.levels.len() - 1, forest.levels.last().expect("a level"));
    let old_keys = &of_fit.groupings[level.grouping].keys;
    // Maps label numbers of this pass to those of the fit.
    let numbers: Vec<Vec<u32>> = labels
        .iter()
        .zip(old_keys)
        .map(|(table, &old)| {
            let (dictionary, ids) = dictionary_of(table);
            let mut numbers = vec![u32::MAX; table.bound()];
            for (entry, id) in ids.into_iter().enumerate() {
                numbers[id as usize] = forest.labels[old].find(&dictionary, entry).unwrap_or(u32::MAX);
            }
            numbers
        })
        .collect();
    let mut found = std::collections::HashMap::new();
    for (shard, cells) in shards.iter().enumerate() {
        for (cell, labels) in cells.labels.chunks_exact(keys).enumerate() {
            let label: Vec<u32> = labels.iter().zip(&numbers).map(|(&id, numbers)| numbers[id as usize]).collect();
            found.insert(label, (shard as u32, cell as u32));
        }
    }
    let place = |tree: &crate::structure::Tree, group: usize| {
        let labels = tree.labels_of(top, group, forest.labels.len());
        let label: Vec<u32> = old_keys.iter().map(|&key| labels[key]).collect();
        let rows = |&(shard, cell): &(u32, u32)| shards[shard as usize].counts[cell as usize];
        let at = found.get(&label).copied().filter(|at| rows(at) == tree.levels[top].rows[group]);
        at.ok_or_else(|| ClusterError::Changed { what: format!("groups of {} have other rows", level.name) })
    };
    forest.trees.iter().map(|tree| (0..tree.levels[top].groups).map(|group| place(tree, group)).collect()).collect()
}

/// Returns all labels of a table, and their numbers in it.
fn dictionary_of(table: &LabelTable) -> (Dictionary, Vec<u32>) {
    let ids: Vec<u32> = table.ids().collect();
    let dictionary = match table.is_integer() {
        true => Dictionary::Integer(ids.iter().filter_map(|&id| table.integer(id)).collect()),
        false => Dictionary::Text(ids.iter().filter_map(|&id| table.text(id)).collect::<PackedText>()),
    };
    (dictionary, ids)
}
