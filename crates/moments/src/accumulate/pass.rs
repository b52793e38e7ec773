//! A pass over the rows that sums the moments of many models, wave by wave.

use crate::accumulate::missing_codes::Extremes;
use crate::accumulate::project;
use crate::block_sums::BlockSums;
use crate::bundle::{Bundle, Encoded, PartitionTotals};
use crate::error::IngestError;
use crate::moments::Moments;
use crate::pace::Pace;
use crate::read_times::{BlockTimes, Laps, ReadTimes};
use crate::reading::Dropped;
use crate::waves::Raw;
use rayon::prelude::*;
use tiers_design::{Block, EncodeError, RawBlock, Request, SourceError};

/// What became of a model.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is in one of the bundles.
    Summed,
    /// It cannot be summed.
    Failed(IngestError),
    /// It was put off for lack of memory.
    Deferred,
}

/// The state of a pass.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) sums: Vec<Summing>,
    /// Per model wanted.
    pub(crate) outcomes: Vec<Outcome>,
    /// Per column that is read what its numbers lie between; empty before the first block.
    pub(crate) extremes: Vec<Extremes>,
    /// Whether the levels of all factors are those of all rows.
    pub(crate) all_levels: bool,
    pub(crate) rows_read: u64,
    pub(crate) blocks: u64,
    /// Whether the last row has been read.
    pub(crate) complete: bool,
    pub(crate) times: ReadTimes,
}

/// A bundle of models with its sums so far.
#[derive(Debug)]
pub(crate) struct Summing {
    pub(crate) bundle: Bundle,
    /// The columns that cut the rows into partitions.
    pub(crate) by: Vec<String>,
    pub(crate) moments: Moments,
    pub(crate) totals: PartitionTotals,
    pub(crate) dropped: u64,
    /// Per request of the bundle's own.
    pub(crate) missing: Vec<u64>,
    /// Per expression of the bundle.
    pub(crate) not_a_number: Vec<u64>,
}

/// Why a pass does not go on.
pub(crate) enum Stop {
    /// A factor has a level that the first rows did not show.
    NewLevel { column: String, level: String },
    /// No model is left to be summed.
    NothingLeft,
    /// The table cannot be read, or the work was called off.
    Error(IngestError),
}

impl From<IngestError> for Stop {
    fn from(error: IngestError) -> Self {
        Stop::Error(error)
    }
}

/// A block as one bundle sees it.
enum Summed {
    Sums(Box<BlockSums>, Counts),
    Split(Vec<Result<u32, EncodeError>>),
}

/// Rows that a bundle leaves out of a block.
struct Counts {
    dropped: u64,
    missing: Vec<u64>,
    not_a_number: Vec<u64>,
}

/// A block in the hands of a thread: as it was read (where it may be needed again), its rows, and what
/// it is to each bundle, and what the numbers in it lie between.
type Worked = Result<(Option<Box<dyn RawBlock>>, u64, Vec<Summed>, BlockTimes, Vec<Extremes>), SourceError>;

impl Pass {
    pub(crate) fn new(sums: Vec<Summing>, outcomes: Vec<Outcome>, all_levels: bool) -> Pass {
        let times = ReadTimes::default();
        let extremes = Vec::new();
        Pass { sums, outcomes, extremes, all_levels, rows_read: 0, blocks: 0, complete: false, times }
    }

    /// Models that are being summed.
    pub(crate) fn active(&self) -> usize {
        self.sums.iter().map(|sums| sums.bundle.members.len()).sum()
    }

    /// Adds the blocks of a wave to all sums. A failure of the source counts once all blocks before
    /// it have been added, so that of several failures the first in the order of rows is reported.
    pub(crate) fn absorb(&mut self, wave: Vec<Raw>, pace: Pace) -> Result<(), Stop> {
        if self.active() == 0 {
            return Err(Stop::NothingLeft);
        }
        let bundles: Vec<&Bundle> = self.sums.iter().map(|sums| &sums.bundle).collect();
        // A bundle of one cannot part.
        let may_part = bundles.iter().any(|bundle| bundle.members.len() > 1);
        let work = |raw: Raw| -> Worked {
            let (mut clock, mut times) = (Laps::start(), BlockTimes::default());
            let raw = raw?;
            let block = raw.decode()?;
            let raw = may_part.then_some(raw);
            times.decode = clock.lap();
            let sums = bundles.iter().map(|bundle| sum(bundle, &block, &mut clock, &mut times)).collect();
            Ok((raw, block.rows as u64, sums, times, Extremes::of_block(&block)))
        };
        let at_once = pace.side_by_side(wave.len());
        let mut worked: Vec<Worked> = Vec::with_capacity(wave.len());
        let mut wave = wave.into_iter();
        while wave.len() > 0 {
            let some: Vec<Raw> = wave.by_ref().take(at_once).collect();
            worked.par_extend(some.into_par_iter().with_max_len(1).map(work));
        }
        let (mut raws, mut failure) = (Vec::with_capacity(worked.len()), None);
        let mut of_bundles: Vec<Vec<Summed>> = self.sums.iter().map(|_| Vec::with_capacity(worked.len())).collect();
        for outcome in worked {
            match outcome {
                Ok((raw, rows, sums, times, extremes)) => {
                    self.times.add(&times);
                    self.extremes.resize(self.extremes.len().max(extremes.len()), Extremes::NONE);
                    self.extremes.iter_mut().zip(&extremes).for_each(|(all, own)| all.merge(own));
                    self.rows_read += rows;
                    self.blocks += 1;
                    raws.extend(raw);
                    of_bundles.iter_mut().zip(sums).for_each(|(all, sums)| all.push(sums));
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let mut clock = Laps::start();
        let mut todo: Vec<(Summing, Vec<Summed>)> = self.sums.drain(..).zip(of_bundles).rev().collect();
        let mut done = Vec::with_capacity(todo.len());
        while let Some((mut sums, blocks)) = todo.pop() {
            if blocks.iter().all(|block| matches!(block, Summed::Sums(..))) {
                sums.absorb(blocks);
                done.push(sums);
                continue;
            }
            // The members part ways somewhere in this wave: they do so before it, and each part sums
            // the wave anew.
            for part in self.split(&sums, blocks)?.into_iter().rev() {
                let blocks = again(&part.bundle, &mut raws).map_err(IngestError::Source)?;
                todo.push((part, blocks));
            }
        }
        self.sums = done;
        self.times.merge += clock.lap();
        match (failure, self.active()) {
            (_, 0) => Err(Stop::NothingLeft),
            (Some(error), _) => Err(IngestError::Source(error).into()),
            (None, _) => Ok(()),
        }
    }

    /// Parts the members of a bundle by what the blocks say of them.
    fn split(&mut self, sums: &Summing, blocks: Vec<Summed>) -> Result<Vec<Summing>, Stop> {
        let members = sums.bundle.members.len();
        let mut classes: Vec<Result<Vec<u32>, EncodeError>> = vec![Ok(Vec::new()); members];
        for block in blocks {
            let Summed::Split(own) = block else { continue };
            for (class, own) in classes.iter_mut().zip(own) {
                match (class.as_mut(), own) {
                    (Ok(class), Ok(own)) => class.push(own),
                    (Ok(_), Err(error)) => *class = Err(error),
                    (Err(_), _) => {}
                }
            }
        }
        let mut groups: Vec<(Vec<u32>, Vec<usize>)> = Vec::new();
        for (member, class) in classes.into_iter().enumerate() {
            match class {
                Ok(class) => match groups.iter_mut().find(|(known, _)| *known == class) {
                    Some((_, members)) => members.push(member),
                    None => groups.push((class, vec![member])),
                },
                Err(EncodeError::NewLevel { column, label }) if !self.all_levels => {
                    return Err(Stop::NewLevel { column, level: label });
                }
                Err(error) => self.outcomes[sums.bundle.members[member].model] = Outcome::Failed(error.into()),
            }
        }
        Ok(groups.iter().map(|(_, members)| sums.some(members)).collect())
    }

    /// Puts off a model.
    pub(crate) fn defer(&mut self, model: usize) {
        let is_it = |sums: &Summing| sums.bundle.members.iter().position(|member| member.model == model);
        let found = self.sums.iter().enumerate().find_map(|(b, sums)| Some((b, is_it(sums)?)));
        let (b, member) = found.expect("the model is being summed");
        let others: Vec<usize> = (0..self.sums[b].bundle.members.len()).filter(|&m| m != member).collect();
        match others.is_empty() {
            true => _ = self.sums.remove(b),
            false => self.sums[b] = self.sums[b].some(&others),
        }
        self.outcomes[model] = Outcome::Deferred;
    }
}

/// Encodes and sums a block for one bundle.
fn sum(bundle: &Bundle, block: &Block, clock: &mut Laps, times: &mut BlockTimes) -> Summed {
    let encoded = bundle.encode(block);
    times.encode += clock.lap();
    let summed = match encoded {
        Encoded::Split(outcomes) => Summed::Split(outcomes),
        Encoded::Rows(both) => {
            let (rows, partitions) = *both;
            let (dropped, missing) = (rows.dropped_rows, rows.missing.clone());
            let counts = Counts { dropped, missing, not_a_number: rows.not_a_number.clone() };
            let sums = match partitions {
                None => BlockSums::of(&bundle.summands, rows),
                Some(partitions) => BlockSums::of_partitions(bundle, rows, partitions),
            };
            Summed::Sums(Box::new(sums), counts)
        }
    };
    times.sum += clock.lap();
    summed
}

/// Sums the blocks of a wave for a bundle that was not there when they were first seen.
fn again(bundle: &Bundle, raws: &mut Vec<Box<dyn RawBlock>>) -> Result<Vec<Summed>, SourceError> {
    // A raw block may be handed from thread to thread, but not looked at by several.
    let work = |raw: Box<dyn RawBlock>| {
        let block = raw.decode();
        let sums = block.map(|block| sum(bundle, &block, &mut Laps::start(), &mut BlockTimes::default()));
        (raw, sums)
    };
    let worked: Vec<_> = std::mem::take(raws).into_par_iter().with_max_len(1).map(work).collect();
    let mut out = Vec::with_capacity(worked.len());
    for (raw, sums) in worked {
        raws.push(raw);
        out.push(sums?);
    }
    Ok(out)
}

impl Summing {
    /// Sums given, nothing left out yet.
    pub(crate) fn of(bundle: Bundle, by: Vec<String>, moments: Moments) -> Summing {
        let (requests, expressions) = (bundle.own_requests().count(), bundle.expressions().count());
        let (missing, not_a_number) = (vec![0; requests], vec![0; expressions]);
        Summing { bundle, by, moments, totals: PartitionTotals::default(), dropped: 0, missing, not_a_number }
    }

    fn absorb(&mut self, blocks: Vec<Summed>) {
        let mut sums = Vec::with_capacity(blocks.len());
        for block in blocks {
            let Summed::Sums(own, counts) = block else { unreachable!("told before") };
            self.dropped += counts.dropped;
            self.missing.iter_mut().zip(&counts.missing).for_each(|(sum, n)| *sum += n);
            self.not_a_number.iter_mut().zip(&counts.not_a_number).for_each(|(sum, n)| *sum += n);
            sums.push(*own);
        }
        self.moments.absorb(&mut sums);
        sums.iter_mut().for_each(|block| self.totals.absorb(block));
    }

    /// The same for some of the members only.
    fn some(&self, members: &[usize]) -> Summing {
        let (bundle, projection) = self.bundle.of_members(members, &self.by);
        let moments = project(&self.moments, &projection);
        let mut out = Summing { dropped: self.dropped, ..Summing::of(bundle, self.by.clone(), moments) };
        let requests: Vec<usize> = places(out.bundle.own_requests(), &self.bundle.own_requests().collect::<Vec<_>>());
        let expressions = places(out.bundle.expressions(), &self.bundle.expressions().collect::<Vec<_>>());
        let factors = places(out.bundle.factors.iter(), &self.bundle.factors.iter().collect::<Vec<_>>());
        out.totals =
            self.totals.project(self.moments.summands.m, &projection.columns, [&requests, &expressions, &factors]);
        out.missing = requests.iter().map(|&all| self.missing[all]).collect();
        out.not_a_number = expressions.iter().map(|&all| self.not_a_number[all]).collect();
        out
    }

    /// What a member lost, as a read for it alone would tell.
    pub(crate) fn dropped(&self, member: usize) -> Dropped {
        let member = &self.bundle.members[member];
        let missing = |request: &Request| {
            let at = self.bundle.own_requests().position(|own| own == request).expect("a member's request");
            self.missing[at]
        };
        let texts: Vec<&str> = self.bundle.expressions().collect();
        let columns = member.recipe.requests.iter().map(|r| (r.column.as_str(), missing(r)));
        let expressions = member.expressions().iter().map(|&e| (texts[e], self.not_a_number[e]));
        Dropped::of(self.dropped, columns, expressions)
    }
}

/// Where some stand among all.
fn places<T: PartialEq>(some: impl Iterator<Item = T>, all: &[T]) -> Vec<usize> {
    some.map(|own| all.iter().position(|other| *other == own).expect("some of all")).collect()
}
