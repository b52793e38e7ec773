//! The number of threads that polars uses.

/// The environment variable from which polars reads its number of threads, once, at its first use.
///
/// Polars has no function to set the number, and a process cannot safely change its own environment
/// once other threads may run. So a program with an option for threads restarts itself with this
/// variable set, or lets polars use all cores; the blocks of a scan are the same either way.
pub const THREADS_VARIABLE: &str = "POLARS_MAX_THREADS";

/// Returns the number of threads that polars uses, by polars' own rule: the value of
/// [`THREADS_VARIABLE`] if set, else the number of cores.
pub fn threads() -> usize {
    std::env::var(THREADS_VARIABLE)
        .ok()
        .and_then(|n| n.parse().ok())
        .filter(|&n| n > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(4, usize::from))
}
