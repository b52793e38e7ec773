//! Reads the random effects of a saved fit from its folder.

use crate::saved::Saved;
use crate::tables::{effects_file_names, key_name};
use anyhow::{anyhow, bail, ensure};
use std::path::{Path, PathBuf};
use tiers_design::{Column, Dictionary, Kind, Labels, MISSING, PackedText, Recipe, Request, Role};
use tiers_reml::{KeyColumn, KeyLabels, LevelEffects};
use tiers_report::saved::EFFECTS;
use tiers_tables::Source;

/// Returns the files with the effects of these levels.
pub(crate) fn files(saved: &Saved, levels: &[String]) -> Vec<PathBuf> {
    let names = effects_file_names(saved.fit().levels.iter().map(|level| &level.name[..]));
    let of_level = |level: &String| {
        let at = saved.fit().levels.iter().position(|l| l.name == *level).expect("a level of the fit");
        Path::new(&saved.name).join(EFFECTS).join(&names[at])
    };
    levels.iter().map(of_level).collect()
}

/// Reads the effects of these levels.
pub(crate) fn read(saved: &Saved, levels: &[String]) -> anyhow::Result<Vec<LevelEffects>> {
    let of_level = |(level, path): (&String, PathBuf)| {
        let groups = saved.fit().levels.iter().find(|l| l.name == *level).expect("a level of the fit").groups;
        let bad = |why: &dyn std::fmt::Display| {
            anyhow!(
                "{}: {why}; the random effects of {level} are read from there: fit the model again with `--out`, or \
                 predict without them by --population",
                path.display()
            )
        };
        verify(saved, level, &path)?;
        let effects = read_level(skeleton(&saved.recipe, level), &path).map_err(|error| bad(&error))?;
        match effects.rows.len() == groups {
            true => Ok(effects),
            false => Err(bad(&format!("{} groups, where the fit has {groups}", effects.rows.len()))),
        }
    };
    levels.iter().zip(files(saved, levels)).map(of_level).collect()
}

/// Checks that a file of effects belongs to the fit: by its fingerprint or, without one, by
/// `variance = (estimate / standardised)² + prediction_sd²`.
pub(crate) fn verify(saved: &Saved, level: &str, path: &Path) -> anyhow::Result<()> {
    if saved.report.seal.fingerprint.is_some() {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        return saved.check_file(&format!("{EFFECTS}/{file}"));
    }
    let of_level = saved.fit().variance_components.iter().filter(|component| component.level == level);
    let variances: Vec<(&str, f64)> = of_level
        .flat_map(|component| component.terms.iter().map(String::as_str).zip(component.variance.iter().copied()))
        .collect();
    let source = Source::open(&[path.to_owned()])?;
    let request = |column: &str, role| Request { column: column.to_owned(), role };
    let mut requests = vec![request("term", Role::Label)];
    requests.extend(["estimate", "prediction_sd", "standardised"].map(|name| request(name, Role::Number)));
    for block in source.scan(&requests)? {
        let block = block?.decode()?;
        let [Column::Labels(terms), Column::Numbers(estimate), Column::Numbers(sd), Column::Numbers(standardised)] =
            &block.columns[..]
        else {
            unreachable!("columns come in the order and role of the requests")
        };
        let fits = (0..block.rows).all(|i| {
            let term = label(terms, i);
            let variance =
                variances.iter().find(|(name, _)| Some(*name) == term.as_deref()).map(|(_, variance)| *variance);
            let (of_error, of_estimate) = (sd[i] * sd[i], (estimate[i] / standardised[i]).powi(2));
            // If the variance is zero, all effects are zero and none is standardised. An effect that the rows
            // do not inform is not standardised either.
            match variance {
                None => false,
                Some(0.0) => estimate[i] == 0.0,
                Some(variance) if standardised[i].is_nan() => (of_error - variance).abs() <= 1e-7 * variance,
                Some(variance) if estimate[i] == 0.0 => of_error <= (1.0 + 1e-7) * variance,
                Some(variance) => (of_error + of_estimate - variance).abs() <= 1e-7 * variance,
            }
        });
        ensure!(
            fits,
            "{}: its effects are not those of the variances in fit.json: it was changed, or belongs to another fit; fit \
             the model again with `--out`",
            path.display()
        );
    }
    Ok(())
}

/// Returns the levels without their groups, which suffice to find the columns that are needed.
pub(crate) fn skeletons(saved: &Saved, levels: &[String]) -> Vec<LevelEffects> {
    levels.iter().map(|level| skeleton(&saved.recipe, level)).collect()
}

fn skeleton(recipe: &Recipe, level: &str) -> LevelEffects {
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

/// Fills in groups and estimates from a file with r rows per group, the terms in their order.
fn read_level(mut level: LevelEffects, path: &Path) -> anyhow::Result<LevelEffects> {
    let source = Source::open(&[path.to_owned()])?;
    let names: Vec<String> = level.keys.iter().map(|key| key_name(&key.name)).collect();
    for (key, name) in level.keys.iter_mut().zip(&names) {
        let kind = source.fields().iter().find(|field| field.name == *name).map(|field| &field.kind);
        if kind != Some(&Kind::Integer) {
            key.labels = KeyLabels::Text(PackedText::new());
        }
    }
    let request = |column: &str, role| Request { column: column.to_owned(), role };
    let mut requests: Vec<Request> = names.iter().map(|name| request(name, Role::Label)).collect();
    requests.extend([request("term", Role::Label), request("estimate", Role::Number)]);
    let r = level.terms.len();
    for block in source.scan(&requests)? {
        let mut block = block?.decode()?;
        let (Some(Column::Numbers(estimate)), Some(Column::Labels(terms))) = (block.columns.pop(), block.columns.pop())
        else {
            bail!("it is not laid out as random effects are");
        };
        // The rows of a group may span two blocks.
        let at = |i: usize| (block.first_row as usize + i) % r;
        let in_order = (0..block.rows).all(|i| label(&terms, i).is_some_and(|term| term == level.terms[at(i)]));
        ensure!(in_order, "its terms are not {} for every group", level.terms.join(", "));
        ensure!(estimate.iter().all(|b| b.is_finite()), "an estimate is missing");
        level.estimate.extend(estimate);
        let firsts: Vec<usize> = (0..block.rows).filter(|&i| at(i) == 0).collect();
        for (key, column) in level.keys.iter_mut().zip(&block.columns) {
            let Column::Labels(labels) = column else { unreachable!("labels were asked for") };
            ensure!(firsts.iter().all(|&i| labels.codes[i] != MISSING), "an id in column `{}` is missing", key.name);
            let codes = firsts.iter().map(|&i| labels.codes[i] as usize);
            match (&mut key.labels, &labels.dictionary) {
                (KeyLabels::Integer(all), Dictionary::Integer(values)) => all.extend(codes.map(|code| values[code])),
                (KeyLabels::Text(all), texts) => codes.for_each(|code| all.push(&texts.label(code))),
                (KeyLabels::Integer(_), Dictionary::Text(_)) => bail!("column `{}` is of two kinds", key.name),
            }
        }
    }
    let groups = level.estimate.len() / r;
    ensure!(groups * r == level.estimate.len(), "its last group is not whole");
    level.rows = vec![0; groups];
    Ok(level)
}

fn label(labels: &Labels, row: usize) -> Option<String> {
    let code = labels.codes[row];
    (code != MISSING).then(|| labels.dictionary.label(code as usize))
}
