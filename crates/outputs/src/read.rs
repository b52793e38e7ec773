//! Text files that the user names, or that are in a folder that the user names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest size in bytes of a file written by hand, such as a job or a specification.
pub const WRITTEN_BY_HAND: u64 = 16 << 20;

/// Reads a regular file of at most `most` bytes as text. Other kinds are errors: opening a pipe would
/// wait for a writer, and a device may have no end.
///
/// # Errors
/// If it is not a regular file, larger than `most`, not UTF-8, or cannot be read.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let about = std::fs::metadata(path)?;
    if about.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe, a socket or a device, not a file"));
    }
    let mut text = String::new();
    let read = File::open(path)?.take(most.saturating_add(1)).read_to_string(&mut text)?;
    if read as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MB", most >> 20)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_files_and_large_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert_eq!(read_text(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_text(folder.path(), 4).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        #[cfg(unix)]
        assert!(read_text(Path::new("/dev/zero"), 4).unwrap_err().to_string().contains("device"));
    }
}
