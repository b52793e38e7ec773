//! Writes a folder of moments, which is put in place as a whole.

use crate::commands::moments::header::{CELLS, HEADER, Header, TOTALS, VERSION};
use crate::outputs::{Folder, Staged};
use std::path::Path;
use tiers_design::{Dictionary, Labels, PackedText};
use tiers_moments::{CellColumns, Cells, Definition, Ingested, Totals};
use tiers_report::saved::Seal;
use tiers_tables::{OutColumn, OutField, OutKind, OutValues, TableError, TableSink, write_parquet};

/// Writes moments and returns their header.
pub(crate) fn write(folder: &Folder, definition: Definition, ingested: &Ingested) -> anyhow::Result<Header> {
    let staged = folder.stage()?;
    let header = write_files(&staged, definition, ingested)?;
    staged.put_in_place()?;
    Ok(header)
}

fn write_files(staged: &Staged<'_>, definition: Definition, ingested: &Ingested) -> anyhow::Result<Header> {
    let Ingested { moments, dropped, .. } = ingested;
    let totals = Totals::of(moments);
    let named = |error: TableError| staged.told(error);
    write_parquet(&staged.path(TOTALS), totals_columns(&definition, &totals)).map_err(named)?;
    write_cells(&staged.path(CELLS), &definition, ingested).map_err(named)?;
    let mut header = Header {
        tiers_moments: VERSION,
        written_by: Some(format!("tiers {}", env!("CARGO_PKG_VERSION"))),
        definition,
        rows: totals.rows,
        cells: Some(moments.cells() as u64),
        sum_log_weights: totals.sum_log_weights,
        dropped_rows: dropped.rows,
        missing: dropped.missing.iter().cloned().collect(),
        seal: Seal::default(),
    };
    let text = header.sealed(&staged.path("")).map_err(|error| staged.failed(HEADER, &error))?;
    staged.write(HEADER, &text)?;
    Ok(header)
}

/// Returns the upper triangle of `C'WC`, a row per entry.
fn totals_columns(definition: &Definition, totals: &Totals) -> Vec<OutColumn> {
    let m = definition.columns.len();
    let upper: Vec<(usize, usize)> = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).collect();
    let name = |i: usize| definition.columns[i].name.as_str();
    vec![
        OutColumn::new("row", OutValues::Text(upper.iter().map(|&(i, _)| name(i)).collect())),
        OutColumn::new("column", OutValues::Text(upper.iter().map(|&(_, j)| name(j)).collect())),
        OutColumn::new("value", OutValues::F64(upper.iter().map(|&(i, j)| totals.cross[i * m + j]).collect())),
    ]
}

/// Writes the cells, a shard at a time.
fn write_cells(path: &Path, definition: &Definition, ingested: &Ingested) -> Result<(), TableError> {
    let Ingested { recipe, moments, .. } = ingested;
    let columns = CellColumns::of(recipe);
    let kind = |integer: bool| if integer { OutKind::I64 } else { OutKind::Text };
    let integer = definition.integer_keys(recipe);
    let field = |name: &String, kind| OutField { name: name.clone(), kind };
    let mut fields: Vec<OutField> = columns.keys.iter().zip(&integer).map(|(name, &i)| field(name, kind(i))).collect();
    fields.extend([field(&columns.rows, OutKind::I64), field(&columns.first_row, OutKind::I64)]);
    fields.extend(columns.sums.iter().map(|(name, _)| field(name, OutKind::F64)));
    let mut sink = TableSink::parquet(path, &fields)?;
    let per_cell = moments.summands.per_cell();
    for shard in (0..moments.shards.len()).filter(|&shard| !moments.shards[shard].is_empty()) {
        sink.push(columns_of(&columns, &moments.cells_of(shard), per_cell))?;
    }
    sink.finish()
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
