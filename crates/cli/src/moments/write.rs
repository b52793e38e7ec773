//! A folder of moments, written aside and put in place as a whole.

use crate::moments::header::{CELLS, HEADER, Header, TOTALS, VERSION};
use anyhow::{anyhow, bail};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tiers_design::{CellColumns, Cells, Definition, Dictionary, Labels, PackedText, Totals};
use tiers_reml::Ingested;
use tiers_tables::{OutColumn, OutField, OutKind, OutValues, ParquetSink, write_parquet};

/// Where moments will be.
#[derive(Debug)]
pub(crate) struct Target {
    named: PathBuf,
    path: PathBuf,
}

impl Target {
    /// Checks whether moments can be written there: nothing stands there, or an empty folder, or
    /// moments, which are replaced.
    pub(crate) fn open(named: &Path) -> anyhow::Result<Target> {
        let fail = |error: io::Error| anyhow!("--out {}: moments cannot be written here: {error}", named.display());
        let path = std::path::absolute(named).map_err(fail)?;
        if path.file_name().is_none() {
            bail!("--out {}: name a folder of its own for the moments", named.display());
        }
        if path.exists() {
            let own = [HEADER, CELLS, TOTALS];
            let mut names = fs::read_dir(&path).map_err(fail)?.map(|entry| Ok(entry?.file_name()));
            let foreign = names.find_map(|name: io::Result<_>| match name {
                Ok(name) if own.iter().any(|own| name == *own) => None,
                other => Some(other),
            });
            if let Some(name) = foreign.transpose().map_err(fail)? {
                bail!(
                    "--out {}: {} stands there, which is no file of moments; name another folder",
                    named.display(),
                    named.join(name).display()
                );
            }
        }
        let target = Target { named: named.to_owned(), path };
        let above = target.path.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let trial = above.join(target.aside("tmp").file_name().unwrap_or_default());
        fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)).map_err(fail)?;
        Ok(target)
    }

    fn aside(&self, ending: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!(".{name}.tiers-{}.{ending}", std::process::id()))
    }

    /// Gives the folder that was written aside its name.
    fn put_in_place(&self, staging: &Path) -> io::Result<()> {
        let old = self.aside("old");
        if self.path.exists() {
            fs::rename(&self.path, &old)?;
        }
        if let Err(error) = fs::rename(staging, &self.path) {
            fs::rename(&old, &self.path).ok();
            return Err(error);
        }
        fs::remove_dir_all(&old).ok();
        if let Some(above) = self.path.parent() {
            File::open(above).and_then(|folder| folder.sync_all()).ok();
        }
        Ok(())
    }
}

/// Writes moments; gives what their header says.
pub(crate) fn write(target: &Target, definition: Definition, ingested: &Ingested) -> anyhow::Result<Header> {
    let staging = target.aside("tmp");
    let fail = |error: io::Error| anyhow!("{}: moments cannot be written here: {error}", target.named.display());
    fs::create_dir_all(&staging).map_err(fail)?;
    let written = write_files(&staging, definition, ingested);
    let done = written.and_then(|header| target.put_in_place(&staging).map(|()| header).map_err(fail));
    if done.is_err() {
        fs::remove_dir_all(&staging).ok();
    }
    done
}

fn write_files(folder: &Path, definition: Definition, ingested: &Ingested) -> anyhow::Result<Header> {
    let Ingested { moments, dropped, .. } = ingested;
    let totals = Totals::of(moments);
    write_parquet(&folder.join(TOTALS), totals_columns(&definition, &totals))?;
    write_cells(&folder.join(CELLS), &definition, ingested)?;
    let mut header = Header {
        tiers_moments: VERSION,
        written_by: Some(format!("tiers {}", env!("CARGO_PKG_VERSION"))),
        definition,
        rows: totals.rows,
        cells: Some(moments.cells() as u64),
        sum_log_weights: totals.sum_log_weights,
        dropped_rows: dropped.rows,
        missing: dropped.missing.iter().cloned().collect(),
        fingerprint: None,
    };
    header.fingerprint = Some(header.fingerprint_with(&totals.cross));
    let mut file = File::create(folder.join(HEADER))?;
    file.write_all(header.json().as_bytes())?;
    file.sync_all()?;
    Ok(header)
}

/// The upper triangle of C'WC, a row per entry.
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

/// The cells, a shard at a time.
fn write_cells(path: &Path, definition: &Definition, ingested: &Ingested) -> anyhow::Result<()> {
    let Ingested { recipe, moments, .. } = ingested;
    let columns = CellColumns::of(recipe);
    let kind = |integer: bool| if integer { OutKind::I64 } else { OutKind::Text };
    let integer = definition.integer_keys(recipe);
    let field = |name: &String, kind| OutField { name: name.clone(), kind };
    let mut fields: Vec<OutField> = columns.keys.iter().zip(&integer).map(|(name, &i)| field(name, kind(i))).collect();
    fields.extend([field(&columns.rows, OutKind::I64), field(&columns.first_row, OutKind::I64)]);
    fields.extend(columns.sums.iter().map(|(name, _)| field(name, OutKind::F64)));
    let mut sink = ParquetSink::create(path, &fields)?;
    let per_cell = moments.summands.per_cell();
    for shard in (0..moments.shards.len()).filter(|&shard| !moments.shards[shard].is_empty()) {
        sink.push(columns_of(&columns, &moments.cells_of(shard), per_cell))?;
    }
    sink.finish()?;
    Ok(())
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
