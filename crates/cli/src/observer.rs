//! Progress of long computations, as their observers receive it.

use tiers_moments::ReadObserver;
use tiers_reml::SearchObserver;

/// Progress of profiles or of the bootstrap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pieces {
    /// `profiles` or `replicates`.
    pub what: &'static str,
    /// Number that is done.
    pub done: u64,
    /// Number in all.
    pub all: u64,
}

/// Called with the progress of profiles or of the bootstrap; returns `false` to cancel.
pub(crate) type OnPieces<'a> = dyn FnMut(Pieces) -> bool + Send + 'a;

/// Observer of a fit, which may also cancel it.
pub(crate) trait FitObserver: SearchObserver + Send {
    /// Called when a search, or the computation of intervals, has ended and writing begins.
    fn writing(&mut self) {}
    /// Called before this number of rows is read a second time; returns the observer of that pass.
    fn second_pass(&mut self, rows: u64) -> &mut dyn ReadObserver;
    /// Called as intervals are computed; returns `false` to cancel.
    fn making_intervals(&mut self, pieces: Pieces) -> bool;
}
