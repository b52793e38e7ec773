//! Opens and checks folders of moments.

use crate::commands::moments::header::{CELLS, HEADER, Header, TOTALS};
use crate::files::read_text;
use crate::outputs::{MOMENTS, repair};
use anyhow::{anyhow, bail, ensure};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tiers_design::{Column, Request, Role};
use tiers_moments::{Dropped, Part, Totals};
use tiers_tables::Source;

/// A folder of moments.
#[derive(Debug)]
pub(crate) struct Opened {
    /// As the user named it.
    pub name: String,
    /// Contents of `moments.json`.
    pub header: Header,
    totals: Totals,
    dropped: Dropped,
    cells: Option<Source>,
}

impl Opened {
    /// Opens a folder; reads the header and the totals, but not the cells.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Opened> {
        let name = folder.display().to_string();
        repair(folder, &MOMENTS);
        let header = read_header(folder)?;
        check_files(folder, &header)?;
        let cross = read_totals(folder, &header)?;
        ensure!(
            !header.has_old_fingerprint() || header.seal.fingerprint == Some(header.old_fingerprint_with(&cross)),
            "{name}: {HEADER} and {TOTALS} do not belong together, or one of them was changed: the fingerprint is not \
             that of what they hold. Make the moments again"
        );
        let cells = match header.rows {
            0 => None,
            _ => Some(Source::open(&[folder.join(CELLS)])?),
        };
        if let (Some(listed), Some(there)) = (header.cells, cells.as_ref().and_then(Source::rows)) {
            ensure!(
                listed == there,
                "{name}: {CELLS} holds {there} cells, but {HEADER} says {listed}; make the moments again"
            );
        }
        let totals = Totals { rows: header.rows, sum_log_weights: header.sum_log_weights, cross };
        let missing = header.missing.iter().map(|(column, &n)| (column.clone(), n)).collect();
        let dropped = Dropped { rows: header.dropped_rows, missing, ..Dropped::default() };
        Ok(Opened { name, header, totals, dropped, cells })
    }

    /// Returns the moments as a part to be merged with others.
    pub(crate) fn part(&self) -> Part<'_> {
        Part {
            name: &self.name,
            definition: &self.header.definition,
            totals: &self.totals,
            dropped: &self.dropped,
            cells: self.cells.as_ref().map(|cells| cells as &dyn tiers_design::Source),
        }
    }

    /// Returns the number of cells, if it is known.
    pub(crate) fn count(&self) -> Option<u64> {
        self.cells.as_ref().map_or(Some(0), Source::rows)
    }

    /// Returns the files that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let own = [HEADER, TOTALS].map(|file| Path::new(&self.name).join(file));
        let cells = self.cells.iter().flat_map(|cells| cells.files().iter().map(|file| file.path.clone()));
        own.into_iter().chain(cells)
    }
}

fn read_header(folder: &Path) -> anyhow::Result<Header> {
    let (name, path) = (folder.display(), folder.join(HEADER));
    if !folder.exists() {
        bail!("{name}: no such folder of moments; `tiers moments` writes them");
    }
    if !path.is_file() {
        bail!("{name}: this is not a folder of moments, since it has no {HEADER}; `tiers moments` writes one");
    }
    let text = read_text(&path, u64::MAX).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    Header::parse(&text, &path.display().to_string())
}

/// Checks the other files against the hashes of the header, which another program need not list.
fn check_files(folder: &Path, header: &Header) -> anyhow::Result<()> {
    for name in header.seal.files.keys() {
        ensure!(
            [CELLS, TOTALS].contains(&name.as_str()),
            "{}: {HEADER} lists a file `{name}`, which moments do not have",
            folder.display()
        );
        let path = folder.join(name);
        let holds = header.seal.holds(folder, name).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                anyhow!("{}: no such file, but {HEADER} lists it; make the moments again", path.display())
            }
            _ => anyhow!("{}: {error}", path.display()),
        })?;
        ensure!(
            holds,
            "{}: it was changed, or belongs to other moments: the fingerprint in {HEADER} is that of another file. Make the \
             moments again",
            path.display()
        );
    }
    Ok(())
}

/// Reads `C'WC`, row-major, from the entries of either triangle.
fn read_totals(folder: &Path, header: &Header) -> anyhow::Result<Vec<f64>> {
    let path = folder.join(TOTALS);
    let source = Source::open(std::slice::from_ref(&path))?;
    let names: Vec<&str> = header.definition.columns.iter().map(|column| column.name.as_str()).collect();
    let place: HashMap<&str, usize> = names.iter().enumerate().map(|(i, &name)| (name, i)).collect();
    let m = names.len();
    let mut cross = vec![f64::NAN; m * m];
    let request = |column: &str, role| Request { column: column.to_owned(), role };
    let requests = [request("row", Role::Label), request("column", Role::Label), request("value", Role::Number)];
    for block in source.scan(&requests)? {
        let block = block?.decode()?;
        let [Column::Labels(rows), Column::Labels(columns), Column::Numbers(values)] = &block.columns[..] else {
            unreachable!("columns come in the order and role of the requests")
        };
        for ((&i, &j), &value) in rows.codes.iter().zip(&columns.codes).zip(values) {
            let find = |labels: &tiers_design::Labels, code: u32| {
                let label =
                    if code == tiers_design::MISSING { String::new() } else { labels.dictionary.label(code as usize) };
                place.get(label.as_str()).copied().ok_or_else(|| {
                    anyhow!(
                        "{}: `{label}` is not a column of these moments; the columns are {}",
                        path.display(),
                        names.join(", ")
                    )
                })
            };
            let (i, j) = (find(rows, i)?, find(columns, j)?);
            let (old, value) = (cross[i * m + j], value);
            ensure!(
                value.is_finite() && (old.is_nan() || (old - value).abs() <= 1e-12 * value.abs()),
                "{}: the sum of `{}` and `{}` is {value}{}",
                path.display(),
                names[i],
                names[j],
                if value.is_finite() { format!(", but also {old}") } else { String::new() }
            );
            (cross[i * m + j], cross[j * m + i]) = (value, value);
        }
    }
    if let Some(k) = cross.iter().position(|value| value.is_nan()) {
        bail!(
            "{}: the sum of `{}` and `{}` is missing; make the moments again",
            path.display(),
            names[k / m],
            names[k % m]
        );
    }
    Ok(cross)
}
