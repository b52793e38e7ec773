//! Progress and cancellation of long computations.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The number of finished pieces of a computation, and whether it was cancelled.
pub(crate) struct Watched<'a> {
    /// Called with the number of finished pieces; returns `false` to cancel.
    observe: &'a (dyn Fn(u64) -> bool + Sync),
    done: AtomicU64,
    called_off: AtomicBool,
}

impl<'a> Watched<'a> {
    /// Begins a computation with no piece done.
    pub(crate) fn new(observe: &'a (dyn Fn(u64) -> bool + Sync)) -> Self {
        Watched { observe, done: AtomicU64::new(0), called_off: AtomicBool::new(false) }
    }

    /// Reports the progress to the observer. Returns `false` once the computation is cancelled.
    pub(crate) fn go_on(&self) -> bool {
        if !self.is_called_off() && !(self.observe)(self.done.load(Ordering::Relaxed)) {
            self.called_off.store(true, Ordering::Relaxed);
        }
        !self.is_called_off()
    }

    /// Counts one more finished piece and reports it. Returns `false` once the computation is cancelled.
    pub(crate) fn one_more(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.go_on()
    }

    /// Resets the count, since all pieces are to be computed again.
    pub(crate) fn start_again(&self) {
        self.done.store(0, Ordering::Relaxed);
    }

    /// Whether the computation was cancelled.
    pub(crate) fn is_called_off(&self) -> bool {
        self.called_off.load(Ordering::Relaxed)
    }
}
