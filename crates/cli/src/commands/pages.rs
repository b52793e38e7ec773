//! Completions and manual pages, generated from the definition of the command line.

use crate::exit::{Outcome, print};
use anyhow::anyhow;
use clap_complete::Shell;
use clap_mangen::Man;
use std::fs;
use std::path::Path;

/// Prints the completion script of a shell.
pub(crate) fn completions(shell: Shell, mut command: clap::Command) -> anyhow::Result<Outcome> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "tiers", &mut text);
    print(&String::from_utf8_lossy(&text))?;
    Ok(Outcome::Done)
}

/// Prints the manual page of the program, or writes the pages of all commands to a folder.
pub(crate) fn manual(command: clap::Command, out: Option<&Path>) -> anyhow::Result<Outcome> {
    match out {
        None => {
            let mut text = Vec::new();
            Man::new(command).render(&mut text)?;
            print(&String::from_utf8_lossy(&text))?;
        }
        Some(folder) => {
            let failed = |error: std::io::Error| anyhow!("--out {}: {error}", folder.display());
            fs::create_dir_all(folder).map_err(failed)?;
            clap_mangen::generate_to(command, folder).map_err(failed)?;
        }
    }
    Ok(Outcome::Done)
}
