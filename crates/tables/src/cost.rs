//! Estimates the memory that reading takes, from the files' metadata, before any row is read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use polars::prelude::{DataType, FileMetadata, Schema};
use tiers_csv::CHUNK_BYTES;
use tiers_design::{BLOCK_ROWS, ReadingCost, Request};

use crate::error::TableError;
use crate::paths::{self, Format};
use crate::ranges::range_rows;
use crate::source::Inner;
use crate::text_reader::AHEAD;
use crate::threads::threads;

/// Bytes that the engine uses for the metadata of one column of one row group of a parquet file.
const COLUMN_OF_A_GROUP: u64 = 900;

/// Number of copies of a range's values in memory while it is read: as pages and as columns.
const COPIES: f64 = 2.0;

/// Memory for a chunk of a text file, as a multiple of its bytes: the bytes and the (larger) columns.
const COPIES_OF_CHUNK: u64 = 4;

/// Number of copies of a text in memory while its page is decoded and its label is interned.
const COPIES_OF_TEXT: f64 = 3.0;

/// What the metadata of the files imply for the memory that reading takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HeadCost {
    /// Number of column chunks (columns times row groups) of the file that has most of them.
    columns_of_groups: u64,
    texts: HashMap<String, TextCost>,
}

/// Sizes for a column of text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct TextCost {
    /// Bytes of the largest dictionary of a row group; it is decoded to read any of the group's rows.
    dictionary: f64,
    /// Bytes per row in the row group where these are largest.
    per_row: f64,
}

impl HeadCost {
    /// Evaluates the metadata of one parquet file.
    pub(crate) fn of_parquet(about: &FileMetadata, schema: &Schema) -> HeadCost {
        let columns_of_groups = about.row_groups.iter().map(|group| group.n_columns() as u64).sum();
        let mut texts: HashMap<String, TextCost> = HashMap::new();
        let names = schema.iter().filter(|(_, dtype)| is_text(dtype)).map(|(name, _)| name);
        for name in names {
            let text = texts.entry(name.to_string()).or_default();
            for group in &about.row_groups {
                let chunks = group.columns_under_root_iter(name).into_iter().flatten();
                for chunk in chunks {
                    let (whole, compressed) = (chunk.uncompressed_size() as f64, chunk.compressed_size() as f64);
                    // The data pages take at least their compressed size; the rest may be the dictionary.
                    let dictionary = chunk.dictionary_page_offset().map_or(0.0, |start| {
                        whole - (compressed - (chunk.data_page_offset() - start) as f64).clamp(0.0, whole)
                    });
                    text.dictionary = text.dictionary.max(dictionary);
                    text.per_row = text.per_row.max((whole - dictionary) / group.num_rows().max(1) as f64);
                }
            }
        }
        HeadCost { columns_of_groups, texts }
    }

    /// Adds another file.
    pub(crate) fn add(&mut self, other: HeadCost) {
        self.columns_of_groups = self.columns_of_groups.max(other.columns_of_groups);
        for (name, text) in other.texts {
            let own = self.texts.entry(name).or_default();
            own.dictionary = own.dictionary.max(text.dictionary);
            own.per_row = own.per_row.max(text.per_row);
        }
    }
}

fn is_text(dtype: &DataType) -> bool {
    matches!(dtype, DataType::String | DataType::Categorical(..) | DataType::Enum(..) | DataType::Binary)
}

/// Bytes of a value in a column; for text, only the view, since the text is stored elsewhere.
fn value_bytes(dtype: &DataType) -> f64 {
    match dtype {
        DataType::Boolean | DataType::Null => 0.125,
        DataType::Int8 | DataType::UInt8 => 1.0,
        DataType::Int16 | DataType::UInt16 => 2.0,
        DataType::Int32 | DataType::UInt32 | DataType::Float32 | DataType::Date => 4.0,
        DataType::String | DataType::Decimal(..) => 16.0,
        _ => 8.0,
    }
}

/// Estimates what a scan of these columns of a source takes.
pub(crate) fn of(source: &Inner, requests: &[Request]) -> ReadingCost {
    let mut columns: Vec<&str> = requests.iter().map(|request| request.column.as_str()).collect();
    columns.sort_unstable();
    columns.dedup();
    // Columns that are not in the files are read as paths.
    let row: f64 = columns.iter().map(|name| source.common.schema.get(name).map_or(16.0, value_bytes)).sum();
    let texts = columns.iter().filter_map(|name| source.cost.texts.get(*name));
    let (dictionary, per_row) = texts.fold((0.0, 0.0), |(d, r), text| (d + text.dictionary, r + text.per_row));
    let rows = source.files.iter().map(|file| file.rows).sum::<Option<u64>>();
    let bounded = |most: usize| rows.map_or(most as f64, |rows| rows.min(most as u64) as f64);
    if source.text.is_some() {
        let block = (bounded(BLOCK_ROWS) * row) as u64;
        return ReadingCost {
            fixed: 0,
            portion: COPIES_OF_CHUNK * CHUNK_BYTES as u64,
            block,
            portions: AHEAD * threads(),
        };
    }
    // The plan counts a number as eight bytes.
    let planned: usize = requests
        .iter()
        .map(|request| match source.common.schema.get(&request.column) {
            Some(DataType::String) => 16,
            _ => 8,
        })
        .sum();
    let range = bounded(range_rows(planned));
    let heads = source.cost.columns_of_groups * COLUMN_OF_A_GROUP;
    let portion = range * (COPIES * row + COPIES_OF_TEXT * per_row) + COPIES_OF_TEXT * dictionary;
    ReadingCost {
        fixed: heads,
        portion: heads + portion as u64,
        block: (bounded(BLOCK_ROWS) * (row + per_row)) as u64,
        portions: threads() + 1,
    }
}

/// Memory for a parquet footer that has been read, as a multiple of its bytes in the file.
const FOOTER: u64 = 8;

/// Checks that the footers of parquet files, which describe their row groups, fit into `bytes` bytes of
/// memory. Reads only the length of each footer; other problems are reported when the files are opened.
///
/// # Errors
/// If a footer is too large.
pub fn check_footers(paths: &[PathBuf], bytes: u64) -> Result<(), TableError> {
    let Ok(found) = paths::expand(paths) else { return Ok(()) };
    if found.format != Format::Parquet {
        return Ok(());
    }
    for path in found.files {
        let footer = footer_bytes(&path).unwrap_or(0);
        if FOOTER * footer > bytes {
            return Err(TableError::LargeFooter { path, footer, needed: FOOTER * footer, limit: bytes });
        }
    }
    Ok(())
}

/// Reads the length of a parquet file's footer from the end of the file.
fn footer_bytes(path: &Path) -> std::io::Result<u64> {
    let mut file = File::open(path)?;
    let mut end = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut end)?;
    let [a, b, c, d, mark @ ..] = end;
    // Damage is reported when the file is opened.
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    Ok(if mark == *b"PAR1" && length <= file.metadata()?.len() { length } else { 0 })
}
