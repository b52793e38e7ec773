//! The moments of one model in every partition of the rows.

use crate::bundle::Partitioned;
use crate::error::IngestError;
use crate::reading::{Dropped, Ingested};

/// The moments of one model in every partition.
#[derive(Debug)]
pub struct Partitions {
    /// The columns that cut the rows.
    pub by: Vec<String>,
    /// Rows without a label in one of these columns: they belong to no partition.
    pub unlabelled_rows: u64,
    parted: Partitioned,
    expressions: Vec<String>,
    part: bool,
}

impl Partitions {
    pub(crate) fn new(by: Vec<String>, parted: Partitioned, expressions: Vec<String>, part: bool) -> Partitions {
        Partitions { by, unlabelled_rows: parted.unlabelled(), parted, expressions, part }
    }

    /// Number of partitions.
    pub fn len(&self) -> usize {
        self.parted.len()
    }

    /// Whether there is no partition.
    pub fn is_empty(&self) -> bool {
        self.parted.is_empty()
    }

    /// The labels of a partition, one per column of `by`. Partitions are in the order of their
    /// labels: integers by value, texts by their bytes.
    pub fn labels(&self, partition: usize) -> &[String] {
        self.parted.labels(partition)
    }

    /// Rows of a partition that are used.
    pub fn rows(&self, partition: usize) -> u64 {
        self.parted.total(partition).rows
    }

    /// The moments of a partition, as a read of its rows alone would give them: factors have the
    /// levels that its rows show. Partitions can be asked for from any thread.
    ///
    /// # Errors
    /// What keeps the model from being fitted in this partition, such as a factor with one level.
    pub fn ingested(&self, partition: usize) -> Result<Ingested, IngestError> {
        let dropped = self.dropped(partition);
        let (recipe, moments) = self.parted.moments(partition)?;
        if !self.part && moments.rows > 0 {
            recipe.check_levels()?;
        }
        Ok(Ingested { recipe, moments, dropped })
    }

    fn dropped(&self, partition: usize) -> Dropped {
        let total = self.parted.total(partition);
        let columns = self.parted.recipe().requests.iter().zip(&total.missing);
        let expressions = self.expressions.iter().zip(&total.not_a_number);
        Dropped::of(
            total.dropped,
            columns.map(|(request, &n)| (request.column.as_str(), n)),
            expressions.map(|(expression, &n)| (expression.as_str(), n)),
        )
    }
}
