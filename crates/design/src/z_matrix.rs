//! The random-effects design Z as a sparse matrix, for inspection, tests and small problems.
//!
//! A fit never forms Z: it uses the moments, which are sums over rows of the same numbers (`Z'WZ`, `Z'WX`,
//! `Z'Wy` on the pattern of the nest). Z is defined as follows:
//!
//! ```text
//! Z is n×q, q = Σ_k q_k r_k; the row of an observation holds, for every level k, the r_k values of its
//! z columns in the columns of its group at that level, and zeros elsewhere.
//! ```
//!
//! Columns are ordered by level, finest (most groups) first; within a level by group, in order of first
//! appearance; within a group by effect. (Bates et al. 2015, section 2.3, define `Z_i` per term; here
//! terms on the same groups form one level.)

use crate::encode::RowBlock;
use crate::recipe::Recipe;
use sprs::CsMat;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Description of a column of Z.
#[derive(Clone, Debug, PartialEq)]
pub struct ZColumn {
    /// Name of the grouping (`school:class`).
    pub level: String,
    /// Labels of the group, one per key column of the grouping.
    pub group: Vec<String>,
    /// Name of the effect as lme4 prints it.
    pub effect: String,
    /// The column of C (of [`Recipe::columns`]) whose values it has on the group's rows.
    pub column: usize,
    /// Constant that was subtracted from those values; adding it restores the column as written.
    pub shift: f64,
}

/// The random-effects design of a set of rows.
#[derive(Clone, Debug)]
pub struct ZMatrix {
    /// Z, n×q, by rows (CSR); every row has Σ r_k entries, including zero values of covariates.
    pub z: CsMat<f64>,
    /// Descriptions of its columns.
    pub columns: Vec<ZColumn>,
}

/// Forms Z from the encoded rows of all blocks, in order. Values are those of C: shifted as in the recipe
/// and not weighted.
pub fn z_matrix(recipe: &Recipe, blocks: &[RowBlock]) -> ZMatrix {
    let mut levels: Vec<LevelColumns> =
        (0..recipe.groupings.len()).map(|grouping| LevelColumns::new(recipe, grouping, blocks)).collect();
    // The order of `Nest`: of two levels with the same number of groups, the one with more key columns is finer.
    let keys = |level: &LevelColumns| recipe.groupings[level.grouping].keys.len();
    levels.sort_by_key(|level| (Reverse(level.groups.len()), Reverse(keys(level))));
    let columns: Vec<ZColumn> = levels.iter().flat_map(|level| level.describe(recipe)).collect();
    let n = blocks.iter().map(|block| block.rows).sum::<usize>();
    let (mut indices, mut values, mut row) = (Vec::new(), Vec::new(), 0);
    for block in blocks {
        for i in 0..block.rows {
            let mut first = 0;
            for level in &levels {
                let r = level.effects.len();
                let start = first + level.of_row[row] * r;
                for (t, &(_, column)) in level.effects.iter().enumerate() {
                    indices.push(start + t);
                    values.push(block.column(column)[i]);
                }
                first += level.groups.len() * r;
            }
            row += 1;
        }
    }
    let per_row = levels.iter().map(|level| level.effects.len()).sum::<usize>();
    let starts = (0..=n).map(|row| row * per_row).collect();
    ZMatrix { z: CsMat::new((n, columns.len()), starts, indices, values), columns }
}

/// The groups of one grouping, with the effects of all its terms.
struct LevelColumns {
    grouping: usize,
    /// Name and column of C of each effect, term by term.
    effects: Vec<(String, usize)>,
    /// Labels of the groups, in order of first appearance.
    groups: Vec<Vec<String>>,
    /// Group of each row.
    of_row: Vec<usize>,
}

impl LevelColumns {
    fn new(recipe: &Recipe, grouping: usize, blocks: &[RowBlock]) -> Self {
        let terms = recipe.random.iter().filter(|term| term.grouping == grouping);
        let effects = terms.flat_map(|term| term.names.iter().cloned().zip(term.columns.iter().copied())).collect();
        let mut level = LevelColumns { grouping, effects, groups: Vec::new(), of_row: Vec::new() };
        let mut known: HashMap<Vec<String>, usize> = HashMap::new();
        for block in blocks {
            let keys: Vec<_> = recipe.groupings[grouping].keys.iter().map(|&key| &block.keys[key]).collect();
            for i in 0..block.rows {
                let labels: Vec<String> = keys.iter().map(|key| key.dictionary.label(key.codes[i] as usize)).collect();
                let next = level.groups.len();
                let group = *known.entry(labels).or_insert_with_key(|labels| {
                    level.groups.push(labels.clone());
                    next
                });
                level.of_row.push(group);
            }
        }
        level
    }

    fn describe(&self, recipe: &Recipe) -> impl Iterator<Item = ZColumn> {
        let level = &recipe.groupings[self.grouping].name;
        self.groups.iter().flat_map(move |group| {
            self.effects.iter().map(move |(effect, column)| ZColumn {
                level: level.clone(),
                group: group.clone(),
                effect: effect.clone(),
                column: *column,
                shift: recipe.columns[*column].shift,
            })
        })
    }
}
