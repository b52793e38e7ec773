//! Sets the number of threads of our own pool and the reader's, and checks that the system allows them.

use crate::exit::{MORE_THREADS, Outcome, eprint};
use anyhow::bail;
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use tiers_tables::THREADS_VARIABLE;

/// Runs a command with the requested number of threads, or one per core. Notes go to standard error.
pub(crate) fn with(
    count: Option<NonZeroUsize>,
    run: impl FnOnce() -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    with_notes(count, &|note| eprint(&format!("tiers: note: {note}")), run)
}

/// Like [`with`], but passes notes to `note`.
pub(crate) fn with_notes(
    count: Option<NonZeroUsize>,
    note: &dyn Fn(&str),
    run: impl FnOnce() -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    match start_with(count, note)? {
        Some(outcome) => Ok(outcome),
        None => run(),
    }
}

/// Sets the number of threads to `count`, or to one per core.
///
/// The reader takes its number of threads from the environment, once. A process cannot safely change
/// its own environment, so if the number differs, the program starts itself again with the variable
/// set. Returns an outcome if a child process has done all the work.
fn start_with(count: Option<NonZeroUsize>, note: &dyn Fn(&str)) -> anyhow::Result<Option<Outcome>> {
    let (used, warning) = bounded(count);
    if let Some(used) = used {
        let wanted = used.to_string();
        if std::env::var(THREADS_VARIABLE).ok().as_deref() != Some(&wanted)
            && let Ok(program) = std::env::current_exe()
        {
            let mut again = Command::new(program);
            again.args(std::env::args_os().skip(1)).env(THREADS_VARIABLE, &wanted);
            if let Some(outcome) = hand_over(&mut again) {
                return Ok(Some(outcome));
            }
            // The program could not be started again: the reader uses all cores, which does not change
            // the results.
        }
    }
    if let Some(warning) = warning {
        note(&warning);
    }
    let threads = used.map_or_else(tiers_tables::threads, NonZeroUsize::get);
    try_out(threads)?;
    let pool = tiers_reml::use_threads(threads);
    pool.map_err(|error| anyhow::anyhow!("{threads} threads could not be started: {error}; {MORE_THREADS}"))?;
    Ok(None)
}

/// Returns the largest useful number of threads on a machine with this number of cores.
fn most(cores: usize) -> usize {
    (4 * cores).max(64)
}

/// Returns the number of threads to use if one was requested, by option or in the reader's variable,
/// and a note if that is not the requested number.
fn bounded(count: Option<NonZeroUsize>) -> (Option<NonZeroUsize>, Option<String>) {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let bound = NonZeroUsize::new(most(cores)).unwrap_or(NonZeroUsize::MIN);
    match count {
        Some(count) if count > bound => {
            let note = format!(
                "{bound} threads are used instead of {count}, since this machine has {cores} cores and more \
                 threads would only make it slower; the results do not depend on it"
            );
            (Some(bound), Some(note))
        }
        Some(count) => (Some(count), None),
        None => ((tiers_tables::threads() > bound.get()).then_some(bound), None),
    }
}

/// Returns an error unless the system can start about as many threads as a fit has at its busiest:
/// those of our own pool, of the reader's two pools and of its readers. If a pool cannot start all of
/// its threads, the others may wait forever; so all are started here once, at the same time.
fn try_out(threads: usize) -> anyhow::Result<()> {
    let wanted = 4 * threads + 4;
    let done = (Mutex::new(false), Condvar::new());
    let wait = || {
        let mut over = done.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*over {
            over = done.1.wait(over).unwrap_or_else(PoisonError::into_inner);
        }
    };
    let refused = thread::scope(|scope| {
        let refused = (0..wanted).find_map(|started| {
            let thread = thread::Builder::new().name("tiers-try-out".to_owned());
            thread.spawn_scoped(scope, wait).err().map(|error| (started, error))
        });
        *done.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        done.1.notify_all();
        refused
    });
    match refused {
        None => Ok(()),
        Some((started, error)) => bail!(
            "too few threads: the system started {started} of the {wanted} that a fit on {threads} threads needs \
            ({error}); {MORE_THREADS}"
        ),
    }
}

/// Replaces this process by the command; returns only if that fails.
#[cfg(unix)]
fn hand_over(command: &mut Command) -> Option<Outcome> {
    use std::os::unix::process::CommandExt;
    let _error = command.exec();
    None
}

/// Runs the command and returns its exit code.
#[cfg(not(unix))]
fn hand_over(command: &mut Command) -> Option<Outcome> {
    let status = command.status().ok()?;
    Some(Outcome::Child(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_is_capped_with_a_note() {
        let (used, note) = bounded(NonZeroUsize::new(1_000_000));
        assert!(used.is_some_and(|used| used.get() < 1_000_000));
        assert!(note.is_some_and(|note| note.contains("instead of 1000000")));
        assert_eq!(bounded(NonZeroUsize::new(3)), (NonZeroUsize::new(3), None));
        assert_eq!((most(2), most(64)), (64, 256));
    }

    #[test]
    fn available_threads_pass_the_check() {
        assert!(try_out(4).is_ok());
    }
}
