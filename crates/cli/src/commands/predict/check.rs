//! Checks the new data and the output file before any long computation; adds the file to errors about
//! rows.

use crate::args::PredictArgs;
use crate::saved::Again;
use anyhow::{anyhow, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use tiers_design::{Doubt, EncodeError, Field, Kind, Recipe, Request, Role};
use tiers_outputs::destination;
use tiers_reml::{LevelEffects, PredictError};
use tiers_report::saved::{RESULTS, SavedEffects};
use tiers_tables::Source;

/// Checks the output path: it must be writable and must not be a file that is read.
pub(crate) fn output(
    args: &PredictArgs,
    effects: SavedEffects<'_>,
    source: &Source,
    again: Option<&Again>,
) -> anyhow::Result<()> {
    let out = &args.out;
    ensure!(
        !out.is_dir() && !out.as_os_str().is_empty(),
        "--out {}: this is a folder; name the file for the predictions",
        out.display()
    );
    let to = destination(out).map_err(|error| anyhow!("--out {error}"))?;
    let folder = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    ensure!(
        folder.is_dir(),
        "--out {}: there is no folder {}; make it, or name another file",
        out.display(),
        folder.display()
    );
    let Ok(target) = fs::canonicalize(out) else { return Ok(()) };
    let of_fit = |name: &str| Path::new(effects.folder()).join(name);
    let mut read: Vec<PathBuf> = source.files().iter().map(|file| file.path.clone()).collect();
    read.extend(again.into_iter().flat_map(Again::files));
    read.extend(RESULTS.files.iter().map(|name| of_fit(name)));
    read.extend(effects.levels().map(|level| of_fit(&effects.file(level))));
    match read.iter().find(|path| fs::canonicalize(path).is_ok_and(|path| path == target)) {
        Some(path) => bail!(
            "--out {}: this is {}, which is read or belongs to the fit; name another file for the predictions",
            out.display(),
            path.display()
        ),
        None => Ok(()),
    }
}

/// Checks that all columns exist and hold what they held in the fit.
pub(crate) fn columns(
    source: &Source,
    requests: &[Request],
    levels: &[LevelEffects],
    weights: Option<&str>,
    fitted: &[Field],
) -> anyhow::Result<()> {
    let unit = |fields: &[Field], name: &str| {
        fields.iter().find(|field| field.name == name).and_then(|field| field.kind.unit()).unwrap_or("numbers")
    };
    let kind = |name: &str| source.fields().iter().find(|field| field.name == name).map(|field| &field.kind);
    let path = source.files()[0].path.display();
    for level in levels {
        if let Some(key) = level.keys.iter().find(|key| kind(&key.name).is_none()) {
            let coarser = levels.iter().take_while(|other| other.level != level.level).last();
            let by_level = coarser.map_or_else(String::new, |coarser| format!("--level {} or ", coarser.level));
            bail!(
                "{path}: no column `{}`, which holds the groups of {}; predict without their effects by {by_level}--population",
                key.name,
                level.level
            );
        }
    }
    let keys: Vec<&str> = levels.iter().flat_map(|level| level.keys.iter().map(|key| &key.name[..])).collect();
    for Request { column, role } in requests {
        match (kind(column), role) {
            (Some(Kind::Mixed(Doubt { odd, remedy, like_ids })), role)
                if *role == Role::Number || (keys.contains(&&column[..]) && !like_ids) =>
            {
                bail!("{path}: column `{column}` holds numbers or dates for the most part, but also {odd}; {remedy}")
            }
            (Some(Kind::Text), Role::Number) => {
                bail!("{path}: column `{column}` holds text, but it was a number in the fit; convert it to numbers")
            }
            (Some(_), Role::Number) if unit(source.fields(), column) != unit(fitted, column) => bail!(
                "{path}: column `{column}` holds {}, but it held {} in the fit, so that its numbers mean something else; \
                 convert it",
                unit(source.fields(), column),
                unit(fitted, column)
            ),
            (None, _) => {
                let names: Vec<&str> = source.fields().iter().map(|field| &field.name[..]).collect();
                bail!(
                    "{path}: no column `{column}`, which the formula of the fit needs; the columns are {}",
                    names.join(", ")
                )
            }
            _ => {}
        }
    }
    match weights {
        Some(weights) if kind(weights).is_none() => bail!(
            "{path}: no column `{weights}`: the fit is weighted by it, and how far a new response may be from its mean \
             depends on its weight; add the column, or ask for --interval confidence"
        ),
        _ => Ok(()),
    }
}

/// Converts an error of the pass, adding the file if it is known.
pub(crate) fn of_pass(error: PredictError, source: &Source, recipe: &Recipe) -> anyhow::Error {
    match &error {
        PredictError::UnseenLevel { column, row, label } => {
            let levels = recipe.factors.iter().find(|factor| factor.column == *column).map_or(&[][..], |f| &f.levels);
            let shown: Vec<&str> = levels.iter().take(20).map(String::as_str).collect();
            let more = if levels.len() > shown.len() { ", …" } else { "" };
            anyhow!(
                "{}: factor `{column}` has the level `{label}` in row {row} (rows counted from 1{}), for which the fit has \
                 no coefficient; its levels are {}{more}. Leave out such rows, or recode them",
                file_of(source, *row).display(),
                over_all(source),
                shown.join(", ")
            )
        }
        PredictError::Encode(
            EncodeError::InfiniteColumn { row, .. }
            | EncodeError::InfiniteExpression { row, .. }
            | EncodeError::WeightNotPositive { row, .. }
            | EncodeError::WeightMissing { row, .. },
        ) => anyhow!("{}: {error}", file_of(source, *row).display()),
        _ => error.into(),
    }
}

fn over_all(source: &Source) -> &'static str {
    if source.files().len() > 1 { " over all files" } else { "" }
}

/// Returns the file that has a row, counted from 1 over all files; the first file if that is unknown.
fn file_of(source: &Source, row: u64) -> &Path {
    let mut before = 0;
    for file in source.files() {
        let Some(rows) = file.rows else { break };
        before += rows;
        if row <= before {
            return &file.path;
        }
    }
    &source.files()[0].path
}
