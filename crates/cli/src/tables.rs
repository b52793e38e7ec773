//! Random effects and fitted values as parquet.

use anyhow::anyhow;
use std::path::Path;
use tiers_design::PackedText;
use tiers_moments::ReadObserver;
use tiers_outputs::{OutColumn, OutField, OutKind, OutValues, OutputError, Seal, Staged, own_name};
use tiers_reml::{Fit, FittedRows, FittedValues, KeyColumn, KeyLabels, LevelEffects, VarianceComponent};
use tiers_report::extremes::standardise;
use tiers_report::saved::{EFFECTS, MODEL};
use tiers_tables::{Source, TableSink};

/// Number of groups that are written at a time.
const GROUPS: usize = 1 << 16;

/// Columns of a file of random effects, besides those of the ids.
pub(crate) const OF_EFFECTS: [&str; 5] = ["term", "estimate", "conditional_sd", "prediction_sd", "standardised"];

/// Writes a file per level, with a row per group and coefficient. The id columns keep their type.
pub(crate) fn write_effects(
    staged: &Staged<'_>,
    levels: &[LevelEffects],
    components: &[VarianceComponent],
) -> anyhow::Result<()> {
    staged.folder(EFFECTS)?;
    let names = effects_file_names(levels.iter().map(|effects| &effects.level[..]));
    for (effects, name) in levels.iter().zip(names) {
        let path = staged.path(EFFECTS).join(name);
        write_level(&path, effects, components).map_err(|error| staged.renamed(error))?;
    }
    Ok(())
}

/// Hashes the files beside `fit.json` that later commands read.
pub(crate) fn seal(staged: &Staged<'_>, fit: &Fit) -> anyhow::Result<Seal> {
    let names = effects_file_names(fit.levels.iter().map(|level| &level.name[..]));
    let effects = names.into_iter().map(|name| format!("{EFFECTS}/{name}"));
    let mut seal = Seal::default();
    for name in std::iter::once(MODEL.to_owned()).chain(effects) {
        seal.add(&staged.path(""), &name).map_err(|error| staged.failed(&name, &error))?;
    }
    Ok(seal)
}

fn write_level(path: &Path, effects: &LevelEffects, components: &[VarianceComponent]) -> Result<(), OutputError> {
    let mut sink = TableSink::parquet(path, &fields(effects))?;
    let groups = effects.rows.len();
    let of_level = components.iter().filter(|component| component.level == effects.level);
    let variances: Vec<f64> = of_level.flat_map(|component| component.variance.clone()).collect();
    for start in (0..groups).step_by(GROUPS) {
        sink.push(columns(effects, &variances, start..groups.min(start + GROUPS)))?;
    }
    sink.finish()
}

/// Returns the names of the files of levels, coarsest first, in the folder of random effects.
pub(crate) fn effects_file_names<'a>(levels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    levels.map(|level| file_name(level, &mut taken)).collect()
}

/// Returns the name of a key column in a file of effects: a key called `term` is written as `term_2`.
pub(crate) fn key_name(key: &str) -> String {
    own_name(key, &OF_EFFECTS)
}

/// Returns `school.class.parquet` for the level `school:class`; the name is unique among those taken.
pub(crate) fn file_name(level: &str, taken: &mut Vec<String>) -> String {
    let safe = |c: char| match c {
        ':' => '.',
        '/' | '\\' | '\0' => '_',
        c => c,
    };
    let stem: String = level.chars().map(safe).collect();
    let stem = own_name(&stem, taken);
    taken.push(stem.clone());
    format!("{stem}.parquet")
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
pub(crate) fn group_columns(keys: &[KeyColumn], groups: usize) -> Vec<OutColumn> {
    let column = |key: &KeyColumn| {
        let values = match &key.labels {
            KeyLabels::Integer(labels) => OutValues::I64(labels.clone()),
            KeyLabels::Text(labels) => OutValues::Text((0..groups).map(|group| labels.get(group)).collect()),
        };
        OutColumn::new(key.name.clone(), values)
    };
    keys.iter().map(column).collect()
}

/// Writes `fitted.parquet` in a second pass over the data.
pub(crate) fn write_fitted(
    staged: &Staged<'_>,
    fitted: &FittedValues<'_>,
    source: &Source,
    observer: &mut dyn ReadObserver,
) -> anyhow::Result<()> {
    let field = |column: &OutColumn| column.field();
    let fields: Vec<OutField> = fitted_columns(FittedRows::default()).iter().map(field).collect();
    let named = |error| staged.renamed(error);
    let mut sink = TableSink::parquet(&staged.path("fitted.parquet"), &fields).map_err(named)?;
    let mut failed = None;
    let mut push = |rows| {
        sink.push(fitted_columns(rows)).map_err(|error| {
            let words = error.to_string();
            failed = Some(error);
            words.into()
        })
    };
    let passed = fitted.pass(source, observer, &mut push);
    match failed {
        Some(error) => Err(named(error).into()),
        None => {
            passed.map_err(|error| anyhow!("fitted values: {error}"))?;
            Ok(sink.finish().map_err(named)?)
        }
    }
}

fn fitted_columns(rows: FittedRows) -> Vec<OutColumn> {
    let row = rows.row.iter().map(|&row| row as i64).collect();
    vec![
        OutColumn::new("row", OutValues::I64(row)),
        OutColumn::new("response", OutValues::F64(rows.response)),
        OutColumn::new("fixed", OutValues::F64(rows.fixed)),
        OutColumn::new("fitted", OutValues::F64(rows.fitted)),
        OutColumn::new("residual", OutValues::F64(rows.residual)),
        OutColumn::new("standardised_residual", OutValues::F64(rows.standardised)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_distinct_file_names() {
        let mut taken = Vec::new();
        let names = ["school", "school:class", "school.class", "a/b"].map(|level| file_name(level, &mut taken));
        assert_eq!(names, ["school.parquet", "school.class.parquet", "school.class_2.parquet", "a_b.parquet"]);
    }
}
