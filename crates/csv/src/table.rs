//! A text file opened: its header read, its separator found, its rows to come.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::cutter::{Chunk, Cutter};
use crate::error::CsvError;
use crate::fields::{End, Field, blank_line, fields, record_end};
use crate::options::CsvOptions;
use crate::parse::{Shape, Values, WantedColumn, separator_name};
use crate::stream;
use crate::tally::Tally;
use crate::value::Rules;

/// Separators that are tried where the expected one gives a single column.
const SEPARATORS: [u8; 4] = [b';', b'\t', b'|', b','];

/// As many bytes are looked at to find the separator.
const SAMPLE: usize = 1 << 16;

/// As many rows of them at most.
const SAMPLE_ROWS: usize = 100;

/// The separator that a file's name says, or none: `.csv` a comma, `.tsv` and `.tab` a tab, also with
/// `.gz` behind.
pub fn default_separator(path: &Path) -> Option<u8> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "csv" => Some(b','),
        "tsv" | "tab" => Some(b'\t'),
        _ => None,
    }
}

/// A text file, opened and read up to its first row.
pub struct TextFile {
    cutter: Cutter,
    names: Vec<String>,
    separator: u8,
}

impl std::fmt::Debug for TextFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextFile").field("names", &self.names).field("separator", &self.separator).finish()
    }
}

impl TextFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// If it cannot be read, is not text of the encoding, has no header, or has longer rows than it.
    pub fn open(path: &Path, options: &CsvOptions) -> Result<TextFile, CsvError> {
        TextFile::read(File::open(path)?, default_separator(path), options)
    }

    /// [`TextFile::open`] for the bytes of any reader; `expected` is the separator to try first.
    ///
    /// # Errors
    /// As for [`TextFile::open`].
    pub fn read(
        file: impl Read + Send + 'static,
        expected: Option<u8>,
        options: &CsvOptions,
    ) -> Result<TextFile, CsvError> {
        let mut cutter = Cutter::new(stream::text(file, options.encoding)?);
        skip_comments(&mut cutter)?;
        cutter.fill(SAMPLE)?;
        check_text(&cutter)?;
        let separator = match options.sep {
            Some(sep) => sep.byte(),
            None => {
                let decimal_comma = options.decimal == Some(crate::Decimal::Comma);
                let expected = if decimal_comma && expected == Some(b',') { b';' } else { expected.unwrap_or(b',') };
                sniffed(cutter.buffer(), expected)
            }
        };
        let (end, lines) = cutter.first_record(separator)?;
        let names = header(&cutter.buffer()[..end], separator)?;
        cutter.skip(end, lines);
        check_sample(&cutter, names.len(), separator)?;
        Ok(TextFile { cutter, names, separator })
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What separates the fields.
    pub fn separator(&self) -> u8 {
        self.separator
    }

    /// The next rows; nothing behind the last.
    ///
    /// # Errors
    /// If the file cannot be read, a line is too long, or a quote is not closed.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, CsvError> {
        self.cutter.next(self.separator)
    }

    /// What the values of the columns look like in about the first `bytes` of the rows; and whether
    /// those were all.
    ///
    /// # Errors
    /// As for [`TextFile::next_chunk`], and if a row is longer than the header.
    pub fn tally(mut self, rules: &Rules, bytes: u64) -> Result<(Vec<Tally>, bool), CsvError> {
        let mut tallies = vec![Tally::default(); self.names.len()];
        let mut seen = 0;
        while let Some(chunk) = self.next_chunk()? {
            chunk.tally(&self.shape(), rules, &mut tallies)?;
            seen += chunk.bytes.len() as u64;
            if seen >= bytes {
                return Ok((tallies, false));
            }
        }
        Ok((tallies, true))
    }

    fn shape(&self) -> Shape<'_> {
        Shape { names: &self.names, separator: self.separator }
    }
}

impl Chunk {
    /// The values of the wanted columns (sorted by their place) of a file with these names.
    ///
    /// # Errors
    /// If a row is longer than the header, or a value is not what the column holds.
    pub fn parse(
        &self,
        names: &[String],
        separator: u8,
        wanted: &[WantedColumn],
        rules: &Rules,
    ) -> Result<Vec<Values>, CsvError> {
        self.columns(&Shape { names, separator }, wanted, rules)
    }
}

/// Skips blank lines and lines that begin with `#`, up to the header.
fn skip_comments(cutter: &mut Cutter) -> Result<(), CsvError> {
    loop {
        // Within a comment quotes mean nothing, so lines are looked for and not records.
        cutter.fill(1)?;
        let mut wanted = SAMPLE;
        let is_comment = |bytes: &[u8]| bytes.first() == Some(&b'#');
        let line = loop {
            cutter.fill(wanted)?;
            match memchr::memchr(b'\n', cutter.buffer()) {
                Some(end) => break end + 1,
                None if cutter.ended() || wanted > crate::MAX_RECORD => break cutter.buffer().len(),
                None => wanted *= 2,
            }
        };
        let buffer = cutter.buffer();
        if buffer.is_empty() {
            return Err(CsvError::NoHeader {
                what: if cutter.line() == 1 { "nothing" } else { "comments and blank lines" },
            });
        }
        if !is_comment(buffer) && blank_line(buffer, 0, 0) != Some(line) {
            return Ok(());
        }
        cutter.skip(line, 1);
    }
}

/// An error if the text does not look like text of lines.
fn check_text(cutter: &Cutter) -> Result<(), CsvError> {
    let buffer = cutter.buffer();
    if buffer[..buffer.len().min(SAMPLE)].contains(&0) {
        return Err(CsvError::Encoding {
            place: "the file holds zero bytes".to_owned(),
            encoding: "utf-8".to_owned(),
            remedy: "utf-16",
        });
    }
    if buffer.contains(&b'\r') && !buffer.contains(&b'\n') {
        return Err(CsvError::CarriageReturns);
    }
    Ok(())
}

/// The separator: the expected one, unless it gives a single column and another gives more.
fn sniffed(buffer: &[u8], expected: u8) -> u8 {
    let columns = |separator: u8| {
        let end = match record_end(buffer, 0, separator) {
            End::At(end, _) => end,
            _ => buffer.len(),
        };
        (fields(&buffer[..end], separator).len(), end)
    };
    if columns(expected).0 > 1 {
        return expected;
    }
    let mut best = (1, expected);
    for separator in SEPARATORS {
        let (found, end) = columns(separator);
        // The rows must be cut by it too; a header alone may hold the character in a name.
        let rows = sample_rows(&buffer[end..], separator);
        if found > best.0 && rows.iter().all(|&fields| fields > 1) {
            best = (found, separator);
        }
    }
    best.1
}

/// The numbers of fields of the first rows.
fn sample_rows(mut buffer: &[u8], separator: u8) -> Vec<usize> {
    let mut rows = Vec::new();
    while rows.len() < SAMPLE_ROWS
        && let End::At(end, _) = record_end(buffer, 0, separator)
    {
        if blank_line(buffer, 0, separator).is_none() {
            rows.push(fields(&buffer[..end], separator).len());
        }
        buffer = &buffer[end..];
    }
    rows
}

/// The names in the header; the second and later columns of a name are numbered.
fn header(record: &[u8], separator: u8) -> Result<Vec<String>, CsvError> {
    let mut names: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    // Per name the number to try next: from 0 each time, a header of empty names takes quadratic time.
    let mut next: HashMap<String, usize> = HashMap::new();
    for field in fields(record, separator) {
        let name = name(&field)?;
        let mut own = name.clone();
        while !seen.insert(own.clone()) {
            let again = next.entry(name.clone()).or_default();
            own = format!("{name}_duplicated_{again}");
            *again += 1;
        }
        names.push(own);
    }
    Ok(names)
}

fn name(field: &Field<'_>) -> Result<String, CsvError> {
    let text = String::from_utf8(field.unescaped()).map_err(|_| CsvError::Encoding {
        place: "the header".to_owned(),
        encoding: "utf-8".to_owned(),
        remedy: "latin-1",
    })?;
    Ok(text.trim().to_owned())
}

/// Tells rows of one field more than the header, all of them, from a single row that is too long.
fn check_sample(cutter: &Cutter, names: usize, separator: u8) -> Result<(), CsvError> {
    let mut rows = sample_rows(cutter.buffer(), separator);
    if rows.is_empty() && cutter.ended() && blank_line(cutter.buffer(), 0, separator).is_none() {
        rows.push(fields(cutter.buffer(), separator).len());
    }
    let separator = separator_name(separator);
    if !rows.is_empty() && rows.iter().all(|&fields| fields == names + 1) {
        return Err(CsvError::RowNames { line: cutter.line(), fields: names + 1, names, separator });
    }
    Ok(())
}
