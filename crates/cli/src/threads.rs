//! As many threads as were asked for, in our own pool and in the reader's, and whether the system
//! gives them.

use crate::exit::{Outcome, tell};
use anyhow::bail;
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use tiers_tables::THREADS_VARIABLE;

/// Runs a command with as many threads as were asked for, if any were; a note goes to standard error.
pub(crate) fn with(
    count: Option<NonZeroUsize>,
    run: impl FnOnce() -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    with_notes(count, &|note| tell(&format!("tiers: note: {note}")), run)
}

/// The same, where notes go elsewhere.
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

/// Sees to it that `count` threads are used; by default one per core.
///
/// The reader takes its number from the environment, once; a process cannot safely change its own
/// environment, so where it is another the program starts anew with it set. Gives an outcome where
/// a child has done all the work.
fn start_with(count: Option<NonZeroUsize>, tell: &dyn Fn(&str)) -> anyhow::Result<Option<Outcome>> {
    let (used, note) = bounded(count);
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
            // The program could not be started again: the reader uses all cores, and what is read does
            // not depend on it.
        }
    }
    if let Some(note) = note {
        tell(&note);
    }
    let threads = used.map_or_else(tiers_tables::threads, NonZeroUsize::get);
    try_out(threads)?;
    let pool = tiers_reml::use_threads(threads);
    pool.map_err(|error| anyhow::anyhow!("{threads} threads could not be started: {error}; {SHORTAGE}"))?;
    Ok(None)
}

/// What to do where the system does not give the threads that are needed.
pub(crate) const SHORTAGE: &str = "raise the limit on processes and threads (`ulimit -u`, the pids limit of the \
                                   container) or on address space (`ulimit -v`), or use fewer by --threads";

/// The most threads that are of any use, on a machine with so many cores.
fn most(cores: usize) -> usize {
    (4 * cores).max(64)
}

/// The number of threads to use where one was asked for, by option or in the reader's variable, and
/// what to say where that is not the number asked for.
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

/// An error unless the system gives about as many threads as a fit has at its busiest: those of our
/// own pool, and of the reader's two pools and its readers. A pool that cannot start all of its
/// threads may leave the others waiting for ever, so all are started here once, at the same time.
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
            "threads are short: the system gave {started} of the {wanted} that work with {threads} at a time takes \
             ({error}); {SHORTAGE}"
        ),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_are_of_use_are_capped_with_a_note() {
        let (used, note) = bounded(NonZeroUsize::new(1_000_000));
        assert!(used.is_some_and(|used| used.get() < 1_000_000));
        assert!(note.is_some_and(|note| note.contains("instead of 1000000")));
        assert_eq!(bounded(NonZeroUsize::new(3)), (NonZeroUsize::new(3), None));
        assert_eq!((most(2), most(64)), (64, 256));
    }

    #[test]
    fn threads_are_tried_out() {
        assert!(try_out(4).is_ok());
    }
}
