//! The state of a pass in a file, to go on from there.
//!
//! A file begins with [`MAGIC`] and goes on in frames with checksums ([`crate::frames`]): where the
//! pass is, recipes and sums. Recipes are JSON, which tells every f64 to the
//! last bit; sums are their bits. What can be made again (encoders, projections, hash tables) is, from
//! the same parts by the same code, so that a pass that goes on has the bits of one that never stopped.

use crate::frames::{Broken, CheckpointError, FrameReader, FrameWriter};
use crate::ingest::IngestError;
use crate::many::pass::{Outcome, Pass, Summing};
use crate::many::{Wanted, start};
use std::io::{self, Read, Write};
use tiers_design::{
    Bundle, CellShard, Cross, Dictionary, LabelTable, Moments, PackedText, PartitionSum, PartitionTotals, Recipe,
};

/// How a file begins.
const MAGIC: &[u8; 16] = b"tiers checkpoint";
/// The version of the format; another one is refused.
const FORMAT: u64 = 1;

/// The state of a pass between two waves of blocks: all that has been summed and where the next
/// rows are. Borrowed by an observer for as long as it takes to write it.
#[derive(Debug)]
pub struct PassState<'a> {
    pass: &'a Pass,
}

/// A state that was read back.
#[derive(Debug)]
pub struct Checkpoint {
    rows_read: u64,
    blocks: u64,
    complete: bool,
    all_levels: bool,
    outcomes: Vec<Outcome>,
    sums: Vec<Saved>,
}

/// The sums of a bundle without what can be made again.
#[derive(Debug)]
struct Saved {
    by: Vec<String>,
    /// Per member its model, its recipe and the keys that decide its shards.
    members: Vec<(usize, Recipe, Vec<usize>)>,
    shard_keys: Vec<usize>,
    rows: u64,
    sum_log_weights: f64,
    cross: Vec<f64>,
    labels: Vec<LabelTable>,
    shards: Vec<CellShard>,
    dropped: u64,
    missing: Vec<u64>,
    not_a_number: Vec<u64>,
    totals: PartitionTotals,
}

impl<'a> PassState<'a> {
    pub(crate) fn of(pass: &'a Pass) -> Self {
        PassState { pass }
    }

    /// Rows read so far.
    pub fn rows_read(&self) -> u64 {
        self.pass.rows_read
    }

    /// Whether all rows have been read: then resuming reads none.
    pub fn is_complete(&self) -> bool {
        self.pass.complete
    }

    /// Writes the state. `fingerprint` is what the caller knows of the inputs (files with sizes and
    /// times, models, options), and must be given again to read it. Whoever calls sees to it that a
    /// half-written file is never taken for a whole one, though reading would refuse it.
    ///
    /// # Errors
    /// If `to` cannot be written to.
    pub fn write(&self, fingerprint: &str, to: &mut dyn Write) -> io::Result<()> {
        let mut to = FrameWriter::begin(MAGIC, FORMAT, fingerprint, to)?;
        let Pass { sums, outcomes, all_levels, rows_read, blocks, complete, .. } = self.pass;
        for value in [*rows_read, *blocks, u64::from(*complete), u64::from(*all_levels), outcomes.len() as u64] {
            to.u64(value)?;
        }
        for outcome in outcomes {
            match outcome {
                Outcome::Summed => to.u64(0)?,
                Outcome::Deferred => to.u64(1)?,
                Outcome::Failed(error) => {
                    to.u64(2)?;
                    to.text(&error.to_string())?;
                }
            }
        }
        to.u64(sums.len() as u64)?;
        sums.iter().try_for_each(|sums| write_sums(sums, &mut to))?;
        to.finish()
    }
}

fn write_sums(sums: &Summing, to: &mut FrameWriter<'_>) -> io::Result<()> {
    let Summing { bundle, by, moments, totals, dropped, missing, not_a_number } = sums;
    to.u64(by.len() as u64)?;
    by.iter().try_for_each(|column| to.text(column))?;
    to.u64(bundle.members.len() as u64)?;
    for member in &bundle.members {
        to.u64(member.model as u64)?;
        to.text(&serde_json::to_string(&member.recipe)?)?;
        to.usizes(&member.projection.shard_keys)?;
    }
    to.usizes(&moments.summands.shard_keys)?;
    to.u64(moments.rows)?;
    to.u64(moments.sum_log_weights.to_bits())?;
    to.f64s(moments.cross.sums())?;
    to.u64(moments.labels.len() as u64)?;
    moments.labels.iter().try_for_each(|table| write_labels(table, to))?;
    to.u64(moments.shards.len() as u64)?;
    for cells in &moments.shards {
        to.u32s(&cells.labels)?;
        to.u64s(&cells.first_row)?;
        to.u64s(&cells.counts)?;
        to.f64s(&cells.sums)?;
    }
    to.u64(*dropped)?;
    to.u64s(missing)?;
    to.u64s(not_a_number)?;
    to.u32s(&totals.labels)?;
    to.u64(totals.unlabelled)?;
    to.u64(totals.sums.len() as u64)?;
    for sum in &totals.sums {
        to.f64s(&sum.cross)?;
        to.u64(sum.rows)?;
        to.u64(sum.sum_log_weights.to_bits())?;
        to.u64(sum.dropped)?;
        to.u64s(&sum.missing)?;
        to.u64s(&sum.not_a_number)?;
        to.u64(sum.levels.len() as u64)?;
        sum.levels.iter().try_for_each(|levels| to.list(levels, u64::from))?;
    }
    Ok(())
}

fn write_labels(table: &LabelTable, to: &mut FrameWriter<'_>) -> io::Result<()> {
    to.u64(u64::from(table.is_integer()))?;
    to.u64(table.dictionaries().count() as u64)?;
    for dictionary in table.dictionaries() {
        match dictionary {
            Dictionary::Integer(values) => to.list(values, i64::cast_unsigned)?,
            Dictionary::Text(texts) => {
                to.u64(texts.len() as u64)?;
                texts.iter().try_for_each(|text| to.text(text))?;
            }
        }
    }
    Ok(())
}

impl Checkpoint {
    /// Reads a state back, checking every byte of it.
    ///
    /// # Errors
    /// If it is damaged, of another version of the program, or of other inputs.
    pub fn read(from: &mut dyn Read, fingerprint: &str) -> Result<Checkpoint, CheckpointError> {
        let mut from = FrameReader::begin(MAGIC, FORMAT, fingerprint, from)?;
        let (rows_read, blocks) = (from.u64()?, from.u64()?);
        let (complete, all_levels) = (from.u64()? == 1, from.u64()? == 1);
        let outcomes = from.list(|from| {
            Ok(match from.u64()? {
                0 => Outcome::Summed,
                1 => Outcome::Deferred,
                _ => Outcome::Failed(IngestError::Earlier(from.text()?)),
            })
        })?;
        let sums = from.list(read_sums)?;
        from.finish()?;
        Ok(Checkpoint { rows_read, blocks, complete, all_levels, outcomes, sums })
    }

    /// Rows that need not be read again.
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// Whether all rows have been read.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The pass as it was.
    pub(crate) fn pass(self, wanted: &[Wanted]) -> Result<Pass, CheckpointError> {
        let Checkpoint { rows_read, blocks, complete, all_levels, outcomes, sums } = self;
        if outcomes.len() != wanted.len() {
            let what = format!("{} in all, and now there are {}", outcomes.len(), wanted.len());
            return Err(CheckpointError::Models(what));
        }
        let requests = start::requests(wanted);
        let mut restored = Vec::with_capacity(sums.len());
        for saved in sums {
            for (model, recipe, _) in &saved.members {
                let fits = wanted.get(*model).is_some_and(|wanted| {
                    wanted.plan.requests() == recipe.requests && wanted.by == saved.by && wanted.plan.is_of(recipe)
                });
                if !fits {
                    return Err(CheckpointError::Models(format!("one of them is {}", recipe.formula)));
                }
            }
            restored.push(saved.restore(&requests).ok_or(CheckpointError::Damaged("its parts do not fit together"))?);
        }
        let mut pass = Pass::new(restored, outcomes, all_levels);
        (pass.rows_read, pass.blocks, pass.complete) = (rows_read, blocks, complete);
        Ok(pass)
    }
}

impl Saved {
    /// The sums with all that belongs to them; `None` where the parts do not fit together.
    fn restore(self, requests: &[tiers_design::Request]) -> Option<Summing> {
        if self.members.is_empty() {
            return None;
        }
        let bundle = Bundle::new(requests, &self.by, self.members);
        let summands = bundle.summands.clone();
        let fits = |cells: &CellShard| {
            let count = cells.len();
            cells.labels.len() == count * summands.keys
                && cells.first_row.len() == count
                && cells.sums.len() == count * summands.per_cell()
        };
        let fit = summands.shard_keys == self.shard_keys
            && self.shards.len() == summands.shards
            && self.labels.len() == summands.keys
            && self.shards.iter().all(fits)
            && self.missing.len() == bundle.own_requests().count()
            && self.not_a_number.len() == bundle.expressions().count()
            && self.totals.fits(&bundle);
        let cross = Cross::restored(summands.m, self.cross).filter(|_| fit)?;
        let shards = self.shards.into_iter().map(|cells| cells.indexed(summands.keys)).collect();
        let (rows, sum_log_weights, labels) = (self.rows, self.sum_log_weights, self.labels);
        let moments = Moments { summands, cross, rows, sum_log_weights, labels, shards };
        Some(Summing {
            moments,
            totals: self.totals,
            dropped: self.dropped,
            missing: self.missing,
            not_a_number: self.not_a_number,
            by: self.by,
            bundle,
        })
    }
}

fn read_sums(from: &mut FrameReader<'_>) -> Result<Saved, Broken> {
    let by = from.list(FrameReader::text)?;
    let members = from.list(|from| {
        let model = from.usize()?;
        let recipe = serde_json::from_str(&from.text()?).map_err(|_| Broken::Damaged("a recipe cannot be read"))?;
        Ok((model, recipe, from.usizes()?))
    })?;
    let shard_keys = from.usizes()?;
    let (rows, sum_log_weights) = (from.u64()?, f64::from_bits(from.u64()?));
    let cross = from.f64s()?;
    let labels = from.list(read_labels)?;
    let shards = from.list(|from| Ok(CellShard::of(from.u32s()?, from.u64s()?, from.u64s()?, from.f64s()?)))?;
    let (dropped, missing, not_a_number) = (from.u64()?, from.u64s()?, from.u64s()?);
    let (partitions, unlabelled) = (from.u32s()?, from.u64()?);
    let sums = from.list(|from| {
        Ok(PartitionSum {
            cross: from.f64s()?,
            rows: from.u64()?,
            sum_log_weights: f64::from_bits(from.u64()?),
            dropped: from.u64()?,
            missing: from.u64s()?,
            not_a_number: from.u64s()?,
            levels: from.list(|from| from.list(|from| Ok(from.u64()? == 1)))?,
        })
    })?;
    let totals = PartitionTotals::restored(by.len(), partitions, sums, unlabelled);
    Ok(Saved {
        by,
        members,
        shard_keys,
        rows,
        sum_log_weights,
        cross,
        labels,
        shards,
        dropped,
        missing,
        not_a_number,
        totals,
    })
}

fn read_labels(from: &mut FrameReader<'_>) -> Result<LabelTable, Broken> {
    let integer = from.u64()? == 1;
    let dictionaries = from.list(|from| {
        Ok(match integer {
            true => Dictionary::Integer(from.list(|from| Ok(from.u64()?.cast_signed()))?),
            false => Dictionary::Text(from.list(FrameReader::text)?.iter().collect::<PackedText>()),
        })
    })?;
    LabelTable::restored(&dictionaries).ok_or(Broken::Damaged("labels are not where they belong"))
}
