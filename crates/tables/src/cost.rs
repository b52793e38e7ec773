//! What reading takes, by what the heads of the files tell before a row is read.

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

/// Bytes that the engine takes for what the head of a parquet file says of a column in a row group.
const COLUMN_OF_A_GROUP: u64 = 900;

/// How many times the values of a range are in memory while it is read: as pages and as columns.
const COPIES: f64 = 2.0;

/// How many times a chunk of a text file is in memory: as bytes and, larger, as columns.
const COPIES_OF_CHUNK: u64 = 4;

/// How many times a text is in memory while its page is decoded and its label is interned.
const COPIES_OF_TEXT: f64 = 3.0;

/// What the heads of the files tell of what reading them takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HeadCost {
    /// Columns of row groups in the file that has most of them.
    columns_of_groups: u64,
    texts: HashMap<String, TextCost>,
}

/// Of a column of texts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct TextCost {
    /// Most bytes of the dictionary of a row group, which is decoded for any of its rows.
    dictionary: f64,
    /// Most bytes per row in a row group.
    per_row: f64,
}

impl HeadCost {
    /// What one parquet file tells.
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
                    // Pages of rows are no smaller than they are in the file: the rest may be the dictionary.
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

/// Bytes of a value in a column; a text lies elsewhere.
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

/// What a scan of these columns of a source takes.
pub(crate) fn of(source: &Inner, requests: &[Request]) -> ReadingCost {
    let mut columns: Vec<&str> = requests.iter().map(|request| request.column.as_str()).collect();
    columns.sort_unstable();
    columns.dedup();
    // Columns that are no part of the files are paths.
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

/// How many times the bytes of a parquet footer are in memory when it has been read.
const FOOTER: u64 = 8;

/// An error where the footers of parquet files, which describe their row groups, would take more
/// memory than there is. Reads the length of each footer; whatever else is wrong with the files is
/// left to those who open them.
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

/// The length of a parquet file's footer, as its end says.
fn footer_bytes(path: &Path) -> std::io::Result<u64> {
    let mut file = File::open(path)?;
    let mut end = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut end)?;
    let [a, b, c, d, mark @ ..] = end;
    // A damaged file is another matter.
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    Ok(if mark == *b"PAR1" && length <= file.metadata()?.len() { length } else { 0 })
}
