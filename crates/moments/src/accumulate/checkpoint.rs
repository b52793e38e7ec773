//! The state of a pass in a file, to go on from there.
//!
//! A file begins with [`MAGIC`] and goes on in frames with checksums ([`crate::frames`]): where the
//! pass is, recipes and sums ([`super::saved`]). Recipes are JSON, which tells every f64 to the last
//! bit; sums are their bits. What can be made again (encoders, projections, hash tables) is, from
//! the same parts by the same code, so that a pass that goes on has the bits of one that never stopped.

use crate::accumulate::checkpoint_format::{Broken, CheckpointError, FrameReader, FrameWriter};
use crate::accumulate::checkpoint_sums::Saved;
use crate::accumulate::missing_codes::Extremes;
use crate::accumulate::pass::{Outcome, Pass};
use crate::accumulate::{Wanted, freeze_all};
use crate::error::IngestError;
use std::io::{self, Read, Write};

/// How a file begins.
const MAGIC: &[u8; 16] = b"tiers checkpoint";
/// The version of the format; another one is refused.
const FORMAT: u64 = 2;

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
    extremes: Vec<Extremes>,
    sums: Vec<Saved>,
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
        let Pass { sums, outcomes, extremes, all_levels, rows_read, blocks, complete, .. } = self.pass;
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
        to.u64(extremes.len() as u64)?;
        for Extremes { ends, codes } in extremes {
            to.f64s(ends)?;
            to.u64s(codes)?;
        }
        to.u64(sums.len() as u64)?;
        sums.iter().try_for_each(|sums| Saved::write(sums, &mut to))?;
        to.finish()
    }
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
        let extremes = from.list(|from| {
            let (ends, codes) = (from.f64s()?.try_into(), from.u64s()?.try_into());
            let damaged = |_| Broken::Damaged("the ends of a column are not two");
            Ok(Extremes {
                ends: ends.map_err(damaged)?,
                codes: codes.map_err(|_| Broken::Damaged("codes are missing"))?,
            })
        })?;
        let sums = from.list(Saved::read)?;
        from.finish()?;
        Ok(Checkpoint { rows_read, blocks, complete, all_levels, outcomes, extremes, sums })
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
        let Checkpoint { rows_read, blocks, complete, all_levels, outcomes, extremes, sums } = self;
        if outcomes.len() != wanted.len() {
            let what = format!("{} in all, and now there are {}", outcomes.len(), wanted.len());
            return Err(CheckpointError::Models(what));
        }
        let requests = freeze_all::requests(wanted);
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
        pass.extremes = extremes;
        Ok(pass)
    }
}
