//! How many threads polars uses.

/// The environment variable from which polars takes its number of threads, once, at its first use.
///
/// Polars offers no function for it, and a process cannot safely change its own environment once
/// other threads may run. So a program with an option for threads starts itself anew with this
/// variable set, or leaves polars at all cores; the blocks of a scan are the same either way.
pub const THREADS_VARIABLE: &str = "POLARS_MAX_THREADS";

/// The number of threads that polars uses, by the rule that polars follows: the variable
/// [`THREADS_VARIABLE`], else all cores.
pub fn threads() -> usize {
    std::env::var(THREADS_VARIABLE)
        .ok()
        .and_then(|n| n.parse().ok())
        .filter(|&n| n > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(4, usize::from))
}
