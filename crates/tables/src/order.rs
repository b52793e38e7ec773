//! Reads the order of the categories in arrow dictionaries: those marked as ordered (ordered
//! categoricals of pandas), and all that R wrote, because the levels of its factors always have an order.
//!
//! Polars keeps the categories but not their order, so the dictionaries are read here. If one cannot
//! be read, the column has no order, and its levels are sorted by their bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};

use polars::prelude::{ArrowDataType, ArrowSchema, PlSmallStr, Series};
use polars_arrow::io::ipc::read::{read_file_dictionaries, read_file_metadata};
use polars_buffer::Buffer;
use polars_parquet::parquet::compression::DecompressionContext;
use polars_parquet::parquet::metadata::{ColumnChunkMetadata, FileMetadata};
use polars_parquet::parquet::page::{CompressedPage, Page};
use polars_parquet::parquet::read::{PageReader, decompress};

/// The categories in their order, by column name.
pub(crate) type Orders = BTreeMap<String, Vec<String>>;

/// The metadata key under which R stores its attributes of a table.
const WRITTEN_BY_R: &str = "r";
/// Size of the largest dictionary that is read.
const MOST_BYTES: u64 = 16 << 20;

/// Iterates over the columns that are dictionaries with an order.
fn ordered(schema: &ArrowSchema, by_r: bool) -> impl Iterator<Item = (usize, &PlSmallStr)> {
    let fields = schema.iter_values().enumerate();
    fields.filter_map(move |(i, field)| match field.dtype() {
        ArrowDataType::Dictionary(_, _, ordered) if *ordered || by_r => Some((i, &field.name)),
        _ => None,
    })
}

/// Reads the orders in a parquet file: its writers put the categories, in their order, into the
/// dictionary of each row group.
pub(crate) fn of_parquet(file: &mut File, about: &FileMetadata, schema: &ArrowSchema) -> Orders {
    let by_r = about.key_value_metadata().iter().flatten().any(|pair| pair.key == WRITTEN_BY_R);
    let categories = |(_, name): (usize, &PlSmallStr)| {
        let group = about.row_groups.iter().find(|group| group.num_rows() > 0)?;
        let chunk = group.columns_under_root_iter(name)?.next()?;
        Some((name.to_string(), dictionary_page(file, chunk)?))
    };
    ordered(schema, by_r).filter_map(categories).collect()
}

/// Reads the texts in the dictionary of a column of a row group.
fn dictionary_page(file: &mut File, chunk: &ColumnChunkMetadata) -> Option<Vec<String>> {
    let range = chunk.byte_range();
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(range.start)).ok()?;
    file.take((range.end - range.start).min(MOST_BYTES)).read_to_end(&mut bytes).ok()?;
    let mut pages = PageReader::new(Cursor::new(Buffer::from(bytes)), chunk, Vec::new(), MOST_BYTES as usize);
    let page = CompressedPage::Dict(pages.read_dict().ok()??);
    let Page::Dict(page) = decompress(page, &mut Vec::new(), &mut DecompressionContext::Unset).ok()? else {
        return None;
    };
    let mut rest: &[u8] = &page.buffer;
    let mut texts = Vec::with_capacity(page.num_values);
    // Each text follows its length.
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (text, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        texts.push(std::str::from_utf8(text).ok()?.to_owned());
        rest = behind;
    }
    (texts.len() == page.num_values).then_some(texts)
}

/// Reads the orders in an arrow file, which stores its dictionaries separately from the rows.
pub(crate) fn of_ipc(file: &mut File) -> Orders {
    in_ipc(file).unwrap_or_default()
}

fn in_ipc(file: &mut File) -> Option<Orders> {
    let about = read_file_metadata(file).ok()?;
    let by_r = about.custom_schema_metadata.iter().any(|pairs| pairs.contains_key(WRITTEN_BY_R));
    let columns: Vec<(usize, &PlSmallStr)> = ordered(&about.schema, by_r).collect();
    if columns.is_empty() {
        return None;
    }
    let dictionaries = read_file_dictionaries(file, &about, &mut Vec::new(), Default::default()).ok()?;
    let categories = |(i, name): (usize, &PlSmallStr)| {
        let id = about.ipc_schema.fields.get(i)?.dictionary_id?;
        let texts = Series::from_arrow(PlSmallStr::EMPTY, dictionaries.get(&id)?.clone()).ok()?;
        let texts: Option<Vec<String>> = texts.str().ok()?.iter().map(|text| text.map(str::to_owned)).collect();
        Some((name.to_string(), texts?))
    };
    Some(columns.into_iter().filter_map(categories).collect())
}
