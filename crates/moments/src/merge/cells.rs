//! A part's cells, to be absorbed into the moments of all parts like the runs of a block.

use crate::block_sums::BlockSums;
use crate::merge::{Alignment, CellColumns, PartError};
use crate::moments::{Moments, Summands};
use tiers_design::{Block, Column, Dictionary, Labels, MISSING, PackedText, Recipe};

/// The largest count that a float tells exactly.
const EXACT: f64 = (1_u64 << 53) as f64;

/// The sums over all rows of a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    /// n.
    pub rows: u64,
    /// `Σ log w`; 0 without weights.
    pub sum_log_weights: f64,
    /// `C'WC`, row-major m×m, symmetric.
    pub cross: Vec<f64>,
}

impl Totals {
    /// The totals of moments.
    pub fn of(moments: &Moments) -> Totals {
        let Moments { cross, rows, sum_log_weights, .. } = moments;
        Totals { rows: *rows, sum_log_weights: *sum_log_weights, cross: cross.to_dense() }
    }
}

/// Some cells of a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// Per key column the labels of the cells.
    pub keys: Vec<Labels>,
    /// Per cell the number of rows.
    pub rows: Vec<u64>,
    /// Per cell the global number of its first row.
    pub first_row: Vec<u64>,
    /// Per cell `z'WC`, r×m row-major, by the part's recipe.
    pub sums: Vec<f64>,
}

impl Cells {
    /// No cells, with labels of the right kind.
    pub fn none(integer_keys: &[bool]) -> Cells {
        let dictionary = |&integer: &bool| match integer {
            true => Dictionary::Integer(Vec::new()),
            false => Dictionary::Text(PackedText::new()),
        };
        let labels = |integer| Labels { codes: Vec::new(), dictionary: dictionary(integer) };
        let keys = integer_keys.iter().map(labels).collect();
        Cells { keys, rows: Vec::new(), first_row: Vec::new(), sums: Vec::new() }
    }

    /// The cells in a block that was read by [`CellColumns::requests`].
    pub fn of(block: Block, columns: &CellColumns, per_cell: usize) -> Result<Cells, PartError> {
        let (first, count, key_count) = (block.first_row, block.rows, columns.keys.len());
        let bad = |i: usize, what: String| PartError::BadCell { cell: first + i as u64 + 1, what };
        let mut columns_read = block.columns.into_iter();
        let mut keys = Vec::with_capacity(key_count);
        for (column, name) in columns_read.by_ref().take(key_count).zip(&columns.keys) {
            let Column::Labels(labels) = column else { unreachable!("keys are requested as labels") };
            if let Some(i) = labels.codes.iter().position(|&code| code == MISSING) {
                return Err(bad(i, format!("no label in `{name}`")));
            }
            keys.push(labels);
        }
        let mut numbers = columns_read.map(|column| match column {
            Column::Numbers(values) => values,
            Column::Labels(_) => unreachable!("sums are requested as numbers"),
        });
        let mut rows = Vec::with_capacity(count);
        for (i, &value) in numbers.next().expect("rows are requested").iter().enumerate() {
            if !(1.0..=EXACT).contains(&value) || value.fract() != 0.0 {
                return Err(bad(i, format!("{value} for its number of rows")));
            }
            rows.push(value as u64);
        }
        let mut sums = vec![0.0; count * per_cell];
        for ((name, places), values) in columns.sums.iter().zip(numbers.by_ref()) {
            for (i, (&value, cell)) in values.iter().zip(sums.chunks_exact_mut(per_cell)).enumerate() {
                if !value.is_finite() {
                    return Err(bad(i, format!("{value} for its sum `{name}`")));
                }
                places.iter().for_each(|&place| cell[place] = value);
            }
        }
        let first_row = numbers.next().map(|values| values.iter().map(|&v| v as u64).collect());
        Ok(Cells { keys, rows, first_row: first_row.unwrap_or_else(|| vec![0; count]), sums })
    }

    /// The sum over the cells: number of rows, and the r×m sums.
    pub fn total(&self, per_cell: usize) -> (u64, Vec<f64>) {
        let mut total = vec![0.0; per_cell];
        for cell in self.sums.chunks_exact(per_cell.max(1)) {
            total.iter_mut().zip(cell).for_each(|(t, v)| *t += v);
        }
        (self.rows.iter().sum(), total)
    }
}

impl BlockSums {
    /// Cells of a part as the runs of a block, which adds nothing to the totals: these are added by
    /// [`Moments::add_totals`]. `rows_before` is the number of rows of the parts before.
    pub fn of_cells(summands: &Summands, cells: Cells, alignment: &Alignment, rows_before: u64) -> BlockSums {
        let mut block = BlockSums::empty(summands);
        let count = cells.rows.len();
        block.codes = (0..count).flat_map(|i| cells.keys.iter().map(move |key| key.codes[i])).collect();
        block.first_row = cells.first_row.into_iter().map(|row| row + rows_before).collect();
        block.counts = cells.rows;
        block.sums = alignment.sums(cells.sums);
        block.set_dictionaries(cells.keys.into_iter().map(|key| key.dictionary).collect(), &[]);
        block
    }
}

impl BlockSums {
    /// Sums of nothing with the labels of some cells, to begin [`Moments::new`] with.
    pub fn like(summands: &Summands, cells: Cells) -> BlockSums {
        let mut block = BlockSums::empty(summands);
        block.set_dictionaries(cells.keys.into_iter().map(|key| key.dictionary).collect(), &[]);
        block
    }
}

impl Moments {
    /// Adds the totals of a part.
    pub fn add_totals(&mut self, totals: &Totals, alignment: &Alignment) {
        let (m, cross) = (self.summands.m, alignment.cross(&totals.cross));
        for i in 0..m {
            (i..m).for_each(|j| self.cross.add_entry(i, j, cross[i * m + j]));
        }
        self.rows += totals.rows;
        self.sum_log_weights += totals.sum_log_weights;
    }

    /// The cells of one shard, as a part to be written or merged.
    pub fn cells_of(&self, shard: usize) -> Cells {
        let (cells, keys) = (&self.shards[shard], self.summands.keys);
        let key = |k: usize| {
            let ids = cells.labels.iter().skip(k).step_by(keys);
            labels_of(&self.labels[k], ids)
        };
        Cells {
            keys: (0..keys).map(key).collect(),
            rows: cells.counts.clone(),
            first_row: cells.first_row.clone(),
            sums: cells.sums.clone(),
        }
    }
}

/// Numbers of labels in a whole data set as codes into a dictionary of those that occur.
fn labels_of<'a>(table: &crate::LabelTable, ids: impl Iterator<Item = &'a u32>) -> Labels {
    let mut code_of = std::collections::HashMap::new();
    let mut used = Vec::new();
    let codes = ids.map(|&id| {
        *code_of.entry(id).or_insert_with(|| {
            used.push(id);
            used.len() as u32 - 1
        })
    });
    let codes: Vec<u32> = codes.collect();
    let dictionary = match table.is_integer() {
        true => Dictionary::Integer(used.iter().filter_map(|&id| table.integer(id)).collect()),
        false => Dictionary::Text(used.iter().filter_map(|&id| table.text(id)).collect()),
    };
    Labels { codes, dictionary }
}

impl Totals {
    /// Whether sums over all cells of a part are its totals, to rounding: `cells` are the rows and
    /// the r×m sums that [`Cells::total`] gives.
    pub fn check(&self, recipe: &Recipe, cells: &(u64, Vec<f64>)) -> Result<(), PartError> {
        let (rows, sums) = cells;
        let (z, m) = (Summands::new(recipe, Vec::new()).z, recipe.columns.len() + 1);
        if *rows != self.rows {
            let what = "the number of rows".to_owned();
            return Err(PartError::DoNotAddUp { what, cells: *rows as f64, total: self.rows as f64 });
        }
        for (t, &column) in z.iter().enumerate() {
            for j in 0..m {
                let (sum, total) = (sums[t * m + j], self.cross[column * m + j]);
                // Cauchy and Schwarz bound what the terms of the sum add up to.
                let scale = (self.cross[column * m + column] * self.cross[j * m + j]).max(0.0).sqrt();
                let off = (sum - total).abs();
                if off.is_nan() || off > 1e-9 * scale {
                    let names = super::column_names(recipe);
                    let what = format!("`{}*{}`", names[column], names[j]);
                    return Err(PartError::DoNotAddUp { what, cells: sum, total });
                }
            }
        }
        Ok(())
    }
}
