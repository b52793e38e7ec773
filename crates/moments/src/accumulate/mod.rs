//! One read for many models, and for every partition of the rows.
//!
//! [`accumulate_many`] sums the moments of all models that are wanted while the rows are read once;
//! [`Shared`] then hands them out model by model, each as if its rows had been read for it alone.
//! Models that lose the same rows are summed together where that is less work (see
//! [`crate::bundle::sort_into_bundles`]); where they part ways, in the middle of the rows, so do the
//! sums.

mod checkpoint;
pub(crate) mod checkpoint_format;
mod checkpoint_sums;
mod factor_levels;
mod freeze_all;
mod missing_codes;
mod partitions;
mod pass;
mod room;
mod summed_models;

pub use checkpoint::{Checkpoint, PassState};
pub use missing_codes::Code;
pub use partitions::Partitions;
pub use summed_models::Shared;

use crate::bundle::Projection;
use crate::error::IngestError;
use crate::memory_limit::MemoryLimit;
use crate::moments::Moments;
use crate::read_times::{Laps, ScanTime, timed};
use crate::reading::{Ingested, ReadObserver, Reading};
use crate::waves::{Raw, in_waves};
use freeze_all::{NoStart, Start};
use pass::{Pass, Stop};
use rayon::prelude::*;
use room::Room;
use std::cell::Cell;
use std::collections::BTreeMap;
use tiers_design::{Block, Plan, RawBlock, Recipe, Scan, Source};

/// Per factor its levels.
pub(crate) type Levels = BTreeMap<String, Vec<String>>;

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

/// Reads all rows of a source and sums their moments.
pub fn accumulate(source: &dyn Source, plan: &Plan, observer: &mut dyn ReadObserver) -> Result<Ingested, IngestError> {
    accumulate_with(source, plan, &Reading::default(), observer)
}

/// [`accumulate`], in a way to be chosen.
pub fn accumulate_with(
    source: &dyn Source,
    plan: &Plan,
    reading: &Reading<'_>,
    observer: &mut dyn ReadObserver,
) -> Result<Ingested, IngestError> {
    accumulate_many(source, &[Wanted::new(plan.clone())], reading, None, observer)?.take(0)
}

/// Sums the moments of all models while the rows are read once.
///
/// Every model's rows, columns, shifts and sums are those of a read for it alone, to the bit: rows with
/// a missing value are left out model by model. (Only where the pass starts again for another model's
/// factor, a factor may have a level that only left-out rows show, with a column of zeros.)
///
/// `reading` serves all models; [`Reading::recipe`] can serve one only. With [`Reading::limit`]
/// models whose sums together would take more than that are put off, see [`Shared::deferred`]; one
/// that would take more by itself has the error.
///
/// `resume` goes on from a checkpoint of the same call (same source, models and reading), and gives
/// the same bits as if the pass had never stopped.
///
/// # Errors
/// If the table cannot be read, the checkpoint is none of this call, or the observer calls the work
/// off. What concerns one model only (an infinite value in its columns, too much memory) is told when
/// that model is taken.
///
/// # Panics
/// If a recipe is given for several models.
pub fn accumulate_many(
    source: &dyn Source,
    wanted: &[Wanted],
    reading: &Reading<'_>,
    resume: Option<Checkpoint>,
    observer: &mut dyn ReadObserver,
) -> Result<Shared, IngestError> {
    assert!(wanted.len() < 2 || reading.recipe.is_none(), "one recipe cannot serve several models");
    let collected = || factor_levels::levels(source, wanted, &reading.levels);
    let mut levels = None;
    let mut pass = resume.map(|checkpoint| checkpoint.pass(wanted)).transpose()?;
    let mut passes = 0;
    loop {
        if pass.is_none() && levels.is_none() && !reading.levels.is_empty() && reading.recipe.is_none() {
            levels = Some(collected()?);
        }
        passes += 1;
        let start = Start { source, wanted, reading, levels: levels.as_ref() };
        match run(&start, pass.take(), observer) {
            Ok(pass) => return Ok(Shared::new(pass, passes, wanted, reading.part)),
            Err(NoPass::Error(error)) => return Err(error),
            Err(NoPass::NeedsLevels) => levels = Some(collected()?),
            Err(NoPass::NewLevel { column, level }) => {
                observer.restarted(&column, &level);
                levels = Some(collected()?);
            }
        }
    }
}

/// Why there is no end of a pass.
enum NoPass {
    NeedsLevels,
    NewLevel { column: String, level: String },
    Error(IngestError),
}

impl From<IngestError> for NoPass {
    fn from(error: IngestError) -> Self {
        NoPass::Error(error)
    }
}

/// One pass, from the first row or from where an earlier one stopped.
fn run(start: &Start<'_>, resumed: Option<Pass>, observer: &mut dyn ReadObserver) -> Result<Pass, NoPass> {
    if let Some(pass) = resumed.as_ref().filter(|pass| pass.complete) {
        observer.rows_read(pass.rows_read);
        return Ok(resumed.expect("just looked at"));
    }
    let requests = freeze_all::requests(start.wanted);
    let blocks = resumed.as_ref().map_or(0, |pass| pass.blocks);
    let mut room = Room::new(start.source, &requests, start.wanted.len(), start.reading.limit);
    let portions = room.portions().map_err(IngestError::Room)?;
    let scan = start.source.scan_in_portions(&requests, blocks, portions);
    let (mut scan, time) = timed(scan.map_err(IngestError::Source)?);
    let pass = match resumed {
        Some(pass) => pass,
        None => {
            let first = first_block(&mut scan)?;
            let pass = start.pass(&first).map_err(|no_start| match no_start {
                NoStart::NeedsLevels => NoPass::NeedsLevels,
                NoStart::Error(error) => NoPass::Error(error),
            })?;
            match begin(pass, first, &time, &mut room) {
                Begun::Going(pass) => pass,
                Begun::Over(pass) => return Ok(pass),
                Begun::Stopped(stop) => return Err(no_pass(stop)),
            }
        }
    };
    sum_up(pass, scan, &time, room, observer).map_err(no_pass)
}

/// Sums by a recipe over the rows of a source that has been read before.
pub(crate) fn accumulate_again(
    source: &dyn Source,
    recipe: &Recipe,
    limit: Option<MemoryLimit>,
    observer: &mut dyn ReadObserver,
) -> Result<Ingested, IngestError> {
    let mut room = Room::new(source, &recipe.requests, 1, limit);
    let scan = source.scan_in_portions(&recipe.requests, 0, room.portions()?);
    let (mut scan, time) = timed(scan.map_err(IngestError::Source)?);
    let first = first_block(&mut scan)?;
    let stopped = match begin(freeze_all::of_recipe(recipe, &first), first, &time, &mut room) {
        Begun::Going(pass) => sum_up(pass, scan, &time, room, observer),
        Begun::Over(pass) => Ok(pass),
        Begun::Stopped(stop) => Err(stop),
    };
    match stopped {
        Ok(pass) => summed_models::alone(pass),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::NewLevel { .. } | Stop::NothingLeft) => unreachable!("all levels are known, and failures kept"),
    }
}

fn first_block(scan: &mut Scan) -> Result<Block, IngestError> {
    match scan.next() {
        Some(raw) => raw.and_then(|raw| raw.decode()).map_err(IngestError::Source),
        None => Ok(Block::default()),
    }
}

/// What the first block made of a pass.
enum Begun {
    Going(Pass),
    /// No model is left to be summed.
    Over(Pass),
    Stopped(Stop),
}

fn begin(mut pass: Pass, first: Block, time: &ScanTime, room: &mut Room) -> Begun {
    pass.times.wait = time.seconds();
    room.have_seen(&first, &mut pass);
    match pass.absorb(vec![Ok(Box::new(first) as Box<dyn RawBlock>)], room.pace()) {
        Ok(()) => {
            room.make(&mut pass, false);
            if pass.active() == 0 { Begun::Over(pass) } else { Begun::Going(pass) }
        }
        Err(Stop::NothingLeft) => Begun::Over(pass),
        Err(stop) => Begun::Stopped(stop),
    }
}

/// Adds all blocks of a scan.
fn sum_up(
    mut pass: Pass,
    scan: Scan,
    time: &ScanTime,
    mut room: Room,
    observer: &mut dyn ReadObserver,
) -> Result<Pass, Stop> {
    let mut clock = Laps::start();
    let wave = Cell::new(room.pace().wave);
    let stopped = in_waves(
        scan,
        || wave.get(),
        |blocks| {
            pass.times.wait += clock.lap();
            let stopped = wave_of(&mut pass, blocks, &mut room, observer);
            wave.set(room.pace().wave);
            clock.lap();
            stopped
        },
    );
    match stopped {
        Ok(()) | Err(Stop::NothingLeft) => {}
        Err(stop) => return Err(stop),
    }
    pass.complete = true;
    pass.times.scan = time.seconds();
    observer.finished(&pass.times);
    observer.checkpoint(&PassState::of(&pass));
    Ok(pass)
}

fn no_pass(stop: Stop) -> NoPass {
    match stop {
        Stop::NewLevel { column, level } => NoPass::NewLevel { column, level },
        Stop::Error(error) => NoPass::Error(error),
        Stop::NothingLeft => unreachable!("nothing left is no failure of the pass"),
    }
}

/// Adds a wave, keeps to the limit of memory, and tells the observer.
fn wave_of(pass: &mut Pass, wave: Vec<Raw>, room: &mut Room, observer: &mut dyn ReadObserver) -> Result<(), Stop> {
    let last = wave.is_empty();
    pass.absorb(wave, room.pace())?;
    room.make(pass, last);
    let go_on = observer.rows_read(pass.rows_read);
    if last {
        // There is nothing to call off any more, and nothing new to keep.
        return Ok(());
    }
    observer.checkpoint(&PassState::of(pass));
    if go_on { Ok(()) } else { Err(IngestError::Interrupted.into()) }
}

/// The moments of some of the columns and keys, side by side over the shards.
pub(crate) fn project(moments: &Moments, projection: &Projection) -> Moments {
    let shards = match projection.keeps_shards(&moments.summands) {
        true => moments.shards.par_iter().map(|cells| projection.shard(&moments.summands, cells)).collect(),
        false => projection.shards(moments),
    };
    moments.projected(projection, shards)
}
