//! Blocks of rows in waves, read ahead by a thread of their own.

use std::sync::mpsc::{Receiver, sync_channel};
use tiers_design::{RawBlock, Scan, SourceError};

pub(crate) type Raw = Result<Box<dyn RawBlock>, SourceError>;

/// Hands the blocks of a scan over in waves, while a thread of its own reads ahead. `wave` is asked
/// for the number of blocks of the next wave.
pub(crate) fn in_waves<E>(
    scan: Scan,
    wave: impl Fn() -> usize,
    mut work: impl FnMut(Vec<Raw>) -> Result<(), E>,
) -> Result<(), E> {
    std::thread::scope(|threads| {
        let (sender, receiver) = sync_channel(wave());
        let read = move || {
            for raw in scan {
                let failed = raw.is_err();
                // A closed channel means that the other side has given up.
                if sender.send(raw).is_err() || failed {
                    break;
                }
            }
        };
        let reader = std::thread::Builder::new().name("tiers-ahead".to_owned());
        if let Err(error) = reader.spawn_scoped(threads, read) {
            return work(vec![Err(format!("no thread can be started to read the rows: {error}").into())]);
        }
        let mut more = true;
        while more {
            let blocks;
            (blocks, more) = next_wave(&receiver, wave());
            work(blocks)?;
        }
        Ok(())
    })
}

/// Up to `most` blocks, fewer only at the end; false then.
fn next_wave(receiver: &Receiver<Raw>, most: usize) -> (Vec<Raw>, bool) {
    let mut wave = Vec::with_capacity(most);
    while wave.len() < most {
        match receiver.recv() {
            Ok(raw) => wave.push(raw),
            Err(_) => return (wave, false),
        }
    }
    (wave, true)
}
