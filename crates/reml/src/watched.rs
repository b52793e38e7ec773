//! Long work in pieces, which whoever watches may call off.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far the work is, and whether it was called off.
pub(crate) struct Watched<'a> {
    /// Is told how many pieces are done; false calls the work off.
    observe: &'a (dyn Fn(u64) -> bool + Sync),
    done: AtomicU64,
    called_off: AtomicBool,
}

impl<'a> Watched<'a> {
    /// Work that begins.
    pub(crate) fn new(observe: &'a (dyn Fn(u64) -> bool + Sync)) -> Self {
        Watched { observe, done: AtomicU64::new(0), called_off: AtomicBool::new(false) }
    }

    /// Tells how far the work is. False once it is called off.
    pub(crate) fn go_on(&self) -> bool {
        if !self.is_called_off() && !(self.observe)(self.done.load(Ordering::Relaxed)) {
            self.called_off.store(true, Ordering::Relaxed);
        }
        !self.is_called_off()
    }

    /// One more piece is done. False once the work is called off.
    pub(crate) fn one_more(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.go_on()
    }

    /// All pieces are to be done again.
    pub(crate) fn start_again(&self) {
        self.done.store(0, Ordering::Relaxed);
    }

    /// Whether the work was called off.
    pub(crate) fn is_called_off(&self) -> bool {
        self.called_off.load(Ordering::Relaxed)
    }
}
