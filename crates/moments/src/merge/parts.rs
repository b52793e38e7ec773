//! Merges the moments of parts, computed separately, into those of all rows.
//!
//! A part's cells are read like rows: in blocks, in parallel, and absorbed in order. The part's own
//! definition says what a cell means; its sums are converted to the definition of all parts.

use crate::block_sums::BlockSums;
use crate::error::IngestError;
use crate::memory_limit::MemoryLimit;
use crate::merge::{Alignment, CellColumns, Cells, Definition, MergeError, PartError, Totals, merged_definition};
use crate::moments::{Moments, Summands};
use crate::pace::WAVE;
use crate::reading::{Dropped, Ingested, ReadObserver};
use crate::structure::guess_top;
use crate::waves::in_waves;
use rayon::prelude::*;
use tiers_design::{Kind, Recipe, Source};

/// The moments of one part.
pub struct Part<'a> {
    /// Name of the part in messages.
    pub name: &'a str,
    /// The columns that its moments were computed from.
    pub definition: &'a Definition,
    /// Sums over all rows of the part.
    pub totals: &'a Totals,
    /// Rows dropped when the part was computed.
    pub dropped: &'a Dropped,
    /// The part's cells as a table; `None` for a part without rows.
    pub cells: Option<&'a dyn Source>,
}

/// Reads the cells of all parts and adds them up. The observer and the limit count cells.
pub fn merge(
    parts: &[Part<'_>],
    limit: Option<MemoryLimit>,
    observer: &mut dyn ReadObserver,
) -> Result<(Ingested, Definition), IngestError> {
    let definitions: Vec<(&str, &Definition)> = parts.iter().map(|part| (part.name, part.definition)).collect();
    let definition = merged_definition(&definitions)?;
    let recipe = definition.recipe().map_err(|error| of_part(parts[0].name, error))?;
    recipe.check_levels()?;
    let mut merging = Merging { recipe: &recipe, moments: None, cells_read: 0, rows_before: 0, limit, observer };
    let mut dropped = Dropped::default();
    for part in parts {
        merging.add(part)?;
        merging.rows_before += part.totals.rows + part.dropped.rows;
        dropped.add(part.dropped);
    }
    let Merging { moments, .. } = merging;
    let nothing = || empty_moments(&recipe, Cells::none(&definition.integer_keys(&recipe)));
    let moments = moments.unwrap_or_else(nothing);
    Ok((Ingested { recipe, moments, dropped }, definition))
}

fn of_part(name: &str, error: PartError) -> IngestError {
    MergeError::Part { part: name.to_owned(), error: Box::new(error) }.into()
}

/// Empty moments, with labels of the same kinds as those of some cells.
fn empty_moments(recipe: &Recipe, like: Cells) -> Moments {
    let distinct: Vec<usize> = like.keys.iter().map(|key| key.dictionary.len()).collect();
    let summands = Summands::new(recipe, guess_top(recipe, &distinct));
    let like = BlockSums::like(&summands, like);
    Moments::new(summands, &like)
}

/// State while parts are merged.
struct Merging<'a> {
    recipe: &'a Recipe,
    moments: Option<Moments>,
    cells_read: u64,
    rows_before: u64,
    limit: Option<MemoryLimit>,
    observer: &'a mut dyn ReadObserver,
}

impl Merging<'_> {
    fn add(&mut self, part: &Part<'_>) -> Result<(), IngestError> {
        let failed = |error| of_part(part.name, error);
        let own = part.definition.recipe().map_err(failed)?;
        let alignment = Alignment::new(&own, self.recipe).map_err(failed)?;
        part.totals.check_products(&own).map_err(failed)?;
        let mut total = (0, vec![0.0; alignment.per_cell()]);
        if let Some(cells) = part.cells {
            self.add_cells(part, cells, &own, &alignment, &mut total)?;
        }
        part.totals.check(&own, &total).map_err(failed)?;
        if let Some(moments) = &mut self.moments {
            moments.add_totals(part.totals, &alignment);
        }
        Ok(())
    }

    fn add_cells(
        &mut self,
        part: &Part<'_>,
        source: &dyn Source,
        own: &Recipe,
        alignment: &Alignment,
        total: &mut (u64, Vec<f64>),
    ) -> Result<(), IngestError> {
        let columns = CellColumns::of_table(own, source.fields());
        check_keys(source, &columns, &part.definition.integer_keys(own)).map_err(|error| of_part(part.name, error))?;
        let with_first_row = source.fields().iter().any(|field| field.name == columns.first_row);
        let scan = source.scan(&columns.requests(with_first_row)).map_err(IngestError::Source)?;
        in_waves(
            scan,
            || WAVE,
            |wave| {
                let read = |raw: Result<Box<dyn tiers_design::RawBlock>, _>| -> Result<_, IngestError> {
                    let block = raw
                        .and_then(|raw: Box<dyn tiers_design::RawBlock>| raw.decode())
                        .map_err(IngestError::Source)?;
                    let first = block.first_row;
                    let cells = Cells::of(block, &columns, alignment.per_cell()).map_err(|e| of_part(part.name, e))?;
                    cells.check(own, part.totals, first).map_err(|e| of_part(part.name, e))?;
                    let sum = cells.total(alignment.per_cell());
                    Ok((cells, sum))
                };
                let blocks: Vec<_> = wave.into_par_iter().with_max_len(1).map(read).collect::<Result<_, _>>()?;
                self.absorb(blocks, alignment, total)
            },
        )
    }

    fn absorb(
        &mut self,
        blocks: Vec<(Cells, (u64, Vec<f64>))>,
        alignment: &Alignment,
        total: &mut (u64, Vec<f64>),
    ) -> Result<(), IngestError> {
        for (cells, (rows, sums)) in &blocks {
            self.cells_read += cells.rows.len() as u64;
            total.0 += rows;
            total.1.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
        }
        let Some((first, _)) = blocks.first() else { return Ok(()) };
        let moments = self.moments.get_or_insert_with(|| empty_moments(self.recipe, first.clone()));
        let (summands, rows_before) = (&moments.summands, self.rows_before);
        let to_sums = |(cells, _)| BlockSums::of_cells(summands, cells, alignment, rows_before);
        let mut sums: Vec<BlockSums> = blocks.into_par_iter().with_max_len(1).map(to_sums).collect();
        moments.absorb(&mut sums);
        if let Some(limit) = &self.limit {
            limit.check(self.recipe, moments, (self.cells_read, "cells"))?;
        }
        match self.observer.rows_read(self.cells_read) {
            true => Ok(()),
            false => Err(IngestError::Interrupted),
        }
    }
}

/// Checks that the keys in a table of cells are of the kind that the definition states.
fn check_keys(source: &dyn Source, columns: &CellColumns, integer: &[bool]) -> Result<(), PartError> {
    for (key, &integer) in columns.keys.iter().zip(integer) {
        let kind = source.fields().iter().find(|field| field.name == *key).map(|field| &field.kind);
        let fits = match kind {
            Some(Kind::Integer | Kind::Float) => integer,
            Some(_) => !integer,
            // The scan reports a missing column.
            None => true,
        };
        if !fits {
            return Err(PartError::KeyKind { key: key.clone(), integer });
        }
    }
    Ok(())
}
