//! Estimate of the memory that a fit needs, used both to stop before memory runs out and to report the
//! need in advance.
//!
//! Memory that grows with the data is per cell or per group. With r z columns of all levels together,
//! m columns of C, r_k effects per group of level k and c key columns:
//!
//! | held | bytes |
//! |---|---|
//! | a cell: `z'WC`, rows, first row, labels, its place in a hash table | 8rm + 16 + 4c + 8 |
//! | a group of the finest level in the forest | 16 (its moments are the cell's) |
//! | a group of a coarser level in the forest, with its moments | 16 + 8 r_k m |
//! | a group in the search for the optimum | 8 r_k² and above the finest level 16 r_k m + 8 path² |
//! | an effect in the sparse equations | 12 per entry of A and of L, 48 beside; a shard per thread at a time |
//! | a group's effects with their variances and labels | 48 r_k + 48 + 8c, and 24 more per text |
//! | a cell while the groups of a crossed design are gathered, with L levels | 8L + 8 |
//! | a pair of groups of a crossed design that share rows, at most one per cell and two levels | 8 r_i r_j + 12 |
//! | a pair of effects of the core of a crossed design | 8 (10 + r²), r that of the leaf |
//!
//! path is the number of effects of a group and all its ancestors. Growing vectors can be twice as
//! long as needed, but memory that was never written to does not count; the copies made while vectors
//! are moved, a shard per thread, are within [`SLACK`].

use crate::bundle::Projection;
use crate::in_order;
use crate::labels::LabelTable;
use crate::moments::{Moments, SHARDS, Summands};
use tiers_design::Recipe;

/// Factor for what is not counted: waste of the allocator, and copies of shards while they grow. For
/// three million groups of two rows, sorted and shuffled, the estimate with the constants below was
/// between the peak that the system measured and a third more.
const SLACK: f64 = 1.25;
/// Bytes that the program takes whatever it reads.
pub(crate) const PROGRAM: u64 = 32 << 20;
/// Memory of the reader and the worker threads: bytes per row, and an upper bound.
const READING: (u64, u64) = (100, 128 << 20);
/// Rows of a wave of blocks. If rows are shuffled, each is summed separately before it joins its cell.
const WAVE_ROWS: u64 = 1 << 19;

/// Sizes that determine how much memory a fit needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// Rows of data.
    pub rows: u64,
    /// Cells: distinct combinations of the key columns.
    pub cells: u64,
    /// Columns of C.
    pub m: u64,
    /// z columns of all levels together.
    pub r: u64,
    /// Key columns.
    pub keys: u64,
    /// Key columns that hold texts.
    pub texts: u64,
    /// Groups and effects per group of each level, finest first.
    pub levels: Vec<(u64, u64)>,
    /// Bytes of the labels' texts and tables.
    pub labels: u64,
    /// Distinct entries of all covariance matrices, by which derivatives are taken.
    pub directions: u64,
    /// Effects of the core where the groupings are known to cross, else 0. Groupings of several keys, whose groups
    /// are not counted while rows are read, may cross without being known to.
    pub core: u64,
    /// Bytes of the rows held while they are read, where that is known.
    pub in_hand: Option<u64>,
}

/// Inference that takes memory of its own, beyond that of the estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Further {
    /// Kenward and Roger's products: p×p for each pair of variance parameters.
    pub kenward_roger: bool,
    /// Cluster-robust covariances: p×p for each coefficient.
    pub robust: bool,
}

/// Peak memory in bytes at each stage of a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// When the rows have been read.
    pub reading: u64,
    /// In the search for the optimum.
    pub fitting: u64,
    /// With all random effects and their variances.
    pub effects: u64,
}

/// Stage up to which memory is estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// Up to the moments.
    Moments,
    /// Up to the estimates.
    Estimates,
    /// Up to the random effects of all groups.
    #[default]
    Effects,
}

impl Needed {
    /// Returns the highest peak up to a stage.
    pub fn peak(self, until: Until) -> u64 {
        match until {
            Until::Moments => self.reading,
            Until::Estimates => self.reading.max(self.fitting),
            Until::Effects => self.reading.max(self.fitting).max(self.effects),
        }
    }
}

impl Further {
    /// Returns the union of both requirements.
    #[must_use]
    pub fn or(self, other: Further) -> Further {
        Further { kenward_roger: self.kenward_roger || other.kenward_roger, robust: self.robust || other.robust }
    }
}

/// Distinct entries of a symmetric r×r matrix.
fn entries(r: usize) -> u64 {
    (r * (r + 1) / 2) as u64
}

/// Bytes of a cell with this number of sums and key columns.
fn per_cell(sums: u64, keys: u64) -> u64 {
    8 * sums + 16 + 4 * keys + 8
}

impl Size {
    /// The size of existing moments. Groups of coarser levels are counted by their labels only, and may
    /// be more.
    pub fn of(recipe: &Recipe, moments: &Moments) -> Size {
        let tables: Vec<&LabelTable> = moments.labels.iter().collect();
        let (m, r) = (moments.summands.m as u64, moments.summands.z.len() as u64);
        Size::of_tables(recipe, &tables, moments.cells() as u64, moments.rows, (m, r)).with_core(recipe)
    }

    /// The size of one model's moments among the joint sums of several models; `further` bytes are added
    /// to the labels. Where other models have finer keys, this overestimates the model's cells.
    pub(crate) fn of_member(recipe: &Recipe, projection: &Projection, whole: &Moments, further: u64) -> Size {
        let tables: Vec<&LabelTable> = projection.keys.iter().map(|&key| &whole.labels[key]).collect();
        let (m, r) = (projection.columns.len() as u64, projection.z.len() as u64);
        let mut cells = whole.cells() as u64;
        if let [table] = tables[..] {
            cells = cells.min(table.len() as u64);
        }
        let mut size = Size::of_tables(recipe, &tables, cells, whole.rows, (m, r));
        size.labels += further;
        // Otherwise the cells of other models are counted.
        if projection.keys.len() == whole.summands.keys { size.with_core(recipe) } else { size }
    }

    /// Counts the effects of the core if the groupings cross: in a nest whose groups are counted exactly, there are
    /// as many cells as groups of the finest level.
    fn with_core(mut self, recipe: &Recipe) -> Size {
        let counted = |keys: usize| keys == 1 || keys == recipe.keys.len();
        let exact = recipe.groupings.iter().all(|grouping| counted(grouping.keys.len()));
        if exact && self.levels.first().is_some_and(|&(groups, _)| self.cells > groups) {
            let effects = self.levels.iter().map(|(groups, r)| groups * r);
            self.core = effects.clone().sum::<u64>() - effects.max().unwrap_or(0);
        }
        self
    }

    /// Bytes that existing sums take.
    pub(crate) fn held(moments: &Moments) -> u64 {
        let labels = moments.labels.iter().map(LabelTable::bytes).sum::<usize>() as u64;
        Size::of_cells(moments.cells() as u64, &moments.summands) + (SLACK * labels as f64) as u64
    }

    /// Bytes that `cells` cells take.
    pub(crate) fn of_cells(cells: u64, summands: &Summands) -> u64 {
        let bytes = cells * per_cell(summands.per_cell() as u64, summands.keys as u64);
        (SLACK * bytes as f64) as u64
    }

    fn of_tables(recipe: &Recipe, tables: &[&LabelTable], cells: u64, rows: u64, (m, r): (u64, u64)) -> Size {
        let mut levels: Vec<(u64, u64)> = Vec::new();
        for (index, grouping) in recipe.groupings.iter().enumerate() {
            let labels = grouping.keys.iter().map(|&key| tables[key].len() as u64).max().unwrap_or(0);
            let groups = if grouping.keys.len() == recipe.keys.len() { cells } else { labels.min(cells) };
            let effects = recipe.random.iter().filter(|term| term.grouping == index);
            levels.push((groups, effects.map(|term| term.columns.len() as u64).sum()));
        }
        levels.sort_by_key(|level| std::cmp::Reverse(level.0));
        Size {
            rows,
            cells,
            m,
            r,
            keys: recipe.keys.len() as u64,
            texts: tables.iter().filter(|table| !table.is_integer()).count() as u64,
            levels,
            labels: tables.iter().map(|table| table.bytes()).sum::<usize>() as u64,
            directions: recipe.random.iter().map(|term| entries(term.columns.len())).sum(),
            core: 0,
            in_hand: None,
        }
    }

    /// Bytes of the groups of a crossed design while they are gathered from the cells, and of its core.
    fn crossed(&self) -> (u64, u64) {
        if self.core == 0 {
            return (0, 0);
        }
        let pairs = self.levels.iter().enumerate().flat_map(|(k, a)| self.levels[k + 1..].iter().map(move |b| (a, b)));
        let of_pairs: u64 = pairs.map(|(a, b)| 8 * a.1 * b.1 + 12).sum();
        let gathered = self.cells * (8 * self.levels.len() as u64 + 8 + of_pairs);
        let leaf = self.levels.iter().max_by_key(|(groups, r)| groups * r).map_or(0, |level| level.1);
        (gathered, 8 * self.core.saturating_mul(self.core).saturating_mul(10 + leaf * leaf))
    }

    /// Bytes of a cell.
    pub fn per_cell(&self) -> u64 {
        per_cell(self.r * self.m, self.keys)
    }

    /// Returns the size with all counts multiplied by `factor`.
    #[must_use]
    pub fn times(&self, factor: f64) -> Size {
        let scaled = |count: u64| (count as f64 * factor) as u64;
        let levels = self.levels.iter().map(|&(groups, r)| (scaled(groups), r)).collect();
        Size { rows: scaled(self.rows), cells: scaled(self.cells), labels: scaled(self.labels), levels, ..self.clone() }
    }

    /// Bytes of the m×m matrices of a fit: those of the search, or of the inference that follows.
    ///
    /// With d directions, a shard's sums are 1 + d matrices, held for several shards at a time; a search
    /// keeps a few points with d derivatives each; tests keep d products, whose text in `model.json` is
    /// about three times as long. Kenward and Roger's method has d² products, for several shards at a
    /// time; a robust covariance has one matrix per coefficient.
    fn matrices(&self, further: &Further) -> u64 {
        let (m, d) = (self.m, self.directions);
        let matrix = 8 * m * m;
        let held = |matrices: u64| {
            let each = matrices * matrix;
            each * (in_order::at_once(each as usize, SHARDS) as u64 + 1)
        };
        let kept = (4 + 2 * d) * matrix;
        let search = held(1 + d) + (4 + 2 * d) * matrix;
        let tests = 3 * (3 + d) * matrix;
        let products = if further.kenward_roger { held(d * d) + 3 * (d + 1) * (d + 1) * matrix } else { 0 };
        let robust = if further.robust { held(m + 1) } else { 0 };
        kept + search.max(tests).max(products).max(robust)
    }

    /// Estimates the memory needed.
    pub fn needed(&self, further: &Further) -> Needed {
        let of_levels = |bytes: &dyn Fn(usize, u64, u64) -> u64| -> u64 {
            self.levels.iter().enumerate().map(|(k, &(groups, r))| bytes(k, groups, r)).sum()
        };
        let m = self.m;
        // Effects of a group of level k and of all its ancestors.
        let path = |k: usize| self.levels[k..].iter().map(|&(_, r)| r).sum::<u64>();
        let cells = self.cells * self.per_cell() + self.labels;
        let numbering = of_levels(&|_, groups, _| 4 * self.cells + 8 * groups);
        let forest = self.cells * (8 * self.r * m + 4 * self.keys)
            + self.labels
            + of_levels(&|k, groups, r| groups * (16 + if k > 0 { 8 * r * m } else { 0 }));
        let search = of_levels(&|k, groups, r| {
            groups * (8 * r * r + if k > 0 { 16 * r * m + 8 * path(k) * path(k) } else { 0 })
        });
        let sparse = of_levels(&|k, groups, r| {
            let entries = groups * (r * (path(k) - r) + r * (r + 1) / 2);
            let coarser = if k > 0 { 8 * groups * r * m } else { 0 };
            24 * entries + 48 * groups * r + coarser + groups * (12 + 8 * (self.levels.len() - k) as u64)
        });
        let at_a_time = rayon::current_num_threads().min(SHARDS) as u64;
        let sparse = sparse * at_a_time / SHARDS as u64;
        let effects = of_levels(&|_, groups, r| groups * (48 * r + 48 + 8 * self.keys + 24 * self.texts));
        let reading = self
            .in_hand
            .unwrap_or_else(|| (READING.0 * self.rows).min(READING.1) + self.cells.min(WAVE_ROWS) * self.per_cell());
        let (gathered, core) = self.crossed();
        let matrices = self.matrices(further).saturating_add(core);
        let whole = |bytes: u64| (SLACK * bytes as f64) as u64 + PROGRAM;
        Needed {
            reading: whole(cells + numbering) + reading,
            fitting: (whole(forest + gathered + search)).saturating_add(matrices),
            effects: (whole(forest + gathered + sparse + effects)).saturating_add(matrices),
        }
    }
}

/// The most memory that a fit may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Bytes.
    pub bytes: u64,
    /// Number of rows (of data, or of cells) to be read, where that is known.
    pub rows: Option<u64>,
    /// Stage up to which the memory must suffice.
    pub until: Until,
    /// Inference for which the memory must suffice.
    pub inference: Further,
}

/// A fit needs more memory than the limit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "not enough memory: the first {read} {unit}{} hold {} distinct groups of {grouping}, which need about {}{}; the limit is \
     {}. Use a machine with more memory or raise the limit; or make the model smaller: a group takes {} bytes with {} \
     columns and {} random-effect column(s), so fewer predictors, fewer random slopes or a coarser grouping need less",
    of.map_or(String::new(), |n| format!(" of {n}")),
    size.cells,
    in_words(*needed),
    whole.map_or(String::new(), |bytes| format!(", or about {} if it goes on like that", in_words(bytes))),
    in_words(*limit),
    size.per_cell(),
    size.m,
    size.r
)]
#[non_exhaustive]
pub struct MemoryError {
    /// Rows of data, or cells of parts, read so far.
    pub read: u64,
    /// Unit of `read`: `rows` or `cells`.
    pub unit: &'static str,
    /// Total to be read, where that is known.
    pub of: Option<u64>,
    /// The columns that make up a cell.
    pub grouping: String,
    /// Size of the moments so far.
    pub size: Size,
    /// Bytes needed for that size.
    pub needed: u64,
    /// Bytes needed if the number of groups keeps growing at the same rate.
    pub whole: Option<u64>,
    /// The limit in bytes.
    pub limit: u64,
}

impl MemoryLimit {
    /// Returns an error if the moments of what has been read (`read` rows or cells) need more memory.
    pub fn check(
        &self,
        recipe: &Recipe,
        moments: &Moments,
        (read, unit): (u64, &'static str),
    ) -> Result<(), Box<MemoryError>> {
        let names: Vec<&str> = recipe.keys.iter().map(|&key| recipe.requests[key].column.as_str()).collect();
        self.check_size(Size::of(recipe, moments), names.join(" and "), (read, unit))
    }

    /// [`Self::check`] for a known size; `grouping` names the columns that make up a cell.
    pub(crate) fn check_size(
        &self,
        size: Size,
        grouping: String,
        (read, unit): (u64, &'static str),
    ) -> Result<(), Box<MemoryError>> {
        let needed = size.needed(&self.inference).peak(self.until);
        if needed <= self.bytes {
            return Ok(());
        }
        let of = self.rows.filter(|&rows| rows > read);
        let growth = |rows: u64| rows as f64 / read.max(1) as f64;
        let whole = of.map(|rows| size.times(growth(rows)).needed(&self.inference).peak(self.until));
        Err(Box::new(MemoryError { read, unit, of, grouping, size, needed, whole, limit: self.bytes }))
    }
}

/// Formats a number of bytes, as in `1.5 GB`.
pub fn in_words(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e9 => format!("{:.1} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.0} kB", (b / 1e3).ceil()),
    }
}
