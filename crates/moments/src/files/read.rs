//! Opens and checks folders of moments.

use super::header::{CELLS, FORMATS, HEADER, MOMENTS, MomentsFileError, MomentsHeader, TOTALS, refused};
use super::totals::read_totals;
use crate::merge::{CellColumns, Definition, Part, Totals};
use crate::reading::Dropped;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tiers_outputs::{TableFormat, TableReader, read_text, repair};

/// A folder of moments that was opened: its header and totals are read, its cells are not.
pub struct MomentsFolder {
    /// As the user named it.
    pub name: String,
    /// Contents of `moments.json`.
    pub header: MomentsHeader,
    totals: Totals,
    dropped: Dropped,
    totals_file: PathBuf,
    cells: Option<Box<dyn TableReader>>,
}

impl fmt::Debug for MomentsFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MomentsFolder").field("name", &self.name).field("header", &self.header).finish_non_exhaustive()
    }
}

impl MomentsFolder {
    /// Opens a folder whose tables can be opened by a format; reads the header and the totals.
    ///
    /// # Errors
    /// If it is not a folder of moments, or its files were changed or do not belong together.
    pub fn open(folder: &Path, format: &dyn TableFormat) -> Result<MomentsFolder, MomentsFileError> {
        let name = folder.display().to_string();
        repair(folder, &MOMENTS);
        let header = read_header(folder)?;
        check_files(folder, &header)?;
        let (totals_file, cells_file) = (file_of(folder, TOTALS), file_of(folder, CELLS));
        let (totals, dropped) = read_totals(&totals_file, &header, format)?;
        if header.has_old_fingerprint() && header.seal.fingerprint != Some(header.old_fingerprint_with(&totals.cross)) {
            return Err(refused!(
                "{name}: {HEADER} and {} do not belong together, or one of them was changed: the fingerprint is not that \
                 of what they hold. Make the moments again",
                shown(&totals_file)
            ));
        }
        let open = || format.open(&cells_file, &text_keys(&header.definition));
        let cells = (totals.rows > 0).then(open).transpose().map_err(|error| refused!("{error}"))?;
        match (header.cells, cells.as_ref().and_then(|cells| cells.rows())) {
            (Some(listed), Some(there)) if listed != there => {
                return Err(refused!(
                    "{name}: {} holds {there} cells, but {HEADER} says {listed}; make the moments again",
                    shown(&cells_file)
                ));
            }
            _ => {}
        }
        Ok(MomentsFolder { name, header, totals, dropped, totals_file, cells })
    }

    /// Returns the moments as a part to be merged with others.
    pub fn part(&self) -> Part<'_> {
        Part {
            name: &self.name,
            definition: &self.header.definition,
            totals: &self.totals,
            dropped: &self.dropped,
            cells: self.cells.as_ref().map(|cells| &**cells as &dyn tiers_design::Source),
        }
    }

    /// Returns the number of cells, if it is known.
    pub fn count(&self) -> Option<u64> {
        self.cells.as_ref().map_or(Some(0), |cells| cells.rows())
    }

    /// Returns the files that are read.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let own = [Path::new(&self.name).join(HEADER), self.totals_file.clone()];
        own.into_iter().chain(self.cells.iter().flat_map(|cells| cells.files()))
    }
}

/// Returns the path of a table: that of the first format whose file exists, or of the first format.
fn file_of(folder: &Path, stem: &str) -> PathBuf {
    let paths = FORMATS.map(|extension| folder.join(format!("{stem}.{extension}")));
    paths.iter().find(|path| path.exists()).unwrap_or(&paths[0]).clone()
}

/// Returns the name of a file without its folder.
fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the names of the key columns whose labels are texts; none if the definition is not valid, which
/// merging reports.
fn text_keys(definition: &Definition) -> Vec<String> {
    let Ok(recipe) = definition.recipe() else { return Vec::new() };
    let (named, positional) = (CellColumns::of(&recipe).keys, CellColumns::by_position(&recipe).keys);
    let integer = definition.integer_keys(&recipe);
    let texts = |keys: &[String]| -> Vec<String> {
        keys.iter().zip(&integer).filter(|(_, integer)| !**integer).map(|(name, _)| name.clone()).collect()
    };
    let others = texts(&positional).into_iter().filter(|name| !named.contains(name));
    texts(&named).into_iter().chain(others).collect()
}

fn read_header(folder: &Path) -> Result<MomentsHeader, MomentsFileError> {
    let (name, path) = (folder.display(), folder.join(HEADER));
    if !folder.exists() {
        return Err(refused!("{name}: no such folder of moments; `tiers moments` writes them"));
    }
    if !path.is_file() {
        return Err(refused!(
            "{name}: this is not a folder of moments, since it has no {HEADER}; `tiers moments` writes one"
        ));
    }
    let text = read_text(&path, u64::MAX).map_err(|error| refused!("{}: {error}", path.display()))?;
    MomentsHeader::parse(&text, &path.display().to_string())
}

/// Checks the other files against the hashes of the header, which another program need not list.
fn check_files(folder: &Path, header: &MomentsHeader) -> Result<(), MomentsFileError> {
    for name in header.seal.files.keys() {
        if name == HEADER || !MOMENTS.files.contains(&name.as_str()) {
            let folder = folder.display();
            return Err(refused!("{folder}: {HEADER} lists a file `{name}`, which moments do not have"));
        }
        let path = folder.join(name);
        let holds = header.seal.holds(folder, name).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                refused!("{}: no such file, but {HEADER} lists it; make the moments again", path.display())
            }
            _ => refused!("{}: {error}", path.display()),
        })?;
        if !holds {
            return Err(refused!(
                "{}: it was changed, or belongs to other moments: the fingerprint in {HEADER} is that of another file. \
                 Make the moments again",
                path.display()
            ));
        }
    }
    Ok(())
}
