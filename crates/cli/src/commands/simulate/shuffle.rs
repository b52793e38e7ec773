//! Puts rows in random order by way of a temporary file: every row goes to a random bucket, then every
//! bucket is shuffled in memory.

use super::draw::each_chunk;
use super::record::Record;
use super::sink::Sink;
use super::spill::Spill;
use crate::progress::Simulating;
use rayon::prelude::*;
use std::path::Path;
use tiers_simulate::{CHUNK_ROWS, Place, Shuffle, Simulation};

/// Draws all rows and sends them in random order. Returns the place where the rows end.
pub(super) fn rows(simulation: &Simulation, out: &Path, watch: &Simulating, sink: &Sink<'_>) -> anyhow::Result<Place> {
    let record = Record::new(&simulation.fields());
    let shuffle = Shuffle::new(simulation);
    let mut spill = Spill::create(out, shuffle.buckets())?;
    let end = each_chunk(
        simulation,
        |task| {
            let columns = task.draw(simulation);
            let buckets = shuffle.assign(task.number, columns[0].len());
            record.pack(&columns, &buckets, shuffle.buckets())
        },
        |packed| spill.append(&packed),
    )?;
    for bucket in 0..shuffle.buckets() {
        let bytes = spill.take(bucket)?;
        let order = shuffle.order(bucket, (bytes.len() / record.width()) as u32);
        let parts: Vec<&[u32]> = order.chunks(CHUNK_ROWS as usize).collect();
        for parts in parts.chunks(4 * rayon::current_num_threads()) {
            let prepared: Vec<_> = parts.par_iter().map(|rows| sink.prepare(record.unpack(&bytes, rows))).collect();
            for columns in prepared {
                sink.send(columns, watch)?;
            }
        }
    }
    Ok(end)
}
