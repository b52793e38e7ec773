//! One read for many models, and for every partition of the rows.
//!
//! [`accumulate_many`] sums the moments of all models that are wanted while the rows are read once;
//! [`Shared`] then hands them out model by model, each as if its rows had been read for it alone.

mod checkpoint;
mod filtered;

pub use checkpoint::{Checkpoint, CheckpointError, PassState};

use crate::ingest::{IngestError, Ingested, ReadObserver, Reading, accumulate_with};
use filtered::{Filtered, partition_labels};
use std::sync::{Mutex, PoisonError};
use tiers_design::{Plan, Source};

/// A model that is wanted of the rows.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What to sum.
    pub plan: Plan,
    /// Columns whose combinations of labels cut the rows into partitions, each with moments of its
    /// own; empty for one model of all rows.
    pub by: Vec<String>,
}

impl Wanted {
    /// One model of all rows.
    pub fn new(plan: Plan) -> Wanted {
        Wanted { plan, by: Vec::new() }
    }
}

/// The moments of many models.
#[derive(Debug)]
pub struct Shared {
    passes: usize,
    deferred: Vec<usize>,
    models: Vec<Option<Result<Summed, IngestError>>>,
}

#[derive(Debug)]
enum Summed {
    Whole(Box<Ingested>),
    Parts(Partitions),
}

/// The moments of one model in every partition.
#[derive(Debug)]
pub struct Partitions {
    /// The columns that cut the rows.
    pub by: Vec<String>,
    /// Rows without a label in one of these columns: they belong to no partition.
    pub unlabelled_rows: u64,
    labels: Vec<Vec<String>>,
    parts: Vec<Mutex<Option<Result<Ingested, IngestError>>>>,
}

/// Sums the moments of all models while the rows are read once.
///
/// Every model's rows, columns, shifts and levels are those of a read for it alone: rows with a
/// missing value are left out model by model. Its moments are the same to rounding, and estimates
/// to about 1e-10.
///
/// `reading` serves all models; [`Reading::recipe`] is refused where several are wanted. With
/// [`Reading::limit`] models whose sums together would take more than that are put off, see
/// [`Shared::deferred`]; one that would take more by itself has the error.
///
/// `resume` goes on from a checkpoint of the same call (same source, models and reading), and gives
/// the same bits as if the pass had never stopped.
///
/// # Errors
/// If the table cannot be read, the checkpoint is none of this call, or the observer calls the work
/// off. What concerns one model only (a level without rows, an infinite value in its columns, too
/// much memory) is told when that model is taken.
pub fn accumulate_many(
    source: &dyn Source,
    wanted: &[Wanted],
    reading: &Reading<'_>,
    resume: Option<Checkpoint>,
    observer: &mut dyn ReadObserver,
) -> Result<Shared, IngestError> {
    assert!(wanted.len() < 2 || reading.recipe.is_none(), "one recipe cannot serve several models");
    if let Some(never) = resume {
        match never {}
    }
    let mut models = Vec::with_capacity(wanted.len());
    for Wanted { plan, by } in wanted {
        let summed = match by.is_empty() {
            true => accumulate_with(source, plan, reading, observer).map(|ingested| Summed::Whole(Box::new(ingested))),
            false => each_partition(source, plan, by, reading, observer).map(Summed::Parts),
        };
        models.push(Some(match summed {
            Err(error @ (IngestError::Source(_) | IngestError::Interrupted)) => return Err(error),
            summed => summed,
        }));
    }
    Ok(Shared { passes: wanted.len(), deferred: Vec::new(), models })
}

fn each_partition(
    source: &dyn Source,
    plan: &Plan,
    by: &[String],
    reading: &Reading<'_>,
    observer: &mut dyn ReadObserver,
) -> Result<Partitions, IngestError> {
    let (labels, unlabelled_rows) = partition_labels(source, by)?;
    let mut parts = Vec::with_capacity(labels.len());
    for label in &labels {
        let rows = Filtered { source, by, label };
        parts.push(Mutex::new(Some(match accumulate_with(&rows, plan, reading, observer) {
            Err(error @ (IngestError::Source(_) | IngestError::Interrupted)) => return Err(error),
            done => done,
        })));
    }
    Ok(Partitions { by: by.to_vec(), unlabelled_rows, labels, parts })
}

impl Shared {
    /// Passes over the rows that were made: one, where all went well; more where a factor had a
    /// level that the first rows did not show.
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// Models (indices into those wanted) that were put off for lack of memory. To be asked for
    /// again, in a call of their own, when what the others took has been let go.
    pub fn deferred(&self) -> &[usize] {
        &self.deferred
    }

    /// The moments of a model (an index into those wanted), or why there are none. To be asked once
    /// per model; panics on one that was deferred, taken before, or wanted by partitions.
    ///
    /// # Errors
    /// Those of [`crate::accumulate_with`] that concern this model alone.
    pub fn take(&mut self, model: usize) -> Result<Ingested, IngestError> {
        match self.models[model].take().expect("a model is taken once")? {
            Summed::Whole(ingested) => Ok(*ingested),
            Summed::Parts(_) => panic!("model {model} is wanted by partitions"),
        }
    }

    /// The partitions of a model that was wanted by partitions; to be asked once per model.
    ///
    /// # Errors
    /// What keeps the model from being summed in any partition.
    pub fn take_partitions(&mut self, model: usize) -> Result<Partitions, IngestError> {
        match self.models[model].take().expect("a model is taken once")? {
            Summed::Parts(partitions) => Ok(partitions),
            Summed::Whole(_) => panic!("model {model} is wanted of all rows"),
        }
    }
}

impl Partitions {
    /// Number of partitions.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no partition.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The labels of a partition, one per column of `by`. Partitions are in the order of their
    /// labels: integers by value, texts by their bytes.
    pub fn labels(&self, partition: usize) -> &[String] {
        &self.labels[partition]
    }

    /// The moments of a partition, as a read of its rows alone would give them: factors have the
    /// levels that its rows show. To be asked once per partition, from any thread.
    ///
    /// # Errors
    /// What keeps the model from being fitted in this partition, such as a factor with one level.
    pub fn ingested(&self, partition: usize) -> Result<Ingested, IngestError> {
        let mut part = self.parts[partition].lock().unwrap_or_else(PoisonError::into_inner);
        part.take().expect("a partition is taken once")
    }
}
