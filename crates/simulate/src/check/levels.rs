//! Validates the levels, and chooses the number of groups per block.

use super::list;
use crate::error::SpecError;
use crate::id::IdStyle;
use crate::model::{Level, Random};
use crate::rows::CHUNK_ROWS;
use crate::sizes::Sizes;
use crate::spec::{LevelSpec, SizeSpec};
use crate::streams::MOST_CHUNKS;

/// Approximate number of rows in a block.
const BLOCK_ROWS: f64 = (1 << 18) as f64;

/// Largest number of groups of the finest level in one group of the coarsest level. The values drawn
/// per group are held in memory for a whole block, and so for at least one group of the coarsest level.
const MOST_GROUPS: f64 = 10e6;

/// Largest size of a group.
const LARGEST: u64 = u32::MAX as u64;

/// Converts all levels, without their random effects, which need the covariates.
pub(super) fn levels(specs: &[LevelSpec]) -> Result<Vec<Level>, SpecError> {
    if specs.is_empty() {
        let remedy = "describe one or more levels, coarsest first, each under [[level]]";
        return Err(SpecError::new("level", "there are no levels", remedy));
    }
    specs.iter().enumerate().map(|(i, spec)| level(i, spec)).collect()
}

fn level(number: usize, spec: &LevelSpec) -> Result<Level, SpecError> {
    let key = |key: &str| format!("level `{}`: {key}", spec.name);
    if number == 0 && spec.reuse_ids {
        let remedy = "leave it out here: it is for levels that lie within another";
        return Err(SpecError::new(key("reuse_ids"), "the coarsest level has no parents to reuse ids in", remedy));
    }
    Ok(Level {
        name: spec.name.clone(),
        id: IdStyle::parse(&spec.id, &key("id"))?,
        reuse_ids: spec.reuse_ids,
        sizes: sizes(&key("size"), spec.size)?,
        random: Random::default(),
    })
}

fn sizes(key: &str, spec: SizeSpec) -> Result<Sizes, SpecError> {
    let (min, max, skew) = match spec {
        SizeSpec::Fixed(size) => (size, size, 0.0),
        SizeSpec::Range { min, max, skew } => (min, max, skew),
    };
    if min == 0 {
        return Err(SpecError::new(key, "a group cannot be empty", "give a size of 1 or more"));
    }
    if min > max {
        return Err(SpecError::new(key, format!("min = {min} is above max = {max}"), "swap the two"));
    }
    if max > LARGEST {
        return Err(SpecError::new(key, format!("{max} is too large"), format!("stay at or below {LARGEST}")));
    }
    if min == max {
        return Ok(Sizes::fixed(min));
    }
    Sizes::range(min, max, skew).ok_or_else(|| {
        let remedy = "give a number between -1 (most groups are large) and 1 (most are small), such as 0.3";
        SpecError::new(key, format!("skew = {skew} is out of its range"), remedy)
    })
}

/// Returns the number of groups of the coarsest level in a block. It depends only on the levels.
pub(super) fn groups_per_block(levels: &[Level]) -> Result<u64, SpecError> {
    let above_finest = &levels[..levels.len() - 1];
    let most_groups: f64 = above_finest.iter().map(|level| level.sizes.max as f64).product();
    let top = &levels[0].name;
    if most_groups > MOST_GROUPS {
        return Err(SpecError::new(
            format!("level `{top}`: size"),
            format!(
                "one group may have {most_groups:e} groups of the finest level, more than the {MOST_GROUPS:e} \
                 that are held in memory at once"
            ),
            format!("make {} smaller, or add a coarser level", list(above_finest.iter().map(|l| l.name.as_str()))),
        ));
    }
    let mean_rows: f64 = levels.iter().map(|level| level.sizes.mean).product();
    let groups = (BLOCK_ROWS / mean_rows).round().max(1.0);
    let most_rows = groups * levels.iter().map(|level| level.sizes.max as f64).product::<f64>();
    if most_rows > (MOST_CHUNKS * CHUNK_ROWS) as f64 {
        let problem = format!("a group may have too many rows (a block of {groups} up to {most_rows:e})");
        return Err(SpecError::new(format!("level `{top}`: size"), problem, "make the largest sizes smaller"));
    }
    Ok(groups as u64)
}
