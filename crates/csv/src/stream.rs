//! Reads the bytes of a file as UTF-8: decompressed, decoded, without a byte order mark.

use std::io::{self, BufReader, Chain, Cursor, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_8, UTF_16BE, UTF_16LE};
use flate2::read::MultiGzDecoder;

use crate::options::Encoding;

/// The text of a file. Bytes assumed to be UTF-8 are passed on unchecked; callers that use them as
/// text validate them.
pub(crate) type Stream = Box<dyn Read + Send>;

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Returns the text in the bytes of a file.
pub(crate) fn text(file: impl Read + Send + 'static, encoding: Option<Encoding>) -> io::Result<Stream> {
    let (start, file) = peeked(file)?;
    if start.starts_with(&GZIP) {
        let (start, text) = peeked(MultiGzDecoder::new(BufReader::new(file)))?;
        return Ok(decoded(&start, text, encoding));
    }
    Ok(decoded(&start, file, encoding))
}

/// A reader whose first bytes have been inspected.
type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

fn peeked<R: Read>(mut reader: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut start = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(reader)))
}

fn decoded<R: Read + Send + 'static>(start: &[u8], mut text: Peeked<R>, encoding: Option<Encoding>) -> Stream {
    // A byte order mark takes precedence over the option.
    let marked = [(UTF_8, &b"\xEF\xBB\xBF"[..]), (UTF_16LE, b"\xFF\xFE"), (UTF_16BE, b"\xFE\xFF")]
        .into_iter()
        .find(|(_, mark)| start.starts_with(mark));
    if let Some((_, mark)) = marked {
        text.get_mut().0.set_position(mark.len() as u64);
    }
    match marked.map(|(encoding, _)| encoding).or(encoding.map(Encoding::inner)).unwrap_or(UTF_8) {
        utf8 if utf8 == UTF_8 => Box::new(text),
        other => Box::new(Decoded::new(text, other)),
    }
}

/// Decodes text of another encoding to UTF-8.
struct Decoded<R> {
    reader: R,
    decoder: Decoder,
    encoding: &'static encoding_rs::Encoding,
    input: Vec<u8>,
    /// The part of the input that is not decoded yet.
    left: std::ops::Range<usize>,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    fn new(reader: R, encoding: &'static encoding_rs::Encoding) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        Decoded { reader, decoder, encoding, input: vec![0; 1 << 16], left: 0..0, ended: false }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // A character takes up to four bytes.
        if out.len() < 4 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "room for four bytes is needed"));
        }
        loop {
            if self.left.is_empty() && !self.ended {
                let read = self.reader.read(&mut self.input)?;
                (self.left, self.ended) = (0..read, read == 0);
            }
            let input = &self.input[self.left.clone()];
            let (result, taken, written) = self.decoder.decode_to_utf8_without_replacement(input, out, self.ended);
            self.left.start += taken;
            match result {
                DecoderResult::Malformed(..) => {
                    let name = self.encoding.name();
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the text is not valid {name}; name its encoding, as in --encoding utf-8"),
                    ));
                }
                _ if written > 0 => return Ok(written),
                DecoderResult::InputEmpty if self.ended => return Ok(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn check(bytes: &[u8], encoding: Option<&str>, expected: &str) {
        let encoding = encoding.map(|name| name.parse().unwrap());
        let mut read = Vec::new();
        let mut buffer = [0; 7];
        let mut text = text(Cursor::new(bytes.to_vec()), encoding).unwrap();
        loop {
            let n = text.read(&mut buffer).unwrap();
            if n == 0 {
                break;
            }
            read.extend_from_slice(&buffer[..n]);
        }
        assert_eq!(String::from_utf8(read).unwrap(), expected);
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn encodings_by_mark_and_by_name() {
        let text = "größe,école 𝒳\n";
        check(text.as_bytes(), None, text);
        check(format!("\u{feff}{text}").as_bytes(), None, text);
        check(&utf16(&format!("\u{feff}{text}"), u16::to_le_bytes), None, text);
        check(&utf16(&format!("\u{feff}{text}"), u16::to_be_bytes), Some("utf-8"), text);
        check(&utf16(text, u16::to_le_bytes), Some("utf-16"), text);
        check(b"gr\xF6\xDFe", Some("latin-1"), "größe");
    }

    #[test]
    fn compressed_text() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&utf16("\u{feff}a;b\n", u16::to_le_bytes)).unwrap();
        check(&gz.finish().unwrap(), None, "a;b\n");
    }

    #[test]
    fn text_that_is_invalid_in_its_encoding_is_an_error() {
        let lone_surrogate = [0x61, 0x00, 0x00, 0xD8, 0x62, 0x00];
        let mut text = text(Cursor::new(lone_surrogate.to_vec()), "utf-16".parse().ok()).unwrap();
        let error = std::io::read_to_string(&mut text).unwrap_err();
        assert!(error.to_string().contains("--encoding"), "{error}");
    }
}
