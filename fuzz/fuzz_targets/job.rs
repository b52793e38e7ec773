//! Parses any text as a job file with any `--set` options: the result must be keys or a printable error.

#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/cli/src/commands/run/file.rs"]
mod file;
#[path = "../../crates/cli/src/commands/run/parse.rs"]
mod parse;
#[path = "../../crates/cli/src/args/inference.rs"]
mod inference;

/// The part of the program's arguments that job files share.
mod args {
    pub(crate) use crate::inference::*;
}

fuzz_target!(|text: &str| {
    // The last lines that begin with `--set ` are `--set` options.
    let (text, sets) = text.split_once("\n--set ").unwrap_or((text, ""));
    let sets: Vec<String> = sets.split("\n--set ").filter(|set| !set.is_empty()).map(str::to_owned).collect();
    match parse::Document::parse("job.toml", text, &sets) {
        Ok(document) => {
            for key in ["models[0].formula", "models[7].name", "data.reference.a.b", "output", ""] {
                let _ = document.error(key, "no").to_string();
            }
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
});
