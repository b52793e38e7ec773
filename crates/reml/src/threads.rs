//! The number of threads.

/// Sets the number of threads for all parallel work of this process. Call it before any such work
/// begins. Without it all cores are used. The results are the same for any number of threads.
///
/// # Errors
/// If parallel work has begun already, or the system cannot start that number of threads.
pub fn use_threads(count: usize) -> Result<(), String> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count);
    pool.build_global().map_err(|error| error.to_string())
}
