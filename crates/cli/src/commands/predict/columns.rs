//! Columns of the file of predictions.

use anyhow::{anyhow, bail};
use tiers_design::{Block, Column, Dictionary, Field, Kind, Labels, MISSING, PackedText, Request, Role};
use tiers_outputs::{OutColumn, OutField, OutKind, OutValues, own_name};
use tiers_reml::PredictedRows;
use tiers_tables::Source;

/// The columns of the file, in order.
#[derive(Debug)]
pub(crate) struct Layout {
    fields: Vec<OutField>,
    /// The columns that are copied.
    kept: Vec<(Request, OutKind)>,
    with_std_error: bool,
    with_interval: bool,
}

impl Layout {
    /// Creates the layout: row number, kept columns, prediction, errors, and whether groups are known.
    pub(crate) fn new(
        source: &Source,
        keep: &[String],
        (with_std_error, with_interval): (bool, bool),
        levels: &[String],
    ) -> anyhow::Result<Layout> {
        let kept = keep.iter().map(|name| kept(source, name)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut own = vec![field("row", OutKind::I64), field("prediction", OutKind::F64)];
        own.extend(with_std_error.then(|| field("std_error", OutKind::F64)));
        own.extend(["lower", "upper"].into_iter().filter(|_| with_interval).map(|name| field(name, OutKind::F64)));
        for level in levels {
            let taken: Vec<&str> = own.iter().map(|field| &field.name[..]).collect();
            let name = own_name(&format!("known_{}", level.replace(':', ".")), &taken);
            own.push(field(&name, OutKind::Bool));
        }
        // A kept column with the name of one of ours becomes `prediction_2` and so on.
        let mut taken: Vec<String> = own.iter().map(|field| field.name.clone()).collect();
        let mut fields = vec![own.remove(0)];
        for (request, kind) in &kept {
            let name = own_name(&request.column, &taken);
            taken.push(name.clone());
            fields.push(field(&name, *kind));
        }
        fields.extend(own);
        Ok(Layout { fields, kept, with_std_error, with_interval })
    }

    /// Returns all columns.
    pub(crate) fn fields(&self) -> &[OutField] {
        &self.fields
    }

    /// Returns the requests for the columns that are copied.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.kept.iter().map(|(request, _)| request.clone()).collect()
    }

    /// Returns the columns for a block, whose last columns are those to copy.
    pub(crate) fn columns(&self, mut block: Block, rows: PredictedRows) -> Vec<OutColumn> {
        let first = block.first_row as i64 + 1;
        let row = OutValues::I64((first..first + block.rows as i64).collect());
        let mut values = vec![(row, None)];
        // A block without rows may have no columns.
        let start = block.columns.len().saturating_sub(self.kept.len());
        let copied = block.columns.drain(start..).zip(&self.kept).map(|(column, (_, kind))| copied(column, *kind));
        values.extend(copied);
        let mut number = |numbers| values.push((OutValues::F64(numbers), rows.missing.clone()));
        number(rows.prediction);
        if self.with_std_error {
            number(rows.std_error);
        }
        if self.with_interval {
            number(rows.lower);
            number(rows.upper);
        }
        values.extend(rows.known.into_iter().map(|known| (OutValues::Bool(known), None)));
        let column =
            |(field, (values, missing)): (&OutField, _)| OutColumn { name: field.name.clone(), values, missing };
        self.fields.iter().zip(values).map(column).collect()
    }
}

fn field(name: &str, kind: OutKind) -> OutField {
    OutField { name: name.to_owned(), kind }
}

/// Returns how to read and write a column so that its type is kept.
fn kept(source: &Source, name: &str) -> anyhow::Result<(Request, OutKind)> {
    let Some(Field { kind, .. }) = source.fields().iter().find(|field| field.name == name) else {
        let names: Vec<&str> = source.fields().iter().map(|field| &field.name[..]).collect();
        return Err(anyhow!(
            "--keep {name}: {} has no such column; its columns are {}",
            source.files()[0].path.display(),
            names.join(", ")
        ));
    };
    let (role, kind) = match kind {
        Kind::Float => (Role::Number, OutKind::F64),
        Kind::Integer => (Role::Label, OutKind::I64),
        Kind::Boolean => (Role::Label, OutKind::Bool),
        Kind::Text | Kind::Digits | Kind::Mixed(_) | Kind::Date | Kind::DateTime => (Role::Label, OutKind::Text),
        Kind::Unequal(why) => bail!("--keep {name}: {why}"),
        Kind::Other(kind) => {
            bail!("--keep {name}: values of type {kind} cannot be copied; join by row number instead")
        }
    };
    Ok((Request { column: name.to_owned(), role }, kind))
}

/// Converts a column that was read for writing.
fn copied(column: Column, kind: OutKind) -> (OutValues, Option<Vec<bool>>) {
    let Labels { codes, dictionary } = match column {
        Column::Numbers(values) => {
            let missing = values.iter().any(|v| v.is_nan()).then(|| values.iter().map(|v| v.is_nan()).collect());
            return (OutValues::F64(values), missing);
        }
        Column::Labels(labels) => labels,
    };
    let missing = codes.contains(&MISSING).then(|| codes.iter().map(|&code| code == MISSING).collect());
    let at = |&code: &u32| (code != MISSING).then_some(code as usize);
    let values = match (kind, &dictionary) {
        (OutKind::I64, Dictionary::Integer(values)) => {
            OutValues::I64(codes.iter().map(|code| at(code).map_or(0, |code| values[code])).collect())
        }
        (OutKind::Bool, _) => {
            let is_true: Vec<bool> = (0..dictionary.len()).map(|code| dictionary.label(code) == "TRUE").collect();
            OutValues::Bool(codes.iter().map(|code| at(code).is_some_and(|code| is_true[code])).collect())
        }
        (_, Dictionary::Text(texts)) => OutValues::Text(
            codes.iter().map(|code| at(code).map_or("", |code| texts.get(code))).collect::<PackedText>(),
        ),
        (_, Dictionary::Integer(_)) => {
            let label = |code| at(code).map_or_else(String::new, |code| dictionary.label(code));
            OutValues::Text(codes.iter().map(label).collect::<PackedText>())
        }
    };
    (values, missing)
}
