//! A fit as a folder of results.

use crate::error::Error;
use crate::fit::Fit;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tiers_reml::{KeyLabels, LevelEffects};
use tiers_report::saved::{FIT, MODEL, SavedModel, Seal};

/// Folder of the random effects.
const EFFECTS: &str = "random_effects";

/// Writes the folder under a hidden name beside its place, and renames it when all is there.
pub(crate) fn save(fit: &Fit, folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        return Err(Error::Files(format!(
            "{}: it is there already; name a folder that is new, or remove this one first",
            folder.display()
        )));
    }
    let effects = fit.all_random_effects()?;
    let staged = staged(folder)?;
    let written = write(fit, &effects, &staged).and_then(|()| fs::rename(&staged, folder));
    written.map_err(|error| {
        fs::remove_dir_all(&staged).ok();
        Error::Files(format!("{}: the results cannot be written: {error}", folder.display()))
    })
}

/// The hidden name: unlike those of other processes.
fn staged(folder: &Path) -> Result<PathBuf, Error> {
    let Some(name) = folder.file_name() else {
        return Err(Error::Files(format!("{}: this is not the name of a folder", folder.display())));
    };
    let hidden = format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id());
    Ok(folder.with_file_name(hidden))
}

fn write(fit: &Fit, effects: &[LevelEffects], folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join(EFFECTS))?;
    fs::write(folder.join("summary.txt"), fit.to_string())?;
    let criterion = fit.estimates().criterion;
    let (definition, fixed) = (fit.definition.clone(), fit.fixed.clone());
    let mut saved = SavedModel::new(&fit.model, definition, fixed, criterion, fit.newton.max_evaluations);
    // There are no files of the data that could be found again from the folder.
    saved.working_folder = None;
    fs::write(folder.join(MODEL), saved.json())?;
    let mut seal = Seal::default();
    seal.add(folder, MODEL)?;
    let mut taken = Vec::new();
    for level in effects {
        let name = format!("{EFFECTS}/{}", file_name(&level.level, &mut taken));
        write_effects(level, &folder.join(&name))?;
        seal.add(folder, &name)?;
    }
    fs::write(folder.join(FIT), fit.report.sealed(seal))
}

/// `school.class.csv` for the level `school:class`; every level has a file of its own.
fn file_name(level: &str, taken: &mut Vec<String>) -> String {
    let stem: String = level
        .chars()
        .map(|c| match c {
            ':' => '.',
            '/' | '\\' | '\0' => '_',
            c => c,
        })
        .collect();
    let name = (1..)
        .map(|n| if n == 1 { format!("{stem}.csv") } else { format!("{stem}_{n}.csv") })
        .find(|name| !taken.contains(name))
        .expect("a name that is free");
    taken.push(name.clone());
    name
}

/// A row per group and coefficient: the ids of the group, and its effect with its standard deviations.
fn write_effects(level: &LevelEffects, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let ids = level.keys.iter().map(|key| quoted(&key.name) + ",");
    writeln!(file, "{}term,estimate,conditional_sd,prediction_sd", ids.collect::<String>())?;
    let r = level.terms.len();
    for group in 0..level.rows.len() {
        let labels: String = level.keys.iter().map(|key| quoted(&label(&key.labels, group)) + ",").collect();
        for (t, term) in level.terms.iter().enumerate() {
            let at = group * r + t;
            let (estimate, conditional, prediction) =
                (level.estimate[at], level.conditional_sd[at], level.prediction_sd[at]);
            writeln!(file, "{labels}{},{estimate},{conditional},{prediction}", quoted(term))?;
        }
    }
    file.flush()
}

/// A field of csv, in quotes where it has a character with a meaning (RFC 4180).
fn quoted(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

fn label(labels: &KeyLabels, group: usize) -> String {
    match labels {
        KeyLabels::Integer(values) => values[group].to_string(),
        KeyLabels::Text(texts) => texts.get(group).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn fields_with_separators_and_quotes_are_quoted() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"a\""), "\"say \"\"a\"\"\"");
    }
}
