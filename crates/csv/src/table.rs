//! Opens a text file: reads its header, finds its separator, and then delivers its rows.

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

/// Separators to try if the expected one gives a single column.
const SEPARATORS: [u8; 4] = [b';', b'\t', b'|', b','];

/// Number of bytes examined to find the separator.
const SAMPLE: usize = 1 << 16;

/// Largest number of rows examined to find the separator.
const SAMPLE_ROWS: usize = 100;

/// Returns the separator that a file's extension implies, if any: a comma for `.csv`, a tab for `.tsv`
/// and `.tab`, also if followed by `.gz`.
pub fn default_separator(path: &Path) -> Option<u8> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "csv" => Some(b','),
        "tsv" | "tab" => Some(b'\t'),
        _ => None,
    }
}

/// An open text file, read up to its first row.
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
    /// If the file cannot be read, is not text of the encoding, or has no header, or if all of its first rows
    /// have one field more than the header.
    pub fn open(path: &Path, options: &CsvOptions) -> Result<TextFile, CsvError> {
        TextFile::read(File::open(path)?, default_separator(path), options)
    }

    /// Like [`TextFile::open`], for any reader; `expected` is the separator to try first.
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

    /// The separator of the fields.
    pub fn separator(&self) -> u8 {
        self.separator
    }

    /// Returns the next rows, or `None` after the last.
    ///
    /// # Errors
    /// If the file cannot be read, a line is too long, or a quote is not closed.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, CsvError> {
        self.cutter.next(self.separator)
    }

    /// Counts what the values of the columns look like in about the first `bytes` of the rows; also
    /// returns whether those were all rows.
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
    /// Returns the values of the requested columns (sorted by position) of a file with these column names.
    ///
    /// # Errors
    /// If a row is longer than the header, or a value is not of the requested form.
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
        // Quotes have no meaning within a comment, so this looks for lines and not for records.
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

/// Checks that the text looks like lines of text in the assumed encoding.
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

/// Returns the expected separator, unless it gives a single column and another gives more.
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
        // It must separate the rows too: in the header alone it may be part of a name.
        let rows = sample_rows(&buffer[end..], separator);
        if found > best.0 && rows.iter().all(|&fields| fields > 1) {
            best = (found, separator);
        }
    }
    best.1
}

/// Returns the number of fields in each of the first rows.
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

/// Returns the names in the header; the second and later columns of the same name are numbered.
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

/// Checks whether all of the first rows have one field more than the header: the row names of R.
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
