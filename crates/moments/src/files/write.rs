//! Writes a folder of moments, which is put in place as a whole.

use super::header::{CELLS, HEADER, MomentsHeader, TOTALS, VERSION};
use crate::merge::{CellColumns, Cells, Definition, Totals, upper};
use crate::reading::Ingested;
use std::path::Path;
use tiers_design::{Dictionary, Labels, PackedText};
use tiers_outputs::{
    Folder, OutColumn, OutField, OutKind, OutValues, OutputError, Seal, Staged, TableFormat, write_table,
};

/// Writes moments to a folder, with their tables in a format; returns their header.
///
/// # Errors
/// If the disk fails, or files that tiers did not write appeared in the folder.
pub fn write_moments(
    folder: &Folder,
    format: &dyn TableFormat,
    definition: Definition,
    ingested: &Ingested,
) -> Result<MomentsHeader, OutputError> {
    let staged = Staged::new(folder)?;
    let header = write_files(&staged, format, definition, ingested)?;
    staged.put_in_place()?;
    Ok(header)
}

fn write_files(
    staged: &Staged<'_>,
    format: &dyn TableFormat,
    definition: Definition,
    ingested: &Ingested,
) -> Result<MomentsHeader, OutputError> {
    let Ingested { moments, dropped, .. } = ingested;
    let (totals, extension) = (Totals::of(moments), format.extension());
    let (totals_file, cells_file) = (format!("{TOTALS}.{extension}"), format!("{CELLS}.{extension}"));
    let named = |error: OutputError| staged.renamed(error);
    write_table(format, &staged.path(&totals_file), totals_columns(&definition, &totals)).map_err(named)?;
    write_cells(&staged.path(&cells_file), format, &definition, ingested).map_err(named)?;
    let mut header = MomentsHeader {
        tiers_moments: VERSION.into(),
        written_by: Some(format!("tiers {}", env!("CARGO_PKG_VERSION"))),
        definition,
        rows: Some(totals.rows),
        cells: Some(moments.cells() as u64),
        sum_log_weights: totals.sum_log_weights,
        dropped_rows: dropped.rows,
        missing: dropped.missing.iter().cloned().collect(),
        counted: Vec::new(),
        seal: Seal::default(),
    };
    let text =
        header.sealed(&staged.path(""), &[&totals_file, &cells_file]).map_err(|error| staged.failed(HEADER, &error))?;
    staged.write(HEADER, &text)?;
    Ok(header)
}

/// Returns the upper triangle of `C'WC`, a row per entry.
fn totals_columns(definition: &Definition, totals: &Totals) -> Vec<OutColumn> {
    let m = definition.columns.len();
    let upper: Vec<(usize, usize)> = upper(m).collect();
    let name = |i: usize| definition.columns[i].name.as_str();
    vec![
        OutColumn::new("row", OutValues::Text(upper.iter().map(|&(i, _)| name(i)).collect())),
        OutColumn::new("column", OutValues::Text(upper.iter().map(|&(_, j)| name(j)).collect())),
        OutColumn::new("value", OutValues::F64(upper.iter().map(|&(i, j)| totals.cross[i * m + j]).collect())),
    ]
}

/// Writes the cells, a shard at a time.
fn write_cells(
    path: &Path,
    format: &dyn TableFormat,
    definition: &Definition,
    ingested: &Ingested,
) -> Result<(), OutputError> {
    let (fields, shards) = cell_tables(definition, ingested);
    let mut table = format.create(path, &fields)?;
    shards.into_iter().try_for_each(|columns| table.push(columns))?;
    table.finish()
}

/// Returns the columns of the table of cells, and its rows, a shard at a time.
pub fn cell_tables<'a>(
    definition: &Definition,
    ingested: &'a Ingested,
) -> (Vec<OutField>, impl Iterator<Item = Vec<OutColumn>> + use<'a>) {
    let Ingested { recipe, moments, .. } = ingested;
    let columns = CellColumns::of(recipe);
    let kind = |integer: bool| if integer { OutKind::I64 } else { OutKind::Text };
    let integer = definition.integer_keys(recipe);
    let field = |name: &String, kind| OutField { name: name.clone(), kind };
    let mut fields: Vec<OutField> = columns.keys.iter().zip(&integer).map(|(name, &i)| field(name, kind(i))).collect();
    fields.extend([field(&columns.rows, OutKind::I64), field(&columns.first_row, OutKind::I64)]);
    fields.extend(columns.sums.iter().map(|(name, _)| field(name, OutKind::F64)));
    let per_cell = moments.summands.per_cell();
    let shards = (0..moments.shards.len()).filter(|&shard| !moments.shards[shard].is_empty());
    (fields, shards.map(move |shard| columns_of(&columns, &moments.cells_of(shard), per_cell)))
}

fn columns_of(columns: &CellColumns, cells: &Cells, per_cell: usize) -> Vec<OutColumn> {
    let counts = |values: &[u64]| OutValues::I64(values.iter().map(|&n| n as i64).collect());
    let keys = cells.keys.iter().zip(&columns.keys).map(|(labels, name)| OutColumn::new(name, values_of(labels)));
    let mut out: Vec<OutColumn> = keys.collect();
    out.push(OutColumn::new(&columns.rows, counts(&cells.rows)));
    out.push(OutColumn::new(&columns.first_row, counts(&cells.first_row)));
    for (name, places) in &columns.sums {
        let values = cells.sums.chunks_exact(per_cell).map(|cell| cell[places[0]]).collect();
        out.push(OutColumn::new(name, OutValues::F64(values)));
    }
    out
}

fn values_of(labels: &Labels) -> OutValues {
    let codes = labels.codes.iter().map(|&code| code as usize);
    match &labels.dictionary {
        Dictionary::Integer(values) => OutValues::I64(codes.map(|code| values[code]).collect()),
        Dictionary::Text(texts) => OutValues::Text(codes.map(|code| texts.get(code)).collect::<PackedText>()),
    }
}
