//! Buckets of bytes in one temporary file.
//!
//! The file has no name, so the system frees it when the program ends for whatever reason. It is in
//! the folder of the output, which needs about as much space anyway. A bucket is written in pieces,
//! each appended to the file when it is full, so one file serves any number of buckets.

use super::record::Packed;
use anyhow::anyhow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Approximate number of bytes in memory for all buckets together.
const WAITING: usize = 64 << 20;

/// Smallest and largest size of a piece, in bytes.
const PIECE: [usize; 2] = [16 << 10, 2 << 20];

/// Buckets of bytes.
pub(super) struct Spill<'a> {
    out: &'a Path,
    file: File,
    /// Length of the file.
    end: u64,
    buckets: Vec<Bucket>,
    piece: usize,
}

#[derive(Default)]
struct Bucket {
    waiting: Vec<u8>,
    /// Position and length of its pieces in the file.
    pieces: Vec<(u64, usize)>,
}

impl<'a> Spill<'a> {
    /// Creates empty buckets, in the folder of `out`.
    pub(super) fn create(out: &'a Path, buckets: usize) -> anyhow::Result<Self> {
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::tempfile_in(folder).map_err(|error| fail(out, "created", &error))?;
        let piece = (WAITING / buckets).clamp(PIECE[0], PIECE[1]);
        Ok(Spill { out, file, end: 0, buckets: (0..buckets).map(|_| Bucket::default()).collect(), piece })
    }

    /// Adds records to their buckets.
    pub(super) fn append(&mut self, packed: &Packed) -> anyhow::Result<()> {
        let mut start = 0;
        for (bucket, &end) in self.buckets.iter_mut().zip(&packed.ends) {
            bucket.waiting.extend_from_slice(&packed.bytes[start..end]);
            start = end;
            if bucket.waiting.len() >= self.piece {
                self.file.write_all(&bucket.waiting).map_err(|error| fail(self.out, "written", &error))?;
                bucket.pieces.push((self.end, bucket.waiting.len()));
                self.end += bucket.waiting.len() as u64;
                bucket.waiting.clear();
            }
        }
        Ok(())
    }

    /// Removes and returns the contents of a bucket, in the order in which they were added.
    pub(super) fn take(&mut self, bucket: usize) -> anyhow::Result<Vec<u8>> {
        let Bucket { waiting, pieces } = std::mem::take(&mut self.buckets[bucket]);
        let mut bytes = vec![0; pieces.iter().map(|&(_, length)| length).sum()];
        let mut rest = &mut bytes[..];
        for (start, length) in pieces {
            let (piece, after) = rest.split_at_mut(length);
            rest = after;
            let read = self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.read_exact(piece));
            read.map_err(|error| fail(self.out, "read", &error))?;
        }
        bytes.extend(waiting);
        Ok(bytes)
    }
}

fn fail(out: &Path, done: &str, error: &io::Error) -> anyhow::Error {
    anyhow!(
        "{}: the temporary file for shuffling cannot be {done} beside it: {error}; \
         check the free space and the rights of the folder, or leave out --shuffle",
        out.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_return_their_contents_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.parquet");
        let mut spill = Spill::create(&out, 2).unwrap();
        spill.piece = 100;
        let mut expected: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
        for step in 0..50u8 {
            let first = usize::from(step) % 40;
            let bytes = vec![step; 40];
            expected[0].extend(&bytes[..first]);
            expected[1].extend(&bytes[first..]);
            spill.append(&Packed { bytes, ends: vec![first, 40] }).unwrap();
        }
        assert!(spill.end > 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        for (bucket, expected) in expected.into_iter().enumerate() {
            assert_eq!(spill.take(bucket).unwrap(), expected);
        }
    }
}
