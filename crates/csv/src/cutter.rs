//! Cuts text into chunks of whole records, in the order of the file.

use std::io::{ErrorKind, Read};

use crate::error::CsvError;
use crate::fields::{End, blank_line, record_end};
use crate::stream::Stream;

/// Largest size of a record in bytes. A record is a line, or several if a quoted field contains line ends.
pub const MAX_RECORD: usize = 16 << 20;

/// Approximate size of a chunk in bytes; a chunk is larger if a record is.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Consecutive records of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// Number of records, without blank lines.
    pub(crate) rows: usize,
    /// Number of rows of the file before this chunk.
    pub(crate) first_row: u64,
    /// Line of the file on which the chunk begins, from 1.
    pub(crate) first_line: u64,
}

impl Chunk {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Reads text and cuts it into chunks.
pub(crate) struct Cutter {
    stream: Stream,
    /// Bytes that have been read but not cut off yet.
    buffer: Vec<u8>,
    ended: bool,
    /// Line on which the buffer begins, from 1.
    line: u64,
    /// Number of rows cut off so far.
    rows: u64,
}

impl Cutter {
    pub(crate) fn new(stream: Stream) -> Self {
        Cutter { stream, buffer: Vec::new(), ended: false, line: 1, rows: 0 }
    }

    /// Bytes that have been read but not cut off yet.
    pub(crate) fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// Line on which the buffer begins, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Whether the buffer reaches the end of the text.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Reads until the buffer has this many bytes or the text ends.
    pub(crate) fn fill(&mut self, bytes: usize) -> Result<(), CsvError> {
        const PIECE: usize = 1 << 16;
        while self.buffer.len() < bytes && !self.ended {
            let start = self.buffer.len();
            self.buffer.resize(start + PIECE.max(bytes - start), 0);
            match self.stream.read(&mut self.buffer[start..]) {
                Ok(read) => {
                    self.buffer.truncate(start + read);
                    self.ended = read == 0;
                }
                Err(error) => {
                    self.buffer.truncate(start);
                    if error.kind() != ErrorKind::Interrupted {
                        return Err(error.into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Discards bytes that contain no rows.
    pub(crate) fn skip(&mut self, bytes: usize, lines: u64) {
        self.buffer.drain(..bytes);
        self.line += lines;
    }

    /// Returns the end of the buffer's first record and its number of lines; reads more as needed.
    pub(crate) fn first_record(&mut self, separator: u8) -> Result<(usize, u64), CsvError> {
        let mut wanted = 1 << 16;
        loop {
            self.fill(wanted)?;
            match record_end(&self.buffer, 0, separator) {
                End::At(end, lines) => return Ok((end, lines)),
                End::Open if self.ended => return Ok((self.buffer.len(), 1)),
                end => self.check_length(end, 0)?,
            }
            wanted = (2 * wanted).min(MAX_RECORD + 1);
        }
    }

    /// Returns the next chunk, or `None` after the last.
    pub(crate) fn next(&mut self, separator: u8) -> Result<Option<Chunk>, CsvError> {
        let mut wanted = CHUNK_BYTES;
        loop {
            self.fill(wanted)?;
            let cut = self.cut(separator);
            if let Some(open) = cut.open {
                self.check_length(open, cut.end)?;
            }
            if cut.end > 0 || self.ended {
                return Ok(self.take(cut, separator));
            }
            // Doubling keeps the time linear in the length of a line.
            wanted = (2 * wanted).min(MAX_RECORD + 1);
        }
    }

    /// Checks a record that begins at `start` and does not end within the buffer: it is an error if the
    /// record is too long or cannot end any more.
    fn check_length(&self, open: End, start: usize) -> Result<(), CsvError> {
        let line = |at: usize| self.line + memchr::memchr_iter(b'\n', &self.buffer[..at]).count() as u64;
        let too_long = self.buffer.len() - start > MAX_RECORD;
        match open {
            End::InQuotes(quote) if self.ended || too_long => Err(CsvError::OpenQuote { line: line(quote) }),
            _ if too_long => Err(CsvError::LongLine { line: line(start), megabytes: MAX_RECORD >> 20 }),
            _ => Ok(()),
        }
    }

    /// Finds the last end of a record in the buffer.
    fn cut(&self, separator: u8) -> Cut {
        let bytes = &self.buffer;
        let mut cut = Cut { end: 0, rows: 0, lines: 0, open: None };
        while cut.end < bytes.len() {
            match record_end(bytes, cut.end, separator) {
                End::At(end, lines) => {
                    cut.rows += usize::from(blank_line(bytes, cut.end, separator).is_none());
                    cut.end = end;
                    cut.lines += lines;
                }
                open => {
                    cut.open = Some(open);
                    break;
                }
            }
        }
        cut
    }

    fn take(&mut self, mut cut: Cut, separator: u8) -> Option<Chunk> {
        // The last line need not have a line end.
        if self.ended && cut.open.is_some() {
            cut.rows += usize::from(blank_line(&self.buffer, cut.end, separator).is_none());
            cut.end = self.buffer.len();
        }
        if cut.end == 0 {
            return None;
        }
        let rest = self.buffer.split_off(cut.end);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let chunk = Chunk { bytes, rows: cut.rows, first_row: self.rows, first_line: self.line };
        self.rows += cut.rows as u64;
        self.line += cut.lines;
        Some(chunk)
    }
}

/// Whole records at the start of the buffer.
struct Cut {
    end: usize,
    rows: usize,
    lines: u64,
    /// How the buffer ends, if it ends within a record.
    open: Option<End>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn chunks(text: &str) -> Result<Vec<Chunk>, CsvError> {
        let mut cutter = Cutter::new(Box::new(Cursor::new(text.to_owned().into_bytes())));
        std::iter::from_fn(|| cutter.next(b',').transpose()).collect()
    }

    #[test]
    fn chunks_hold_whole_records_and_all_of_them() {
        let line = |i: usize| if i.is_multiple_of(7) { format!("{i},\"two\nlines\"\n\n") } else { format!("{i},x\n") };
        let text: String = (0..300_000).map(line).collect::<String>() + "300000,last";
        let chunks = chunks(&text).unwrap();
        assert!(chunks.len() > 2);
        let mut all = Vec::new();
        let (mut rows, mut lines) = (0, 1);
        for chunk in &chunks {
            assert_eq!((chunk.first_row, chunk.first_line), (rows, lines));
            rows += chunk.rows as u64;
            lines += chunk.bytes.iter().filter(|&&b| b == b'\n').count() as u64;
            all.extend_from_slice(&chunk.bytes);
        }
        assert_eq!((rows, all), (300_001, text.into_bytes()));
    }

    #[test]
    fn a_line_longer_than_the_limit_is_an_error_with_its_number() {
        let text = format!("1,2\n{}", "1".repeat(MAX_RECORD + (8 << 20)));
        let error = chunks(&text).unwrap_err().to_string();
        assert!(error.contains("line 2 is longer than 16 MB"), "{error}");
        let long_but_fine = format!("1,2\n{}\n3,4\n", "1".repeat(9 << 20));
        assert_eq!(chunks(&long_but_fine).unwrap().iter().map(|c| c.rows).sum::<usize>(), 3);
    }

    #[test]
    fn an_unclosed_quote_is_an_error_with_its_line() {
        let error = chunks("1,2\n3,\"4\n5,6\n").unwrap_err().to_string();
        assert!(error.starts_with("line 2: a double quote opens"), "{error}");
    }
}
