//! How many threads work on a fit.

/// Sets the number of threads for everything in this process that runs side by side; to be called
/// before anything does. Without it all cores are used. The results are the same for any number.
///
/// # Errors
/// If work has begun already, or the system does not give so many threads.
pub fn use_threads(count: usize) -> Result<(), String> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count);
    pool.build_global().map_err(|error| error.to_string())
}
