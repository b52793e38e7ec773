//! A table to be read: its files, columns and rows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use polars::prelude::Schema;
use tiers_csv::CsvOptions;
use tiers_design::{BLOCK_ROWS, Field, Kind, ReadingCost, Request};

use crate::cost::{self, HeadCost};
use crate::error::TableError;
use crate::hive::{self, Partition};
use crate::paths::{self, Format};
use crate::scan::Scan;
use crate::schema::{self, Common};
use crate::text::TextTable;

/// One data file of a [`Source`], as it was when the source was opened.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its number of rows, if the format states it.
    pub rows: Option<u64>,
    modified: Option<SystemTime>,
}

impl DataFile {
    fn new(path: PathBuf) -> Result<Self, TableError> {
        if path.to_str().is_none() {
            return Err(TableError::BadName { path });
        }
        let about = fs::metadata(&path).map_err(|e| TableError::io(&path, "opening", e))?;
        Ok(DataFile { bytes: about.len(), modified: about.modified().ok(), rows: None, path })
    }

    /// The time of its last modification, if the system reports it.
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Makes a file for tests, which does not exist on disk.
    #[cfg(test)]
    pub(crate) fn of_rows(rows: u64) -> Self {
        DataFile { path: PathBuf::new(), bytes: 0, rows: Some(rows), modified: None }
    }

    /// Checks that the file still has the same size and time of modification.
    pub(crate) fn check_unchanged(&self) -> Result<(), TableError> {
        let changed = |why| Err(TableError::Changed { path: self.path.clone(), why });
        match fs::metadata(&self.path) {
            Err(_) => changed("disappeared"),
            Ok(about) if about.len() != self.bytes => changed("changed its size"),
            Ok(about) if about.modified().ok() != self.modified => changed("was written to"),
            Ok(_) => Ok(()),
        }
    }
}

/// A table in one or more files of one format, opened but not yet read.
///
/// Cheap to clone. The files are sorted by path, and every scan delivers their rows in this order.
#[derive(Clone, Debug)]
pub struct Source {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) files: Vec<DataFile>,
    pub(crate) format: Format,
    /// The columns of all files.
    pub(crate) common: Common,
    /// Whether these differ from the columns of the first file.
    pub(crate) widened: bool,
    pub(crate) partitions: Vec<Partition>,
    /// What the metadata of the files imply for the memory that reading takes.
    pub(crate) cost: HeadCost,
    /// Headers and columns of text files; for these, `common` is empty.
    pub(crate) text: Option<TextTable>,
    options: CsvOptions,
    fields: Vec<Field>,
}

impl Source {
    /// Opens files, folders (with all data files below them) and globs together as one table.
    ///
    /// The format is recognised by the extension, else by the first bytes: parquet, csv (`.csv`, `.tsv`,
    /// `.txt`, also followed by `.gz`) or arrow ipc (`.arrow`, `.feather`, `.ipc`). Reads the metadata of
    /// the files, and the first rows of text files. Folders named `a=1` below the common root of all
    /// paths become columns.
    ///
    /// # Errors
    /// If a path does not exist or matches nothing, a file is not valid, the files are of different
    /// formats, or there are no rows. Columns in which the files differ are an error only if a scan
    /// requests them.
    pub fn open(paths: &[PathBuf]) -> Result<Source, TableError> {
        Source::open_with(paths, &CsvOptions::default())
    }

    /// Like [`Source::open`], with options for text files and for the types of columns in folder names.
    ///
    /// # Errors
    /// As for [`Source::open`].
    pub fn open_with(paths: &[PathBuf], options: &CsvOptions) -> Result<Source, TableError> {
        let found = paths::expand(paths)?;
        let partitions = hive::partitions(&found.files, &found.root, &options.types)?;
        if found.format == Format::Csv {
            return Source::of_text(found.files, partitions, options);
        }
        let Heads { files, common, widened, cost } = read_heads(found.files, found.format)?;
        if files.iter().map(|f| f.rows).sum::<Option<u64>>() == Some(0) {
            return Err(TableError::NoRows { path: files[0].path.clone(), files: files.len() });
        }
        // A column in the files takes precedence over a folder of the same name.
        let partitions: Vec<Partition> = partitions.into_iter().filter(|p| !common.schema.contains(&p.name)).collect();
        let fields = fields(&common, &partitions);
        let (format, options) = (found.format, options.clone());
        let inner = Inner { files, format, common, widened, partitions, text: None, options, cost, fields };
        Ok(Source { inner: Arc::new(inner) })
    }

    fn of_text(paths: Vec<PathBuf>, partitions: Vec<Partition>, options: &CsvOptions) -> Result<Source, TableError> {
        let files: Vec<DataFile> = paths.into_iter().map(DataFile::new).collect::<Result<_, _>>()?;
        if let Some(empty) = files.iter().find(|file| file.bytes == 0) {
            return Err(TableError::EmptyFile { path: empty.path.clone() });
        }
        let text = TextTable::open(&files, options)?;
        let partitions: Vec<Partition> =
            partitions.into_iter().filter(|p| text.columns.iter().all(|column| column.name != p.name)).collect();
        let folders = partitions.iter().map(|p| Field::new(p.name.clone(), p.kind.clone()));
        let fields = text.fields().chain(folders).collect();
        let (format, common, options) = (Format::Csv, Common::default(), options.clone());
        let inner = Inner {
            files,
            format,
            common,
            widened: false,
            partitions,
            text: Some(text),
            options,
            cost: HeadCost::default(),
            fields,
        };
        Ok(Source { inner: Arc::new(inner) })
    }

    /// The options with which the source was opened.
    pub fn options(&self) -> &CsvOptions {
        &self.inner.options
    }

    /// Whether the files are text, to which [`CsvOptions`] apply.
    pub fn is_text(&self) -> bool {
        self.inner.text.is_some()
    }

    /// The columns: those of the files, in file order, then the hive partitions.
    pub fn fields(&self) -> &[Field] {
        &self.inner.fields
    }

    /// The number of rows, if the format states it (parquet does).
    pub fn rows(&self) -> Option<u64> {
        self.inner.files.iter().map(|f| f.rows).sum()
    }

    /// The files, in the order in which their rows are read.
    pub fn files(&self) -> &[DataFile] {
        &self.inner.files
    }

    /// The total size of all files in bytes.
    pub fn bytes(&self) -> u64 {
        self.inner.files.iter().map(|f| f.bytes).sum()
    }

    /// Starts to read the requested columns.
    ///
    /// A file that changes or disappears during the scan is an error, reported by the end of the scan.
    /// There is one gap: the engine maps files into memory, so if a file is truncated in place (rather
    /// than replaced) while its pages are being decoded, the system ends the process with a bus error.
    ///
    /// # Errors
    /// If a column does not exist or cannot be used in the requested role. The scan itself reports
    /// errors of the files.
    pub fn scan(&self, requests: &[Request]) -> Result<Scan, TableError> {
        self.scan_from(requests, 0)
    }

    /// Like [`Source::scan`], but starts after the first `blocks` blocks of [`tiers_design::BLOCK_ROWS`]
    /// rows. These are not read from parquet files; from other formats they are read and dropped.
    ///
    /// # Errors
    /// As for [`Source::scan`].
    pub fn scan_from(&self, requests: &[Request], blocks: u64) -> Result<Scan, TableError> {
        self.scan_in_portions(requests, blocks, usize::MAX)
    }

    /// Like [`Source::scan_from`], with at most `portions` portions of the rows in memory at a time; see
    /// [`Source::cost`].
    ///
    /// # Errors
    /// As for [`Source::scan`].
    pub fn scan_in_portions(&self, requests: &[Request], blocks: u64, portions: usize) -> Result<Scan, TableError> {
        Scan::start(Arc::clone(&self.inner), requests, blocks.saturating_mul(BLOCK_ROWS as u64), portions)
    }

    /// Estimates the memory that a scan of these columns takes, from the metadata of the files. Columns
    /// that do not exist are ignored here; the scan reports them.
    pub fn cost(&self, requests: &[Request]) -> ReadingCost {
        cost::of(&self.inner, requests)
    }
}

/// The combined metadata of all files.
struct Heads {
    files: Vec<DataFile>,
    common: Common,
    widened: bool,
    cost: HeadCost,
}

/// Reads the metadata of every file and unites their columns.
fn read_heads(paths: Vec<PathBuf>, format: Format) -> Result<Heads, TableError> {
    let mut cost = HeadCost::default();
    let mut files = Vec::with_capacity(paths.len());
    let mut united: Option<(Schema, Common)> = None;
    for path in paths {
        let mut file = DataFile::new(path)?;
        let head = schema::head(&file.path, format, file.bytes)?;
        file.rows = head.rows;
        match &mut united {
            None => united = Some((head.schema.clone(), Common::of(&file.path, &head))),
            Some((_, common)) => common.unite(&head, &file.path, format),
        }
        cost.add(head.cost);
        files.push(file);
    }
    let (first, common) = united.ok_or(TableError::NothingNamed)?;
    let widened = first != common.schema || !common.differences.is_empty();
    Ok(Heads { files, common, widened, cost })
}

fn fields(common: &Common, partitions: &[Partition]) -> Vec<Field> {
    let own = common.schema.iter().map(|(name, dtype)| {
        let kind = match common.differences.get(name.as_str()) {
            Some(difference) => Kind::Unequal(difference.of_column(name).to_string()),
            None => schema::kind(dtype),
        };
        Field {
            levels: common.levels.get(name.as_str()).cloned().unwrap_or_default(),
            ..Field::new(name.as_str(), kind)
        }
    });
    let folders = partitions.iter().map(|p| Field::new(p.name.clone(), p.kind.clone()));
    own.chain(folders).collect()
}

impl Inner {
    /// Returns the paths of the files.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        self.files.iter().map(|f| f.path.as_path()).collect()
    }

    /// Returns the columns, including partitions.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Returns the path to name in an error that concerns the whole table.
    pub(crate) fn first_path(&self) -> PathBuf {
        self.files[0].path.clone()
    }
}
