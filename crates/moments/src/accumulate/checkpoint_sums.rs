//! The sums of a bundle in a checkpoint: written, read back, and restored with all that belongs to them.

use crate::accumulate::checkpoint_format::{Broken, FrameReader, FrameWriter};
use crate::accumulate::pass::Summing;
use crate::bundle::{Bundle, PartitionSum, PartitionTotals};
use crate::cross::Cross;
use crate::labels::LabelTable;
use crate::moments::{CellShard, Moments};
use std::io;
use tiers_design::{Dictionary, PackedText, Recipe, Request};

/// The sums of a bundle without what can be made again.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) by: Vec<String>,
    /// Per member its model, its recipe and the keys that decide its shards.
    pub(crate) members: Vec<(usize, Recipe, Vec<usize>)>,
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

impl Saved {
    /// Writes sums.
    pub(crate) fn write(sums: &Summing, to: &mut FrameWriter<'_>) -> io::Result<()> {
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

    /// Reads back what [`Saved::write`] wrote.
    pub(crate) fn read(from: &mut FrameReader<'_>) -> Result<Saved, Broken> {
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

    /// The sums with all that belongs to them; `None` where the parts do not fit together.
    pub(crate) fn restore(self, requests: &[Request]) -> Option<Summing> {
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
