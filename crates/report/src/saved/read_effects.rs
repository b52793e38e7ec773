//! Reads the random effects of a saved fit, of any kind, from its folder.

use super::effects::{effects_stems, key_name};
use super::folder::EFFECTS;
use super::text::FIT;
use crate::error::ReportError;
use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tiers_design::{Column, Dictionary, Kind, Labels, MISSING, PackedText, Recipe, Request, Role, SourceError};
use tiers_moments::Definition;
use tiers_outputs::{Seal, TableFormat, TableReader};
use tiers_reml::{KeyColumn, KeyLabels, LevelEffects, LevelSize, VarianceComponent};

/// What a folder says of its random effects.
#[derive(Clone, Copy, Debug)]
pub struct SavedEffects<'a> {
    /// The folder as the user named it.
    pub(super) name: &'a str,
    pub(super) recipe: &'a Recipe,
    pub(super) definition: &'a Definition,
    /// The levels, coarsest first.
    pub(super) levels: &'a [LevelSize],
    pub(super) components: &'a [VarianceComponent],
    pub(super) seal: &'a Seal,
}

impl SavedEffects<'_> {
    /// Returns the folder as the user named it.
    pub fn folder(&self) -> &str {
        self.name
    }

    /// Returns the names of the levels, coarsest first.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().map(|level| &level.name[..])
    }

    /// Returns the path of the random effects of a level of the fit, relative to the folder: the table
    /// that exists, parquet or csv, or else parquet.
    ///
    /// # Panics
    /// If the fit has no such level.
    pub fn file(&self, level: &str) -> String {
        let levels = self.levels;
        let at = levels.iter().position(|other| other.name == level).expect("a level of the fit");
        let stem = effects_stems(levels.iter().map(|level| &level.name[..])).swap_remove(at);
        let [parquet, csv] = ["parquet", "csv"].map(|extension| format!("{EFFECTS}/{stem}.{extension}"));
        let folder = Path::new(self.name);
        if !folder.join(&parquet).exists() && folder.join(&csv).exists() { csv } else { parquet }
    }

    /// Opens the table of random effects of a level, after a check that it belongs to the fit: by its
    /// fingerprint or, without one, by `variance = (estimate / standardised)² + prediction_sd²`. `remedy` is
    /// what to do if it cannot be opened.
    ///
    /// # Errors
    /// If the table cannot be opened, or does not belong to the fit.
    pub fn open(
        &self,
        level: &str,
        format: &dyn TableFormat,
        remedy: &str,
    ) -> Result<Box<dyn TableReader>, ReportError> {
        let file = self.file(level);
        check_file(self.name, self.seal, &file)?;
        let path = Path::new(self.name).join(&file);
        let table = format.open(&path, &self.texts_of(level));
        let table = table.map_err(|error| ReportError(format!("{error}; {remedy}")))?;
        if self.seal.fingerprint.is_none()
            && !self.has_variances_of(level, &*table).map_err(|error| ReportError(error.to_string()))?
        {
            return Err(ReportError(format!(
                "{}: its effects are not those of the variances in fit.json: it was changed, or belongs to another fit; fit \
                 the model again with `--out`",
                path.display()
            )));
        }
        Ok(table)
    }

    /// Reads the random effects of these levels, and their standard deviations if `deviations` is set; the
    /// numbers of rows per group are not in the tables and are 0. `remedy` is what to do if that fails.
    ///
    /// # Errors
    /// If a table is missing, damaged, or of another fit.
    pub fn read(
        &self,
        levels: &[String],
        deviations: bool,
        format: &dyn TableFormat,
        remedy: &str,
    ) -> Result<Vec<LevelEffects>, ReportError> {
        levels.iter().map(|level| self.read_level(level, deviations, format, remedy)).collect()
    }

    fn read_level(
        &self,
        level: &str,
        deviations: bool,
        format: &dyn TableFormat,
        remedy: &str,
    ) -> Result<LevelEffects, ReportError> {
        let groups = self.levels.iter().find(|l| l.name == level).expect("a level of the fit").groups;
        let path = PathBuf::from(self.name).join(self.file(level));
        let bad = |why: &dyn Display| {
            let path = path.display();
            ReportError(format!("{path}: {why}; the random effects of {level} are read from there: {remedy}"))
        };
        let table = self.open(level, format, remedy)?;
        let effects = fill(self.without_groups(level), deviations, &*table).map_err(|error| bad(&error))?;
        match effects.rows.len() == groups {
            true => Ok(effects),
            false => Err(bad(&format!("{} groups, where the fit has {groups}", effects.rows.len()))),
        }
    }

    /// Returns a level without its groups, which suffices to find the columns that are needed.
    ///
    /// # Panics
    /// If the fit has no such level.
    pub fn without_groups(&self, level: &str) -> LevelEffects {
        let recipe = self.recipe;
        let grouping = recipe.groupings.iter().position(|g| g.name == level).expect("a grouping of the formula");
        let key = |&key: &usize| KeyColumn {
            name: recipe.requests[recipe.keys[key]].column.clone(),
            labels: KeyLabels::Integer(Vec::new()),
        };
        let terms = recipe.random.iter().filter(|term| term.grouping == grouping);
        LevelEffects {
            level: level.to_owned(),
            keys: recipe.groupings[grouping].keys.iter().map(key).collect(),
            terms: terms.flat_map(|term| term.names.clone()).collect(),
            rows: Vec::new(),
            estimate: Vec::new(),
            conditional_sd: Vec::new(),
            prediction_sd: Vec::new(),
        }
    }

    /// Returns the columns of a level's table that hold texts.
    fn texts_of(&self, level: &str) -> Vec<String> {
        let integer = self.definition.integer_keys(self.recipe);
        let all = self.recipe.keys.iter().zip(integer);
        let texts: Vec<&str> =
            all.filter(|(_, integer)| !integer).map(|(&key, _)| &self.recipe.requests[key].column[..]).collect();
        let keys = self.without_groups(level).keys.into_iter().filter(|key| texts.contains(&&key.name[..]));
        keys.map(|key| key_name(&key.name)).chain(["term".to_owned()]).collect()
    }

    fn has_variances_of(&self, level: &str, table: &dyn TableReader) -> Result<bool, SourceError> {
        let of_level = self.components.iter().filter(|component| component.level == level);
        let variances: Vec<(&str, f64)> = of_level
            .flat_map(|component| component.terms.iter().map(String::as_str).zip(component.variance.iter().copied()))
            .collect();
        let mut requests = vec![request("term", Role::Label)];
        requests.extend(["estimate", "prediction_sd", "standardised"].map(|name| request(name, Role::Number)));
        for block in table.scan(&requests)? {
            let block = block?.decode()?;
            let [Column::Labels(terms), Column::Numbers(estimate), Column::Numbers(sd), Column::Numbers(standardised)] =
                &block.columns[..]
            else {
                unreachable!("columns come in the order and role of the requests")
            };
            let fits = (0..block.rows).all(|i| {
                let term = label(terms, i);
                let variance = variances.iter().find(|(name, _)| Some(*name) == term.as_deref()).map(|found| found.1);
                variance.is_some_and(|variance| is_decomposed(variance, estimate[i], sd[i], standardised[i]))
            });
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Checks that a file beside `fit.json` is the one that was written with the fit. A missing file passes: the code
/// that reads it reports it better.
pub(super) fn check_file(folder: &str, seal: &Seal, file: &str) -> Result<(), ReportError> {
    if seal.fingerprint.is_none() {
        return Ok(());
    }
    let path = Path::new(folder).join(file);
    match seal.holds(Path::new(folder), file) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ReportError(format!("{}: {error}; fit the model again with `--out`", path.display()))),
        Ok(false) => Err(ReportError(format!(
            "{}: it was changed, or belongs to another fit: the fingerprint in {FIT} is that of another file. Fit the \
             model again with `--out`",
            path.display()
        ))),
    }
}

/// Whether `variance = (estimate / standardised)² + sd²`. If the variance is zero, all effects are zero and
/// none is standardised. An effect that the rows do not inform is not standardised either.
fn is_decomposed(variance: f64, estimate: f64, sd: f64, standardised: f64) -> bool {
    let (of_error, of_estimate) = (sd * sd, (estimate / standardised).powi(2));
    match variance {
        0.0 => estimate == 0.0,
        variance if standardised.is_nan() => (of_error - variance).abs() <= 1e-7 * variance,
        variance if estimate == 0.0 => of_error <= (1.0 + 1e-7) * variance,
        variance => (of_error + of_estimate - variance).abs() <= 1e-7 * variance,
    }
}

/// Fills in groups and estimates from a table with r rows per group, the terms in their order.
fn fill(mut level: LevelEffects, deviations: bool, table: &dyn TableReader) -> Result<LevelEffects, SourceError> {
    let names: Vec<String> = level.keys.iter().map(|key| key_name(&key.name)).collect();
    for (key, name) in level.keys.iter_mut().zip(&names) {
        let kind = table.fields().iter().find(|field| field.name == *name).map(|field| &field.kind);
        if kind != Some(&Kind::Integer) {
            key.labels = KeyLabels::Text(PackedText::new());
        }
    }
    let mut requests: Vec<Request> = names.iter().map(|name| request(name, Role::Label)).collect();
    let numbers = ["conditional_sd", "prediction_sd"].iter().filter(|_| deviations);
    requests.extend(numbers.map(|name| request(name, Role::Number)));
    requests.extend([request("term", Role::Label), request("estimate", Role::Number)]);
    let r = level.terms.len();
    for block in table.scan(&requests)? {
        let mut block = block?.decode()?;
        let (Some(Column::Numbers(estimate)), Some(Column::Labels(terms))) = (block.columns.pop(), block.columns.pop())
        else {
            return Err("it is not laid out as random effects are".into());
        };
        // The rows of a group may span two blocks.
        let at = |i: usize| (block.first_row as usize + i) % r;
        if !(0..block.rows).all(|i| label(&terms, i).is_some_and(|term| term == level.terms[at(i)])) {
            return Err(format!("its terms are not {} for every group", level.terms.join(", ")).into());
        }
        if !estimate.iter().all(|b| b.is_finite()) {
            return Err("an estimate is missing".into());
        }
        level.estimate.extend(estimate);
        let deviations = block.columns.split_off(names.len());
        for (all, column) in [&mut level.conditional_sd, &mut level.prediction_sd].into_iter().zip(deviations) {
            let Column::Numbers(values) = column else { unreachable!("numbers were asked for") };
            all.extend(values);
        }
        let firsts: Vec<usize> = (0..block.rows).filter(|&i| at(i) == 0).collect();
        for (key, column) in level.keys.iter_mut().zip(&block.columns) {
            let Column::Labels(labels) = column else { unreachable!("labels were asked for") };
            append(key, labels, &firsts)?;
        }
    }
    let groups = level.estimate.len() / r;
    if groups * r != level.estimate.len() {
        return Err("its last group is not whole".into());
    }
    level.rows = vec![0; groups];
    Ok(level)
}

/// Appends the labels of some rows to those of a key column.
fn append(key: &mut KeyColumn, labels: &Labels, rows: &[usize]) -> Result<(), SourceError> {
    if rows.iter().any(|&i| labels.codes[i] == MISSING) {
        return Err(format!("an id in column `{}` is missing", key.name).into());
    }
    let codes = rows.iter().map(|&i| labels.codes[i] as usize);
    match (&mut key.labels, &labels.dictionary) {
        (KeyLabels::Integer(all), Dictionary::Integer(values)) => all.extend(codes.map(|code| values[code])),
        (KeyLabels::Text(all), texts) => codes.for_each(|code| all.push(&texts.label(code))),
        (KeyLabels::Integer(_), Dictionary::Text(_)) => {
            return Err(format!("column `{}` is of two kinds", key.name).into());
        }
    }
    Ok(())
}

fn request(column: &str, role: Role) -> Request {
    Request { column: column.to_owned(), role }
}

fn label(labels: &Labels, row: usize) -> Option<String> {
    let code = labels.codes[row];
    (code != MISSING).then(|| labels.dictionary.label(code as usize))
}
