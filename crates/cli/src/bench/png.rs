//! Encodes an RGB picture as PNG (ISO/IEC 15948).
//!
//! The encoders on crates.io need other features of the compression libraries than the parquet reader
//! does. A picture without palette, filters or interlacing needs only three chunks.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use flate2::{Crc, write};
use std::io::Write;

/// Encodes `rgb`, which holds the rows from the top with three bytes per pixel.
pub(super) fn encode(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    // Eight bits per channel, three channels, and the only defined compression and filter methods.
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut out, *b"IHDR", &header);
    let mut pixels: write::ZlibEncoder<Vec<u8>> = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in rgb.chunks_exact(3 * width as usize) {
        pixels.write_all(&[0]).and_then(|()| pixels.write_all(row)).expect("a vector can be written to");
    }
    chunk(&mut out, *b"IDAT", &pixels.finish().expect("a vector can be written to"));
    chunk(&mut out, *b"IEND", &[]);
    out
}

/// Writes a chunk: length, name, data, and the checksum of name and data.
fn chunk(out: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).expect("a plot is smaller than 4 GB");
    let mut check = Crc::new();
    check.update(&name);
    check.update(data);
    out.extend(length.to_be_bytes());
    out.extend(name);
    out.extend(data);
    out.extend(check.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn chunks_follow_the_standard() {
        let rgb: Vec<u8> = (0..2 * 3 * 3).collect();
        let png = encode(&rgb, 2, 3);
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&png[12..16], b"IHDR");
        assert_eq!(&png[16..24], [0, 0, 0, 2, 0, 0, 0, 3]);
        // The last chunk of every PNG, with its checksum.
        assert!(png.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let length = u32::from_be_bytes(png[33..37].try_into().unwrap()) as usize;
        let mut pixels = Vec::new();
        flate2::read::ZlibDecoder::new(&png[41..41 + length]).read_to_end(&mut pixels).unwrap();
        assert_eq!(pixels, [[0, 0, 1, 2, 3, 4, 5], [0, 6, 7, 8, 9, 10, 11], [0, 12, 13, 14, 15, 16, 17]].concat());
    }
}
