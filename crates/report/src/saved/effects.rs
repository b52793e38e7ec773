//! Writes the random effects of a fit, a table per level with a row per group and coefficient.

use super::folder::EFFECTS;
use super::text::MODEL;
use crate::extremes::standardise;
use std::path::Path;
use tiers_design::PackedText;
use tiers_outputs::{OutColumn, OutField, OutKind, OutValues, OutputError, Seal, Staged, TableFormat, own_name};
use tiers_reml::{KeyColumn, KeyLabels, LevelEffects, LevelSize, VarianceComponent};

/// Number of groups that are written at a time.
const GROUPS: usize = 1 << 16;

/// Columns of a table of random effects, besides those of the ids.
pub const OF_EFFECTS: [&str; 5] = ["term", "estimate", "conditional_sd", "prediction_sd", "standardised"];

/// Writes the tables of all levels into the folder of random effects. The id columns keep their type.
///
/// # Errors
/// If the disk fails.
pub fn write_effects(
    staged: &Staged<'_>,
    format: &dyn TableFormat,
    levels: &[LevelEffects],
    components: &[VarianceComponent],
) -> Result<(), OutputError> {
    staged.folder(EFFECTS)?;
    let stems = effects_stems(levels.iter().map(|effects| &effects.level[..]));
    for (effects, stem) in levels.iter().zip(stems) {
        let path = staged.path(EFFECTS).join(format!("{stem}.{}", format.extension()));
        write_level(&path, format, effects, components).map_err(|error| staged.renamed(error))?;
    }
    Ok(())
}

/// Hashes the files beside `fit.json` that later commands read: `model.json`, if there is one, and the random effects
/// of these levels.
///
/// # Errors
/// If a file cannot be read.
pub fn seal_of(staged: &Staged<'_>, format: &dyn TableFormat, levels: &[LevelSize]) -> Result<Seal, OutputError> {
    let stems = effects_stems(levels.iter().map(|level| &level.name[..]));
    let effects = stems.into_iter().map(|stem| format!("{EFFECTS}/{stem}.{}", format.extension()));
    let mut seal = Seal::default();
    let model = staged.path(MODEL).is_file().then(|| MODEL.to_owned());
    for name in model.into_iter().chain(effects) {
        seal.add(&staged.path(""), &name).map_err(|error| staged.failed(&name, &error))?;
    }
    Ok(seal)
}

/// Returns the names, without extension, of the tables of levels, coarsest first: `school.class` for the
/// level `school:class`. No two are the same.
pub(super) fn effects_stems<'a>(levels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let safe = |c: char| match c {
        ':' => '.',
        '/' | '\\' | '\0' => '_',
        c => c,
    };
    let mut taken: Vec<String> = Vec::new();
    for level in levels {
        let stem: String = level.chars().map(safe).collect();
        taken.push(own_name(&stem, &taken));
    }
    taken
}

/// Returns the name of a key column in a table of effects: a key called `term` is written as `term_2`.
pub(super) fn key_name(key: &str) -> String {
    own_name(key, &OF_EFFECTS)
}

fn write_level(
    path: &Path,
    format: &dyn TableFormat,
    effects: &LevelEffects,
    components: &[VarianceComponent],
) -> Result<(), OutputError> {
    let mut table = format.create(path, &fields(effects))?;
    let groups = effects.rows.len();
    let of_level = components.iter().filter(|component| component.level == effects.level);
    let variances: Vec<f64> = of_level.flat_map(|component| component.variance.clone()).collect();
    for start in (0..groups).step_by(GROUPS) {
        table.push(columns(effects, &variances, start..groups.min(start + GROUPS)))?;
    }
    table.finish()
}

fn fields(effects: &LevelEffects) -> Vec<OutField> {
    let key = |key: &KeyColumn| OutField {
        name: key_name(&key.name),
        kind: match key.labels {
            KeyLabels::Integer(_) => OutKind::I64,
            KeyLabels::Text(_) => OutKind::Text,
        },
    };
    let [term, numbers @ ..] = OF_EFFECTS;
    let mut fields: Vec<OutField> = effects.keys.iter().map(key).collect();
    fields.push(OutField { name: term.to_owned(), kind: OutKind::Text });
    fields.extend(numbers.map(|name| OutField { name: name.to_owned(), kind: OutKind::F64 }));
    fields
}

/// Returns the rows of some of the groups; each label is repeated for every coefficient.
fn columns(effects: &LevelEffects, variances: &[f64], groups: std::ops::Range<usize>) -> Vec<OutColumn> {
    let r = effects.terms.len();
    let rows = groups.start * r..groups.end * r;
    let each = |group: usize| std::iter::repeat_n(group, r);
    let mut values: Vec<OutValues> = Vec::new();
    for key in &effects.keys {
        let groups = groups.clone().flat_map(each);
        values.push(match &key.labels {
            KeyLabels::Integer(labels) => OutValues::I64(groups.map(|group| labels[group]).collect()),
            KeyLabels::Text(labels) => OutValues::Text(groups.map(|group| labels.get(group)).collect::<PackedText>()),
        });
    }
    values.push(OutValues::Text(groups.flat_map(|_| &effects.terms).collect::<PackedText>()));
    for numbers in [&effects.estimate, &effects.conditional_sd, &effects.prediction_sd] {
        values.push(OutValues::F64(numbers[rows.clone()].to_vec()));
    }
    let (estimates, deviations) = (&effects.estimate[rows.clone()], &effects.prediction_sd[rows]);
    let each = estimates.iter().zip(deviations).zip(variances.iter().cycle());
    let standardised: Vec<f64> = each.map(|((b, sd), variance)| standardise(*b, *sd, *variance)).collect();
    let missing = standardised.iter().any(|v| v.is_nan()).then(|| standardised.iter().map(|v| v.is_nan()).collect());
    values.push(OutValues::F64(standardised));
    let mut columns: Vec<OutColumn> =
        fields(effects).into_iter().zip(values).map(|(field, values)| OutColumn::new(field.name, values)).collect();
    columns.last_mut().expect("columns").missing = missing;
    columns
}

/// Returns the id columns of groups, in their own type.
pub fn group_columns(keys: &[KeyColumn], groups: usize) -> Vec<OutColumn> {
    let column = |key: &KeyColumn| {
        let values = match &key.labels {
            KeyLabels::Integer(labels) => OutValues::I64(labels.clone()),
            KeyLabels::Text(labels) => OutValues::Text((0..groups).map(|group| labels.get(group)).collect()),
        };
        OutColumn::new(key.name.clone(), values)
    };
    keys.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_distinct_file_names() {
        let stems = effects_stems(["school", "school:class", "school.class", "a/b"].into_iter());
        assert_eq!(stems, ["school", "school.class", "school.class_2", "a_b"]);
    }
}
