//! From the moments of a bundle to those of one of its models.

use crate::cross::Cross;
use crate::moments::{CellShard, Moments, Summands};
use tiers_design::Recipe;

/// Where the sums of a model stand among those of more columns and keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Per column of the model's C, y last, the column of the whole.
    pub columns: Vec<usize>,
    /// Per z row of the model's cells the row of the whole's.
    pub z: Vec<usize>,
    /// The model's own z columns, as indices into its C.
    pub own_z: Vec<usize>,
    /// Per key of the model the key of the whole.
    pub keys: Vec<usize>,
    /// The model's keys that decide the shard of its cells.
    pub shard_keys: Vec<usize>,
}

impl Projection {
    pub(crate) fn find_z(&mut self, recipe: &Recipe, whole: &Summands) {
        self.own_z = Summands::new(recipe, Vec::new()).z;
        let place =
            |&z: &usize| whole.z.iter().position(|&all| all == self.columns[z]).expect("a z column of a member");
        self.z = self.own_z.iter().map(place).collect();
    }

    /// What is summed for the model.
    pub fn summands(&self, whole: &Summands) -> Summands {
        Summands {
            m: self.columns.len(),
            z: self.own_z.clone(),
            keys: self.keys.len(),
            shard_keys: self.shard_keys.clone(),
            shards: whole.shards,
        }
    }

    /// Whether the model's moments are those of the whole as they are.
    pub fn is_identity(&self, whole: &Summands) -> bool {
        let all = |own: &[usize], count: usize| own.iter().copied().eq(0..count);
        self.summands(whole) == *whole && all(&self.columns, whole.m) && all(&self.keys, whole.keys)
    }

    /// Whether each shard of the model's cells is made of one shard of the whole.
    pub fn keeps_shards(&self, whole: &Summands) -> bool {
        self.shard_keys.iter().map(|&key| self.keys[key]).eq(whole.shard_keys.iter().copied())
    }

    /// The sum over all rows: columns are picked.
    pub fn cross(&self, whole: &Cross) -> Cross {
        let m = self.columns.len();
        let mut cross = Cross::new(m);
        for i in 0..m {
            (i..m).for_each(|j| cross.add_entry(i, j, whole.get(self.columns[i], self.columns[j])));
        }
        cross
    }

    /// The model's cells out of one shard of the whole's: columns are picked, and cells added up that
    /// agree in the model's keys. They are all cells of a shard if [`Projection::keeps_shards`].
    pub fn shard(&self, whole: &Summands, cells: &CellShard) -> CellShard {
        let own = self.summands(whole);
        let mut out = CellShard::default();
        if (0..whole.keys).all(|key| self.keys.contains(&key)) {
            self.pick(whole, cells, &own, &mut out);
        } else {
            (0..cells.len()).for_each(|cell| self.add(whole, (cells, cell), &own, &mut out));
        }
        out
    }

    /// The model's cells, all at once, in the order of their first rows, as if they had come in it.
    pub fn shards(&self, whole: &Moments) -> Vec<CellShard> {
        let own = self.summands(&whole.summands);
        let mut out: Vec<CellShard> = (0..own.shards).map(|_| CellShard::default()).collect();
        let mut order: Vec<(u64, u32, u32)> = Vec::with_capacity(whole.cells());
        for (shard, cells) in whole.shards.iter().enumerate() {
            order.extend(cells.first_row.iter().zip(0..).map(|(&row, cell)| (row, shard as u32, cell)));
        }
        order.sort_unstable();
        for (_, shard, cell) in order {
            let (cells, cell) = (&whole.shards[shard as usize], cell as usize);
            let shard = own.shard_of(&self.labels(&whole.summands, cells, cell));
            self.add(&whole.summands, (cells, cell), &own, &mut out[shard]);
        }
        out
    }

    /// Cells that stay distinct: nothing has to be found.
    fn pick(&self, whole: &Summands, cells: &CellShard, own: &Summands, out: &mut CellShard) {
        out.first_row.clone_from(&cells.first_row);
        out.counts.clone_from(&cells.counts);
        out.labels.reserve_exact(cells.labels.len());
        for cell in 0..cells.len() {
            let labels = &cells.labels[cell * whole.keys..][..whole.keys];
            out.labels.extend(self.keys.iter().map(|&key| labels[key]));
        }
        out.sums.reserve_exact(cells.len() * own.per_cell());
        for sums in cells.sums.chunks_exact(whole.per_cell().max(1)) {
            for &z in &self.z {
                let row = &sums[z * whole.m..][..whole.m];
                out.sums.extend(self.columns.iter().map(|&column| row[column]));
            }
        }
        out.index(own.keys);
    }

    fn labels(&self, whole: &Summands, cells: &CellShard, cell: usize) -> Vec<u32> {
        self.keys.iter().map(|&key| cells.labels[cell * whole.keys + key]).collect()
    }

    /// Adds one cell of the whole to the model's.
    fn add(&self, whole: &Summands, cells: (&CellShard, usize), own: &Summands, out: &mut CellShard) {
        let labels = self.labels(whole, cells.0, cells.1);
        self.add_as(&labels, whole, cells, own, out);
    }

    /// Adds one cell of the whole to the model's cell of these labels.
    pub(crate) fn add_as(
        &self,
        labels: &[u32],
        whole: &Summands,
        (cells, cell): (&CellShard, usize),
        own: &Summands,
        out: &mut CellShard,
    ) {
        let at = out.find_or_insert(labels, cells.first_row[cell], own.per_cell());
        out.first_row[at] = out.first_row[at].min(cells.first_row[cell]);
        out.counts[at] += cells.counts[cell];
        let sums = &cells.sums[cell * whole.per_cell()..][..whole.per_cell()];
        let rows = out.sums[at * own.per_cell()..][..own.per_cell()].chunks_exact_mut(own.m);
        for (row, &z) in rows.zip(&self.z) {
            row.iter_mut().zip(&self.columns).for_each(|(s, &column)| *s += sums[z * whole.m + column]);
        }
    }
}
