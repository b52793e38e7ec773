//! File format of checkpoints: frames with checksums. A reader gets the bytes as written, or an error.
//!
//! A file begins with 16 bytes that identify its kind; the first frame then begins with the version of
//! the format, that of the program, and a fingerprint of the inputs.
//! A frame consists of its length, a checksum of its number and its bytes, and up to [`FRAME`] bytes;
//! the last frame is empty. A frame's bytes are used only after its checksum has been verified, so
//! that a length read from a frame can be trusted.

use crc32fast::Hasher;
use std::io::{self, ErrorKind, Read, Write};

/// Largest number of bytes in a frame.
const FRAME: usize = 1 << 20;

/// The version of the program; sums of another version might differ in their bits.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file could not be read.
    #[error("the checkpoint could not be read: {0}")]
    Io(#[from] io::Error),
    /// The file is not a checkpoint of this kind.
    #[error("this is not a checkpoint of this kind")]
    Foreign,
    /// Another version of the program wrote it.
    #[error("the checkpoint was written by tiers {found}, and this is tiers {own}: start again")]
    Version {
        /// Version that wrote the file.
        found: String,
        /// Version that reads it.
        own: String,
    },
    /// It was made of other inputs.
    #[error(
        "the checkpoint was made of other inputs: their fingerprint is {found}, and now it is {own}; put back what \
         was changed, or start again"
    )]
    Inputs {
        /// Fingerprint in the checkpoint.
        found: String,
        /// Fingerprint given by the caller.
        own: String,
    },
    /// The checkpoint holds other models than the requested ones.
    #[error("the checkpoint is of other models: {0}")]
    Models(String),
    /// The file is not as it was written.
    #[error("the checkpoint is damaged ({0}): start again")]
    Damaged(&'static str),
}

impl From<Broken> for CheckpointError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Io(error) => CheckpointError::Io(error),
            Broken::Damaged(how) => CheckpointError::Damaged(how),
        }
    }
}

/// Writes frames.
pub(crate) struct FrameWriter<'a> {
    to: &'a mut dyn Write,
    buffer: Vec<u8>,
    number: u64,
}

fn checksum(number: u64, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

impl<'a> FrameWriter<'a> {
    pub(crate) fn new(to: &'a mut dyn Write) -> Self {
        FrameWriter { to, buffer: Vec::with_capacity(FRAME), number: 0 }
    }

    /// Begins a file and writes its head.
    pub(crate) fn begin(magic: &[u8; 16], format: u64, fingerprint: &str, to: &'a mut dyn Write) -> io::Result<Self> {
        to.write_all(magic)?;
        let mut to = FrameWriter::new(to);
        to.u64(format)?;
        to.text(PROGRAM)?;
        to.text(fingerprint)?;
        Ok(to)
    }

    fn frame(&mut self) -> io::Result<()> {
        self.to.write_all(&(self.buffer.len() as u32).to_le_bytes())?;
        self.to.write_all(&checksum(self.number, &self.buffer).to_le_bytes())?;
        self.to.write_all(&self.buffer)?;
        self.buffer.clear();
        self.number += 1;
        Ok(())
    }

    /// Writes the remaining bytes, and the empty frame at the end.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.frame()?;
        }
        self.frame()?;
        self.to.flush()
    }

    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = (FRAME - self.buffer.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == FRAME {
                self.frame()?;
            }
        }
        Ok(())
    }

    pub(crate) fn u64(&mut self, value: u64) -> io::Result<()> {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.u64(text.len() as u64)?;
        self.bytes(text.as_bytes())
    }

    /// Writes a list of numbers of eight bytes each.
    pub(crate) fn list<T: Copy>(&mut self, values: &[T], bits: impl Fn(T) -> u64) -> io::Result<()> {
        self.u64(values.len() as u64)?;
        values.iter().try_for_each(|&value| self.u64(bits(value)))
    }

    pub(crate) fn u64s(&mut self, values: &[u64]) -> io::Result<()> {
        self.list(values, |value| value)
    }

    pub(crate) fn f64s(&mut self, values: &[f64]) -> io::Result<()> {
        self.list(values, f64::to_bits)
    }

    pub(crate) fn usizes(&mut self, values: &[usize]) -> io::Result<()> {
        self.list(values, |value| value as u64)
    }

    /// Writes a list of numbers of four bytes each.
    pub(crate) fn u32s(&mut self, values: &[u32]) -> io::Result<()> {
        self.u64(values.len() as u64)?;
        values.iter().try_for_each(|value| self.bytes(&value.to_le_bytes()))
    }
}

/// Reads frames.
pub(crate) struct FrameReader<'a> {
    from: &'a mut dyn Read,
    buffer: Vec<u8>,
    place: usize,
    number: u64,
}

/// Why no bytes could be read.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The file cannot be read.
    Io(io::Error),
    /// The file is not as it was written; what is wrong with it.
    Damaged(&'static str),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Broken::Damaged("it ends too early"),
            _ => Broken::Io(error),
        }
    }
}

type Found<T> = Result<T, Broken>;

impl<'a> FrameReader<'a> {
    pub(crate) fn new(from: &'a mut dyn Read) -> Self {
        FrameReader { from, buffer: Vec::new(), place: 0, number: 0 }
    }

    /// Reads the head of a file and checks its kind, version and fingerprint.
    pub(crate) fn begin(
        magic: &[u8; 16],
        format: u64,
        fingerprint: &str,
        from: &'a mut dyn Read,
    ) -> Result<Self, CheckpointError> {
        let mut found = [0; 16];
        match from.read_exact(&mut found) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(CheckpointError::Foreign),
            read => read?,
        }
        if found != *magic {
            return Err(CheckpointError::Foreign);
        }
        let mut from = FrameReader::new(from);
        let (found_format, found) = (from.u64()?, from.text()?);
        if found_format != format || found != PROGRAM {
            return Err(CheckpointError::Version { found, own: PROGRAM.to_owned() });
        }
        let found = from.text()?;
        if found != fingerprint {
            return Err(CheckpointError::Inputs { found, own: fingerprint.to_owned() });
        }
        Ok(from)
    }

    /// Reads the next frame; an empty one is the end.
    fn frame(&mut self) -> Found<()> {
        let (mut length, mut sum) = ([0; 4], [0; 4]);
        self.from.read_exact(&mut length)?;
        self.from.read_exact(&mut sum)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > FRAME {
            return Err(Broken::Damaged("a length is out of bounds"));
        }
        self.buffer.resize(length, 0);
        self.from.read_exact(&mut self.buffer)?;
        if checksum(self.number, &self.buffer) != u32::from_le_bytes(sum) {
            return Err(Broken::Damaged("a checksum does not fit"));
        }
        (self.place, self.number) = (0, self.number + 1);
        Ok(())
    }

    /// Checks that nothing follows what was read.
    pub(crate) fn finish(mut self) -> Found<()> {
        const MORE: Broken = Broken::Damaged("there is more than there should be");
        if self.place < self.buffer.len() {
            return Err(MORE);
        }
        self.frame()?;
        let nothing_behind = self.buffer.is_empty() && self.from.read(&mut [0])? == 0;
        if nothing_behind { Ok(()) } else { Err(MORE) }
    }

    pub(crate) fn bytes(&mut self, mut into: &mut [u8]) -> Found<()> {
        while !into.is_empty() {
            if self.place == self.buffer.len() {
                self.frame()?;
                if self.buffer.is_empty() {
                    return Err(Broken::Damaged("it ends too early"));
                }
            }
            let count = into.len().min(self.buffer.len() - self.place);
            let (now, later) = into.split_at_mut(count);
            now.copy_from_slice(&self.buffer[self.place..self.place + count]);
            self.place += count;
            into = later;
        }
        Ok(())
    }

    pub(crate) fn u64(&mut self) -> Found<u64> {
        let mut bytes = [0; 8];
        self.bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn usize(&mut self) -> Found<usize> {
        usize::try_from(self.u64()?).map_err(|_| Broken::Damaged("a number is too large for this machine"))
    }

    pub(crate) fn text(&mut self) -> Found<String> {
        let mut text = Vec::new();
        let mut left = self.usize()?;
        // Piece by piece, so that a wrong length takes no more memory than there are bytes.
        while left > 0 {
            let now = left.min(FRAME);
            let start = text.len();
            text.resize(start + now, 0);
            self.bytes(&mut text[start..])?;
            left -= now;
        }
        String::from_utf8(text).map_err(|_| Broken::Damaged("a text is not UTF-8"))
    }

    pub(crate) fn list<T>(&mut self, mut next: impl FnMut(&mut Self) -> Found<T>) -> Found<Vec<T>> {
        let count = self.usize()?;
        let mut values = Vec::with_capacity(count.min(FRAME / 8));
        for _ in 0..count {
            values.push(next(self)?);
        }
        Ok(values)
    }

    pub(crate) fn u64s(&mut self) -> Found<Vec<u64>> {
        self.list(FrameReader::u64)
    }

    pub(crate) fn usizes(&mut self) -> Found<Vec<usize>> {
        self.list(FrameReader::usize)
    }

    pub(crate) fn f64s(&mut self) -> Found<Vec<f64>> {
        self.list(|from| Ok(f64::from_bits(from.u64()?)))
    }

    pub(crate) fn u32s(&mut self) -> Found<Vec<u32>> {
        self.list(|from| {
            let mut bytes = [0; 4];
            from.bytes(&mut bytes)?;
            Ok(u32::from_le_bytes(bytes))
        })
    }
}
