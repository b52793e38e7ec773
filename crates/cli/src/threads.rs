//! As many threads as were asked for, in our own pool and in the reader's.

use crate::exit::Outcome;
use std::num::NonZeroUsize;
use std::process::Command;
use tiers_tables::THREADS_VARIABLE;

/// Runs a command with as many threads as were asked for, if any were.
pub(crate) fn with(
    count: Option<NonZeroUsize>,
    run: impl FnOnce() -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    match count.map(start_with).transpose()?.flatten() {
        Some(outcome) => Ok(outcome),
        None => run(),
    }
}

/// Sees to it that `count` threads are used.
///
/// The reader takes its number from the environment, once; a process cannot safely change its own
/// environment, so where it is another the program starts anew with it set. Gives an outcome where
/// a child has done all the work.
pub(crate) fn start_with(count: NonZeroUsize) -> anyhow::Result<Option<Outcome>> {
    let wanted = count.to_string();
    if std::env::var(THREADS_VARIABLE).ok().as_deref() != Some(&wanted)
        && let Ok(program) = std::env::current_exe()
    {
        let mut again = Command::new(program);
        again.args(std::env::args_os().skip(1)).env(THREADS_VARIABLE, &wanted);
        if let Some(outcome) = hand_over(&mut again) {
            return Ok(Some(outcome));
        }
        // The program could not be started again: go on; the reader uses all cores, and what is
        // read does not depend on it.
    }
    tiers_reml::use_threads(count.get()).map_err(|error| anyhow::anyhow!("--threads {count}: {error}"))?;
    Ok(None)
}

/// Replaces this process; returns only where that fails.
#[cfg(unix)]
fn hand_over(command: &mut Command) -> Option<Outcome> {
    use std::os::unix::process::CommandExt;
    let _error = command.exec();
    None
}

/// Runs the command to its end and takes over its exit code.
#[cfg(not(unix))]
fn hand_over(command: &mut Command) -> Option<Outcome> {
    let status = command.status().ok()?;
    Some(Outcome::Child(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(3)))
}
