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
use crate::rows::GroupIndex;
use crate::structure::{GroupPlace, Level, Structure};
use tiers_design::{Dictionary, Grouping, Labels, MISSING, PackedText, RandomSpec, Recipe, Source};

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
    /// The groupings cross, and no level contains all others.
    #[error(
        "the groupings {one} and {other} cross, and there is no level whose groups contain those of all others: rows of \
         different groups share random effects, so that no groups of rows are independent clusters. If a coarser \
         grouping contains the groups of both, add it to the model, as in (1 | region); otherwise only the standard \
         errors of the model can be given"
    )]
    Crossed {
        /// A grouping.
        one: String,
        /// One that crosses it.
        other: String,
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
    /// For each shard of the structure and top-level group, the shard and number of its cell.
    places: Vec<Vec<(u32, u32)>>,
}

impl ClusterMoments {
    /// Reads the rows of a fitted model again.
    pub fn read(
        (recipe, structure): (&Recipe, &Structure),
        source: &dyn Source,
        limit: Option<MemoryLimit>,
        observer: &mut dyn ReadObserver,
    ) -> Result<Self, ClusterError> {
        let totals = structure.totals();
        let top = top_level(structure)?;
        let clustered = by_cluster(recipe, &structure.levels()[top], totals.m);
        let moments = accumulate_again(source, &clustered, limit, observer)?.moments;
        if moments.rows != totals.rows {
            let what = format!("{} rows can be used where there were {}", moments.rows, totals.rows);
            return Err(ClusterError::Changed { what });
        }
        let y = totals.y();
        let (now, then) = (moments.cross.get(y, y), totals.get(y, y));
        if (now - then).abs() > 1e-9 * then {
            let what = format!("the response {} has other values", recipe.response_name);
            return Err(ClusterError::Changed { what });
        }
        let places = places(structure, top, &moments.labels, &moments.shards)?;
        Ok(ClusterMoments { per_cluster: totals.m * totals.m, cells: moments.shards, places })
    }

    /// Returns `C'WC` of a top-level group, m×m.
    pub fn of(&self, at: GroupPlace) -> &[f64] {
        let (cells, cell) = self.places[at.shard][at.group];
        &self.cells[cells as usize].sums[cell as usize * self.per_cluster..][..self.per_cluster]
    }

    /// Returns the number of rows of a top-level group.
    pub fn rows(&self, at: GroupPlace) -> u64 {
        let (cells, cell) = self.places[at.shard][at.group];
        self.cells[cells as usize].counts[cell as usize]
    }
}

/// Returns the top level, which contains the groups of all others: the only one at which rows can be clustered.
///
/// # Errors
/// If there is no such level, or another one was named.
pub fn cluster_level<'a>(structure: &'a Structure, named: Option<&str>) -> Result<&'a str, ClusterError> {
    let levels = structure.levels();
    let top = levels[top_level(structure)?].name.as_str();
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

fn top_level(structure: &Structure) -> Result<usize, ClusterError> {
    let crossing = || {
        let crossed = structure.crossed().expect("a nest has a top level");
        let (one, other) = crossed.crossing();
        let name = |level: usize| crossed.levels[level].name.clone();
        ClusterError::Crossed { one: name(one), other: name(other) }
    };
    structure.top().ok_or_else(crossing)
}

/// Returns the model's recipe with its top-level groups as cells, and all m columns of C as z columns.
fn by_cluster(of_fit: &Recipe, top: &Level, m: usize) -> Recipe {
    let mut recipe = of_fit.clone();
    let Grouping { name, keys } = recipe.groupings.swap_remove(top.grouping);
    recipe.keys = keys.iter().map(|&key| of_fit.keys[key]).collect();
    recipe.groupings = vec![Grouping { name, keys: (0..keys.len()).collect() }];
    let columns = (0..m).collect();
    recipe.random = vec![RandomSpec { grouping: 0, text: String::new(), names: Vec::new(), columns }];
    recipe
}

/// Finds the cell of every top-level group by its labels.
fn places(
    structure: &Structure,
    top: usize,
    labels: &[LabelTable],
    shards: &[CellShard],
) -> Result<Vec<Vec<(u32, u32)>>, ClusterError> {
    let name = &structure.levels()[top].name;
    let changed = || ClusterError::Changed { what: format!("groups of {name} have other rows") };
    let groups = structure.sorted_groups(top);
    let index = GroupIndex::new(structure.group_labels(top, &groups)).expect("groups differ in their labels");
    let keys: Vec<Labels> = (0..labels.len()).map(|key| labels_of_cells(key, labels, shards)).collect();
    let of_cell = index.groups_of(&keys.iter().collect::<Vec<_>>());
    let cells = shards
        .iter()
        .enumerate()
        .flat_map(|(shard, cells)| (0..cells.len()).map(move |cell| (shard as u32, cell as u32)));
    let mut cell_of: Vec<Option<(u32, u32)>> = vec![None; groups.len()];
    for (group, at) in of_cell.into_iter().zip(cells).filter(|(group, _)| *group != MISSING) {
        cell_of[group as usize] = Some(at);
    }
    let mut places: Vec<Vec<(u32, u32)>> = Vec::new();
    for ((at, rows), cell) in groups.iter().zip(structure.group_rows(top, &groups)).zip(cell_of) {
        let (shard, cell) = cell.ok_or_else(changed)?;
        if shards[shard as usize].counts[cell as usize] != rows {
            return Err(changed());
        }
        places.resize_with(places.len().max(at.shard + 1), Vec::new);
        let places = &mut places[at.shard];
        places.resize(places.len().max(at.group + 1), (0, 0));
        places[at.group] = (shard, cell);
    }
    Ok(places)
}

/// Returns the labels of all cells by one key, in the order of the shards.
fn labels_of_cells(key: usize, tables: &[LabelTable], shards: &[CellShard]) -> Labels {
    let table = &tables[key];
    let ids: Vec<u32> = table.ids().collect();
    let dictionary = match table.is_integer() {
        true => Dictionary::Integer(ids.iter().filter_map(|&id| table.integer(id)).collect()),
        false => Dictionary::Text(ids.iter().filter_map(|&id| table.text(id)).collect::<PackedText>()),
    };
    let mut entries = vec![MISSING; table.bound()];
    ids.iter().enumerate().for_each(|(entry, &id)| entries[id as usize] = entry as u32);
    let of_cell = |labels: &[u32]| entries[labels[key] as usize];
    let codes = shards.iter().flat_map(|cells| cells.labels.chunks_exact(tables.len())).map(of_cell).collect();
    Labels { codes, dictionary }
}
