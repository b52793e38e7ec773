//! Exit codes, and the reporting of errors and panics.

use crate::color;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use tiers_report::visible;

/// How a run ended, if not with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything is done; the fits converged, possibly to a singular fit (on the boundary).
    Done,
    /// The optimiser did not converge; results were printed and written all the same.
    NotConverged,
    /// Bad usage, already reported.
    Usage,
    /// Some of the models could not be fitted, which was reported; the others were.
    Failed,
    /// A signal asked to stop. Finished work is kept, and the next run resumes from there.
    Interrupted,
    /// A child process did the work and ended with this code.
    #[cfg_attr(unix, allow(dead_code))]
    Child(u8),
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::Usage | Outcome::Failed => BAD_INPUT,
            Outcome::Interrupted => INTERRUPTED,
            Outcome::NotConverged => 2,
            Outcome::Child(code) => code,
        }
    }
}

/// Bad input or usage, or results that could not be written.
const BAD_INPUT: u8 = 1;

/// A panic: a bug in the program.
const INTERNAL: u8 = 3;

/// Stopped by a signal; finished work is kept.
const INTERRUPTED: u8 = 4;

/// Runs the program. Errors and panics are printed to standard error and become exit codes.
pub(crate) fn guarded(run: impl FnOnce() -> anyhow::Result<Outcome>) -> ExitCode {
    ExitCode::from(code_of(run))
}

fn code_of(run: impl FnOnce() -> anyhow::Result<Outcome>) -> u8 {
    panic::set_hook(Box::new(remember));
    #[cfg(unix)]
    listen();
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(outcome)) => outcome.code(),
        Ok(Err(error)) => {
            eprint(&format!("tiers: error: {error}"));
            BAD_INPUT
        }
        Err(_) => {
            let what = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            eprint(&format!(
                "tiers: internal error: {what}\n\
                 This is a bug in tiers {}, not in your data or command. Please report it at\n{}/issues\n\
                 with the command and, if you can, data that show it.",
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_REPOSITORY"),
            ));
            INTERNAL
        }
    }
}

/// Handles signals that mean a problem of the machine rather than a bug.
#[cfg(unix)]
fn listen() {
    use signal_hook::consts::{SIGABRT, SIGXFSZ};
    // A file that would exceed the limit on file sizes is an error to report, not a reason to die.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).ok();
    // If an allocation fails, the standard library prints a message and aborts.
    let always = Arc::new(std::sync::atomic::AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(SIGABRT, i32::from(BAD_INPUT), always).ok();
}

/// Whether a panic message means that the system refused to start a thread. Our own threads return an
/// error in that case; the thread pools of the reader panic.
fn is_shortage(words: &str) -> bool {
    let refused = ["spawn worker thread", "spawn thread", "Resource temporarily unavailable", "kind: WouldBlock"];
    refused.iter().any(|refused| words.contains(refused))
}

/// Ends the process if a thread could not be started, because other threads may wait for it forever.
fn end_of_threads(words: &str) {
    eprint(&format!("tiers: error: too few threads: {words}; {}", MORE_THREADS));
    #[cfg(unix)]
    signal_hook::low_level::exit(i32::from(BAD_INPUT));
    #[cfg(not(unix))]
    std::process::exit(i32::from(BAD_INPUT));
}

/// Remedy if the system refuses to start the threads that are needed.
pub(crate) const MORE_THREADS: &str = "raise the limit on processes and threads (`ulimit -u`, the pids limit of the \
                                       container) or on address space (`ulimit -v`), or use fewer by --threads";

/// Message of the last panic. Panics of a reader on a damaged file are caught there and reported as
/// errors of that file, so a panic is printed only when it reaches [`guarded`].
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

fn remember(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let words = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let words = words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0") {
        let trace = std::backtrace::Backtrace::force_capture();
        eprint(&format!("{words}\n{trace}"));
    }
    if is_shortage(&words) {
        end_of_threads(&words);
    }
    // `thread::scope` passes a panic on with this message, which is less specific than the original one.
    if words != "a scoped thread panicked" {
        let place = info.location().map_or_else(String::new, |at| format!(" ({at})"));
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(words + &place);
    }
}

/// Prints clap's message: help and version to standard output, errors to standard error.
pub(crate) fn usage(error: &clap::Error) -> anyhow::Result<Outcome> {
    let text = error.render();
    if error.use_stderr() {
        let text = text.to_string();
        let text = text.trim_end();
        // Without a command, clap prints the help, which is not an error message.
        eprint(&if text.starts_with("error:") { format!("tiers: {text}") } else { text.to_owned() });
        return Ok(Outcome::Usage);
    }
    // Help holds nothing that a user wrote, so that its control characters are all ours.
    match color::is_on(&io::stdout()) {
        true => write_to_stdout(&text.ansi().to_string())?,
        false => print(&text.to_string())?,
    }
    Ok(Outcome::Done)
}

/// Writes to standard output, with control characters made visible. A pipe that the reader closed
/// (`tiers … | head`) is not an error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    write_to_stdout(&visible::lines(text))
}

/// Like [`print`], with bold headings on a terminal.
pub(crate) fn print_report(text: &str) -> anyhow::Result<()> {
    let text = visible::lines(text);
    match color::is_on(&io::stdout()) {
        true => write_to_stdout(&color::report(&text)),
        false => write_to_stdout(&text),
    }
}

fn write_to_stdout(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::anyhow!("standard output cannot be written: {error}"))
        }
        _ => Ok(()),
    }
}

/// Writes a message to standard error, with control characters made visible. Failures are ignored,
/// since there is nowhere left to report them.
pub(crate) fn eprint(line: &str) {
    let line = visible::lines(line);
    match color::is_on(&io::stderr()) {
        true => writeln!(io::stderr().lock(), "{}", color::message(&line)).ok(),
        false => writeln!(io::stderr().lock(), "{line}").ok(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_threads_are_not_reported_as_a_bug() {
        assert!(is_shortage("OS can't spawn worker thread: Resource temporarily unavailable (os error 11)"));
        assert!(is_shortage("failed to spawn thread: Os { code: 11, kind: WouldBlock, message: \"...\" }"));
        assert!(is_shortage(
            "could not spawn threads: ThreadPoolBuildError { kind: IOError(Os { kind: WouldBlock }) }"
        ));
        assert!(!is_shortage("index out of bounds: the len is 3 but the index is 3"));
    }

    #[test]
    fn outcomes_have_their_exit_codes() {
        assert_eq!(code_of(|| Ok(Outcome::Done)), 0);
        assert_eq!(code_of(|| Ok(Outcome::NotConverged)), 2);
        assert_eq!(code_of(|| Ok(Outcome::Interrupted)), 4);
        assert_eq!(code_of(|| Err(anyhow::anyhow!("no such file"))), 1);
        assert_eq!(code_of(|| panic!("a broken invariant")), 3);
    }
}
