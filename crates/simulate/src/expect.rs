//! Estimates the size of a simulation before anything is drawn.

use crate::columns::FieldKind;
use crate::model::{Limit, Simulation};

/// The expected size of a simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Number of rows; exact if the specification gives it.
    pub rows: f64,
    /// Number of groups of every level, coarsest first.
    pub groups: Vec<f64>,
    /// Bytes per row in a compressed columnar file.
    pub row_bytes: f64,
}

/// Smallest number of rows over which a column is compressed.
const PAGE_ROWS: f64 = (1 << 18) as f64;

impl Simulation {
    /// Returns the expected number of groups of the finest level in a block.
    pub fn expected_groups_per_block(&self) -> f64 {
        let above_finest = &self.levels[..self.levels.len() - 1];
        self.groups_per_block as f64 * above_finest.iter().map(|level| level.sizes.mean).product::<f64>()
    }

    /// Returns the expected size.
    pub fn expected(&self) -> Expected {
        let rows_per_top: f64 = self.levels.iter().map(|level| level.sizes.mean).product();
        let rows = match self.limit {
            Limit::Rows(rows) => rows as f64,
            Limit::Groups(groups) => groups as f64 * rows_per_top,
        };
        // The number of groups of a level is that of the next coarser level times its mean size.
        let mut groups = Vec::new();
        let mut count = (rows / rows_per_top).max(1.0);
        for level in &self.levels {
            groups.push(count);
            count *= level.sizes.mean;
        }
        let row_bytes =
            self.fields().iter().enumerate().map(|(i, field)| self.bytes(&field.kind, i, rows, &groups)).sum();
        Expected { rows, groups, row_bytes }
    }

    /// Estimates the compressed bytes per value of column `number` from its information content.
    fn bytes(&self, kind: &FieldKind, number: usize, rows: f64, groups: &[f64]) -> f64 {
        let constant = number.checked_sub(self.levels.len()).and_then(|c| self.covariates.get(c)?.level);
        let level = constant.or((number < self.levels.len()).then_some(number));
        let bits = match kind {
            FieldKind::Real => 62.0,
            FieldKind::Binary => 1.0,
            FieldKind::Categorical(labels) => (labels.len() as f64).log2(),
            FieldKind::Id(_) | FieldKind::Count => 12.0,
        };
        match level {
            None => bits / 8.0,
            // In sorted rows, a group is a run of one value.
            Some(level) if !self.shuffle => (bits / 8.0 + 2.0) * (groups[level] / rows).min(1.0),
            // In shuffled rows, a value is an index of log2(groups) bits into a dictionary.
            Some(level) => match kind {
                FieldKind::Id(_) => {
                    let distinct = if self.levels[level].reuse_ids {
                        self.levels[level - 1].sizes.max as f64
                    } else {
                        groups[level]
                    };
                    distinct.min(PAGE_ROWS).log2() / 8.0 + 6.0 * distinct.min(PAGE_ROWS) / rows.min(PAGE_ROWS)
                }
                FieldKind::Real => (groups[level].log2() / 8.0).min(8.0),
                FieldKind::Count => 5.0 / 8.0,
                _ => bits / 8.0,
            },
        }
    }
}
