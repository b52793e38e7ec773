//! Signals that ask the job to stop: it ends its current step, saves its work, and exits with its own
//! code. A second signal ends the process at once.

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the job was asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
}

impl Stop {
    /// Starts to listen for SIGINT and SIGTERM.
    pub(crate) fn listen() -> anyhow::Result<Stop> {
        let stop = Stop::default();
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the shutdown handler must run before the flag is set by the first signal.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.asked))
                .and_then(|_| flag::register(signal, Arc::clone(&stop.asked)))
                .context("signals cannot be listened to")?;
        }
        Ok(stop)
    }

    /// Whether the job was asked to stop.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}
