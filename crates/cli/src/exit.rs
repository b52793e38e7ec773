//! How the program ends: exit codes, and what becomes of errors and panics.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// How a run ended that was not stopped by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is done; at an optimum, be it on the boundary.
    Done,
    /// The optimiser did not converge; results were printed and written all the same.
    NotConverged,
    /// Bad usage, already told.
    Usage,
    /// Some of the models could not be fitted, as was told; the others were.
    Failed,
    /// A signal asked to stop; what is done is kept, and the next run goes on from there.
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

/// A panic: something is wrong with the program.
const INTERNAL: u8 = 3;

/// Asked to stop by a signal, with all that is done kept.
const INTERRUPTED: u8 = 4;

/// Runs the program; errors and panics are told on standard error and become exit codes.
pub(crate) fn guarded(run: impl FnOnce() -> anyhow::Result<Outcome>) -> ExitCode {
    ExitCode::from(code_of(run))
}

fn code_of(run: impl FnOnce() -> anyhow::Result<Outcome>) -> u8 {
    panic::set_hook(Box::new(remember));
    // A file that would grow beyond what the user may write is an error to be told, not the end.
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).ok();
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(outcome)) => outcome.code(),
        Ok(Err(error)) => {
            tell(&format!("tiers: error: {error}"));
            BAD_INPUT
        }
        Err(_) => {
            let what = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            tell(&format!(
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

/// What the last panic said. Panics of a reader at a damaged file are caught where they arise and
/// told as errors of that file, so a panic is told only when it arrives at [`guarded`].
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

fn remember(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let words = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let words = words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0") {
        let trace = std::backtrace::Backtrace::force_capture();
        tell(&format!("{words}\n{trace}"));
    }
    // A scope of threads passes a panic on in these words, which say less than the panic itself.
    if words != "a scoped thread panicked" {
        let place = info.location().map_or_else(String::new, |at| format!(" ({at})"));
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(words + &place);
    }
}

/// Tells what clap has to say: help and version on standard output, errors on standard error.
pub(crate) fn usage(told: &clap::Error) -> anyhow::Result<Outcome> {
    let text = told.render().to_string();
    if told.use_stderr() {
        let text = text.trim_end();
        // Called without a command, clap shows its help, which is no message of ours.
        tell(&if text.starts_with("error:") { format!("tiers: {text}") } else { text.to_owned() });
        return Ok(Outcome::Usage);
    }
    print(&text)?;
    Ok(Outcome::Done)
}

/// Writes to standard output. A reader who has seen enough (`tiers … | head`) is not an error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::anyhow!("standard output cannot be written: {error}"))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error; if even that fails there is nobody left to tell.
pub(crate) fn tell(line: &str) {
    writeln!(io::stderr().lock(), "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        assert_eq!(code_of(|| Ok(Outcome::Done)), 0);
        assert_eq!(code_of(|| Ok(Outcome::NotConverged)), 2);
        assert_eq!(code_of(|| Ok(Outcome::Interrupted)), 4);
        assert_eq!(code_of(|| Err(anyhow::anyhow!("no such file"))), 1);
        assert_eq!(code_of(|| panic!("a broken invariant")), 3);
    }
}
